"""Fine-tuning a torchvision classifier on a labelled dataset, for an audit to look at.

Dataset → split (→ balance) → training → checkpoint.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.configuration import Config, FinetuneConfig
from auditor.datasets import Dataset
from auditor.datasets.images import read_image
from auditor.errors import CaseError, ConfigurationError, DatasetError, ModelError
from auditor.files import writable
from auditor.geometry import Preprocess
from auditor.models.checkpoints import Checkpoint, write_checkpoint
from auditor.pipeline.balancing import sampled, subsampled
from auditor.pipeline.devices import find_device
from auditor.pipeline.provenance import hardware, versions
from auditor.pipeline.splitting import split
from auditor.pipeline.starting import start_from
from auditor.pipeline.training import Draw, Epoch, Pixels, train

Counts = dict[str, dict[str, int]]
"""Label to attribute value to number of images."""


def finetune(
    config: Config,
    dataset: Dataset,
    out: Path,
    report: Callable[[Epoch], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    device: str = "auto",
    fresh: bool = False,
    note: Callable[[str], None] | None = None,
) -> Epoch:
    """Train and write the checkpoint `out`; returns the epoch that it is of.

    Takes `[model]` (architecture, weights, preprocess, classes, or the dataset's labels in
    order) and `[finetune]`. Images take exactly the way into the model that the audit's
    take. `report` hears of every finished epoch, `note` of what else a person should know,
    `progress` of (images done, images in all).

    Every finished epoch is kept in the file `training_state(out)`, and the same call goes
    on from it after an interruption, unless `fresh`; a state of other inputs is refused.
    Raises `AuditorError`; an existing `out` is refused before anything is computed.
    """
    if out.exists():
        raise ModelError(f"{out}: exists; choose another --out or remove it.")
    settings = config.finetune
    where = find_device(device)
    start = start_from(config, config.model.classes or dataset.labels)
    classifier = start.classifier
    classifier.check_labels(dataset.labels, dataset.config.path)
    _check_files(dataset)
    parts = _parts(dataset, classifier.classes, settings)
    if note and parts.balanced:
        note(_balance_told(settings, parts))

    with writable(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(prefix=f".{out.name}-", dir=out.parent):
            pass  # a folder that cannot be written is found now, not after an epoch
    state = training_state(out)
    if fresh:
        state.unlink(missing_ok=True)
    classifier.module.to(where)
    fingerprint = dataset.fingerprint()
    with _pixels(dataset, classifier.preprocess) as pixels:
        trained = train(
            classifier,
            pixels,
            parts.labels,
            parts.training,
            parts.validation,
            settings,
            draw=parts.draw,
            groups=parts.groups,
            trained=start.head if settings.trunk == "frozen" else None,
            state=state,
            identity={
                # As parsed: a comment changes nothing.
                "configuration": _hashed(repr((config.dataset, config.model))),
                "dataset": fingerprint,
                "preprocessing": str(classifier.preprocess),
                "auditor": versions()["auditor"],
            },
            report=report,
            note=note,
            progress=progress,
        )
    write_checkpoint(
        out,
        Checkpoint(
            state=trained.state,
            architecture=start.architecture,
            classes=classifier.classes,
            preprocess=classifier.preprocess,
            options=start.options,
            training={
                **asdict(settings),
                "augment": list(settings.augment),
                **start.origin,
                "configuration_sha256": config.sha256,
                "dataset": fingerprint,
                "images": len(parts.training),
                "validation_images": len(parts.validation),
                "classes": parts.classes,
                "groups": parts.counts,
                "balanced_groups": parts.balanced,
                "versions": versions(),
                "hardware": hardware(where),
                "epoch": trained.kept.number,
                "epochs_trained": len(trained.epochs),
                "validation_accuracy": trained.kept.accuracy,
                "validation_loss": trained.kept.validation_loss,
            },
        ),
    )
    state.unlink(missing_ok=True)
    return trained.kept


def _check_files(dataset: Dataset) -> None:
    """Raise `DatasetError` where images are missing, before an hour of training finds out."""
    paths = [dataset.listing.image_path(position) for position in range(len(dataset))]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise DatasetError(
            f"{missing[0]}: no such file; {len(missing)} of {len(paths)} images are missing. "
            "Correct the paths or dataset.image_root, or leave those rows out."
        )


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def training_state(out: Path) -> Path:
    """The file beside `out` in which an interrupted training waits to go on."""
    return out.with_name(out.name + ".training")


def balanced_over(config: Config, attribute: str | None) -> Config:
    """The configuration with this attribute to balance over, and read with the dataset.

    None leaves what `finetune.balance` says. Raises `ConfigurationError` for the label itself.
    """
    attribute = attribute or config.finetune.balance
    if attribute is None:
        return config
    if attribute == config.dataset.label:
        raise ConfigurationError(
            f"{config.path}: {attribute!r} is the label, which cannot be balanced over itself; "
            "give an attribute (--balance, finetune.balance)."
        )
    attributes = config.dataset.attributes
    if attribute not in attributes:
        attributes = (*attributes, attribute)
    return replace(
        config,
        dataset=replace(config.dataset, attributes=attributes),
        finetune=replace(config.finetune, balance=attribute),
    )


# -- which images --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Parts:
    """The images to train on and to validate on, and how they are counted."""

    labels: NDArray[np.int64]
    """Of all images, positions in the classes."""
    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    classes: dict[str, dict[str, int]]
    """Label to how many "training" and "validation" images, as split."""
    counts: dict[str, Counts]
    """Attribute to counts of the training part, as split."""
    balanced: dict[str, Counts]
    """The balanced attribute to counts of an epoch; empty without balance."""
    draw: Draw | None
    groups: NDArray[np.int64] | None


def _parts(dataset: Dataset, classes: tuple[str, ...], settings: FinetuneConfig) -> _Parts:
    names = dataset.cases["label"].to_numpy(dtype=str)
    labels = np.array([classes.index(name) for name in names], np.int64)
    cells = np.array([f"the class {name!r}" for name in names.tolist()])
    values = None
    for name in classes:
        if name not in names:
            raise DatasetError(
                f"{dataset.config.path}: has no image of the class {name!r}, which "
                "model.classes names; add images of it, or take it out of model.classes."
            )
    if settings.balance is not None:
        values = _values(dataset, settings.balance, classes)
        both = zip(cells.tolist(), values.tolist(), strict=True)
        cells = np.array([f"{cell} with {settings.balance} {value!r}" for cell, value in both])
    clusters = None
    if "cluster" in dataset.cases:
        clusters = dataset.cases["cluster"].to_numpy(dtype=str)
    try:
        training, validation = split(cells, clusters, settings.validation, settings.seed)
    except DatasetError as error:
        raise DatasetError(f"{dataset.config.path}: {error}") from None
    parts = _Parts(
        labels,
        training,
        validation,
        classes={
            name: {
                "training": int((names[training] == name).sum()),
                "validation": int((names[validation] == name).sum()),
            }
            for name in classes
        },
        counts={
            attribute: _counts(dataset, training, attribute, classes)
            for attribute in dataset.config.attributes
        },
        balanced={},
        draw=None,
        groups=None,
    )
    if values is None or settings.balance is None:
        return parts
    if settings.balance_by == "subsampling":
        parts = replace(parts, training=subsampled(training, labels, values, settings.seed))
        epoch = parts.training
    else:
        parts = replace(parts, draw=(draw := sampled(training, labels, values)))
        epoch = draw(np.random.default_rng(0))  # the numbers are those of every epoch
    return replace(
        parts,
        balanced={settings.balance: _counts(dataset, epoch, settings.balance, classes)},
        groups=np.unique(cells, return_inverse=True)[1].astype(np.int64),
    )


def _values(dataset: Dataset, attribute: str, classes: tuple[str, ...]) -> NDArray[np.str_]:
    """Each image's value of the attribute to balance over. Raises `DatasetError`."""
    path, cases = dataset.config.path, dataset.cases
    column = f"attribute.{attribute}"
    if column not in cases:
        known = ", ".join(dataset.config.attributes) or "none"
        raise DatasetError(
            f"{path}: was opened without the attribute {attribute!r} to balance over (with: "
            f"{known}); name it in dataset.attributes."
        )
    values: NDArray[np.str_] = cases[column].to_numpy(dtype=str)
    missing = int((values == "").sum())
    if missing:
        raise DatasetError(
            f"{path}: {missing} of {len(values)} images have no {attribute}, the first in row "
            f"{int(np.argmax(values == '')) + 1}, and cannot be balanced over it; fill it in, or "
            "leave those rows out."
        )
    kinds = sorted(set(values.tolist()))
    if len(kinds) < 2:
        raise DatasetError(
            f"{path}: {attribute} is {kinds[0]!r} for all {len(values)} images, so there is "
            "nothing to balance; choose another attribute, or train without --balance."
        )
    counts = _counts(dataset, np.arange(len(cases)), attribute, classes)
    for label in classes:
        for kind in kinds:
            if not counts[label][kind]:
                raise DatasetError(
                    f"{path}: no image of the class {label!r} has {attribute} {kind!r}, so the "
                    f"classes cannot be balanced over {attribute}; add such images, or leave "
                    "that value's rows out."
                )
    return values


