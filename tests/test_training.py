"""The training loop and its augmentations, on networks of a few weights."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from auditor.configuration import FinetuneConfig
from auditor.errors import AuditorError, ConfigurationError, ModelError
from auditor.geometry import Preprocess
from auditor.models import Classifier
from auditor.pipeline import training
from auditor.pipeline.augmentation import AUGMENTATIONS, erase, flip, light, shift
from auditor.pipeline.training import Epoch, Trained, train
from tests.conftest import seeded

COUNT, SIDE = 24, 8
LABELS = np.arange(COUNT) % 2
TRAINING, VALIDATION = np.arange(16), np.arange(16, COUNT)
SETTINGS = FinetuneConfig(epochs=4, batch_size=6, learning_rate=0.01, augment=("flip", "erase"))
PLAIN = Preprocess(resize=None, crop=SIDE, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def pictures() -> np.ndarray:
    images = np.random.default_rng(0).integers(0, 150, (COUNT, SIDE, SIDE, 3)).astype(np.uint8)
    images[LABELS == 1, :, :, 0] += 60
    return images


PICTURES = pictures()


def network() -> nn.Module:
    """Everything whose state must survive an interruption: batch statistics and dropout."""
    with seeded():
        return nn.Sequential(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(16, 2),
        )


def classifier(module: nn.Module | None = None, classes: tuple[str, ...] = ("a", "b")):
    return Classifier(module or network(), classes, PLAIN)


def trained(settings: FinetuneConfig = SETTINGS, **options: Any) -> Trained:
    options = {"validation": VALIDATION, "classifier": classifier()} | options
    return train(
        options.pop("classifier"),
        options.pop("pixels", lambda positions: PICTURES[positions]),
        options.pop("labels", LABELS),
        options.pop("training", TRAINING),
        options.pop("validation"),
        settings,
        **options,
    )


def same(one: Trained, other: Trained) -> bool:
    assert one.state.keys() == other.state.keys()
    return all(torch.equal(one.state[key], other.state[key]) for key in one.state)


# -- the same again ------------------------------------------------------------------------


def test_the_seed_alone_decides_and_nothing_outside_is_disturbed():
    first = trained()
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 - the global state is what is tested
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    second = trained()
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert same(first, second)
    assert first.epochs == second.epochs
    assert not same(first, trained(replace(SETTINGS, seed=1)))


def test_the_module_ends_with_the_weights_kept_in_eval_mode(monkeypatch):
    script = iter([0.5, 0.8, 0.7, 0.6])
    monkeypatch.setattr(training._Loop, "measure", lambda _loop: (next(script), 0.5, None))
    made = classifier()
    result = trained(classifier=made)
    assert result.kept.number == 2
    for name, tensor in made.module.state_dict().items():
        assert torch.equal(tensor, result.state[name])
    assert not made.module.training
    assert all(parameter.requires_grad for parameter in made.module.parameters())


# -- interrupted ---------------------------------------------------------------------------


def interrupted(state: Path, after: int, settings: FinetuneConfig = SETTINGS, **options: Any):
    """Train, and stop in the first batch of the epoch that follows epoch `after`."""

    def stop(done: int, _total: int) -> None:
        if done > after * COUNT:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(settings, state=state, progress=stop, **options)


@pytest.mark.parametrize("after", [1, 3])
def test_going_on_comes_to_the_very_weights_of_an_uninterrupted_training(tmp_path, after):
    state = tmp_path / "m.pt.training"
    interrupted(state, after)
    told: list[str] = []
    reported: list[Epoch] = []
    done: list[tuple[int, int]] = []
    torch.rand(7)  # what comes between must not matter
    again = trained(
        state=state,
        note=told.append,
        report=reported.append,
        progress=lambda *counts: done.append(counts),
    )
    straight = trained()
    assert same(again, straight)
    assert again.epochs == straight.epochs
    assert told[0] == f"Continuing after epoch {after} of 4"
    assert [epoch.number for epoch in reported] == list(range(after + 1, 5))
    assert done[0] == (after * COUNT, 4 * COUNT)
    assert done[-1] == (4 * COUNT, 4 * COUNT)
    assert [file.name for file in tmp_path.iterdir()] == ["m.pt.training"]


def test_an_interruption_before_the_first_epoch_ends_leaves_nothing(tmp_path):
    interrupted(tmp_path / "state", 0)
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_had_finished_is_not_trained_further(tmp_path):
    first = trained(state=tmp_path / "state")

    def refuse(_positions: np.ndarray) -> np.ndarray:
        raise AssertionError("nothing is left to do")

    assert same(trained(state=tmp_path / "state", pixels=refuse), first)


def test_the_state_is_not_pickled(tmp_path):
    trained(state=tmp_path / "state")
    content = torch.load(tmp_path / "state", weights_only=True)
    assert content["auditor_training"] == 1
    assert [epoch["number"] for epoch in content["epochs"]] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"settings": replace(SETTINGS, epochs=5, seed=1)}, "finetune.epochs, finetune.seed"),
        ({"training": np.arange(15)}, "split"),
        ({"labels": 1 - LABELS}, "split"),
        ({"groups": np.arange(COUNT) % 3}, "split"),
        ({"identity": {"dataset": "other"}}, "dataset"),
        ({"classifier": classifier(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)))}, "weights"),
    ],
)
def test_a_state_of_other_inputs_is_refused_and_kept(tmp_path, change, what):
    state = tmp_path / "m.pt.training"
    interrupted(state, 1, identity={"dataset": "this"})
    before = state.read_bytes()
    with pytest.raises(AuditorError) as refusal:
        trained(
            change.pop("settings", SETTINGS),
            **({"state": state, "identity": {"dataset": "this"}} | change),
        )
    what = what.replace("weights", "weights to start from")
    assert str(refusal.value) == (
        f"{state}: is an interrupted training of other inputs (different: {what}). Restore the "
        "inputs, give another --out, or start over with --fresh, which throws it away."
    )
    assert state.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_a_state_that_cannot_be_read(tmp_path, content):
    state = tmp_path / "state"
    if content is None:
        torch.save({"something": "else"}, state)
    else:
        state.write_bytes(content)
    with pytest.raises(AuditorError, match=re.escape(f"{state}: cannot be read as the state of ")):
        trained(state=state)


# -- which epoch ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measured", "patience", "kept", "trained_for"),
    [
        ([(0.5, 9.0), (0.8, 0.6), (0.8, 0.5), (0.7, 0.1)], 0, 3, 4),  # a tie, the lower loss
        ([(0.8, 0.5), (0.8, 0.5), (0.8, 0.6), (0.8, 0.5)], 0, 1, 4),  # all equal, the first
        ([(0.8, 0.5), (0.7, 0.5), (0.8, 0.6), (0.9, 0.1)], 2, 1, 3),
        ([(0.8, 0.5), (0.7, 0.5), (0.8, 0.4), (0.7, 0.1)], 2, 3, 4),
        ([(0.8, 0.5), (0.7, 0.5), (0.9, 0.4), (0.9, 0.3)], 1, 1, 2),
    ],
)
def test_the_epoch_that_is_kept_and_when_training_stops(
    monkeypatch, measured, patience, kept, trained_for
):
    script = iter(measured)
    monkeypatch.setattr(training._Loop, "measure", lambda _loop: (*next(script), None))
    made = classifier()
    states: list[dict[str, torch.Tensor]] = []
    told: list[str] = []

    def report(_epoch: Epoch) -> None:
        states.append({key: value.clone() for key, value in made.module.state_dict().items()})

    settings = replace(SETTINGS, patience=patience)
    result = trained(settings, classifier=made, report=report, note=told.append)
    assert result.kept == result.epochs[kept - 1]
    assert result.kept.number == kept
    assert len(result.epochs) == trained_for
    for key, value in result.state.items():
        assert torch.equal(value, states[kept - 1][key])
    assert told == (
        []
        if trained_for == 4
        else [
            f"Stopped after epoch {trained_for} of 4: none of the last {patience} was better than "
            f"epoch {kept}"
        ]
    )


def test_an_early_stop_stays_one_when_the_training_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(training._Loop, "measure", lambda _loop: (0.5, 0.5, None))
    settings = replace(SETTINGS, patience=1)
    first = trained(settings, state=tmp_path / "state")
    assert len(first.epochs) == 2
    again = trained(settings, state=tmp_path / "state")
    assert again.epochs == first.epochs
    assert same(again, first)


def test_without_validation_images_the_last_epoch_is_kept():
    result = trained(replace(SETTINGS, patience=1), validation=np.empty(0, np.int64))
    assert len(result.epochs) == 4
    assert result.kept is result.epochs[-1]
    assert result.kept.accuracy is None
    assert result.kept.validation_loss is None


class Red(nn.Module):
    """Logits (0, 10 × weight × mean red), the weight 1."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        red = images[:, 0].mean((1, 2)) * self.weight
        return torch.stack([torch.zeros_like(red), 10 * red], 1)


