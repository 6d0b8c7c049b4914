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
    four_fifths: float = 0.8
    """A group whose rate is under this share of the highest group's fails the screen."""
    intersection: int = 30
    """A cell of label × two attributes with fewer judged cases has no rate of its own."""
    fewest_probed: int = 10
    """A label of which fewer images (or clusters) show a region is left out of its probe."""
    certain: float = 0.001
    """Level of statements about the model as a whole."""
    reordering: float = 0.2
    """Accuracy that another order of the classes may gain before their order is doubted."""
    remaining: float = 0.5
    """Rank correlation with the maps of the trained network that maps of a randomised one may
    keep. Measured on trained networks (`python -m benchmarks.gates`): at most 0.32 with Grad-CAM,
    at least 0.90 where a method looks at activations alone."""
    classes_alike: float = 0.95
    """Rank correlation that the maps of two classes may have; measured likewise: -0.99 to 0.82,
    and 1.00 where a method does not ask for the class."""
    noise: float = 2.0
    """Standard deviation, in grey levels of 255, of the noise that maps have to stand."""
    steadiness: float = 0.7
    """Rank correlation of the margin maps that has to be left under that noise; measured
    likewise: at least 0.91, and 0.04 where a network answers to nothing but noise."""
    intervention: float = 0.05
    """Level of the one-sided interval of a case's D by fills, over all its cue sets."""
    caused: float = 0.1
    """The same by donors, over all cue sets and looks. Chosen on `python -m benchmarks.truth
    --quick` (tuning seeds): of the errors of skewed models it let .99 of those that it confirmed
    be caused by the cue and confirmed .89 of those that were, and it confirmed 1 % of the errors
    of models trained 50/50 without cause; at .2 that was .99, .92 and 2 %."""
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
    controlled: float = 0.25
    """Share of D that has to show against the case's own control, donors of the same value:
    what splicing does on average says little of an image on which it does something else."""
    fill_flips: int = 3
    """Fills that have to turn the decision where there are no donors."""
    control_flips: float = 1.0
    """Fills on controls that may."""
    fill_subject: float = 0.75
    """Share of the subject that has to stay outside a cue (grown by a cell) that is filled."""
    controls: int = 2
    """Places elsewhere in the image at which a fill is tried as its control."""
    survives: float = 0.5
    """Share of the fills of the subject above which a decision outlasts its removal."""
    attributed: int = 64
    """Cases, errors first, on which each cue of a set that was found is tested by itself."""
    doubtful: float = 0.25
    """Correct cases with small margins that are tested, for each error."""
    sampled: float = 0.02
    """Share of all cases that is tested as a random sample of those that are no suspects,"""
    fewest_sampled: int = 64
    """but at least so many,"""
    most_sampled: int = 500
    """and at most so many."""
    sampled_share: float = 0.25
    """Share of a limited number of cases that goes to the random sample."""
    effect: float = 0.1
    """Average cue effect that matters, as a share of the median margin of all cases."""

    def described(self) -> dict[str, object]:
        """JSON-ready."""
        values = asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


THRESHOLDS = Thresholds()
