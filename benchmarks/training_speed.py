"""What makes a training step fast on this machine: `python -m benchmarks.training_speed`.

Memory format and precision of one training step, as a multiple of the plain one's speed; the
variants take turns. `auditor finetune` trains in channels-last, and in mixed precision where
`finetune.precision` says so.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from auditor.models.architectures import build

ARCHITECTURES = (("shufflenet_v2_x0_5", 112), ("shufflenet_v2_x0_5", 224), ("resnet18", 112))
VARIANTS = {
    "plain": (torch.contiguous_format, False),
    "channels last": (torch.channels_last, False),
    "channels last, bfloat16": (torch.channels_last, True),
}
BATCH, ROUNDS, STEPS = 32, 5, 4


def stepper(architecture: str, side: int, variant: str) -> Callable[[], None]:
    """A function that makes one training step."""
    memory, mixed = VARIANTS[variant]
    torch.manual_seed(0)
    model = build(architecture, 2).train().to(memory_format=memory)
    images = torch.rand(BATCH, 3, side, side).to(memory_format=memory)
    labels = torch.randint(0, 2, (BATCH,))
    optimiser = torch.optim.AdamW(model.parameters(), 1e-4)

    def step() -> None:
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimiser.step()

    return step


def main() -> None:
    for architecture, side in ARCHITECTURES:
        steps = {variant: stepper(architecture, side, variant) for variant in VARIANTS}
        seconds: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
        for step in steps.values():
            step()  # what is allocated and chosen once
        for _ in range(ROUNDS):
            for variant, step in steps.items():
                start = time.perf_counter()
                for _ in range(STEPS):
                    step()
                seconds[variant].append((time.perf_counter() - start) / STEPS)
        medians = {variant: statistics.median(times) for variant, times in seconds.items()}
        told = ", ".join(f"{v} {medians['plain'] / m:.2f}" for v, m in medians.items())
        rate = BATCH / medians["plain"]
        print(f"{architecture} at {side}: {told} (plain: {rate:.0f} images a second)", flush=True)


if __name__ == "__main__":
    main()
