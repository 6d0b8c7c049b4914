"""Files and folders that somebody named: written whole, and refused under their own name."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auditor.errors import AuditorError

_UNNAMED = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
"""What writing fails with, without the system saying to which file."""


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raise `AuditorError` where `path` is a folder, or exists and must not be replaced."""
    if path.is_dir():
        raise AuditorError(f"{path}: is a folder; give the name of a file.")
    if path.exists() and not overwrite:
        raise AuditorError(f"{path}: exists; choose another name, remove it or ask to overwrite.")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name beside `path` to write a file under, which becomes `path` once it is whole.

    Folders above it are made; after an error nothing is left of the file, and a former one stays.
    Raises `AuditorError` where it cannot be written, as `writable` does.
    """
    part = path.with_name(path.name + ".part")
    with writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()  # not every library names a file that it cannot open
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Name `path` where the system refuses what is meanwhile written to it, or made for it.

    An error about `path`, a folder above it, its `.part` or a hidden `.<name>-…` beside it, or what
    lies in these becomes `AuditorError`, with the cause and the remedy. Errors about other files
    pass.
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
    about, own = Path(error.filename).absolute(), path.absolute()
    if about in own.parents:
        return True
    if not about.is_relative_to(own.parent):
        return False
    name = about.relative_to(own.parent).parts[0]
    return name in (own.name, f"{own.name}.part") or name.startswith(f".{own.name}-")


def _why(path: Path, error: OSError) -> str:
    there = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    if not there.is_dir():
        return f"{there} is no folder; give another path"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"there is no space left in {there}; make some, or give a path on another disk"
    told = error.strerror or type(error).__name__
    return f"the system refuses it in {there} ({told}); give a path in a folder that is yours"
