"""What was audited and what was not: scope, data, model, provenance, and what to collect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.report.blocks import (
    Block,
    bullets,
    chart,
    code,
    column,
    fact,
    facts,
    findings,
    heading,
    table,
    text,
)
from auditor.report.source import Source
from auditor.report.wording import counted, listed

_STATUSES = {
    "unreadable": "the image is missing or cannot be decoded",
    "mask_mismatch": "a mask cannot be read or does not fit the image",
    "nonfinite_logits": "the model gave no finite output",
    "no_regions": "neither the subject nor a cue is annotated",
    "no_positive_evidence": "the map holds no positive evidence",
}
"""What spoils a case; `ok` is not among them."""

GATES = {
    "gate_chance": "Better than always saying the commonest label",
    "gate_classes": "The order of the classes fits the labels",
    "gate_randomisation": "Random weights destroy the maps",
    "gate_maps": "Maps of different classes differ",
    "gate_noise": "A little noise does not move the maps",
    "layer": "The map follows what moves in the image",
}
_OUTCOMES = {"info": "passed", "notice": "not decided", "warning": "not passed"}
COLLECTED = {
    "collect": "Audited images, at constant class size",
    "presence_collect": "Audited images, so that label and a cue's presence are independent",
    "training_collect": "Training images, at constant class size",
}


def scope(source: Source) -> list[Block]:
    """Attributes, cues and cases, audited and not."""
    info = source.info
    counts, sets = info["counts"], info["cue_sets"]
    cues = [str(cue) for cue in info["regions"]["cues"]]
    tied = {name for cues_set in sets for name in cues_set["attributes"]}
    spoiled = [
        {"status": status, "means": _STATUSES.get(status, "see docs/run-format.md"), "n": n}
        for status, n in counts["excluded"].items()
    ]
    blocks = [
        facts(
            "audited",
            "Audited",
            [
                fact("cases", "Cases", counts["cases"], "count"),
                fact("judged", "With a prediction", counts["judged"], "count"),
                fact("with_regions", "With usable regions", counts["with_regions"], "count"),
                fact("attributes", "Attributes, as annotated", list(info["attributes"])),
                fact("cues", "Cues", cues),
                fact("rest", "What no annotation covers", info["regions"]["rest"]),
                fact("tested", "Cases whose pixels were changed", counts.get("tested", 0), "count"),
                fact("passes", "Changed images classified", counts.get("passes", 0), "count"),
            ],
        )
    ]
    left = []
    if not info["attributes"]:
        left.append("No attribute is annotated, so no group was compared with another.")
    if not cues:
        left.append("No cue is named, so no reliance on a cue could be looked for.")
    untied = [name for name in info["attributes"] if name not in tied]
    if untied and sets:
        left.append(
            f"No cue was exchanged by {listed(untied)}: groups are compared, but whether a cue "
            "that shows it decides was not tested."
        )
    if source.nameless:
        left.append(
            f"{listed(list(source.nameless))} names images rather than groups, so nothing is "
            "broken down by it."
        )
    filled = [s["name"] for s in sets if not s["attributes"]]
    if filled:
        left.append(
            f"{listed(filled)}: tied to no attribute, so tested by filling alone, which shows no "
            "cue that works by its absence."
        )
    if not counts.get("tested"):
        left.append("No pixels were changed: maps and counts are all the evidence there is.")
    elif counts["tested"] < counts["cases"]:
        left.append(
            f"{counted(counts['cases'] - counts['tested'], 'case')} were not tested by changing "
            "pixels."
        )
    without = counts["judged"] - counts["with_regions"]
    if without:
        left.append(
            f"{counted(without, 'case')} have a prediction but no usable regions: they count "
            "towards accuracy, and nothing is said of what decided them."
        )
    left.append(
        "Attributes, cues and properties that are not annotated in the dataset were not looked at."
    )
    blocks.append(bullets("not_audited", "Not audited", left))
    if spoiled:
        blocks.append(
            table(
                "spoiled",
                "Cases that could not be used in full",
                [
                    column("status", "Status"),
                    column("means", "Because"),
                    column("n", "Cases", "count"),
                ],
                spoiled,
            )
        )
    blocks.append(
        table(
            "cue_sets",
            "Cue sets: cues that were changed together, and by which attribute",
            [
                column("name", "Cue set"),
                column("attributes", "Donors chosen by"),
                column("how", "Tested by"),
            ],
            [
                {
                    "name": cues_set["name"],
                    "attributes": list(cues_set["attributes"]),
                    "how": "donors; fills where too few" if cues_set["attributes"] else "fills",
                }
                for cues_set in sets
            ],
        )
    )
    return blocks


def data(source: Source) -> list[Block]:
    """How many of what, and what goes with what before any model is asked."""
    blocks: list[Block] = [
        table(
            "labels",
            "Cases by label",
            [column("label", "Label"), column("n", "Cases", "count")],
            [{"label": r["label"], "n": r["n"]} for r in _sized(source.labels)],
        )
    ]
    for name, rows in source.groups.items():
        cells = [{"label": r["label"], "value": r["value"], "n": r["n"]} for r in rows]
        cells.sort(key=lambda cell: (cell["label"], cell["value"] is None, cell["value"] or ""))
        blocks.append(
            chart(
                f"counts.{name}",
                "counts",
                f"Cases by label and {name}",
                f"A bar for each label and annotated value of {name}; its length is the number of "
                "audited cases.",
                cells,
            )
        )
    skew = source.findings("association", "presence_association", "training_association", "probe")
    if skew:
        blocks.append(heading("What goes together"))
        blocks.append(
            text(
                "Cramér's V is 0 where label and attribute are independent and 1 where one gives "
                "the other away. A probe tells how well the label is told from a region's colours "
                "alone. Both speak of the images, not of the model.",
                "note",
            )
        )
        blocks.append(findings("skew", skew))
    return blocks


def model(source: Source) -> list[Block]:
    """The classifier, the maps, their gates, and the thresholds of the flags."""
    info = source.info
    described, layer = info["model"], info["layer"]
    grid = f"{layer['grid'][0]} × {layer['grid'][1]}"
    gates = source.findings(*GATES)
    return [
        facts(
            "classifier",
            "Classifier",
            [
                fact("architecture", "Architecture", described.get("architecture")),
                fact("checkpoint", "Checkpoint", described.get("checkpoint")),
                fact("classes", "Classes", list(described["classes"])),
                fact(
                    "threshold",
                    "Decision threshold",
                    described.get("threshold"),
                    "plain",
                    "none was given: the largest logit decides",
                ),
                fact("preprocess", "Preprocessing", _said(described.get("preprocess"))),
            ],
        ),
        facts(
            "maps",
            "Maps",
            [
                fact("method", "Method", info["method"]),
                fact("layer", "Layer", layer["name"]),
                fact("grid", "Cells (height × width)", grid),
                fact("chosen", "Chosen", layer.get("chosen")),
                fact("verified", "Verified", bool(layer["verified"])),
                fact("evidence", "Cases to test", info["evidence"]),
                fact("seed", "Seed", info["seed"], "count"),
            ],
        ),
        table(
            "gates",
            "Gates: what has to hold before maps and predictions are evidence",
            [
                column("gate", "Gate"),
                column("outcome", "Outcome"),
                column("value", "Value", "number"),
                column("low", "95 % interval", "number", to="high"),
                column("threshold", "Held against", "number"),
                column("n", "n", "count"),
            ],
            [
                {
                    "kind": found["kind"],
                    "gate": GATES[found["kind"]],
                    "outcome": _OUTCOMES[found["severity"]],
                    **{key: found[key] for key in ("value", "low", "high", "threshold", "n")},
                }
                for found in gates
            ],
            note="A gate on maps that is not passed voids the maps; what changing the pixels "
            "showed stands. The sentences are in the appendix.",
        ),
    ]


def provenance(source: Source) -> list[Block]:
    """Hashes, versions, seeds, the command and the configuration of the audit."""
    info = source.info
    identity, made = info["identity"], info["provenance"]
    no_file = "the audit was called from Python without a configuration file"
    blocks = [
        facts(
            "identity",
            "Inputs",
            [
                fact("weights", "Weights, SHA-256", identity.get("weights")),
                fact("dataset", "Dataset, fingerprint", identity.get("dataset")),
                fact(
                    "configuration",
                    "Configuration, SHA-256",
                    identity.get("configuration"),
                    reason=no_file,
                ),
                fact("path", "Configuration", info.get("configuration_path"), reason=no_file),
                fact("image_root", "Images below", info.get("image_root")),
                *(
                    fact(f"inputs.{name}", f"{name}, SHA-256", digest)
                    for name, digest in made.get("inputs", {}).items()
                ),
            ],
        ),
        facts(
            "made",
            "How the run was made",
            [
                fact("created", "Created", made.get("created")),
                fact("command", "Command", " ".join(made.get("command", [])) or None),
                fact("schema_version", "Run schema", info["schema_version"], "count"),
                fact("seed", "Seed", info["seed"], "count"),
                fact("hardware", "Hardware", _said(made.get("hardware"))),
                *(
                    fact(f"versions.{name}", name, version)
                    for name, version in made.get("versions", {}).items()
                ),
            ],
        ),
    ]
    if info.get("configuration"):
        blocks.append(code("configuration", "Configuration", str(info["configuration"])))
    return blocks


def collect(source: Source) -> list[Block]:
    """The images that would bring label and attribute to independence."""
    found = source.findings(*COLLECTED)
    if not found:
        return [
            text(
                "Nothing to collect is derived: label and attribute (or a cue's presence) go "
                "together nowhere notably, or nothing is annotated that could."
            )
        ]
    blocks: list[Block] = [
        text(
            "Independence of label and attribute takes the cue's use as a shortcut away from "
            "training. It does not by itself make a model serve every group equally well.",
            "note",
        )
    ]
    for number, one in enumerate(found):
        blocks.append(findings(f"{one['kind']}.{number}", [one]))
        rows = sorted(one["table"] or [], key=lambda row: -row["collect"])
        blocks.append(
            table(
                f"{one['kind']}.{number}.cells",
                COLLECTED[one["kind"]],
                [
                    column("label", "Label"),
                    column("value", "Annotated as"),
                    column("n", "Has", "count"),
                    column("target", "Would need", "count"),
                    column("collect", "Collect", "count"),
                    column("surplus", "Leave out", "count"),
                ],
                rows,
            )
        )
    return blocks


def _sized(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (-row["n"], row["label"]))


def _said(fields: Mapping[str, Any] | None) -> str | None:
    if not fields:
        return None
    told = {
        key: " × ".join(map(str, value)) if key in ("resize", "crop") and isinstance(value, list)
        else ", ".join(map(str, value)) if isinstance(value, list | tuple)
        else "none" if value is None
        else str(value)
        for key, value in fields.items()
    }  # fmt: skip
    return "; ".join(f"{key} {value}" for key, value in told.items())
