"""An audit: dataset → batches → maps → rows → shards → findings → a run on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from auditor.cam import FOLLOWS, METHODS, Layer, find_layer
from auditor.configuration import Config
from auditor.datasets import Dataset
from auditor.errors import AuditorError, ModelError, RunError
from auditor.findings import Material, conclude
from auditor.hashing import file_sha256
from auditor.models import Classifier, describe
from auditor.pipeline.computing import DEFAULTS, Progress, Settings, Work
from auditor.pipeline.devices import find_device
from auditor.pipeline.finishing import finished, gather
from auditor.pipeline.provenance import provenance, versions, weights_sha256
from auditor.store import SCHEMA_VERSION, Run, Shard, Writer, open_run
from auditor.thresholds import THRESHOLDS
from auditor.types import PREDICTED_STATUSES, SUBJECT


def audit(
    classifier: Classifier,
    dataset: Dataset,
    out: str | Path,
    *,
    config: Config | None = None,
    settings: Settings = DEFAULTS,
    progress: Progress | None = None,
    judging: Progress | None = None,
) -> Run:
    """Audit a classifier over a dataset and write the run `out`.

    An interrupted run of the same name and inputs is continued; a finished one with the
    same inputs is opened as it is. Method, seed and expected accuracy come from `config`,
    by default the configuration that the dataset was opened from. `progress` hears of the
    maps that are made, `judging` of the second, quick way through the cases, for what only
    the whole dataset can say. Raises `AuditorError`; KeyboardInterrupt passes through, with
    every finished shard kept.
    """
    out = Path(out)
    config = config or dataset.source
    method, seed = (config.audit.method, config.audit.seed) if config else ("gradcam", 0)
    _check(classifier, dataset, settings, method)
    classifier.module.to(find_device(settings.device))
    shape = (classifier.channels, *classifier.input_size)
    layer = find_layer(classifier.module, classifier.logits, shape, classifier.layer)
    positions = _sample(len(dataset), settings.limit, seed)
    identity = _identity(classifier, dataset, positions, config, layer, method, seed)
    if out.exists():
        return _already(out, identity)
    work = Work(classifier, dataset, layer, method, settings, positions)
    with Writer(out, identity, fresh=settings.fresh) as writer:
        work.compute(writer, progress or _silent)
        _write(writer, work, identity, config, seed, judging or _silent)
    return open_run(out)


def _write(
    writer: Writer,
    work: Work,
    identity: Mapping[str, Any],
    config: Config | None,
    seed: int,
    judging: Progress,
) -> None:
    dataset = work.dataset
    roles = dataset.roles
    numbers = range(len(work.shards))
    total = 2 * len(work.positions)

    def shards(before: int) -> Iterator[Shard]:
        # Two ways through all cases are one to whoever watches.
        judging(before // 2, total // 2)
        for number in numbers:
            yield writer.read(number)
            before += len(work.shards[number])
            judging(before // 2, total // 2)

    context = gather(shards(0), dataset.labels, roles, seed, THRESHOLDS)

    def chunks() -> Iterator[tuple[pa.Table, NDArray[np.float16]]]:
        for shard in shards(len(work.positions)):
            yield finished(shard, context, roles, THRESHOLDS)

    def concluded(folder: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        needed = "label predicted correct status flag cue evidence".split()
        needed += [f"attribute.{name}" for name in work.attributes]
        needed += [f"{column}.{cue}" for cue in roles.cues for column in ("status", "best_p")]
        needed += ["cluster"] * ("cluster" in work.schema.names)
        needed += [f"status.{SUBJECT}"]
        judged = (SUBJECT, *roles.cues)
        needed += [f"{column}.{region}" for region in judged for column in ("mass", "area")]
        # Few distinct texts in many rows: as categories they take a byte or two a case.
        texts = [name for name in needed if pa.types.is_string(work.schema.field(name).type)]
        file = folder / "cases.parquet"
        cases = pq.read_table(file, columns=needed, read_dictionary=texts).to_pandas()
        counts = _counts(cases)
        if not counts["judged"]:
            raise RunError(
                f"{dataset.config.path}: none of {len(cases)} images could be judged "
                f"({counts['excluded']}); the first is "
                f"{dataset.listing.image_path(int(work.positions[0]))}. Correct "
                "dataset.image_root or the files."
            )
        layer = _layer_info(work.layer)
        expected = config.model.expected_accuracy if config else None
        model = describe(work.classifier)
        training = model.get("training")
        findings = conclude(
            Material(
                cases,
                work.classifier.classes,
                roles.cues,
                work.attributes,
                layer,
                expected,
                training,
                seed,
            ),
            THRESHOLDS,
        )
        info = {
            "schema_version": SCHEMA_VERSION,
            "counts": counts,
            "attributes": list(work.attributes),
            "regions": {
                "names": list(roles.names),
                "cues": list(roles.cues),
                "rest": roles.rest,
                "precedence": roles.precedence,
            },
            "layer": layer,
            "method": work.method,
            "seed": seed,
            "thresholds": THRESHOLDS.described(),
            "image_root": str(dataset.listing.image_root),
            "model": model,
            "configuration": config.path.read_text(encoding="utf-8") if config else None,
            "identity": dict(identity),
            "provenance": provenance(work.classifier.device, _sources(dataset)),
        }
        return info, {
            "schema_version": SCHEMA_VERSION,
            "findings": [f.described() for f in findings],
        }

    writer.finish(chunks(), (len(work.positions), 3, *work.layer.grid), concluded)


def _counts(cases: Any) -> dict[str, Any]:
    statuses = cases["status"].value_counts().to_dict()
    return {
        "cases": len(cases),
        "judged": int(sum(n for s, n in statuses.items() if s in PREDICTED_STATUSES)),
        "with_regions": int(statuses.get("ok", 0)),
        "excluded": {str(s): int(n) for s, n in sorted(statuses.items()) if s != "ok"},
        "errors": int((cases["correct"] == False).sum()),  # noqa: E712 - nulls are no errors
        "flags": {str(k): int(n) for k, n in cases["evidence"].value_counts().sort_index().items()},
    }


def _layer_info(layer: Layer) -> dict[str, Any]:
    return {
        **asdict(layer),
        "grid": list(layer.grid),
        "threshold": FOLLOWS,
        "verified": layer.follows is not None and layer.follows >= FOLLOWS,
    }


def _check(classifier: Classifier, dataset: Dataset, settings: Settings, method: str) -> None:
    if method not in METHODS:
        raise AuditorError(f"audit.method {method!r} is not known; choose {', '.join(METHODS)}.")
    if settings.batch_size < 1:
        raise AuditorError(f"--batch-size is {settings.batch_size}; give 1 or more.")
    if settings.limit is not None and settings.limit < 1:
        raise AuditorError(f"--limit is {settings.limit}; give 1 or more.")
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


def _sources(dataset: Dataset) -> dict[str, str]:
    return {path.name: file_sha256(path) for path in dataset.listing.sources if path.is_file()}


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


def _silent(_done: int, _total: int) -> None:
    pass