def test_the_measure_is_the_mean_over_the_groups():
    # Six images, black (0, "a" by the tie) or with red 255 (10, "b"), and what they are.
    black = np.array([1, 1, 1, 0, 0, 0], bool)
    labels = np.array([0, 0, 1, 1, 0, 1])
    groups = np.array([0, 0, 0, 0, 1, 1])
    images = np.zeros((6, SIDE, SIDE, 3), np.uint8)
    images[~black, :, :, 0] = 255
    every = np.arange(6)
    settings = FinetuneConfig(epochs=1, batch_size=4, learning_rate=1e-30, augment=())

    def measured(**options: Any) -> Epoch:
        return train(
            classifier(Red()), lambda p: images[p], labels, every, every, settings, **options
        ).kept

    half, right, wrong = np.log(2), np.log1p(np.exp(-10)), np.log1p(np.exp(10))
    assert measured().accuracy == pytest.approx(4 / 6)
    assert measured().validation_loss == pytest.approx((3 * half + 2 * right + wrong) / 6)
    grouped = measured(groups=groups)
    assert grouped.accuracy == pytest.approx((3 / 4 + 1 / 2) / 2)
    expected = ((3 * half + right) / 4 + (wrong + right) / 2) / 2
    assert grouped.validation_loss == pytest.approx(expected)
    # Training images are never grouped, and the weights did not move.
    assert grouped.loss == pytest.approx((3 * half + 2 * right + wrong) / 6)


