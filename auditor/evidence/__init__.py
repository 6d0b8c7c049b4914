"""Interventions: changing the pixels, and what the change says of a suspicion.

Functions on arrays, without a model: the caller assembles images and asks its classifier
(`auditor.pipeline.trials`). All images and masks are those of the model's input. For a case, in
order:

1. `DonorPool.draw` for each attribute tied to the cue set, among images that look alike
   (`likeness`, `tone`), and `region_problem`; on a problem of the donors, the fills.
2. `prepare` once; `splice` (or `toned`) for the first `Looks.next` pairs of both arms, those of
   many cases in one batch; `estimate_donors`, `adjust` by what `learn_splicing` found on a sample
   of all cases, and `decide_by_donors`; on with the cases whose decision is not `final`.
3. Without donors: `control_regions` once, every one of `FILLS` on the region and on the
   controls with a `generator` of the case; `estimate_fills`, `decide_by_fills`.
4. For a correct case that is confirmed or probable: the fills on the subject, and
   `survives_without_subject`.
"""

from __future__ import annotations

from auditor.evidence.controls import Controls, control_regions
from auditor.evidence.decisions import (
    Decision,
    Outcome,
    decide_by_donors,
    decide_by_fills,
    survives_without_subject,
    untestable,
)
from auditor.evidence.donors import DonorPool, Donors, generator
from auditor.evidence.estimates import (
    DonorEstimate,
    Effect,
    FillEstimate,
    Pair,
    Splicing,
    adjust,
    estimate_donors,
    estimate_fills,
    learn_splicing,
    margins,
    welch,
)
from auditor.evidence.fills import BORDER, FILLS, Fill, Pixels, harmonic
from auditor.evidence.reasons import region_problem
from auditor.evidence.rows import Arm, InterventionRow
from auditor.evidence.sequential import Looks
from auditor.evidence.sets import TONE, CueSet, cue_sets, parent
from auditor.evidence.shapes import (
    Alignment,
    Shape,
    align,
    align_frames,
    box,
    dilated,
    near,
    shape_of,
    steadiest,
)
from auditor.evidence.splicing import Piece, Target, likeness, margin_of, prepare, splice
from auditor.evidence.tones import tone, toned

__all__ = [
    "BORDER",
    "FILLS",
    "TONE",
    "Alignment",
    "Arm",
    "Controls",
    "CueSet",
    "Decision",
    "DonorEstimate",
    "DonorPool",
    "Donors",
    "Effect",
    "Fill",
    "FillEstimate",
    "InterventionRow",
    "Looks",
    "Outcome",
    "Pair",
    "Piece",
    "Pixels",
    "Shape",
    "Splicing",
    "Target",
    "adjust",
    "align",
    "align_frames",
    "box",
    "control_regions",
    "cue_sets",
    "decide_by_donors",
    "decide_by_fills",
    "dilated",
    "estimate_donors",
    "estimate_fills",
    "generator",
    "harmonic",
    "learn_splicing",
    "likeness",
    "margin_of",
    "margins",
    "near",
    "parent",
    "prepare",
    "region_problem",
    "shape_of",
    "splice",
    "steadiest",
    "survives_without_subject",
    "tone",
    "toned",
    "untestable",
    "welch",
]
