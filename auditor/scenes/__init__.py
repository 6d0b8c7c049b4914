"""Rendered clinic scenes whose every cause is known: the material of study and sample.

`draw(Scene(label, value, seed))` gives the same picture on every machine, and the same scene
with only the cue changed where only `value` differs.
"""

from auditor.scenes.canvas import REGIONS
from auditor.scenes.scene import CUES, LABELS, SIDE, STRENGTH, Cue, Picture, Scene, draw

__all__ = ["CUES", "LABELS", "REGIONS", "SIDE", "STRENGTH", "Cue", "Picture", "Scene", "draw"]