# -- what is trained -----------------------------------------------------------------------


def test_only_the_named_parameters_change_and_batch_statistics_stay():
    made = classifier()
    before = {key: value.clone() for key, value in made.module.state_dict().items()}
    result = trained(classifier=made, trained={"6.weight", "6.bias"})
    changed = {key for key in before if not torch.equal(before[key], result.state[key])}
    assert changed == {"6.weight", "6.bias"}
    assert all(parameter.requires_grad for parameter in made.module.parameters())


def test_every_epoch_takes_every_image_once_in_batches_of_nearly_one_size():
    taken: list[list[int]] = []

    def pixels(positions: np.ndarray) -> np.ndarray:
        taken.append(positions.tolist())
        return PICTURES[positions]

    settings = replace(SETTINGS, epochs=2, batch_size=5)
    trained(settings, pixels=pixels, validation=VALIDATION[:0])
    assert [len(batch) for batch in taken] == [4, 4, 4, 4] * 2
    first, second = np.concatenate(taken[:4]), np.concatenate(taken[4:])
    assert sorted(first) == sorted(second) == TRAINING.tolist()
    assert first.tolist() != second.tolist()


def test_an_epoch_takes_what_is_drawn():
    taken: list[int] = []

    def pixels(positions: np.ndarray) -> np.ndarray:
        taken.extend(positions.tolist())
        return PICTURES[positions]

    order = np.array([3, 3, 2, 0] * 4)
    settings = replace(SETTINGS, epochs=1)
    trained(settings, pixels=pixels, draw=lambda _g: order, validation=VALIDATION[:0])
    assert taken == order.tolist()


def test_batches_prepared_ahead_are_the_same():
    def batches(device: str) -> list[tuple[list[int], np.ndarray]]:
        loop = training._Loop(
            classifier(),
            lambda positions: PICTURES[positions],
            LABELS,
            TRAINING,
            VALIDATION,
            SETTINGS,
            lambda generator: generator.permutation(TRAINING),
            LABELS[VALIDATION],
            whole=True,
            progress=lambda *_: None,
        )
        loop.device = SimpleNamespace(type=device)
        return [(b.tolist(), images) for b, images in loop.batches(TRAINING, augmented=True)]

    for (one, images), (other, ahead) in zip(batches("cpu"), batches("cuda"), strict=True):
        assert one == other
        np.testing.assert_array_equal(images, ahead)


