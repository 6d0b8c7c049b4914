"""Fine-tuning a torchvision classifier on a labelled dataset, for an audit to look at."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from auditor.configuration import Config
from auditor.datasets import Dataset
from auditor.datasets.images import read_image
from auditor.errors import DatasetError, ModelError
from auditor.geometry import Preprocess
from auditor.models import Classifier
from auditor.models.architectures import (
    build,
    check_architecture,
    head_parameters,
    load_pretrained,
    preset,
)
from auditor.models.checkpoints import Checkpoint, read_checkpoint, unwrapped, write_checkpoint


@dataclass(frozen=True)
class Epoch:
    """How far training is; `accuracy` is on the validation part, 0..1."""

    number: int
    of: int
    loss: float
    accuracy: float


def finetune(
    config: Config,
    dataset: Dataset,
    out: Path,
    report: Callable[[Epoch], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Epoch:
    """Train and write the checkpoint `out`, of the epoch with the best validation accuracy.

    Takes `[model]` (architecture, preprocess, classes, or the dataset's labels in order)
    and `[finetune]`. Training images are flipped at random, and otherwise take exactly the
    way into the model that the audit's take. Returns the epoch that was kept. Raises
    `AuditorError`; an existing `out` is refused before anything is computed.
    """
    if out.exists():
        raise ModelError(f"{out}: exists; choose another --out or remove it.")
    architecture = config.model.architecture
    if architecture is None:
        raise ModelError(f"{config.path}: [model] architecture is missing; fine-tuning needs it.")
    check_architecture(architecture)
    settings = config.finetune
    torch.manual_seed(settings.seed)
    classes = config.model.classes or dataset.labels
    module, options = _start(config, architecture, len(classes))
    classifier = Classifier(module, classes, config.model.preprocess.over(preset(architecture)))
    classifier.check_labels(dataset.labels, dataset.config.path)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    module.to(device)

    labels = np.array([classes.index(label) for label in dataset.cases["label"]])
    train, validation = _split(labels, settings.validation, settings.seed, dataset)
    head = head_parameters(architecture, module)
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(settings.trunk == "whole" or name in head)
    trained = [p for p in module.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=settings.learning_rate)
    steps = settings.epochs * -(-len(train) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, steps)
    generator = np.random.default_rng(settings.seed)
    images = _Images(dataset, classifier.preprocess, settings.batch_size)

    total = settings.epochs * (len(train) + len(validation))
    counted = _Counter(total, progress)

    def step(chosen: NDArray[np.int64], pixels: NDArray[np.uint8]) -> float:
        inputs = _flipped(classifier.inputs(pixels), generator)
        optimiser.zero_grad()
        loss = _loss(module(inputs), torch.from_numpy(labels[chosen]).to(device))
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        counted.add(len(chosen))
        return loss.item()

    best, kept = None, module.state_dict()
    for number in range(1, settings.epochs + 1):
        # A frozen trunk keeps its batch statistics as well.
        module.train(settings.trunk == "whole")
        losses = [step(*batch) for batch in images(generator.permutation(train))]
        accuracy = _accuracy(classifier, images(validation), labels)
        counted.add(len(validation))
        epoch = Epoch(number, settings.epochs, float(np.mean(losses)), accuracy)
        if report:
            report(epoch)
        if best is None or accuracy > best.accuracy:
            best, kept = epoch, copy.deepcopy(module.state_dict())
    assert best is not None
    write_checkpoint(
        out,
        Checkpoint(
            state={name: tensor.cpu() for name, tensor in kept.items()},
            architecture=architecture,
            classes=classes,
            preprocess=classifier.preprocess,
            options=options,
            training={
                **asdict(settings),
                "start": settings.start.name if settings.start else config.model.weights,
                "configuration_sha256": config.sha256,
                "dataset": dataset.fingerprint(),
                "images": len(train),
                "validation_images": len(validation),
                "epoch": best.number,
                "validation_accuracy": best.accuracy,
            },
        ),
    )
    return best


@dataclass
class _Counter:
    """Images done so far, told to whoever shows them."""

    total: int
    tell: Callable[[int, int], None] | None
    done: int = 0

    def add(self, count: int) -> None:
        self.done += count
        if self.tell:
            self.tell(self.done, self.total)


def _start(config: Config, architecture: str, outputs: int) -> tuple[nn.Module, dict[str, bool]]:
    """The untrained or pretrained network with a new head, and what was set on it."""
    module = build(architecture, outputs)
    options: dict[str, bool] = {}
    if config.finetune.start is not None:
        state = unwrapped(read_checkpoint(config.finetune.start).state, ())
    elif config.model.weights is not None:
        pretrained, _ = load_pretrained(architecture, config.model.weights)
        state = pretrained.state_dict()
        if getattr(pretrained, "transform_input", False):
            options = {"transform_input": True}
    else:
        return module, options
    own = module.state_dict()
    head = head_parameters(architecture, module)
    foreign = [
        k for k in own if k not in head and (k not in state or state[k].shape != own[k].shape)
    ]
    if foreign:
        raise ModelError(
            f"{config.finetune.start}: is not a checkpoint of {architecture}: {len(foreign)} "
            f"tensors do not fit, such as {foreign[0]!r}. Correct finetune.start."
        )
    module.load_state_dict(
        {k: v for k, v in state.items() if k in own and k not in head}, strict=False
    )
    for name, value in options.items():
        setattr(module, name, value)
    return module, options


def _split(
    labels: NDArray[np.int64], share: float, seed: int, dataset: Dataset
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    try:
        train, validation = train_test_split(
            np.arange(len(labels)), test_size=share, stratify=labels, random_state=seed
        )
    except ValueError as error:
        raise DatasetError(
            f"{dataset.config.path}: cannot be split into training and validation ({error}); "
            "every class needs at least two images."
        ) from None
    return train, validation


@dataclass(frozen=True)
class _Images:
    """Batches of pixels, decoded in threads while the model trains."""

    dataset: Dataset
    preprocess: Preprocess
    batch_size: int

    def __call__(
        self, positions: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        def load(position: int) -> NDArray[np.uint8]:
            picture = read_image(self.dataset.listing.image_path(position))
            return self.preprocess.pixels(picture.image)

        batches = [
            positions[i : i + self.batch_size] for i in range(0, len(positions), self.batch_size)
        ]
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            ahead = [pool.submit(load, int(p)) for p in batches[0]]
            for number, batch in enumerate(batches):
                loading, ahead = ahead, []
                if number + 1 < len(batches):
                    ahead = [pool.submit(load, int(p)) for p in batches[number + 1]]
                yield batch, np.stack([future.result() for future in loading])


def _flipped(inputs: Tensor, generator: np.random.Generator) -> Tensor:
    chosen = torch.from_numpy(generator.random(len(inputs)) < 0.5).to(inputs.device)
    return torch.where(chosen[:, None, None, None], inputs.flip(3), inputs)


def _loss(output: Tensor | tuple[Tensor, ...], target: Tensor) -> Tensor:
    """Cross-entropy; auxiliary heads count 0.4, as in Szegedy et al. 2015."""
    main, *auxiliary = output if isinstance(output, tuple) else (output,)
    loss = nn.functional.cross_entropy(main, target)
    for side in auxiliary:
        loss = loss + 0.4 * nn.functional.cross_entropy(side, target)
    return loss


def _accuracy(
    classifier: Classifier,
    batches: Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]],
    labels: NDArray[np.int64],
) -> float:
    classifier.module.eval()
    right = total = 0
    with torch.inference_mode():
        for chosen, pixels in batches:
            logits = classifier.logits(classifier.module(classifier.inputs(pixels)))
            right += int((logits.argmax(1).cpu().numpy() == labels[chosen]).sum())
            total += len(chosen)
    return right / total