def _counts(
    dataset: Dataset, positions: NDArray[np.int64], attribute: str, classes: tuple[str, ...]
) -> Counts:
    """Images by label and value of an attribute, zeros included; "" is a missing value."""
    rows = dataset.cases.iloc[positions]
    table = pd.crosstab(rows["label"], rows[f"attribute.{attribute}"])
    return {
        label: {str(value): int(table.at[label, value]) for value in table.columns}
        for label in classes
    }


def _balance_told(settings: FinetuneConfig, parts: _Parts) -> str:
    assert settings.balance is not None
    before, after = parts.counts[settings.balance], parts.balanced[settings.balance]
    changes = (
        f"{label} × {value} {count} → {after[label][value]}"
        for label, counts in before.items()
        for value, count in counts.items()
    )
    return f"Balanced over {settings.balance} by {settings.balance_by}: {', '.join(changes)}"


# -- pixels --------------------------------------------------------------------------------


@contextmanager
def _pixels(dataset: Dataset, preprocess: Preprocess) -> Iterator[Pixels]:
    """A function that decodes the images at these positions, in threads."""

    def load(position: int) -> NDArray[np.uint8]:
        try:
            picture = read_image(dataset.listing.image_path(position))
        except CaseError as error:
            raise DatasetError(f"{error}. Replace the file, or leave its row out.") from None
        return preprocess.pixels(picture.image)

    with ThreadPoolExecutor(
        min(8, os.cpu_count() or 1), thread_name_prefix="auditor-load"
    ) as threads:
        yield lambda positions: np.stack(list(threads.map(load, positions.tolist())))
