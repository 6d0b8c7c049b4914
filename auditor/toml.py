"""Reading a TOML file that a person wrote, and what it is refused with."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from auditor.errors import ConfigurationError


def read_toml(path: Path, what: str, shown: str) -> tuple[dict[str, Any], str]:
    """The document, and the SHA-256 of the file.

    `what` is what the file should be ("configuration") and `shown` the page that shows one. Raises
    `ConfigurationError` for a file that cannot be read or is no TOML.
    """
    try:
        data = path.read_bytes()
        document = tomllib.loads(data.decode("utf-8-sig"))  # Windows editors add a mark
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read ({error.strerror}). Give the path of a TOML {what}; "
            f"{shown} shows one."
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not UTF-8 text; save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: is not valid TOML: {error}.") from None
    return document, hashlib.sha256(data).hexdigest()


def refuse_unknown(path: Path, keys: Iterable[str], known: Collection[str], prefix: str) -> None:
    """Raise `ConfigurationError` for the first key that is not known, with the nearest that is."""
    for key in keys:
        if key not in known:
            near = difflib.get_close_matches(key, sorted(known), n=1)
            remedy = (
                f"did you mean {prefix}{near[0]}?"
                if near
                else "known here: " + ", ".join(sorted(known))
            )
            raise refusal(path, f"{prefix}{key}", "is not a known key", remedy)


def refusal(path: Path, key: str, what: str, remedy: str) -> ConfigurationError:
    """An error that names the file, the key, what is wrong with it and what to do."""
    end = "" if remedy.endswith("?") else "."
    return ConfigurationError(f"{path}: {key} {what}; {remedy}{end}")
