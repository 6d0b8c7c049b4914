"""Every explanation method as a detector of cue-caused errors, on scenes of known truth."""
