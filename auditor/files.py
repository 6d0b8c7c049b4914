"""Files and folders that somebody named: written whole, and refused under their own name."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from auditor.errors import AuditorError

_UNNAMED = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
"""What writing fails with, without the system saying to which file."""


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raise `AuditorError` where `path` is a folder, or exists and must not be replaced."""
    if path.is_dir():
        raise AuditorError(f"{path}: is a folder; give the name of a file.")
    if path.exists() and not overwrite:
        raise AuditorError(
            f"{path}: exists; choose another name, remove it or ask to overwrite (--overwrite)."
        )


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name beside `path` to write a file under, which becomes `path` once it is whole.

    The name is nobody else's: of several writers the last one counts. A link stays, and its target
    is written; a former file hands on its mode. Folders above are made; after an error nothing of
    all this is left, and a former file stays. A device or a pipe is written to as it is. Raises
    `AuditorError` where it cannot be written, as `writable` does.
    """
    with writable(path):
        if path.is_char_device() or path.is_fifo():
            yield path
        else:
            with _replacing(_target(path)) as part:
                yield part


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    part = target.parent / f".{target.name}-{uuid4().hex[:8]}"
    with folders_above(target):
        former = target.is_file()
        # Here, since not every library names a file that it cannot open; and nobody else reads
        # what replaces a file before it has that file's mode.
        part.touch(0o600 if former else 0o666, exist_ok=False)
        try:
            yield part
            if former:
                shutil.copymode(target, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def folders_above(path: Path) -> Iterator[None]:
    """Make the folders above `path`; after an error those that were made, if empty, go again."""
    missing = [folder for folder in path.absolute().parents if not os.path.lexists(folder)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in missing:  # the innermost first
            with suppress(OSError):  # one that was not made, or that holds something by now
                folder.rmdir()
        raise


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Name `path` where the system refuses what is meanwhile written to it, or made for it.

    An error about `path`, a folder above it, its `.part` (of a run) or a hidden `.<name>-…` beside
    it, or what lies in these becomes `AuditorError`, with the cause and the remedy; so does one
    about the target of a link. Errors about other files pass.
    """
    try:
        yield
    except OSError as error:
        if not _is_of(path, error):
            raise
        raise AuditorError(f"{path}: cannot be written, since {_why(path, error)}.") from error


def _is_of(path: Path, error: OSError) -> bool:
    if not isinstance(error.filename, str | os.PathLike):
        return error.errno in _UNNAMED
    about = Path(error.filename).absolute()
    return any(_is_about(own, about) for own in {path.absolute(), _target(path).absolute()})


def _is_about(own: Path, about: Path) -> bool:
    if about == own or about in own.parents:
        return True
    if not about.is_relative_to(own.parent):
        return False
    name = about.relative_to(own.parent).parts[0]
    return name in (own.name, f"{own.name}.part") or name.startswith(f".{own.name}-")


def _why(path: Path, error: OSError) -> str:
    own = _target(path).absolute()
    root = Path(own.anchor)
    there = next((folder for folder in own.parents if os.path.lexists(folder)), root)
    if not there.is_dir():
        return f"{there} is no folder; give another path"
    if error.errno == errno.EISDIR and own.is_dir():
        return "it is a folder; give the name of a file"
    # Without a file name it may be about another file, for instance a temporary one.
    named = error.filename is not None
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        if named:
            return f"there is no space left in {there}; make some, or give a path on another disk"
        return (
            f"a disk is full, perhaps that of {there} or of temporary files (TMPDIR); make space "
            "there, or give a path on another disk"
        )
    told = error.strerror or type(error).__name__
    where = f" in {there}" if named else f", perhaps in {there}"
    return f"the system refuses it{where} ({told}); give a path in a folder that is yours"


def _target(path: Path) -> Path:
    """The file that a link leads to; `path` as it was given where it is no link."""
    return Path(os.path.realpath(path)) if os.path.islink(path) else path  # noqa: PTH114 - never raises
