"""Every threshold that a flag or a finding hangs on, in one place; runs and reports print it."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Thresholds:
    """The thresholds in force."""

    alpha: float = 0.05
    """Level of a case's attention test, after Holm's correction over its cues."""
    references: int = 200
    """Most images of a class whose regions make up the null of that test."""
    fewest_references: int = 19
    """Fewest of them: with 19 the smallest possible p-value is .05."""
    retained: float = 0.25
    """A region of which the crop keeps less is `cropped_out`."""
    cells: float = 1.0
    """A region smaller than so many cells of the map is `below_resolution`."""
    cut: float = 0.5
    """Share of a map's maximum at which it is cut for overlap and patterns."""
    cuts: tuple[float, ...] = (0.15, 0.75)
    """Further cuts at which the overlap is reported, to show how much hangs on it."""
    pattern: float = 0.5
    """Value from which IoU, saliency and ground-truth coverage count as high."""
    association: float = 0.1
    """Label and attribute go together notably where the interval of V lies above this."""
    certain: float = 0.001
    """Level of statements about the model as a whole."""
    reordering: float = 0.2
    """Accuracy that another order of the classes may gain before their order is doubted."""
    intervention: float = 0.05
    """Level of the one-sided interval of a case's D, over all its cue sets and looks."""
    share: float = 0.5
    """Share of the margin that D has to take at least to be a contributing cause."""
    futile: float = 0.05
    """Level of the upper bound of D below which nothing more is expected, so that testing ends."""
    donors: int = 8
    """Donors in each arm, at most."""
    fewest_donors: int = 3
    """With fewer in each arm a standard error says nothing: the case is untestable."""
    looks: tuple[int, ...] = (3, 5, 8)
    """Donor pairs after which the evidence is looked at."""
    spending: tuple[float, ...] = (0.25, 0.25, 0.5)
    """Shares of the level that the looks may spend; they sum to 1."""
    fill_flips: int = 3
    """Fills that have to turn the decision where there are no donors."""
    control_flips: float = 1.0
    """Fills on controls that may."""
    effect: float = 0.1
    """Average cue effect that matters, as a share of the median margin of all cases."""

    def described(self) -> dict[str, object]:
        """JSON-ready."""
        values = asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


THRESHOLDS = Thresholds()
