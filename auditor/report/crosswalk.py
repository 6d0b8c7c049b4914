"""Which section of a report is evidence for which item of a published framework.

Evidence for, and nothing more: whether an item is met is for the people to say who answer for the
system, and a report of one audit never settles it.
"""

from __future__ import annotations

from typing import NamedTuple

from auditor.language import Phrase, Words, clauses, phrase
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
    item: Words
    """As it is titled there; a phrase where it is described."""
    sections: tuple[str, ...]
    """Names of `auditor.report.options.SECTIONS`."""
    evidence: Phrase
    """What those sections show of the item."""
    open: Phrase
    """What of the item they leave open."""


CROSSWALK = (
    Entry(
        MODEL_CARDS, "Model Details", ("model", "provenance"),
        phrase("architecture, checkpoint and its hash, preprocessing, versions"),
        phrase("developers, licence, citation, contact"),
    ),
    Entry(
        MODEL_CARDS, "Intended Use", ("scope", "limits"),
        phrase("what was audited and what was not"),
        phrase("the uses intended and those out of scope, which only its makers know"),
    ),
    Entry(
        MODEL_CARDS, "Factors", ("scope", "data"),
        phrase("the annotated attributes, labels and cues that were told apart"),
        phrase("groups, instruments and environments that nobody annotated"),
    ),
    Entry(
        MODEL_CARDS, "Metrics", ("performance", "disparities", "appendix"),
        phrase("accuracy with intervals, comparisons within a label, thresholds in force"),
        phrase("metrics that weigh one kind of error against another"),
    ),
    Entry(
        MODEL_CARDS, "Evaluation Data", ("data", "provenance"),
        phrase("cases by label and attribute, the dataset's fingerprint, preprocessing"),
        phrase("why this dataset was chosen"),
    ),
    Entry(
        MODEL_CARDS, "Training Data", ("data", "collect"),
        phrase("label and attribute in training, where the checkpoint records them"),
        phrase("everything else about the training data"),
    ),
    Entry(
        MODEL_CARDS, "Quantitative Analyses", ("performance", "disparities"),
        phrase("unitary and intersectional results with their n and intervals"),
        phrase("groups too small for a rate, which are listed"),
    ),
    Entry(
        MODEL_CARDS, "Ethical Considerations", ("cues", "examples", "review"),
        phrase("cues that decide and should not, and what reviewers said of flagged cases"),
        phrase("risks, harms and mitigations in use"),
    ),
    Entry(
        MODEL_CARDS, "Caveats and Recommendations", ("limits", "recommendations"),
        phrase("what bounds the audit, and what would settle what is open"),
        phrase("caveats of the deployment"),
    ),
    Entry(
        DATASHEETS, "Composition", ("data", "scope", "collect"),
        phrase(
            "instances by label, subpopulations as annotated, missing and spoiled files and "
            "masks, attributes that give the label away"
        ),
        phrase("what instances stand for, confidentiality, how people were identified"),
    ),
    Entry(
        DATASHEETS, "Preprocessing/cleaning/labeling", ("model", "review"),
        phrase("preprocessing for the model; labels and masks that reviewers call wrong"),
        phrase("how the data were cleaned and labelled"),
    ),
    Entry(
        DATASHEETS, "Uses", ("limits", "recommendations", "collect"),
        phrase("what of the composition may mislead a model trained on it, and what to collect"),
        phrase("tasks that the data should not be used for"),
    ),
    Entry(
        NIST, "MEASURE 2.11", ("disparities", "cues", "review", "limits"),
        phrase(
            "bias found by group and by cue, with its uncertainty, documented; what was not "
            "evaluated"
        ),
        phrase("kinds of bias that were not mapped, and fairness in the context of use"),
    ),
    Entry(
        AI_ACT, phrase("Article 10 (data and data governance)"),
        ("data", "collect", "recommendations"),
        phrase(
            "examination of the audited data for possible biases and for gaps, and how gaps "
            "could be closed (paragraph 2, points (f) to (h))"
        ),
        phrase(
            "training and validation data beyond what was audited, and every other duty of the "
            "article"
        ),
    ),
    Entry(
        AI_ACT, phrase("Annex IV (technical documentation)"),
        ("performance", "disparities", "limits", "provenance", "signoff"),
        phrase(
            "metrics, accuracy for groups as annotated, potentially discriminatory impacts "
            "found, a report to be dated and signed (points 2 (g) and 3)"
        ),
        phrase(
            "the system's description, risk management, monitoring, and all else that the annex "
            "lists"
        ),
    ),
    Entry(
        ISO, phrase("the document as a whole"), ("data", "disparities", "cues", "collect"),
        phrase("assessment of bias in data and in a model's decisions"),
        phrase("treatment of unwanted bias over the system's life cycle"),
    ),
)  # fmt: skip
"""In the order of their years; items whose name is not certain are cited as a whole."""

WARNING = phrase(
    "What follows says which section is evidence for which item. It does not say that an item "
    "is met: no report of an audit can, and the frameworks ask for far more than one."
)


def crosswalk() -> list[Block]:
    """A heading, what the table does not say, and the table."""
    return [
        heading(phrase("Crosswalk: what is evidence for what")),
        text(WARNING, "note"),
        table(
            "crosswalk",
            phrase("Evidence for items of published frameworks"),
            [
                column("framework", phrase("Framework")),
                column("item", phrase("Item")),
                column("sections", phrase("Evidence for it in")),
                column("evidence", phrase("What they show")),
                column("open", phrase("What they leave open")),
            ],
            [
                {
                    **entry._asdict(),
                    "sections": clauses(SECTIONS[name] for name in entry.sections),
                }
                for entry in CROSSWALK
            ],
        ),
    ]