class Watched(nn.Module):
    """Notes what its linear layer computes in, training or not."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3 * SIDE * SIDE, 2)
        self.seen: set[tuple[bool, torch.dtype]] = set()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        output = self.fc(images.flatten(1))
        self.seen.add((self.training, output.dtype))
        return output


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("auto", torch.float32), ("full", torch.float32), ("mixed", torch.bfloat16)],
)
def test_precision_on_a_processor_and_measuring_in_full_precision(precision, dtype):
    module = Watched()
    result = trained(replace(SETTINGS, precision=precision), classifier=classifier(module))
    assert module.seen == {(True, dtype), (False, torch.float32)}
    assert {tensor.dtype for tensor in result.state.values()} == {torch.float32}


@pytest.mark.parametrize(
    ("precision", "supported", "expected"),
    [
        ("auto", True, torch.bfloat16),
        ("auto", False, torch.float16),
        ("mixed", False, torch.float16),
        ("full", True, None),
    ],
)
def test_precision_on_cuda(monkeypatch, precision, supported, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert training._mixed(torch.device("cuda"), precision) is expected


# -- what goes wrong -----------------------------------------------------------------------


class Exploding(Red):
    """Finite in the first epoch, and no longer afterwards."""

    calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += self.training
        return super().forward(images) * (torch.inf if self.calls > 3 else 1)


def test_a_loss_that_is_not_finite_stops_the_training_and_keeps_what_was(tmp_path):
    state = tmp_path / "state"
    reported: list[Epoch] = []
    with pytest.raises(ModelError) as error:
        trained(classifier=classifier(Exploding()), state=state, report=reported.append)
    assert re.fullmatch(
        r"the loss is nan in epoch 2, at a learning rate of 0\.0\d+: the training has diverged\. "
        r"Lower finetune\.learning_rate, now 0\.01\.",
        str(error.value),
    )
    assert [epoch.number for epoch in reported] == [1]
    assert torch.load(state, weights_only=True)["epochs"][-1]["number"] == 1


def test_mixed_precision_is_named_where_the_loss_is_not_finite():
    with pytest.raises(ModelError, match=r', or set finetune\.precision = "full"\.$'):
        trained(replace(SETTINGS, precision="mixed"), classifier=classifier(Exploding()))


def dying(*alive: bool) -> nn.Module:
    """A network that ends in ReLUs, one a class, those that are not alive dead."""
    with seeded():
        module = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, len(alive)), nn.ReLU())
    with torch.no_grad():
        module[1].bias[:] = torch.where(torch.tensor(alive), 9.0, -1e6)
    return module


def test_a_class_whose_output_is_dead_is_warned_of_once():
    told: list[str] = []
    result = trained(
        classifier=classifier(dying(True, False, True), ("a", "b", "c")),
        labels=np.arange(COUNT) % 3,
        note=told.append,
    )
    assert [epoch.dead for epoch in result.epochs] == [("b",)] * 4
    assert told[0] == (
        "Warning: late in epoch 1, the network's output for b was the same number for every image, "
        "as a ReLU gives it that has died; if that stays so, another finetune.seed or a lower "
        "finetune.learning_rate may help"
    )
    assert len([text for text in told if "late in epoch" in text]) == 1


def test_a_network_whose_outputs_are_all_dead_is_stopped():
    reported: list[Epoch] = []
    with pytest.raises(ModelError) as error:
        trained(classifier=classifier(dying(False, False)), report=reported.append)
    assert reported == []
    assert str(error.value) == (
        "the network has ceased to learn: late in epoch 1, its outputs were the same numbers for "
        "every image, as ReLUs give that have died. Give another finetune.seed, a lower "
        "finetune.learning_rate than 0.01, or pretrained weights (model.weights, finetune.start)."
    )


def test_a_network_that_dies_in_the_middle_of_an_epoch_is_stopped_at_its_end():
    class Dying(Red):
        steps = 0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.steps += self.training
            return super().forward(images) * (self.steps <= 4 + 2)  # of four steps an epoch

    reported: list[Epoch] = []
    with pytest.raises(ModelError, match="ceased to learn: late in epoch 2"):
        trained(
            replace(SETTINGS, batch_size=4), classifier=classifier(Dying()), report=reported.append
        )
    assert [epoch.dead for epoch in reported] == [("a",)]


def test_a_network_that_lives_is_not_called_dead():
    assert [epoch.dead for epoch in trained().epochs] == [()] * 4


def test_a_network_that_sees_one_class_everywhere_is_warned_of_once():
    told: list[str] = []
    settings = replace(SETTINGS, learning_rate=1e-30)
    result = trained(settings, classifier=classifier(Red()), note=told.append)
    assert [epoch.only for epoch in result.epochs] == ["b"] * 4
    assert told[1:] == [
        "Warning: in epochs 1 and 2, every validation image was classified as b; if that stays so, "
        "another finetune.seed or a lower finetune.learning_rate may help"
    ]


@pytest.mark.parametrize("validation", [VALIDATION[VALIDATION % 2 == 1], VALIDATION[:0]])
def test_one_class_alone_to_validate_on_is_nothing_to_warn_of(validation):
    settings = replace(SETTINGS, learning_rate=1e-30)
    result = trained(settings, classifier=classifier(Red()), validation=validation)
    assert [epoch.only for epoch in result.epochs] == [None] * 4


def test_an_input_that_the_model_does_not_take():
    module = nn.Sequential(nn.Conv2d(3, 2, 9), nn.Flatten())
    with pytest.raises(ModelError) as error:
        trained(classifier=classifier(module))
    assert str(error.value).startswith("the model does not accept an input of (6, 3, 8, 8) (batch,")
    assert "Kernel size can't be greater than actual input size" in str(error.value)
    assert str(error.value).endswith(
        "Correct [model.preprocess], or raise finetune.batch_size, now 6."
    )


def test_an_augmentation_that_does_not_exist():
    with pytest.raises(ConfigurationError) as error:
        trained(replace(SETTINGS, augment=("flip", "spin")))
    assert str(error.value) == (
        "finetune.augment names 'spin', which is not known; choose from erase, flip, light, shift."
    )


# -- augmentations -------------------------------------------------------------------------


class Script:
    """A generator that gives what it is told to, in order."""

    def __init__(self, *answers: Any) -> None:
        self.answers = [np.asarray(answer) for answer in answers]

    def random(self, *_: Any) -> np.ndarray:
        return self.answers.pop(0)

    def integers(self, *_: Any, **__: Any) -> np.ndarray:
        return self.random()

    uniform = integers


def grey(*images: list[list[int]]) -> np.ndarray:
    return np.array(images, np.uint8)[..., None]


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_keeps_the_shape_repeats_itself_and_leaves_its_input(name):
    before = PICTURES.copy()
    first = AUGMENTATIONS[name](PICTURES, np.random.default_rng(3))
    assert first.shape == PICTURES.shape
    assert first.dtype == np.uint8
    assert not np.array_equal(first, PICTURES)
    np.testing.assert_array_equal(AUGMENTATIONS[name](PICTURES, np.random.default_rng(3)), first)
    assert not np.array_equal(AUGMENTATIONS[name](PICTURES, np.random.default_rng(4)), first)
    np.testing.assert_array_equal(PICTURES, before)


def test_flip_mirrors_left_to_right():
    images = grey([[1, 2], [3, 4]], [[5, 6], [7, 8]])
    flipped = flip(images, Script([0.4, 0.5]))
    np.testing.assert_array_equal(flipped, grey([[2, 1], [4, 3]], [[5, 6], [7, 8]]))


def test_shift_moves_down_and_right_and_repeats_the_edge():
    # 8 × 8 with 10 × row + column; one image one down, the other one to the left.
    square = (10 * np.arange(8)[:, None] + np.arange(8)).astype(np.uint8)
    moved = shift(np.stack([square, square])[..., None], Script([1, 0], [0, -1]))
    assert moved[0, :, 3, 0].tolist() == [3, 3, 13, 23, 33, 43, 53, 63]
    assert moved[0, 1, :, 0].tolist() == list(range(8))
    assert moved[1, 2, :, 0].tolist() == [21, 22, 23, 24, 25, 26, 27, 27]
    assert moved[1, :, 0, 0].tolist() == [1, 11, 21, 31, 41, 51, 61, 71]


def test_shift_goes_an_eighth_at_most():
    square = np.tile(np.arange(16, dtype=np.uint8), (200, 16, 1))[..., None]
    moved = shift(square, np.random.default_rng(0))[:, 8, 8, 0].astype(int) - 8
    assert set(moved) == {-2, -1, 0, 1, 2}


def test_light_scales_brightness_and_contrast_about_the_mean():
    images = grey([[40, 60], [80, 100]], [[0, 0], [200, 240]])
    # The means are 70 and 110: (x − mean) × contrast + mean × brightness.
    factors = [np.reshape([1.2, 1.25], (2, 1, 1, 1)), np.reshape([0.5, 1.2], (2, 1, 1, 1))]
    changed = light(images, Script(factors))
    np.testing.assert_array_equal(
        changed,
        grey(
            [[69, 79], [89, 99]],  # (−30, −10, 10, 30) × 0.5 + 84
            [[6, 6], [246, 255]],  # (−110, −110, 90, 130) × 1.2 + 137.5: 5.5, 245.5, 293.5
        ),
    )


def test_erase_paints_a_rectangle_in_the_mean_colour():
    images = np.zeros((2, 8, 4, 1), np.uint8)
    images[:, 4:] = 100
    # Rows: a quarter of 8, from 3 on; columns: half of 4, from 1 on. The second is spared.
    erased = erase(images, Script([0.1, 0.9], [0.25, 0.25], [3, 0], [0.5, 0.5], [1, 0]))
    expected = images[0, :, :, 0].copy()
    expected[3:5, 1:3] = 50
    np.testing.assert_array_equal(erased[0, :, :, 0], expected)
    np.testing.assert_array_equal(erased[1], images[1])
