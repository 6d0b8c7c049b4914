"""Which section of a report is evidence for which item of a published framework.

Evidence for, and nothing more: whether an item is met is for the people to say who answer for the
system, and a report of one audit never settles it.
"""

from __future__ import annotations

from typing import NamedTuple

from auditor.report.blocks import Block, column, heading, table, text
from auditor.report.options import SECTIONS

MODEL_CARDS = "Model Cards (Mitchell et al. 2019)"
DATASHEETS = "Datasheets for Datasets (Gebru et al. 2021)"
NIST = "NIST AI RMF 1.0 (2023)"
AI_ACT = "EU AI Act, Regulation (EU) 2024/1689"
ISO = "ISO/IEC TR 24027:2021"


class Entry(NamedTuple):
    """One item of a framework, and what of a report speaks to it."""

    framework: str
    item: str
    sections: tuple[str, ...]
    """Names of `auditor.report.options.SECTIONS`."""
    evidence: str
    """What those sections show of the item."""
    open: str
    """What of the item they leave open."""


CROSSWALK = (
    Entry(
        MODEL_CARDS, "Model Details", ("model", "provenance"),
        "architecture, checkpoint and its hash, preprocessing, versions",
        "developers, licence, citation, contact",
    ),
    Entry(
        MODEL_CARDS, "Intended Use", ("scope", "limits"),
        "what was audited and what was not",
        "the uses intended and those out of scope, which only its makers know",
    ),
    Entry(
        MODEL_CARDS, "Factors", ("scope", "data"),
        "the annotated attributes, labels and cues that were told apart",
        "groups, instruments and environments that nobody annotated",
    ),
    Entry(
        MODEL_CARDS, "Metrics", ("performance", "disparities", "appendix"),
        "accuracy with intervals, comparisons within a label, thresholds in force",
        "metrics that weigh one kind of error against another",
    ),
    Entry(
        MODEL_CARDS, "Evaluation Data", ("data", "provenance"),
        "cases by label and attribute, the dataset's fingerprint, preprocessing",
        "why this dataset was chosen",
    ),
    Entry(
        MODEL_CARDS, "Training Data", ("data", "collect"),
        "label and attribute in training, where the checkpoint records them",
        "everything else about the training data",
    ),
    Entry(
        MODEL_CARDS, "Quantitative Analyses", ("performance", "disparities"),
        "unitary and intersectional results with their n and intervals",
        "groups too small for a rate, which are listed",
    ),
    Entry(
        MODEL_CARDS, "Ethical Considerations", ("cues", "examples", "review"),
        "cues that decide and should not, and what reviewers said of flagged cases",
        "risks, harms and mitigations in use",
    ),
    Entry(
        MODEL_CARDS, "Caveats and Recommendations", ("limits", "recommendations"),
        "what bounds the audit, and what would settle what is open",
        "caveats of the deployment",
    ),
    Entry(
        DATASHEETS, "Composition", ("data", "scope", "collect"),
        "instances by label, subpopulations as annotated, missing and spoiled files and masks, "
        "attributes that give the label away",
        "what instances stand for, confidentiality, how people were identified",
    ),
    Entry(
        DATASHEETS, "Preprocessing/cleaning/labeling", ("model", "review"),
        "preprocessing for the model; labels and masks that reviewers call wrong",
        "how the data were cleaned and labelled",
    ),
    Entry(
        DATASHEETS, "Uses", ("limits", "recommendations", "collect"),
        "what of the composition may mislead a model trained on it, and what to collect",
        "tasks that the data should not be used for",
    ),
    Entry(
        NIST, "MEASURE 2.11", ("disparities", "cues", "review", "limits"),
        "bias found by group and by cue, with its uncertainty, documented; what was not evaluated",
        "kinds of bias that were not mapped, and fairness in the context of use",
    ),
    Entry(
        AI_ACT, "Article 10 (data and data governance)", ("data", "collect", "recommendations"),
        "examination of the audited data for possible biases and for gaps, and how gaps could "
        "be closed (paragraph 2, points (f) to (h))",
        "training and validation data beyond what was audited, and every other duty of the "
        "article",
    ),
    Entry(
        AI_ACT, "Annex IV (technical documentation)",
        ("performance", "disparities", "limits", "provenance", "signoff"),
        "metrics, accuracy for groups as annotated, potentially discriminatory impacts found, a "
        "report to be dated and signed (points 2 (g) and 3)",
        "the system's description, risk management, monitoring, and all else that the annex "
        "lists",
    ),
    Entry(
        ISO, "the document as a whole", ("data", "disparities", "cues", "collect"),
        "assessment of bias in data and in a model's decisions",
        "treatment of unwanted bias over the system's life cycle",
    ),
)  # fmt: skip
"""In the order of their years; items whose name is not certain are cited as a whole."""

WARNING = (
    "What follows says which section is evidence for which item. It does not say that an item "
    "is met: no report of an audit can, and the frameworks ask for far more than one."
)


def crosswalk() -> list[Block]:
    """A heading, what the table does not say, and the table."""
    return [
        heading("Crosswalk: what is evidence for what"),
        text(WARNING, "note"),
        table(
            "crosswalk",
            "Evidence for items of published frameworks",
            [
                column("framework", "Framework"),
                column("item", "Item"),
                column("sections", "Evidence for it in"),
                column("evidence", "What they show"),
                column("open", "What they leave open"),
            ],
            [
                {
                    **entry._asdict(),
                    "sections": "; ".join(SECTIONS[name] for name in entry.sections),
                }
                for entry in CROSSWALK
            ],
        ),
    ]
