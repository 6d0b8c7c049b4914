"""How many scenes one core draws in a second: `python -m benchmarks.scene_speed`."""

from __future__ import annotations

import time

from auditor.scenes import CUES, LABELS, SIDE, Scene, draw

COUNT, ROUNDS = 60, 5


def main() -> None:
    values = CUES["head"].values
    scenes = [Scene(LABELS[n % 2], values[n // 2 % 2], (5, n)) for n in range(COUNT)]
    for side, masks in ((SIDE, False), (SIDE, True), (SIDE // 2, False)):
        rates = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            for scene in scenes:
                draw(scene, side, masks)
            rates.append(COUNT / (time.perf_counter() - start))
        told = f"{side} pixels, {'with' if masks else 'without'} masks"
        print(
            f"{told}: {sorted(rates)[ROUNDS // 2]:.0f} scenes a second ({min(rates):.0f} to "
            f"{max(rates):.0f} over {ROUNDS} rounds)",
            flush=True,
        )


if __name__ == "__main__":
    main()
