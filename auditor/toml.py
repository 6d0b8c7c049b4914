"""Reading a TOML file that a person wrote."""

from __future__ import annotations

import hashlib
import tomllib
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
