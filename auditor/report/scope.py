"""What was audited and what was not: scope, data, model, provenance, and what to collect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.language import Phrase, Series, Words, clauses, counted, phrase
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
from auditor.report.wording import listed

_STATUSES: Mapping[str, Phrase] = {
    "unreadable": phrase("the image is missing or cannot be decoded"),
    "mask_mismatch": phrase("a mask cannot be read or does not fit the image"),
    "nonfinite_logits": phrase("the model gave no finite output"),
    "no_regions": phrase("neither the subject nor a cue is annotated"),
    "no_positive_evidence": phrase("the map holds no positive evidence"),
}
"""What spoils a case; `ok` is not among them."""

GATES: Mapping[str, Phrase] = {
    "gate_chance": phrase("Better than always saying the commonest label"),
    "gate_classes": phrase("The order of the classes fits the labels"),
    "gate_randomisation": phrase("Random weights destroy the maps"),
    "gate_maps": phrase("Maps of different classes differ"),
    "gate_noise": phrase("A little noise does not move the maps"),
    "layer": phrase("The map follows what moves in the image"),
}
_OUTCOMES: Mapping[str, tuple[str, Phrase]] = {
    "info": ("passed", phrase("passed")),
    "notice": ("not-decided", phrase("not decided")),
    "warning": ("not-passed", phrase("not passed")),
}
"""State of a gate, and what a reader is told, by the severity of its finding."""
COLLECTED: Mapping[str, Phrase] = {
    "collect": phrase("Audited images, at constant class size"),
    "presence_collect": phrase(
        "Audited images, so that label and a cue's presence are independent"
    ),
    "training_collect": phrase("Training images, at constant class size"),
}


def scope(source: Source) -> list[Block]:
    """Attributes, cues and cases, audited and not."""
    info = source.info
    counts, sets = info["counts"], info["cue_sets"]
    cues = [str(cue) for cue in info["regions"]["cues"]]
    spoiled = [
        {"status": status, "means": _STATUSES.get(status, phrase("see docs/run-format.md")), "n": n}
        for status, n in counts["excluded"].items()
    ]
    blocks = [
        facts(
            "audited",
            phrase("Audited"),
            [
                fact("cases", phrase("Cases"), counts["cases"], "count"),
                fact("judged", phrase("With a prediction"), counts["judged"], "count"),
                fact(
                    "with_regions", phrase("With usable regions"), counts["with_regions"], "count"
                ),
                fact("attributes", phrase("Attributes, as annotated"), list(info["attributes"])),
                fact("cues", phrase("Cues"), cues),
                fact("rest", phrase("What no annotation covers"), info["regions"]["rest"]),
                fact(
                    "tested",
                    phrase("Cases whose pixels were changed"),
                    counts.get("tested", 0),
                    "count",
                ),
                fact(
                    "passes", phrase("Changed images classified"), counts.get("passes", 0), "count"
                ),
            ],
        )
    ]
    blocks.append(bullets("not_audited", phrase("Not audited"), _not_audited(source)))
    if spoiled:
        blocks.append(
            table(
                "spoiled",
                phrase("Cases that could not be used in full"),
                [
                    column("status", phrase("Status")),
                    column("means", phrase("Because")),
                    column("n", phrase("Cases"), "count"),
                ],
                spoiled,
            )
        )
    blocks.append(
        table(
            "cue_sets",
            phrase("Cue sets: cues that were changed together, and by which attribute"),
            [
                column("name", phrase("Cue set")),
                column("attributes", phrase("Donors chosen by")),
                column("how", phrase("Tested by")),
            ],
            [
                {
                    "name": cues_set["name"],
                    "attributes": list(cues_set["attributes"]),
                    "how": phrase("donors; fills where too few")
                    if cues_set["attributes"]
                    else phrase("fills"),
                }
                for cues_set in sets
            ],
        )
    )
    return blocks


def _not_audited(source: Source) -> list[Words]:
    """What was not looked at, and why."""
    info = source.info
    counts, sets = info["counts"], info["cue_sets"]
    left: list[Words] = []
    if not info["attributes"]:
        left.append(phrase("No attribute is annotated, so no group was compared with another."))
    if not info["regions"]["cues"]:
        left.append(phrase("No cue is named, so no reliance on a cue could be looked for."))
    tied = {name for cues_set in sets for name in cues_set["attributes"]}
    untied = [name for name in info["attributes"] if name not in tied]
    if untied and sets:
        left.append(
            phrase(
                "No cue was exchanged by {attributes}: groups are compared, but whether a cue "
                "that shows it decides was not tested.",
                attributes=listed(untied),
            )
        )
    if source.nameless:
        left.append(
            phrase(
                "{attributes} names images rather than groups, so nothing is broken down by it.",
                attributes=listed(source.nameless),
            )
        )
    filled = [s["name"] for s in sets if not s["attributes"]]
    if filled:
        left.append(
            phrase(
                "{cues}: tied to no attribute, so tested by filling alone, which shows no cue "
                "that works by its absence.",
                cues=listed(filled),
            )
        )
    if not counts.get("tested"):
        left.append(
            phrase("No pixels were changed: maps and counts are all the evidence there is.")
        )
    elif counts["tested"] < counts["cases"]:
        left.append(
            phrase(
                "{cases} were not tested by changing pixels.",
                cases=counted(counts["cases"] - counts["tested"], "case"),
            )
        )
    without = counts["judged"] - counts["with_regions"]
    if without:
        left.append(
            phrase(
                "{cases} have a prediction but no usable regions: they count towards accuracy, "
                "and nothing is said of what decided them.",
                cases=counted(without, "case"),
            )
        )
    left.append(
        phrase(
            "Attributes, cues and properties that are not annotated in the dataset were not "
            "looked at."
        )
    )
    return left


def data(source: Source) -> list[Block]:
    """How many of what, and what goes with what before any model is asked."""
    blocks: list[Block] = [
        table(
            "labels",
            phrase("Cases by label"),
            [column("label", phrase("Label")), column("n", phrase("Cases"), "count")],
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
                phrase("Cases by label and {attribute}", attribute=name),
                phrase(
                    "A bar for each label and annotated value of {attribute}; its length is the "
                    "number of audited cases.",
                    attribute=name,
                ),
                cells,
            )
        )
    skew = source.findings("association", "presence_association", "training_association", "probe")
    if skew:
        blocks.append(heading(phrase("What goes together")))
        blocks.append(
            text(
                phrase(
                    "Cramér's V is 0 where label and attribute are independent and 1 where one "
                    "gives the other away. A probe tells how well the label is told from a "
                    "region's colours alone. Both speak of the images, not of the model."
                ),
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
            phrase("Classifier"),
            [
                fact("architecture", phrase("Architecture"), described.get("architecture")),
                fact("checkpoint", phrase("Checkpoint"), described.get("checkpoint")),
                fact("classes", phrase("Classes"), list(described["classes"])),
                fact(
                    "threshold",
                    phrase("Decision threshold"),
                    described.get("threshold"),
                    "plain",
                    phrase("none was given: the largest logit decides"),
                ),
                fact("preprocess", phrase("Preprocessing"), _said(described.get("preprocess"))),
            ],
        ),
        facts(
            "maps",
            phrase("Maps"),
            [
                fact("method", phrase("Method"), info["method"]),
                fact("layer", phrase("Layer"), layer["name"]),
                fact("grid", phrase("Cells (height × width)"), grid),
                fact("chosen", phrase("Chosen"), layer.get("chosen")),
                fact("verified", phrase("Verified"), bool(layer["verified"])),
                fact("evidence", phrase("Cases to test"), info["evidence"]),
                fact("seed", phrase("Seed"), info["seed"], "count"),
            ],
        ),
        table(
            "gates",
            phrase("Gates: what has to hold before maps and predictions are evidence"),
            [
                column("gate", phrase("Gate")),
                column("outcome", phrase("Outcome")),
                column("value", phrase("Value"), "number"),
                column("low", phrase("95 % interval"), "number", to="high"),
                column("threshold", phrase("Held against"), "number"),
                column("n", phrase("n"), "count"),
            ],
            [
                {
                    "kind": found["kind"],
                    "gate": GATES[found["kind"]],
                    "state": _OUTCOMES[found["severity"]][0],
                    "outcome": _OUTCOMES[found["severity"]][1],
                    **{key: found[key] for key in ("value", "low", "high", "threshold", "n")},
                }
                for found in gates
            ],
            note=phrase(
                "A gate on maps that is not passed voids the maps; what changing the pixels "
                "showed stands. The sentences are in the appendix."
            ),
        ),
    ]


def provenance(source: Source) -> list[Block]:
    """Hashes, versions, seeds, the command and the configuration of the audit."""
    info = source.info
    identity, made = info["identity"], info["provenance"]
    no_file = phrase("the audit was called from Python without a configuration file")
    blocks = [
        facts(
            "identity",
            phrase("Inputs"),
            [
                fact("weights", phrase("Weights, SHA-256"), identity.get("weights")),
                fact("dataset", phrase("Dataset, fingerprint"), identity.get("dataset")),
                fact(
                    "configuration",
                    phrase("Configuration, SHA-256"),
                    identity.get("configuration"),
                    reason=no_file,
                ),
                fact(
                    "path", phrase("Configuration"), info.get("configuration_path"), reason=no_file
                ),
                fact("image_root", phrase("Images below"), info.get("image_root")),
                *(
                    fact(f"inputs.{name}", phrase("{name}, SHA-256", name=name), digest)
                    for name, digest in made.get("inputs", {}).items()
                ),
            ],
        ),
        facts(
            "made",
            phrase("How the run was made"),
            [
                fact("created", phrase("Created"), made.get("created")),
                fact("command", phrase("Command"), " ".join(made.get("command", [])) or None),
                fact("schema_version", phrase("Run schema"), info["schema_version"], "count"),
                fact("seed", phrase("Seed"), info["seed"], "count"),
                fact("hardware", phrase("Hardware"), _said(made.get("hardware"))),
                *(
                    fact(f"versions.{name}", name, version)
                    for name, version in made.get("versions", {}).items()
                ),
            ],
        ),
    ]
    if info.get("configuration"):
        blocks.append(code("configuration", phrase("Configuration"), str(info["configuration"])))
    return blocks


def collect(source: Source) -> list[Block]:
    """The images that would bring label and attribute to independence."""
    found = source.findings(*COLLECTED)
    if not found:
        return [
            text(
                phrase(
                    "Nothing to collect is derived: label and attribute (or a cue's presence) go "
                    "together nowhere notably, or nothing is annotated that could."
                )
            )
        ]
    blocks: list[Block] = [
        text(
            phrase(
                "Independence of label and attribute takes the cue's use as a shortcut away from "
                "training. It does not by itself make a model serve every group equally well."
            ),
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
                    column("label", phrase("Label")),
                    column("value", phrase("Annotated as")),
                    column("n", phrase("Has"), "count"),
                    column("target", phrase("Would need"), "count"),
                    column("collect", phrase("Collect"), "count"),
                    column("surplus", phrase("Leave out"), "count"),
                ],
                rows,
            )
        )
    return blocks


def _sized(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (-row["n"], row["label"]))


def _said(fields: Mapping[str, Any] | None) -> Series | None:
    return clauses(_field(key, value) for key, value in fields.items()) if fields else None


def _field(key: str, value: Any) -> Words:
    if value is None:
        return phrase("{field} none", field=key)
    if isinstance(value, list | tuple):
        between = " × " if key in ("resize", "crop") and isinstance(value, list) else ", "
        return f"{key} {between.join(map(str, value))}"
    return f"{key} {value}"
