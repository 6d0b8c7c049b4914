"""Configurations that a dashboard lists, edits and validates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from auditor.configuration import read_config
from auditor.dashboard.place import Place, problem_of
from auditor.errors import ConfigurationError

DEPTH = 3
"""Folders below the first that are looked into."""
MOST = 200
"""Configurations listed."""
MOST_ENTRIES = 100_000
"""Files and folders looked at: a folder of images may lie beside the configurations."""
LARGEST = 1_000_000
"""Bytes of a configuration."""


@dataclass(frozen=True)
class Configuration:
    """A TOML file that configures an audit, or is too broken to tell."""

    name: str
    """Relative to the folder, with slashes."""
    problem: str | None
    """Why it cannot be used; null where it can be read, which says nothing of its dataset."""


@dataclass(frozen=True)
class Validation:
    """What `auditor validate` says, a line a problem; both lists are empty where all is well."""

    cases: int | None
    """Null where the dataset could not be opened at all."""
    stopping: tuple[str, ...]
    """What stops an audit."""
    spoiling: tuple[str, ...]
    """What spoils a case or a measure; an audit goes on and counts it as not judged."""


def configurations(folder: Path) -> list[Configuration]:
    """The configurations in a folder and up to `DEPTH` below, those nearest first.

    Has what holds a `[dataset]` table or is no valid TOML; at most `MOST`. Hidden folders
    and linked ones are left out, and so are files that link out of the folder.
    """
    folder = folder.resolve()
    found: list[Configuration] = []
    for path in _toml_files(folder):
        if len(found) == MOST:
            break
        if not path.resolve().is_relative_to(folder):
            continue
        name = path.relative_to(folder).as_posix()
        try:
            if path.stat().st_size > LARGEST:
                continue
            document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError):
            document = None  # `read_config` says why
        if document is not None and "dataset" not in document:
            continue
        try:
            read_config(path)
            found.append(Configuration(name, None))
        except ConfigurationError as error:
            found.append(Configuration(name, str(error)))
    return found


def save(
    place: Place, name: str, text: str, *, over: bool = False, beside: str | None = None
) -> str:
    """Write a configuration whole or not at all, and return its name as it will be listed.

    `name` is that of a file alone. It goes into the folder, or into that of the listed
    configuration `beside`, from which that one's relative paths start. `over` allows that it
    replaces a configuration. Raises `ConfigurationError` for a name that leads elsewhere, a
    file that is none of ours, and a text that is no TOML, with its line.
    """
    problem = problem_of(name)
    if problem is None and (not name.endswith(".toml") or name == ".toml"):
        problem = "does not end in .toml"
    if problem is not None:
        raise ConfigurationError(
            f"{name!r} cannot be the name of a configuration, since it {problem}; give a plain "
            "name, such as audit.toml."
        )
    folder = place.folder if beside is None else place.configuration(beside).parent
    path = folder / name
    content = text.replace("\r\n", "\n")
    _check(path, content)
    if path.is_symlink():
        raise ConfigurationError(f"{path}: is a link; edit what it points to, or save elsewhere.")
    if path.exists():
        _check_replaceable(path, over)
    _write(path, content)
    return path.relative_to(place.folder).as_posix()


def validate(place: Place, name: str, *, seconds: float = 300) -> Validation:
    """What `auditor validate` says of a configuration; it runs as a process of its own.

    No model is loaded, so no `factory` runs. Raises `ConfigurationError` for a name that is
    not in the folder, and where it takes longer than so many seconds.
    """
    config = place.configuration(name)
    # -P, or a file of the user's folder could stand in for a module.
    command = [sys.executable, "-P", "-m", "auditor", "validate", str(config), "--json"]
    try:
        done = subprocess.run(  # noqa: S603 - a list, and the path was checked
            command,
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            cwd=place.folder,
            env=os.environ | {"PYTHONIOENCODING": "utf-8"},
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise ConfigurationError(
            f"{config}: is not validated after {seconds:g} seconds; call "
            f"`auditor validate {name}` in a terminal."
        ) from None
    return _validation(
        done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    )


# -- inside --------------------------------------------------------------------------------


def _toml_files(folder: Path) -> Iterator[Path]:
    """TOML files, level by level and by name."""
    level, looked = [folder], 0
    for _ in range(DEPTH + 1):
        below: list[Path] = []
        for inside in level:
            files: list[str] = []
            with suppress(OSError), os.scandir(inside) as entries:
                for entry in entries:
                    looked += 1
                    if looked > MOST_ENTRIES:
                        break
                    if problem_of(entry.name) is not None:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        below.append(inside / entry.name)
                    elif entry.name.endswith(".toml") and entry.is_file():
                        files.append(entry.name)
            yield from (inside / file for file in sorted(files))
            if looked > MOST_ENTRIES:
                return
        level = sorted(below)


def _check(path: Path, content: str) -> None:
    try:
        size = len(content.encode("utf-8"))
        document = tomllib.loads(content)
    except UnicodeEncodeError as error:
        raise ConfigurationError(
            f"{path.name}: holds a character that no file can keep (at {error.start}); remove it."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path.name}: is not valid TOML: {error}.") from None
    if size > LARGEST:
        raise ConfigurationError(
            f"{path.name}: has {size:,} bytes; a configuration has {LARGEST:,} at most."
        )
    if "dataset" not in document:
        raise ConfigurationError(
            f"{path.name}: configures no audit, since [dataset] is missing; add it."
        )


def _check_replaceable(path: Path, over: bool) -> None:
    if not path.is_file():
        raise ConfigurationError(f"{path}: is there already and is no file; give another name.")
    if not over:
        raise ConfigurationError(
            f"{path}: is there already; allow that it is replaced, or give another name."
        )
    # A broken file may be mended; one that configures something else is not ours.
    with suppress(OSError, ValueError):
        if "dataset" not in tomllib.loads(path.read_text(encoding="utf-8-sig")):
            raise ConfigurationError(
                f"{path}: configures something else than an audit; give another name."
            )


def _write(path: Path, content: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            temporary.chmod(path.stat().st_mode & 0o777)
        temporary.replace(path)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be written ({error.strerror}); give a folder that can be written."
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def _validation(out: str, err: str) -> Validation:
    try:
        found = json.loads(out)
    except ValueError:
        # Refused as a whole: one message, or whatever the process said last.
        lines = [line for line in err.splitlines() if line.strip()]
        told = [line.removeprefix("auditor: ") for line in lines if line.startswith("auditor: ")]
        return Validation(None, tuple(told or lines[-5:] or ["`auditor validate` failed."]), ())
    lines_of: dict[bool, list[str]] = {True: [], False: []}
    for problem in found["problems"]:
        case = "" if problem["id"] is None else f"{problem['id']}: "
        lines_of[problem["fatal"]].append(f"{problem['path']}: {case}{problem['what']}")
    return Validation(found["cases"], tuple(lines_of[True]), tuple(lines_of[False]))
