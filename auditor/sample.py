"""Where the sample that comes with the package lies: clinic scenes and two checkpoints."""

from __future__ import annotations

from pathlib import Path

from auditor.errors import AuditorError


def sample_folder() -> Path:
    """The folder with `skewed.toml`, `rebalanced.toml` and all they name.

    In an installed package it is inside it, in a clone beside it. Raises `AuditorError`
    where it is in neither place.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "sample_data", package.parent / "sample_data"):
        if (folder / "clinic" / "test.csv").is_file():
            return folder / "clinic"
    raise AuditorError(
        f"{package / 'sample_data'}: the sample is missing from this installation; install "
        "Auditor again, or make the sample in a clone: python sample_data/generate.py."
    )
