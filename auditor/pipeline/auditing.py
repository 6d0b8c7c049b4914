"""An audit: dataset → batches → maps → rows → shards → findings → a run on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.cam import METHODS, Layer, find_layer
from auditor.configuration import AuditConfig, Config, EvidenceConfig
from auditor.datasets import Dataset
from auditor.errors import AuditorError, ModelError, RunError
from auditor.evidence import TONE, cue_sets
from auditor.files import writable
from auditor.models import Classifier, describe
from auditor.pipeline.computing import DEFAULTS, Settings, Stage, Stages, Views, Work
from auditor.pipeline.devices import find_device
from auditor.pipeline.provenance import versions, weights_sha256
from auditor.pipeline.writing import Finish
from auditor.store import SCHEMA_VERSION, Run, Writer, open_run
from auditor.store.progress import ProgressFile


def audit(
    classifier: Classifier,
    dataset: Dataset,
    out: str | Path,
    *,
    config: Config | None = None,
    settings: Settings = DEFAULTS,
    progress: Stages | None = None,
) -> Run:
    """Audit a classifier over a dataset and write the run `out`.

    An interrupted run of the same name and inputs is continued; a finished one with the
    same inputs is opened as it is. Method, seed, evidence and expected accuracy come from
    `config`, by default the configuration that the dataset was opened from. `progress` hears of
    every stage. Raises `AuditorError`; KeyboardInterrupt passes through, with every finished
    shard kept.
    """
    out = Path(out)
    config = config or dataset.source
    method, seed = (config.audit.method, config.audit.seed) if config else ("gradcam", 0)
    views = Views.of(config.audit if config else AuditConfig(), settings)
    asked = config.evidence if config else EvidenceConfig()
    wanted = asked.cases if settings.evidence is None else settings.evidence
    _check(classifier, dataset, settings, method, asked)
    _check_views(views)
    classifier.module.to(find_device(settings.device))
    shape = (classifier.channels, *classifier.input_size)
    layer = find_layer(classifier.module, classifier.logits, shape, classifier.layer)
    positions = _sample(len(dataset), settings.limit, seed)
    roles = dataset.roles
    sets = cue_sets(roles.cues, dataset.config.attributes, asked.donors, roles.rest, asked.tone)
    identity = _identity(classifier, dataset, positions, config, layer, method, seed)
    identity |= {"evidence": wanted, "donors": dict(asked.donors), "tone": asked.tone}
    identity |= views.described()
    if out.exists():
        return _already(out, identity)
    work = Work(classifier, dataset, layer, method, settings, positions, sets)
    with writable(out), Writer(out, identity, fresh=settings.fresh) as writer:
        told = _told(ProgressFile(writer.part, views.stages), progress)
        work.compute(writer, partial(told, "maps"))
        Finish(writer, work, identity, config, wanted, views, seed, told).write()
    return open_run(out)


def _check(
    classifier: Classifier,
    dataset: Dataset,
    settings: Settings,
    method: str,
    evidence: EvidenceConfig,
) -> None:
    if method not in METHODS:
        raise AuditorError(f"audit.method {method!r} is not known; choose {', '.join(METHODS)}.")
    if not METHODS[method].evidence:
        serving = ", ".join(key for key, known in METHODS.items() if known.evidence)
        raise AuditorError(
            f"audit.method: {method} is a view, never evidence; use it in audit.methods "
            f"({METHODS[method].why}). Audit by one of {serving}."
        )
    if settings.batch_size < 1:
        raise AuditorError(f"--batch-size is {settings.batch_size}; give 1 or more.")
    if settings.limit is not None and settings.limit < 1:
        raise AuditorError(f"--limit is {settings.limit}; give 1 or more.")
    _check_ties(dataset, evidence)
    classifier.check_labels(dataset.labels, dataset.config.path)
    for label in dataset.roles.subject_by_label:
        if label not in classifier.classes:
            raise ModelError(
                f"regions.subject_by_label names {label!r}, none of the model's classes: "
                f"{', '.join(classifier.classes[:8])}."
            )
    # Every image missing means a wrong root, not a thousand spoiled cases.
    some = [dataset.listing.image_path(i) for i in range(0, len(dataset), len(dataset) // 50 + 1)]
    if not any(image.exists() for image in some):
        raise AuditorError(
            f"{some[0]}: no such file, nor is any of the {len(some)} images looked for; correct "
            "dataset.image_root or the paths in the dataset."
        )


def _check_views(views: Views) -> None:
    for name in views.methods:
        if name not in METHODS:
            known = ", ".join(METHODS)
            raise AuditorError(f"audit.methods holds {name!r}, which is not known; of {known}.")
    if views.faithfulness < 0:
        raise AuditorError(f"--faithfulness is {views.faithfulness}; give 0 or more.")


def _check_ties(dataset: Dataset, evidence: EvidenceConfig) -> None:
    cues = dataset.roles.cues
    loose = evidence.loose_tie(cues, dataset.config.attributes)
    if loose is not None:
        key, what, remedy = loose
        raise AuditorError(f"{key} {what}; {remedy}.")
    if evidence.tone is not None and TONE in cues:
        raise AuditorError(
            f"evidence.tone is given, and regions.cues holds a region called {TONE!r}, the name of "
            "a colour cast; rename the region."
        )


def _sample(count: int, limit: int | None, seed: int) -> NDArray[np.intp]:
    if limit is None or limit >= count:
        return np.arange(count)
    chosen = np.random.default_rng(seed).choice(count, limit, replace=False)
    return np.sort(chosen).astype(np.intp)


def _identity(
    classifier: Classifier,
    dataset: Dataset,
    positions: NDArray[np.intp],
    config: Config | None,
    layer: Layer,
    method: str,
    seed: int,
) -> dict[str, Any]:
    """What the numbers of a run depend on; a run begun with another identity is refused."""
    named = {"checkpoint_sha256", "file_sha256"} & set(classifier.origin)
    weights = classifier.origin[named.pop()] if named else weights_sha256(classifier.module)
    identity = {
        "schema_version": SCHEMA_VERSION,
        "auditor": versions()["auditor"],
        "configuration": config.sha256 if config else None,
        "weights": weights,
        "dataset": dataset.fingerprint(positions),
        "cases": len(positions),
        "model": describe(classifier),
        "regions": asdict(dataset.roles),
        "layer": layer.name,
        "method": method,
        "seed": seed,
    }
    return dict(json.loads(json.dumps(identity)))  # as it reads back from the run


def _already(out: Path, identity: Mapping[str, Any]) -> Run:
    """The finished run, if it is the one that was asked for."""
    run = open_run(out)
    before = run.info["identity"]
    changed = sorted(key for key in identity if before.get(key) != identity[key])
    if changed:
        raise RunError(
            f"{out}: is a finished run of other inputs ({', '.join(changed)} differ), and a "
            "finished run is never changed; give another --out."
        )
    return run


def _told(file: ProgressFile, progress: Stages | None) -> Stages:
    """Tells the run's folder, and then who asked to hear."""

    def told(stage: Stage, done: int, total: int) -> None:
        file.update(stage, done, total)
        if progress is not None:
            progress(stage, done, total)

    return told
