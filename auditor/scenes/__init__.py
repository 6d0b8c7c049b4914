"""Rendered clinic scenes whose every cause is known: the material of study and sample.

`draw(Scene(label, value, seed))` gives the same picture on every machine, and the same scene
with only the cue changed where only `value` differs. Pillow before 11.2.1 filled polygons
otherwise, in a pixel or two of a picture.
"""

from auditor.scenes.canvas import REGIONS
from auditor.scenes.scene import CUES, LABELS, SIDE, STRENGTH, Cue, Picture, Scene, draw

__all__ = ["CUES", "LABELS", "REGIONS", "SIDE", "STRENGTH", "Cue", "Picture", "Scene", "draw"]
