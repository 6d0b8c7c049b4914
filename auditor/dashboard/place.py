"""Where a dashboard may start audits, and the names it takes for files there."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from auditor.errors import ConfigurationError, RunError
from auditor.store.run import PART

LONGEST = 100
"""Characters of a name; a file system takes 255 bytes, and suffixes come after it."""


def allowed(address: str) -> bool:
    """Whether a server bound to `address` may start audits: 127.0.0.0/8, ::1 or localhost.

    Whoever reaches the server can run code through a configuration's `factory`. An empty
    address, as of a server bound to everything, is refused like any other name.
    """
    if address.lower() == "localhost":
        return True
    try:
        found = ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return any(found in network for network in _LOOPBACK)


_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@dataclass(frozen=True)
class Place:
    """Everything that starts or writes asks for one, so that none does beyond loopback.

    Raises `RunError` for another `address`.
    """

    folder: Path
    """Where the configurations are."""
    runs: Path
    """Where the runs go; need not be there yet."""
    address: str
    """What the server is bound to."""

    def __post_init__(self) -> None:
        if not allowed(self.address):
            raise RunError(
                f"the dashboard listens at {self.address or 'every address'}, where others could "
                "run code by starting an audit; start it on 127.0.0.1, or call `auditor audit` "
                "in a terminal."
            )
        # Compared with what links lead to, and told to processes that start elsewhere.
        object.__setattr__(self, "folder", self.folder.resolve())
        object.__setattr__(self, "runs", self.runs.resolve())

    def configuration(self, name: str) -> Path:
        """The file of a configuration by its name relative to the folder, such as "a/b.toml".

        Raises `ConfigurationError` for whatever is not a TOML file inside the folder.
        """
        told = PurePosixPath(name)
        plain = all(problem_of(part) is None for part in told.parts) and "\\" not in name
        if not name or told.is_absolute() or not plain or told.suffix != ".toml":
            raise ConfigurationError(
                f"{name!r} is no name of a configuration in {self.folder}; choose one of those "
                "listed."
            )
        path = self.folder / told
        if not path.resolve().is_relative_to(self.folder):
            raise ConfigurationError(
                f"{path}: leads out of {self.folder}; copy the file into that folder."
            )
        if not path.is_file():
            raise ConfigurationError(f"{path}: no such file; choose one of those listed.")
        return path

    def out(self, run: str) -> Path:
        """The directory that a run of that name has. Raises `RunError` for an unusable name."""
        problem = problem_of(run)
        if problem is None and run.lower().endswith(PART):
            problem = f"ends in {PART}, as unfinished runs do"
        if problem is not None:
            raise RunError(
                f"{run!r} cannot be the name of a run, since it {problem}; give a plain name, "
                "such as first."
            )
        out = self.runs / run
        for path in (out, out.with_name(run + PART)):
            if path.is_symlink():
                raise RunError(f"{path}: is a link; give the run another name.")
        return out


def problem_of(name: str) -> str | None:
    """Why a text cannot be the plain name of a file here; null where it can."""
    if not name or name != name.strip():
        return "is empty, or begins or ends with a space"
    if "/" in name or "\\" in name:
        return "holds a path separator"
    if name[0] in ".-~":
        return f"begins with {name[0]!r}"
    if not name.isprintable():
        return "holds a control character"
    if len(name) > LONGEST or len(name.encode("utf-8", "replace")) > 2 * LONGEST:
        return f"is longer than {LONGEST} characters"
    return None
