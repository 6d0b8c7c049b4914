"""Hints of what to annotate: a finished run's images, looked at with CLIP.

Nothing of it is written into the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.datasets.images import read_image
from auditor.errors import AuditorError, CaseError, RunError
from auditor.findings.hints import NOTE, Hint, comparable, hints
from auditor.groups import clusters_of
from auditor.models import Clip
from auditor.pipeline.computing import Settings
from auditor.pipeline.devices import find_device
from auditor.store import Run

TEMPLATE = "a photo of {}."
"""What CLIP is given for a word."""


@dataclass(frozen=True)
class Hinted:
    """What the words say of a run's errors."""

    hints: tuple[Hint, ...]
    """As `findings.hints.hints` orders them."""
    errors: int
    """Images of errors that were looked at."""
    correct: int
    """Images of correct cases that were looked at."""
    unreadable: int
    """Images that could not be read any more, left out."""

    def described(self) -> dict[str, Any]:
        """JSON-ready, in English."""
        return {
            "note": str(NOTE),
            "template": TEMPLATE,
            "errors": self.errors,
            "correct": self.correct,
            "unreadable": self.unreadable,
            "words": [asdict(hint) for hint in self.hints],
        }


def hint(
    run: Run,
    clip: Clip,
    words: Sequence[str],
    *,
    device: str = "auto",
    batch_size: int = 32,
    progress: Callable[[int, int], None] | None = None,
) -> Hinted:
    """Which words the run's errors lie nearer to than its correct cases of the same label.

    `progress` hears (done, total) images. Raises `AuditorError`: for a run whose images are
    gone, or that has no label with both errors and correct cases.
    """
    _check(words)
    clustered = ["cluster"] if run.info["clustered"] else []
    cases = run.read_cases(["image", "label", "correct", *clustered])
    cases = cases[cases["correct"].notna()]
    seed = int(run.info["seed"])
    chosen = comparable(~cases["correct"].to_numpy(dtype=bool), cases["label"].to_numpy(), seed)
    if not len(chosen):
        raise RunError(
            f"{run.path}: no label has both errors and correct cases, so there is nothing to "
            "compare; hints need a model that errs on some images of a label and not on others."
        )
    cases = cases.iloc[chosen].reset_index(drop=True)
    clip.images.to(find_device(device))
    seen, looks = _looked(run, clip, cases, batch_size, progress)
    cases = cases.iloc[seen]
    directions = clip.directions({word: [TEMPLATE.replace("{}", word)] for word in words}).cpu()
    wrong = ~cases["correct"].to_numpy(dtype=bool)
    cosines = looks @ directions.numpy().T
    found = hints(words, cosines, wrong, cases["label"].to_numpy(), clusters_of(cases), seed)
    return Hinted(found, int(wrong.sum()), int((~wrong).sum()), len(chosen) - len(seen))


def _check(words: Sequence[str]) -> None:
    if not words:
        raise AuditorError("no word is given; list candidate cues, one a line, in --words FILE.")
    repeated = [word for number, word in enumerate(words) if word in words[:number]]
    if repeated:
        raise AuditorError(f"the word {repeated[0]!r} is given twice; give every word once.")


def _looked(
    run: Run,
    clip: Clip,
    cases: pd.DataFrame,
    batch_size: int,
    progress: Callable[[int, int], None] | None,
) -> tuple[list[int], NDArray[np.float32]]:
    """The rows whose image can be read, and their unit vectors, [rows, dimensions]."""
    root = Path(run.info["image_root"])
    files = [root / name for name in cases["image"]]

    def pixels(file: Path) -> NDArray[np.uint8] | CaseError:
        try:
            return clip.preprocess.pixels(read_image(file).image)
        except CaseError as error:
            return error

    seen: list[int] = []
    looks: list[NDArray[np.float32]] = []
    problem: CaseError | None = None
    with ThreadPoolExecutor(Settings().threads, thread_name_prefix="auditor-hint") as pool:
        for start in range(0, len(files), batch_size):
            batch = []
            for number, read in enumerate(pool.map(pixels, files[start : start + batch_size])):
                if isinstance(read, CaseError):
                    problem = problem or read
                else:
                    seen.append(start + number)
                    batch.append(read)
            if batch:
                looks.append(clip.looks(np.stack(batch)).numpy())
            if progress is not None:
                progress(min(start + batch_size, len(files)), len(files))
    if not looks:
        raise RunError(
            f"{run.path}: none of {len(files)} images can be read any more ({problem}); put them "
            f"back below {root}."
        )
    return seen, np.concatenate(looks)
