"""The training loop alone: it knows positions, pixels and labels, and no files but its state.

The random numbers come from generators of its own, seeded by the settings: the same inputs
give the same weights on the same machine with the same number of threads, whatever ran
before, and nothing outside is disturbed. On CUDA that holds where the network's operations
are deterministic, which cuDNN is asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auditor.configuration import FinetuneConfig
from auditor.errors import AuditorError, ModelError
from auditor.files import whole
from auditor.models import Classifier
from auditor.pipeline.augmentation import AUGMENTATIONS, check_augmentations
from auditor.pipeline.provenance import weights_sha256

Positions: TypeAlias = NDArray[np.int64]
Pixels: TypeAlias = Callable[[Positions], NDArray[np.uint8]]
"""Positions to the model's input before normalisation, [n, height, width, channels].

Called from another thread where the model is not on the CPU."""
Draw: TypeAlias = Callable[[np.random.Generator], Positions]
"""The training positions of one epoch, in order; of as many images in every epoch."""

STATE_VERSION = 1


@dataclass(frozen=True)
class Epoch:
    """One finished epoch; `number` counts from 1.

    `loss` is the mean cross-entropy over the epoch's training images as they passed.
    `accuracy` (0..1) and `validation_loss` are means over the validation images, or over
    the means of the groups if there are any; None without validation images. `dead` names
    the classes whose output was one and the same number for all images from the middle of
    the epoch on, as a ReLU gives it that has died; `only` is the class that every validation
    image was taken for, if they are of several classes and it is one.
    """

    number: int
    of: int
    loss: float
    accuracy: float | None
    validation_loss: float | None
    dead: tuple[str, ...] = ()
    only: str | None = None


@dataclass(frozen=True)
class Trained:
    """What a training came to."""

    state: Mapping[str, Tensor]
    """State dict of the epoch that was kept, on the CPU."""
    epochs: tuple[Epoch, ...]
    kept: Epoch


def train(
    classifier: Classifier,
    pixels: Pixels,
    labels: NDArray[np.int64],
    training: Positions,
    validation: Positions,
    settings: FinetuneConfig,
    *,
    draw: Draw | None = None,
    groups: NDArray[np.int64] | None = None,
    trained: Collection[str] | None = None,
    state: Path | None = None,
    identity: Mapping[str, str] | None = None,
    report: Callable[[Epoch], None] | None = None,
    note: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Trained:
    """Train `classifier.module` where it is, with AdamW over one cycle of the learning rate.

    `labels` holds the position of each image's label in `classifier.classes`; `training`
    and `validation` are positions in it. Every epoch takes all of `training` in random
    order, or what `draw` gives, as many. The epoch with the best validation accuracy is
    kept (of equals that with the lower validation loss, then the earlier one), without
    validation images the last one; `groups`, a number for each position, makes the measure
    the mean over the groups. `settings.patience` epochs without a better one end the
    training. `trained` names the parameters that change; the rest, batch statistics
    included, stays as it is. None trains all.

    With `state`, a file, every finished epoch is kept there, and the next call with the
    same inputs goes on from it to the very weights that it would have come to without the
    interruption; the caller removes the file. `identity` says what else the training
    depends on, name to value: a state of other inputs is refused.

    `report` hears of every finished epoch, `note` of what else a person should know,
    `progress` of (images done, images in all).

    Afterwards the module holds the weights that were kept, in eval mode. Raises
    `AuditorError`, for instance where the loss is no longer finite; KeyboardInterrupt
    passes through, with every finished epoch in `state`.
    """
    check_augmentations(settings.augment)
    module = classifier.module
    with (
        _learning(module, trained),
        _own_randomness(classifier.device, settings.seed),
    ):
        loop = _Loop(
            classifier,
            pixels,
            labels.astype(np.int64),
            training,
            validation,
            settings,
            draw or (lambda generator: generator.permutation(training)),
            np.zeros(len(validation), np.int64) if groups is None else groups[validation],
            whole=trained is None,
            progress=progress or (lambda _done, _total: None),
        )
        depends = {} if state is None else {**(identity or {}), **loop.identity()}
        if state is not None and state.exists():
            loop.read(state, depends)
            _tell(note, f"Continuing after epoch {len(loop.epochs)} of {settings.epochs}")
        loop.count(0)
        while not loop.finished:
            epoch = loop.epoch()
            if state is not None:
                loop.write(state, depends)
            if report:
                report(epoch)
            for warning in loop.warnings():
                _tell(note, warning)
    if len(loop.epochs) < settings.epochs:
        _tell(
            note,
            f"Stopped after epoch {len(loop.epochs)} of {settings.epochs}: none of the last "
            f"{settings.patience} was better than epoch {loop.kept.number}",
        )
    module.load_state_dict(loop.best)
    module.eval()
    return Trained(loop.best, tuple(loop.epochs), loop.kept)


@dataclass
class _Loop:
    """A training under way. Everything that changes is written to and read from the state."""

    classifier: Classifier
    pixels: Pixels
    labels: NDArray[np.int64]
    training: Positions
    validation: Positions
    settings: FinetuneConfig
    draw: Draw
    groups: NDArray[np.int64]  # of each validation image
    whole: bool
    progress: Callable[[int, int], None]
    epochs: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings, module = self.settings, self.classifier.module
        self.device = self.classifier.device
        # Measured: ShuffleNet trains 1.4 times as fast so, even on a CPU.
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = torch.optim.AdamW(
            [p for p in module.parameters() if p.requires_grad], lr=settings.learning_rate
        )
        steps = settings.epochs * -(-len(self.training) // settings.batch_size)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, settings.learning_rate, steps
        )
        self.mixed = _mixed(self.device, settings.precision)
        # Half precision alone has so small a range that small gradients would vanish.
        self.scaler = torch.amp.GradScaler(
            self.device.type, enabled=self.mixed is not None and self.mixed == torch.float16
        )
        self.generator = np.random.default_rng(settings.seed)
        self.low, self.high = _nothing_seen(self.classifier)
        self.done = 0

    @property
    def kept(self) -> Epoch:
        """The best epoch so far; there is one."""
        # `max` takes the first of equals.
        return self.epochs[-1] if not len(self.validation) else max(self.epochs, key=_quality)

    @property
    def finished(self) -> bool:
        """Whether no further epoch is due."""
        patience, so_far = self.settings.patience, len(self.epochs)
        impatient = bool(patience and so_far) and so_far - self.kept.number >= patience
        return so_far == self.settings.epochs or impatient

    def warnings(self) -> Iterator[str]:
        """What the epoch just finished gives cause to warn of, and none before it did."""
        nothing = Epoch(0, 0, 0, None, None)
        third, second, last = [nothing, nothing, *self.epochs][-3:]
        remedy = (
            "if that stays so, another finetune.seed or a lower finetune.learning_rate may help"
        )
        if last.dead and not second.dead:
            yield (
                f"Warning: late in epoch {last.number}, the network's output for {last.dead[0]} "
                f"was the same number for every image, as a ReLU gives it that has died; {remedy}"
            )
        if last.only is not None and last.only == second.only != third.only:
            yield (
                f"Warning: in epochs {second.number} and {last.number}, every validation image was "
                f"classified as {last.only}; {remedy}"
            )

    def epoch(self) -> Epoch:
        """Train once over the images, and measure."""
        self.classifier.module.train(self.whole)
        order = self.draw(self.generator)
        total = 0.0
        for number, (batch, images) in enumerate(self.batches(order, augmented=True)):
            if number == len(order) // self.settings.batch_size // 2:
                self.low, self.high = _nothing_seen(self.classifier)
            total += self.step(batch, images) * len(batch)
            self.count(len(batch))
        accuracy, validation_loss, only = self.measure()
        same = zip(self.classifier.classes, self.low == self.high, strict=True)
        dead = tuple(name for name, constant in same if constant)
        epoch = Epoch(
            len(self.epochs) + 1,
            self.settings.epochs,
            total / len(order),
            accuracy,
            validation_loss,
            dead,
            only,
        )
        if len(dead) == len(self.classifier.classes):
            raise ModelError(
                f"the network has ceased to learn: late in epoch {epoch.number}, its outputs were "
                "the same numbers for every image, as ReLUs give that have died. Give another "
                "finetune.seed, a lower finetune.learning_rate than "
                f"{self.settings.learning_rate:g}, or pretrained weights (model.weights, "
                "finetune.start)."
            )
        self.epochs.append(epoch)
        if self.kept is epoch:
            state = self.classifier.module.state_dict()
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
        return epoch

    def step(self, batch: Positions, images: NDArray[np.uint8]) -> float:
        """Learn from one batch; its loss."""
        self.optimiser.zero_grad()
        with self.precision():
            logits = self.logits(images)
            loss = nn.functional.cross_entropy(logits, self.targets(batch))
        value = loss.item()
        self.require_finite(value, "loss")
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.schedule.step()
        self.see(logits)
        return value

    def see(self, logits: Tensor) -> None:
        """Widen the range in which the output for each class was."""
        values = logits.detach().cpu().numpy()
        self.low, self.high = (
            np.minimum(self.low, values.min(0)),
            np.maximum(self.high, values.max(0)),
        )

    def measure(self) -> tuple[float | None, float | None, str | None]:
        """Accuracy, loss and `only` on the validation images, in an audit's full precision."""
        if not len(self.validation):
            return None, None, None
        self.classifier.module.eval()
        predicted: list[NDArray[np.int64]] = []
        losses: list[NDArray[np.float32]] = []
        with torch.no_grad():
            for batch, images in self.batches(self.validation, augmented=False):
                logits, targets = self.logits(images), self.targets(batch)
                each = nn.functional.cross_entropy(logits, targets, reduction="none")
                predicted.append(logits.argmax(1).cpu().numpy())
                losses.append(each.cpu().numpy())
                self.see(logits)
                self.count(len(batch))
        classes, labels = np.concatenate(predicted), self.labels[self.validation]
        accuracy = self.over_groups(classes == labels)
        loss = self.over_groups(np.concatenate(losses))
        self.require_finite(loss, "validation loss")
        one = len(set(classes.tolist())) == 1 < len(set(labels.tolist()))
        return accuracy, loss, self.classifier.classes[classes[0]] if one else None

    def over_groups(self, values: NDArray[Any]) -> float:
        """The mean over the groups of the mean over each one's validation images."""
        groups = np.unique(self.groups)
        return float(np.mean([values[self.groups == g].mean(dtype=np.float64) for g in groups]))

    def batches(
        self, positions: Positions, *, augmented: bool
    ) -> Iterator[tuple[Positions, NDArray[np.uint8]]]:
        """Batches in order, all of nearly the same size: a last one of a single image would
        leave batch normalisation nothing to normalise by.
        """
        batches = np.array_split(positions, -(-len(positions) // self.settings.batch_size))
        names = self.settings.augment if augmented else ()

        def prepared(batch: Positions) -> NDArray[np.uint8]:
            images = self.pixels(batch)
            for name in names:
                images = AUGMENTATIONS[name](images, self.generator)
            return np.ascontiguousarray(images)

        if self.device.type == "cpu":
            # Decoding beside the model would only fight for the same cores.
            for batch in batches:
                yield batch, prepared(batch)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="auditor-train") as pool:
            ahead = pool.submit(prepared, batches[0])
            for number, batch in enumerate(batches, start=1):
                images = ahead.result()
                if number < len(batches):
                    ahead = pool.submit(prepared, batches[number])
                yield batch, images

    def logits(self, images: NDArray[np.uint8]) -> Tensor:
        """The model's logits for pixels, [n, classes]."""
        inputs = self.classifier.inputs(images).contiguous(memory_format=torch.channels_last)
        try:
            output = self.classifier.module(inputs)
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"{self.device} has no memory left for batches of {len(images)} images; lower "
                f"finetune.batch_size, now {self.settings.batch_size}."
            ) from error
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ModelError(
                f"the model does not accept an input of {tuple(inputs.shape)} (batch, channels, "
                f"height, width): {reason}. Correct [model.preprocess], or raise "
                f"finetune.batch_size, now {self.settings.batch_size}."
            ) from error
        return self.classifier.logits(output)

    def targets(self, batch: Positions) -> Tensor:
        """The labels of a batch, on the model's device."""
        return torch.from_numpy(self.labels[batch]).to(self.device)

    def precision(self) -> Any:
        """The context that the forward pass of a training step runs in."""
        if self.mixed is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.mixed)

    def require_finite(self, value: float, name: str) -> None:
        """Raise `ModelError` for a loss that nothing can be learnt from any more."""
        if not np.isfinite(value):
            rate = float(self.schedule.get_last_lr()[0])
            precise = "" if self.mixed is None else ', or set finetune.precision = "full"'
            raise ModelError(
                f"the {name} is {value} in epoch {len(self.epochs) + 1}, at a learning rate of "
                f"{rate:.2g}: the training has diverged. Lower finetune.learning_rate, now "
                f"{self.settings.learning_rate:g}{precise}."
            )

    def count(self, images: int) -> None:
        """Tell `progress` that so many more images are done."""
        self.done += images
        self.progress(self.done, self.settings.epochs * self.an_epoch)

    @property
    def an_epoch(self) -> int:
        """Images that pass through the model in one epoch."""
        return len(self.training) + len(self.validation)

    def identity(self) -> dict[str, str]:
        """What the weights will depend on, name to value; asked before the first epoch."""
        arrays = (self.training, self.validation, self.labels, self.groups)
        return {
            **{f"finetune.{name}": str(value) for name, value in asdict(self.settings).items()},
            "split": hashlib.sha256(b"".join(map(_described, arrays))).hexdigest(),
            "weights to start from": weights_sha256(self.classifier.module),
            "torch": str(torch.__version__),  # its own type could not be read back
            "device": self.device.type,
        }

    def write(self, path: Path, identity: Mapping[str, str]) -> None:
        """Keep the training as it is after an epoch; the file is whole at every moment."""
        cuda = self.device.type == "cuda"
        content = {
            "auditor_training": STATE_VERSION,
            "identity": dict(identity),
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "best": self.best,
            "model": self.classifier.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "generator": json.dumps(self.generator.bit_generator.state),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(self.device) if cuda else None,
        }
        # An open file, whose errors, a full disk's say, are OSErrors.
        with whole(path) as part, part.open("wb") as file:
            torch.save(content, file)

    def read(self, path: Path, identity: Mapping[str, str]) -> None:
        """Go on from what `write` kept. Raises `AuditorError` for other inputs' state."""
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            version, before = content["auditor_training"], content["identity"]
        except Exception as error:  # noqa: BLE001 - a damaged file raises almost anything
            raise AuditorError(
                f"{path}: cannot be read as the state of a training ({type(error).__name__}); "
                "start over with --fresh, which throws it away, or give another --out."
            ) from None
        changed = [key for key in identity if before.get(key) != identity[key]]
        if version != STATE_VERSION or changed:
            what = ", ".join(changed) if changed else "version of the file"
            raise AuditorError(
                f"{path}: is an interrupted training of other inputs (different: {what}). "
                "Restore the inputs, give another --out, or start over with --fresh, which throws "
                "it away."
            )
        self.epochs = [Epoch(**{**e, "dead": tuple(e["dead"])}) for e in content["epochs"]]
        self.best = content["best"]
        self.classifier.module.load_state_dict(content["model"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.schedule.load_state_dict(content["schedule"])
        self.scaler.load_state_dict(content["scaler"])
        self.generator.bit_generator.state = json.loads(content["generator"])
        torch.set_rng_state(content["torch"])
        if content["cuda"] is not None:
            torch.cuda.set_rng_state(content["cuda"], self.device)
        self.done = len(self.epochs) * self.an_epoch


def _nothing_seen(classifier: Classifier) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bounds of each class's output, before there was any."""
    low = np.full(len(classifier.classes), np.inf, np.float32)
    return low, -low


def _quality(epoch: Epoch) -> tuple[float, float]:
    assert epoch.accuracy is not None
    assert epoch.validation_loss is not None
    return epoch.accuracy, -epoch.validation_loss


def _mixed(device: torch.device, precision: str) -> torch.dtype | None:
    """What the forward pass is computed in besides float32; None for nothing else.

    Measured on a CPU: bfloat16 halves ResNet-18's time and lengthens ShuffleNet's.
    """
    if precision == "full" or (precision == "auto" and device.type != "cuda"):
        return None
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16


def _described(array: NDArray[np.int64]) -> bytes:
    return f"{array.shape}".encode() + np.ascontiguousarray(array).tobytes()


def _tell(note: Callable[[str], None] | None, text: str) -> None:
    if note:
        note(text)


@contextmanager
def _learning(module: nn.Module, trained: Collection[str] | None) -> Iterator[None]:
    """Gradients for these parameters alone, inside; None for all."""
    before = {name: parameter.requires_grad for name, parameter in module.named_parameters()}
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(trained is None or name in trained)
    try:
        yield
    finally:
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(before[name])


@contextmanager
def _own_randomness(device: torch.device, seed: int) -> Iterator[None]:
    """Seeds torch's generators inside, for dropout, and leaves them as they were."""
    cuda = [device] if device.type == "cuda" else []
    deterministic = torch.backends.cudnn.deterministic
    with torch.random.fork_rng(devices=cuda):
        # Not torch.manual_seed, which would seed every other device too.
        torch.default_generator.manual_seed(seed)
        for used in cuda:
            torch.cuda.default_generators[used.index or 0].manual_seed(seed)
        torch.backends.cudnn.deterministic = True
        try:
            yield
        finally:
            torch.backends.cudnn.deterministic = deterministic
