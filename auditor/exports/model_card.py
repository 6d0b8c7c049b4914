"""A model card: Markdown with the front matter that the Hugging Face Hub reads.

Metadata: https://github.com/huggingface/hub-docs/blob/main/modelcard.md. Sections: Mitchell et
al. 2019, "Model Cards for Model Reporting". Every sentence and number below the front matter
is the report's, every number in it one of `findings.json` or of `Run.by_group`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from auditor.exports.front_matter import front_matter
from auditor.exports.request import Request, Written
from auditor.language import written
from auditor.report import ReportOptions, build
from auditor.report.blocks import Block, fact, facts, table
from auditor.report.markdown import drawn, escaped
from auditor.report.outcomes import GROUP_COLUMNS, accuracy_by
from auditor.report.source import Source, in_words
from auditor.store import Run

_SECTIONS = (
    "verdict",
    "scope",
    "data",
    "model",
    "performance",
    "disparities",
    "cues",
    "limits",
)
"""Of the report, which the card is made from."""
_FILL_IN = (
    "Uses that the model is meant for, and by whom",
    "Uses that it is not meant for",
    "Where its images come from in use, and how that differs from the evaluation data below",
    "Training data, licence and contact",
)
_TEXTS = ("plain", "note", "warning")
_CARD: Mapping[str, Mapping[str, tuple[str, ...] | None]] = {
    "Model": {"model": ("classifier",)},
    "Evaluation data": {"scope": ("audited", "not_audited", "spoiled"), "data": None},
    "Results by group": {"performance": ("overall", "groups", *_TEXTS), "disparities": None},
    "Known reliance on cues": {"verdict": ("verdict", "note", "key_figures"), "cues": None},
    "Limits": {"limits": None},
}
"""Titles, and below each the report's sections with the names of their blocks (the tone of a
text, which has no name), all where null."""


def write(request: Request, file: Path) -> Written:
    """Write the card in UTF-8. Licence and intended use are left for a person to fill in."""
    run = request.run
    document = build(run, ReportOptions(_SECTIONS, examples=0, images=False))
    blocks = {section["name"]: section["blocks"] for section in document["sections"]}
    parts = [f"# {escaped(model_name(run))}", f"**{escaped(run.info['verdict']['text'])}**"]
    parts += ["## Intended use", *_to_fill_in()]
    blocks["performance"] += written(list(_groups(Source(run, ReportOptions()))), "en")
    for title, sources in _CARD.items():
        parts.append(f"## {title}")
        for section, names in sources.items():
            parts += _drawn(blocks[section], names)
    parts += ["## Provenance", *_drawn(written([_provenance(run)], "en"), None)]
    text = front_matter(metadata(run)) + "\n" + "\n\n".join(parts) + "\n"
    file.write_bytes(text.encode("utf-8", "replace"))
    return Written(1, "model card")


def metadata(run: Run) -> dict[str, Any]:
    """The front matter as a mapping.

    `model-index` has the accuracy and, by label and each annotated attribute (by label alone
    where there is none), the accuracy of the worst group, all 0 to 1; it is missing where no
    case has a prediction, since the Hub wants a value. The dataset's `revision` is its
    fingerprint.
    """
    head: dict[str, Any] = {
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "auditor"],
        "metrics": ["accuracy"],
    }
    metrics = list(_metrics(run))
    if metrics:
        result = {
            "task": {"type": "image-classification", "name": "Image Classification"},
            "dataset": _dataset(run),
            "metrics": metrics,
        }
        head["model-index"] = [{"name": model_name(run), "results": [result]}]
    return head


def model_name(run: Run) -> str:
    """The checkpoint's name without its suffix, else the architecture's, else the run's."""
    model = run.info["model"]
    if model.get("checkpoint"):
        return Path(model["checkpoint"]).stem
    return str(model.get("architecture") or run.path.resolve().name)


def _metrics(run: Run) -> Iterator[dict[str, Any]]:
    source = Source(run, ReportOptions())
    for found in source.findings("accuracy"):
        if found["value"] is not None:
            yield {
                "type": "accuracy",
                "value": found["value"],
                "name": f"Accuracy (n = {found['n']})",
            }
    tables = source.groups or {"": source.labels}
    for attribute, rows in tables.items():
        rated = [row for row in rows if row["accuracy"] is not None]
        if len(rated) > 1:
            worst = min(rated, key=lambda row: row["accuracy"])
            by = f"label × {attribute}" if attribute else "label"
            yield {
                "type": "worst_group_accuracy",
                "value": worst["accuracy"],
                "name": f"Worst-group accuracy by {by}: {worst['group']} (n = {worst['judged']})",
            }


def _dataset(run: Run) -> dict[str, Any]:
    """Type and name are wanted; the Hub's own id, if it has one, is for a person to fill in."""
    inputs = list(run.info["provenance"].get("inputs", {}))
    described = {"type": "local", "name": ", ".join(inputs) or "audited dataset"}
    text = run.info.get("configuration")
    split = tomllib.loads(text).get("dataset", {}).get("split") if text else None
    if split is not None:
        described["split"] = str(split)
    return described | {"revision": str(run.info["identity"]["dataset"])}


def _to_fill_in() -> Iterator[str]:
    yield "> To be filled in by whoever answers for the model; an audit cannot know it."
    yield "\n".join(f"- {what}: …" for what in _FILL_IN)


def _drawn(blocks: list[Block], names: tuple[str, ...] | None) -> Iterator[str]:
    """Blocks as Markdown: those of these names, or all."""
    for block in blocks:
        if names is None or block.get("name", block.get("tone")) in names:
            made = drawn(block)
            if made:
                yield made


def _groups(source: Source) -> Iterator[Block]:
    """Every group with n and interval; the report's own tables leave more to its appendix."""
    for name, rows in [("label", source.labels), *source.groups.items()]:
        yield table("groups", accuracy_by(name), GROUP_COLUMNS, map(in_words, rows))


def _provenance(run: Run) -> Block:
    """Hashes in full and no paths, since a card is read elsewhere."""
    info = run.info
    identity, made = info["identity"], info["provenance"]
    return facts(
        "provenance",
        "What was audited, and by what",
        [
            fact("weights", "Weights, SHA-256", identity.get("weights")),
            fact("dataset", "Dataset, fingerprint", identity.get("dataset")),
            fact(
                "configuration",
                "Configuration, SHA-256",
                identity.get("configuration"),
                reason="the audit was called from Python without a configuration file",
            ),
            *(
                fact(f"inputs.{name}", f"{name}, SHA-256", digest)
                for name, digest in made.get("inputs", {}).items()
            ),
            fact("key", "Run", run.key),
            fact("created", "Audited", made.get("created")),
            fact("auditor", "Auditor", identity.get("auditor")),
            fact("schema_version", "Run schema", info["schema_version"], "count"),
        ],
    )
