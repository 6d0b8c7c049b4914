"""Random numbers that are the same on every machine and for every version of NumPy's methods.

Only the raw bits of PCG64 are used, whose stream is fixed; what is made of them is plain
arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

_NORMAL = NormalDist()
_AHEAD = 96


class Chance:
    """A stream of random numbers that belongs to one part of one scene."""

    def __init__(self, *seed: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(seed))
        self._waiting: list[float] = []

    def share(self) -> float:
        """A number in 0..1, both ends left out."""
        if not self._waiting:
            raw = self._bits.random_raw(_AHEAD) >> np.uint64(40)  # 24 bits
            self._waiting = ((raw.astype(np.float64) + 0.5) / 2.0**24).tolist()
        return self._waiting.pop()

    def between(self, low: float, high: float) -> float:
        """A number in low..high, each as likely."""
        return low + (high - low) * self.share()

    def yes(self, probability: float) -> bool:
        """True with this probability."""
        return self.share() < probability

    def pick(self, values: Sequence[T]) -> T:
        """One of the values, each as likely."""
        return values[int(self.share() * len(values))]

    def normal(self) -> float:
        """A number of the standard normal distribution."""
        return _NORMAL.inv_cdf(self.share())

    def bytes(self, *shape: int) -> NDArray[np.uint8]:
        """Bytes, each value as likely."""
        count = int(np.prod(shape))
        raw = self._bits.random_raw(-(-count // 8)).astype("<u8")
        return raw.view(np.uint8)[:count].reshape(shape)
