"""`auditor finetune`: the split, the balance, the checkpoint, and what a person is told."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import auditor
from auditor.errors import DatasetError
from auditor.hashing import file_sha256
from auditor.models import downloads
from auditor.models.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from auditor.pipeline import finetuning, starting, training
from auditor.pipeline.balancing import sampled, subsampled
from auditor.pipeline.finetuning import balanced_over, finetune
from auditor.pipeline.splitting import split
from tests.conftest import COUNT, Outcome, Project

Call = Callable[..., Outcome]


class Small(nn.Module):
    """In place of torchvision's smallest network, of which a hundred would take minutes."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 8, 8), nn.BatchNorm2d(4), nn.Tanh(), nn.AdaptiveAvgPool2d(1)
        )
        self.fc = nn.Linear(4, outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(self.features(images).flatten(1))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "build", lambda _architecture, outputs: Small(outputs))
    monkeypatch.setattr(starting, "head_parameters", lambda *_: frozenset({"fc.weight", "fc.bias"}))


@pytest.fixture
def train(project: Project, small: None) -> Project:
    """The project of `conftest`, to train on: three images of each label and tone."""
    project.replace('factory = "warmth:warmth"', 'architecture = "shufflenet_v2_x0_5"')
    text = project.config.read_text(encoding="utf-8")
    options = "[finetune]\nepochs = 3\nbatch_size = 4\nvalidation = 0.34\nlearning_rate = 0.01\n"
    project.config.write_text(text + options, encoding="utf-8")
    return project


def call_finetune(call: Call, project: Project, *options: object) -> Outcome:
    return call("finetune", project.config, "--out", project.folder / "m.pt", *options)


def refused(outcome: Outcome, message: str) -> None:
    assert outcome.status == 2, outcome
    assert outcome.err.splitlines() == [f"auditor: {message}"]
    assert outcome.out == ""


def settings(project: Project, lines: str) -> None:
    project.replace("[finetune]\n", f"[finetune]\n{lines}\n")


def rewrite(project: Project, change: Callable[[int, dict[str, str]], dict[str, str]]) -> None:
    project.write_rows([row | change(number, row) for number, row in enumerate(project.rows())])


def checkpoint(project: Project) -> Checkpoint:
    return read_checkpoint(project.folder / "m.pt")


def files(project: Project) -> set[str]:
    return {path.name for path in project.folder.iterdir()}


# -- the whole way -------------------------------------------------------------------------


def test_what_is_written_is_what_audit_takes(auditor_cli: Call, project: Project):
    project.replace('factory = "warmth:warmth"', 'architecture = "shufflenet_v2_x0_5"')
    with project.config.open("a", encoding="utf-8") as file:
        file.write("[finetune]\nepochs = 1\nbatch_size = 4\nvalidation = 0.5\n")
    outcome = call_finetune(auditor_cli, project)
    assert outcome.status == 0, outcome.err
    first, wrote, audit_it = outcome.out.splitlines()
    assert re.fullmatch(r"epoch 1/1  loss \d\.\d+  validation accuracy \d+\.\d%", first)
    path = project.folder / "m.pt"
    assert re.fullmatch(
        rf"Wrote {re.escape(str(path))}, as it was after epoch 1 \(validation accuracy \S+%\)",
        wrote,
    )
    assert audit_it == (
        'To audit it, set [model] checkpoint = "m.pt" in a configuration beside it, and call '
        "auditor audit"
    )
    assert re.fullmatch(r"Training: 12 of 12 images, \S+ a second\n", outcome.err)
    project.replace('architecture = "shufflenet_v2_x0_5"', 'checkpoint = "m.pt"')
    classifier = auditor.load_classifier(project.config)
    assert classifier.classes == ("warm", "cold")
    assert classifier.origin["architecture"] == "shufflenet_v2_x0_5"
    assert classifier.origin["training"]["validation_images"] == 6
    run = auditor.audit(classifier, auditor.open_dataset(project.config), project.folder / "run")
    assert run.info["model"]["training"]["images"] == 6


def test_the_checkpoint_says_how_it_came_about(auditor_cli: Call, train: Project):
    settings(train, 'augment = ["flip", "light"]\npatience = 3')
    assert call_finetune(auditor_cli, train).status == 0
    written = checkpoint(train)
    assert written.architecture == "shufflenet_v2_x0_5"
    assert written.classes == ("warm", "cold")
    assert written.preprocess is not None
    assert (written.preprocess.resize, written.preprocess.crop) == ((32, 40), None)
    told = json.loads(json.dumps(dict(written.training)))  # a run's provenance is JSON
    assert told.pop("versions")["torch"] == torch.__version__
    assert told.pop("hardware")["device"] == "cpu"
    kept = told.pop("epoch")
    assert kept in (1, 2, 3)
    assert 0 <= told.pop("validation_accuracy") <= 1
    assert told.pop("validation_loss") > 0
    counts = told.pop("groups")
    assert list(counts) == ["tone"]
    assert {label: sum(values.values()) for label, values in counts["tone"].items()} == {
        label: count["training"] for label, count in told["classes"].items()
    }
    classes = told.pop("classes")
    assert sum(count["training"] for count in classes.values()) == 7
    assert sum(count["validation"] for count in classes.values()) == 5
    assert told == {
        "start": None,
        "start_sha256": None,
        "trunk": "whole",
        "epochs": 3,
        "epochs_trained": 3,
        "learning_rate": 0.01,
        "batch_size": 4,
        "validation": 0.34,
        "seed": 0,
        "augment": ["flip", "light"],
        "precision": "auto",
        "patience": 3,
        "balance": None,
        "balance_by": "sampling",
        "configuration_sha256": file_sha256(train.config),
        "dataset": auditor.open_dataset(train.config).fingerprint(),
        "images": 7,
        "validation_images": 5,
        "balanced_groups": {},
    }


def test_the_same_command_gives_the_same_weights(auditor_cli: Call, train: Project):
    states = []
    for _ in range(2):
        torch.rand(5)
        assert call_finetune(auditor_cli, train).status == 0
        states.append(checkpoint(train).state)
        (train.folder / "m.pt").unlink()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_an_output_that_exists_is_not_touched(auditor_cli: Call, train: Project):
    path = train.folder / "m.pt"
    path.write_text("mine")
    for options in ([], ["--fresh"]):
        refused(
            call_finetune(auditor_cli, train, *options),
            f"{path}: exists; choose another --out or remove it.",
        )
    assert path.read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_found_before_training(
    auditor_cli: Call, train: Project, monkeypatch: pytest.MonkeyPatch
):
    (train.folder / "file").touch()
    monkeypatch.setattr(finetuning, "train", lambda *_, **__: pytest.fail("trained"))
    out = train.folder / "file" / "m.pt"
    outcome = auditor_cli("finetune", train.config, "--out", out)
    assert outcome.status == 2
    assert outcome.err == (
        f"auditor: {out}: cannot be written, since {train.folder / 'file'} is no folder; give "
        "another path.\n"
    )


def test_a_device_that_is_not_there(auditor_cli: Call, train: Project):
    outcome = call_finetune(auditor_cli, train, "--device", "gpu")
    assert outcome.status == 2
    assert re.match(r"auditor: --device 'gpu' cannot be used here \(.+\); give cpu,", outcome.err)


# -- where it starts -----------------------------------------------------------------------


def test_a_frozen_trunk_keeps_the_weights_it_started_from(auditor_cli: Call, train: Project):
    start = train.folder / "start.pt"
    given = Small(5)  # another head
    torch.save(given.state_dict(), start)
    settings(train, 'start = "start.pt"\ntrunk = "frozen"')
    assert call_finetune(auditor_cli, train).status == 0
    written = checkpoint(train)
    trunk = {k: v for k, v in given.state_dict().items() if not k.startswith("fc")}
    assert all(torch.equal(value, written.state[key]) for key, value in trunk.items())
    assert written.state["fc.weight"].shape == (2, 4)
    assert written.training["start"] == "start.pt"
    assert written.training["start_sha256"] == file_sha256(start)


def test_starting_from_a_checkpoint_of_its_own_takes_its_preprocessing(
    auditor_cli: Call, train: Project
):
    preprocess = auditor.Preprocess(resize=48, crop=40, mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 2.0))
    path = train.folder / "start.pt"
    write_checkpoint(path, Checkpoint(Small(2).state_dict(), preprocess=preprocess))
    text = train.config.read_text(encoding="utf-8")
    before, _, after = text.partition("[model.preprocess]")
    after = after[after.index("[finetune]") :]
    train.config.write_text(before + after, encoding="utf-8")
    settings(train, 'start = "start.pt"')
    assert call_finetune(auditor_cli, train).status == 0
    assert checkpoint(train).preprocess == preprocess


def test_a_start_that_is_not_there(auditor_cli: Call, train: Project):
    settings(train, 'start = "none.pt"')
    path = train.folder / "none.pt"
    refused(call_finetune(auditor_cli, train), f"{path}: no such file; correct finetune.start.")


def test_a_start_of_another_network(auditor_cli: Call, train: Project):
    path = train.folder / "start.pt"
    torch.save(nn.Linear(2, 2).state_dict(), path)
    settings(train, 'start = "start.pt"')
    refused(
        call_finetune(auditor_cli, train),
        f"{path}: is not a checkpoint of shufflenet_v2_x0_5: 6 tensors do not fit, such as "
        "'features.0.weight'. Correct finetune.start or model.architecture.",
    )


def test_two_starts(auditor_cli: Call, train: Project):
    settings(train, 'start = "start.pt"')
    train.replace("classes = [", 'weights = "IMAGENET1K_V1"\nclasses = [')
    refused(
        call_finetune(auditor_cli, train),
        f"{train.config}: gives both finetune.start and model.weights; keep one of them.",
    )


def test_published_weights_without_a_connection(
    auditor_cli: Call, train: Project, monkeypatch: pytest.MonkeyPatch
):
    def unreachable(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(train.folder / "hub"))
    monkeypatch.setattr(torch.hub, "urlopen", unreachable)
    monkeypatch.setattr(downloads, "urlopen", unreachable)
    train.replace("classes = [", 'weights = "IMAGENET1K_V1"\nclasses = [')
    outcome = call_finetune(auditor_cli, train)
    file = train.folder / "hub" / "checkpoints" / "shufflenetv2_x0.5-f707e7126e.pth"
    assert outcome.status == 2
    assert outcome.err.splitlines()[-1] == (
        "auditor: model.weights 'IMAGENET1K_V1' of shufflenet_v2_x0_5 could not be downloaded (no "
        f"route to host). On a machine without a connection, copy the file to {file}, or give a "
        "local state dict: to audit as model.checkpoint with model.classes, to fine-tune as "
        "finetune.start."
    )


def test_no_architecture(auditor_cli: Call, train: Project):
    train.replace('architecture = "shufflenet_v2_x0_5"\n', "")
    refused(
        call_finetune(auditor_cli, train),
        f"{train.config}: [model] architecture is missing; fine-tuning needs it.",
    )


# -- interrupted ---------------------------------------------------------------------------


def stop_in(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Ctrl-C in the first batch of epoch `number`."""
    step = training._Loop.step

    def stopping(loop: Any, *given: Any) -> Any:
        if len(loop.epochs) == number - 1:
            raise KeyboardInterrupt
        return step(loop, *given)

    monkeypatch.setattr(training._Loop, "step", stopping)


def test_an_interrupted_training_goes_on_to_the_same_weights(auditor_cli: Call, train: Project):
    assert call_finetune(auditor_cli, train).status == 0
    straight = checkpoint(train)
    (train.folder / "m.pt").unlink()
    before = files(train)
    with pytest.MonkeyPatch.context() as patch:
        stop_in(patch, 3)
        outcome = call_finetune(auditor_cli, train)
    assert outcome.status == 130
    assert outcome.err.splitlines()[-1] == (
        "auditor: interrupted; what was finished is kept (an audit keeps every 256 cases, a "
        "training every epoch, a study every network), and the same command goes on from there."
    )
    assert files(train) - before == {"m.pt.training"}

    outcome = call_finetune(auditor_cli, train)
    assert outcome.status == 0, outcome.err
    first, second, *_ = outcome.out.splitlines()
    assert first == "Continuing after epoch 2 of 3"
    assert second.startswith("epoch 3/3  ")
    again = checkpoint(train)
    assert all(torch.equal(straight.state[key], again.state[key]) for key in straight.state)
    assert straight.training == again.training
    assert files(train) - before == {"m.pt"}


def test_a_changed_configuration_does_not_go_on_but_fresh_starts_over(
    auditor_cli: Call, train: Project
):
    with pytest.MonkeyPatch.context() as patch:
        stop_in(patch, 2)
        assert call_finetune(auditor_cli, train).status == 130
    train.replace("epochs = 3", "epochs = 2")
    state = train.folder / "m.pt.training"
    kept = state.read_bytes()
    refused(
        call_finetune(auditor_cli, train),
        f"{state}: is an interrupted training of other inputs (different: "
        "finetune.epochs). Restore the inputs, give another --out, or start over with --fresh, "
        "which throws it away.",
    )
    assert state.read_bytes() == kept
    outcome = call_finetune(auditor_cli, train, "--fresh")
    assert outcome.status == 0
    assert outcome.out.startswith("epoch 1/2  ")
    assert "m.pt.training" not in files(train)


def test_a_changed_dataset_does_not_go_on(auditor_cli: Call, train: Project):
    with pytest.MonkeyPatch.context() as patch:
        stop_in(patch, 2)
        assert call_finetune(auditor_cli, train).status == 130
    rewrite(train, lambda number, _row: {"tone": "grey" if number == 0 else "dark"})
    outcome = call_finetune(auditor_cli, train)
    assert outcome.status == 2
    assert "m.pt.training: is an interrupted training of other inputs (different: dataset)" in (
        outcome.err
    )


# -- the split -----------------------------------------------------------------------------


def cells(**counts: int) -> np.ndarray:
    return np.repeat([f"the class {name!r}" for name in counts], list(counts.values()))


def counted(part: np.ndarray, names: np.ndarray) -> dict[str, int]:
    return {str(name): int((names[part] == name).sum()) for name in np.unique(names)}


def test_a_split_is_stratified_and_the_seed_decides():
    names = cells(a=40, b=20)
    training, validation = split(names, None, 0.25, 0)
    assert counted(training, names) == {"the class 'a'": 30, "the class 'b'": 15}
    assert counted(validation, names) == {"the class 'a'": 10, "the class 'b'": 5}
    assert sorted([*training, *validation]) == list(range(60))
    np.testing.assert_array_equal(split(names, None, 0.25, 0)[1], validation)
    assert split(names, None, 0.25, 1)[1].tolist() != validation.tolist()


@pytest.mark.parametrize(("share", "images"), [(0.25, 15), (0.75, 45), (0.5, 30)])
def test_a_split_keeps_clusters_whole(share, images):
    names = cells(a=40, b=20)
    clusters = np.array([f"person {number // 5}" for number in range(60)])
    training, validation = split(names, clusters, share, 0)
    assert sorted([*training, *validation]) == list(range(60))
    assert not set(clusters[training]) & set(clusters[validation])
    assert set(names[training]) == set(names[validation]) == set(names)
    assert abs(len(validation) - images) <= 5  # a cluster


def test_images_without_a_cluster_belong_to_nobody():
    clusters = np.array([""] * 30 + ["one"] * 15 + ["two"] * 15)
    training, validation = split(cells(a=30, b=30), clusters, 0.5, 0)
    assert np.isin(np.arange(30), training).any()
    assert np.isin(np.arange(30), validation).any()
    assert {"one", "two"} & set(clusters[training]) != {"one", "two"} & set(clusters[validation])


@pytest.mark.parametrize("seed", range(8))
def test_a_rare_class_is_in_both_parts_of_a_split_by_cluster(seed):
    # Two people only have images of b; most folds of five lack it.
    names = cells(a=50, b=4)
    clusters = np.array([f"p{number // 2}" for number in range(54)])
    training, validation = split(names, clusters, 0.2, seed)
    assert set(names[training]) == set(names[validation]) == set(names)


@pytest.mark.parametrize(
    ("names", "clusters", "share", "message"),
    [
        (
            cells(a=9, b=1),
            None,
            0.2,
            "the class 'b' has 1 image, too few to train on and to validate on; add images of it, "
            "or leave it out.",
        ),
        (
            cells(a=9, b=3),
            ["x", "y", "z"] * 3 + ["w"] * 3,
            0.2,
            "the class 'b' has 3 images, all of one cluster, which cannot be in both parts of a "
            "split; add images of other clusters, or leave it out.",
        ),
        (
            cells(a=98, b=2),
            None,
            0.1,
            "the class 'b' has 2 images, and a split with finetune.validation = 0.1 leaves none "
            "to validate on; add images of it, or bring finetune.validation nearer to 0.5.",
        ),
        (
            cells(a=6, b=6),
            None,
            0.05,
            "12 images cannot be split with finetune.validation = 0.05 so that both parts hold one "
            "of each of 2 (The test_size = 1 should be greater or equal to the number of classes = "
            "2); bring finetune.validation nearer to 0.5, or add images.",
        ),
        (
            # Both classes belong to the same two people, and c to one of them and a third.
            cells(a=2, b=2, c=2),
            ["x", "y", "y", "z", "z", "x"],
            0.34,
            "the class 'a' has 2 images, and a split that keeps clusters whole with "
            "finetune.validation = 0.34 leaves none to validate on; add images of it, or bring "
            "finetune.validation nearer to 0.5.",
        ),
    ],
)
def test_a_split_that_cannot_be(names, clusters, share, message):
    with pytest.raises(DatasetError) as error:
        split(names, None if clusters is None else np.array(clusters), share, 0)
    letters = re.compile(r"(?<=the class ')\w")
    if clusters is not None and "keeps clusters" in message:
        # Which class is left out is the seed's choice.
        assert letters.sub("?", str(error.value)).replace("train on", "validate on") == (
            letters.sub("?", message)
        )
    else:
        assert str(error.value) == message


def test_a_class_with_too_few_images(auditor_cli: Call, train: Project):
    rewrite(train, lambda number, _row: {"label": "cold" if number else "warm"})
    refused(
        call_finetune(auditor_cli, train),
        f"{train.manifest}: the class 'warm' has 1 image, too few to train on and to validate on; "
        "add images of it, or leave it out.",
    )


def test_a_class_without_images(auditor_cli: Call, train: Project):
    train.replace('classes = ["warm", "cold"]', 'classes = ["warm", "cool", "cold"]')
    refused(
        call_finetune(auditor_cli, train),
        f"{train.manifest}: has no image of the class 'cool', which model.classes names; add "
        "images of it, or take it out of model.classes.",
    )


def test_clusters_of_the_dataset_are_kept_whole(train: Project, monkeypatch: pytest.MonkeyPatch):
    rewrite(train, lambda number, _row: {"person": f"p{number // 3}"})
    train.replace('attributes = ["tone"]', 'attributes = ["tone"]\ncluster = "person"')
    taken = []

    def instead(_classifier: Any, _pixels: Any, _labels: Any, *parts: Any, **_: Any) -> None:
        taken.extend(parts[:2])
        raise KeyboardInterrupt

    monkeypatch.setattr(finetuning, "train", instead)
    config = auditor.read_config(train.config)
    with pytest.raises(KeyboardInterrupt):
        finetune(config, auditor.open_dataset(config), train.folder / "m.pt")
    owners = [set(part // 3) for part in taken]
    assert not owners[0] & owners[1]
    assert owners[0] | owners[1] == {0, 1, 2, 3}


# -- balance -------------------------------------------------------------------------------

# Of 20 images with the label 0, 15 are "m" and 5 "w"; of 7 with the label 1, 1 and 6.
LABELS = np.repeat([0, 1], [20, 7])
VALUES = np.repeat(["m", "w", "m", "w"], [15, 5, 1, 6])


def test_sampling_keeps_the_class_sizes_and_shares_them_equally():
    draw = sampled(np.arange(27), LABELS, VALUES)
    generator = np.random.default_rng(0)
    first, second = draw(generator), draw(generator)
    for epoch in (first, second):
        times = np.bincount(epoch, minlength=27)
        assert len(epoch) == 27
        assert times[:15].sum() == 10
        assert times[:15].max() == 1  # ten of fifteen, none twice
        assert times[15:20].tolist() == [2] * 5  # each as often as any other
        assert times[20] == 4  # one image for four: 7 shared by 2, and the first gets more
        assert times[21:].sum() == 3
        assert times[21:].max() == 1
    assert first.tolist() != second.tolist()
    assert set(first[first < 15]) != set(second[second < 15])
    assert draw(np.random.default_rng(0)).tolist() == first.tolist()


def test_sampling_takes_only_what_is_to_be_trained_on():
    some = np.array([0, 1, 2, 15, 16, 20, 21, 22])
    epoch = sampled(some, LABELS, VALUES)(np.random.default_rng(0))
    assert set(epoch) <= set(some)
    assert len(epoch) == 8


def test_subsampling_leaves_every_group_the_smallest_ones_size():
    some = np.r_[0:19, 20:27]
    values = np.where(np.arange(27) == 21, "m", VALUES)  # two images of 1 and "m"
    kept = subsampled(some, LABELS, values, 0)
    assert kept.tolist() == sorted(set(kept) & set(some))
    assert [
        int(((LABELS[kept] == label) & (values[kept] == value)).sum())
        for label in (0, 1)
        for value in ("m", "w")
    ] == [2, 2, 2, 2]
    assert subsampled(some, LABELS, values, 0).tolist() == kept.tolist()
    assert subsampled(some, LABELS, values, 1).tolist() != kept.tolist()


def skewed(project: Project) -> None:
    """Of both labels 4 images: 6 of the 8 as the cue has it, and of each cell 2 at least."""
    # warm: dark 4, light 2; cold: dark 2, light 4
    dark = {0, 2, 4, 6, 1, 3}
    rewrite(project, lambda number, _row: {"tone": "dark" if number in dark else "light"})
    project.replace("validation = 0.34", "validation = 0.5")


def test_balancing_by_sampling(auditor_cli: Call, train: Project):
    skewed(train)
    outcome = call_finetune(auditor_cli, train, "--balance", "tone")
    assert outcome.status == 0, outcome.err
    first, epoch, *_ = outcome.out.splitlines()
    assert first == (
        "Balanced over tone by sampling: warm × dark 2 → 2, warm × light 1 → 1, "
        "cold × dark 1 → 2, cold × light 2 → 1"
    )
    assert epoch.endswith("% (mean over label × tone)")
    told = checkpoint(train).training
    assert told["balance"] == "tone"
    assert told["groups"] == {
        "tone": {"warm": {"dark": 2, "light": 1}, "cold": {"dark": 1, "light": 2}}
    }
    assert told["balanced_groups"] == {
        "tone": {"warm": {"dark": 2, "light": 1}, "cold": {"dark": 2, "light": 1}}
    }
    assert (told["images"], told["validation_images"]) == (6, 6)


def test_balancing_by_subsampling(auditor_cli: Call, train: Project):
    skewed(train)
    settings(train, 'balance = "tone"\nbalance_by = "subsampling"')
    outcome = call_finetune(auditor_cli, train)
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith(
        "Balanced over tone by subsampling: warm × dark 2 → 1, warm × light 1 → 1, "
        "cold × dark 1 → 1, cold × light 2 → 1\n"
    )
    told = checkpoint(train).training
    assert told["groups"]["tone"] == {
        "warm": {"dark": 2, "light": 1},
        "cold": {"dark": 1, "light": 2},
    }
    assert told["balanced_groups"]["tone"] == {
        label: {"dark": 1, "light": 1} for label in ("warm", "cold")
    }
    assert (told["images"], told["validation_images"]) == (4, 6)


def test_an_epoch_of_a_balanced_training_is_what_its_counts_say(
    train: Project, monkeypatch: pytest.MonkeyPatch
):
    skewed(train)
    taken: list[int] = []
    step = training._Loop.step

    def watched(loop: Any, batch: np.ndarray, images: Any) -> Any:
        taken.extend(batch.tolist())
        return step(loop, batch, images)

    monkeypatch.setattr(training._Loop, "step", watched)
    config = balanced_over(auditor.read_config(train.config), "tone")
    dataset = auditor.open_dataset(config)
    finetune(config, dataset, train.folder / "m.pt")
    told = checkpoint(train).training
    for epoch in np.split(np.array(taken), 3):
        rows = dataset.cases.iloc[epoch]
        for label, values in told["balanced_groups"]["tone"].items():
            for value, count in values.items():
                cell = (rows["label"] == label) & (rows["attribute.tone"] == value)
                assert cell.sum() == count


def test_a_balanced_training_is_measured_over_label_and_attribute(
    train: Project, monkeypatch: pytest.MonkeyPatch
):
    given: dict[str, Any] = {}

    def instead(*_: Any, **options: Any) -> None:
        given.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(finetuning, "train", instead)
    config = balanced_over(auditor.read_config(train.config), "tone")
    dataset = auditor.open_dataset(config)
    with pytest.raises(KeyboardInterrupt):
        finetune(config, dataset, train.folder / "m.pt")
    cases = dataset.cases
    cells = list(zip(cases["label"], cases["attribute.tone"], given["groups"], strict=True))
    assert len(set(cells)) == len({group for *_, group in cells}) == 4


def test_an_attribute_that_the_configuration_leaves_out_is_read(auditor_cli: Call, train: Project):
    train.replace('attributes = ["tone"]\n', "")
    assert call_finetune(auditor_cli, train, "--balance", "tone").status == 0
    assert list(checkpoint(train).training["groups"]) == ["tone"]


def test_every_configured_attribute_is_counted_with_what_is_missing(
    auditor_cli: Call, train: Project
):
    rewrite(train, lambda number, _row: {"site": "" if number < 2 else "x"})
    train.replace('attributes = ["tone"]', 'attributes = ["tone", "site"]')
    assert call_finetune(auditor_cli, train).status == 0
    told = checkpoint(train).training
    assert list(told["groups"]) == ["tone", "site"]
    for label, values in told["groups"]["site"].items():
        assert set(values) <= {"", "x"}
        assert sum(values.values()) == told["classes"][label]["training"]


@pytest.mark.parametrize(
    ("change", "attribute", "message"),
    [
        (
            {"tone": "dark"},
            "tone",
            "tone is 'dark' for all 12 images, so there is nothing to balance; choose another "
            "attribute, or train without --balance.",
        ),
        (
            {"tone": lambda number: "" if number in (4, 5) else "dark"},
            "tone",
            "2 of 12 images have no tone, the first in row 5, and cannot be balanced over it; fill "
            "it in, or leave those rows out.",
        ),
        (
            {"tone": lambda number: "grey" if number in (1, 3) else "dark"},
            "tone",
            "no image of the class 'warm' has tone 'grey', so the classes cannot be balanced over "
            "tone; add such images, or leave that value's rows out.",
        ),
        (
            {"tone": lambda number: "grey" if number in (0, 1, 3) else "dark"},
            "tone",
            "the class 'warm' with tone 'grey' has 1 image, too few to train on and to validate "
            "on; add images of it, or leave it out.",
        ),
        (
            {},
            "tune",
            "has no column 'tune'; it has 'id', 'image', 'label', 'tone', 'region.coat', "
            "'region.face'. Rename one, or map it: [dataset.columns] tune = \"...\".",
        ),
    ],
)
def test_attributes_that_cannot_be_balanced_over(
    auditor_cli: Call, train: Project, change, attribute, message
):
    rewrite(
        train,
        lambda number, _row: {k: v(number) if callable(v) else v for k, v in change.items()},
    )
    outcome = call_finetune(auditor_cli, train, "--balance", attribute)
    refused(outcome, f"{train.manifest}: {message}")
    assert not {"m.pt", "m.pt.training"} & files(train)


def test_an_attribute_that_the_dataset_was_opened_without(train: Project):
    config = auditor.read_config(train.config)
    with pytest.raises(DatasetError) as error:
        finetune(balanced_over(config, "site"), auditor.open_dataset(config), train.folder / "m.pt")
    assert str(error.value) == (
        f"{train.manifest}: was opened without the attribute 'site' to balance over (with: tone); "
        "name it in dataset.attributes."
    )


# -- what else a person is told ------------------------------------------------------------


def test_an_image_that_cannot_be_read(auditor_cli: Call, train: Project):
    train.image(3).write_bytes(b"")
    outcome = call_finetune(auditor_cli, train)
    assert outcome.status == 2
    message = outcome.err.splitlines()[-1]
    assert message.startswith(f"auditor: {train.image(3)}: cannot be decoded: ")
    assert message.endswith(". Replace the file, or leave its row out.")


def test_the_label_is_nothing_to_balance_over(auditor_cli: Call, train: Project):
    refused(
        call_finetune(auditor_cli, train, "--balance", "label"),
        f"{train.config}: 'label' is the label, which cannot be balanced over itself; give an "
        "attribute (--balance, finetune.balance).",
    )


def test_unknown_names_are_told_with_their_file(auditor_cli: Call, train: Project):
    text = train.config.read_text()
    train.config.write_text(text.replace("[finetune]", '[finetune]\naugment = ["rotate"]'))
    refused(
        call_finetune(auditor_cli, train),
        f"{train.config}: finetune.augment names 'rotate', which is not known; choose from erase, "
        "flip, light, shift.",
    )
    train.config.write_text(text.replace('architecture = "', 'architecture = "x'))
    outcome = call_finetune(auditor_cli, train)
    assert outcome.status == 2
    assert outcome.err.startswith(f"auditor: {train.config}: model.architecture 'x")


def test_missing_images_are_told_before_training(auditor_cli: Call, train: Project):
    for number in (3, 5):
        train.image(number).unlink()
    refused(
        call_finetune(auditor_cli, train),
        f"{train.image(3)}: no such file; 2 of 12 images are missing. Correct the paths or "
        "dataset.image_root, or leave those rows out.",
    )
    assert not {"m.pt", "m.pt.training"} & files(train)


def test_a_comment_does_not_keep_a_training_from_going_on(auditor_cli: Call, train: Project):
    with pytest.MonkeyPatch.context() as patch:
        stop_in(patch, 2)
        assert call_finetune(auditor_cli, train).status == 130
    train.config.write_text(train.config.read_text() + "# a comment\n")
    outcome = call_finetune(auditor_cli, train)
    assert outcome.status == 0
    assert "Continuing after epoch 1 of 3" in outcome.out


def test_a_training_that_diverges(auditor_cli: Call, train: Project):
    train.replace("std = [1.0, 1.0, 1.0]", "std = [1e-44, 1.0, 1.0]")
    outcome = call_finetune(auditor_cli, train)
    assert outcome.status == 2
    assert re.fullmatch(
        r"auditor: the loss is nan in epoch 1, at a learning rate of \S+: the training has "
        r"diverged\. Lower finetune\.learning_rate, now 0\.01\.",
        outcome.err.splitlines()[-1],
    )


@pytest.mark.parametrize("alive", [1.0, 0.0])
def test_dead_outputs_are_told(
    auditor_cli: Call, train: Project, monkeypatch: pytest.MonkeyPatch, alive: float
):
    class Dead(Small):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images) * torch.tensor([alive, 0.0])

    monkeypatch.setattr(starting, "build", lambda _architecture, outputs: Dead(outputs))
    outcome = call_finetune(auditor_cli, train)
    if alive:
        assert outcome.status == 0
        assert outcome.out.splitlines()[1].startswith(
            "Warning: late in epoch 1, the network's output for cold was the same number"
        )
    else:
        assert outcome.status == 2
        assert "auditor: the network has ceased to learn: late in epoch 1" in outcome.err
        assert not {"m.pt", "m.pt.training"} & files(train)


def test_an_early_stop_is_told(auditor_cli: Call, train: Project, monkeypatch):
    settings(train, "patience = 1")
    monkeypatch.setattr(training._Loop, "measure", lambda _loop: (0.5, 0.5, None))
    outcome = call_finetune(auditor_cli, train)
    assert outcome.out.splitlines()[2] == (
        "Stopped after epoch 2 of 3: none of the last 1 was better than epoch 1"
    )
    assert checkpoint(train).training["epoch"] == 1
    assert checkpoint(train).training["epochs_trained"] == 2


def test_lines_stand_below_the_bar_in_a_terminal(
    auditor_cli: Call, train: Project, monkeypatch: pytest.MonkeyPatch
):
    class Terminal:
        def isatty(self) -> bool:
            return True

        def write(self, _text: str) -> int:
            return 0

        def flush(self) -> None:
            pass

    monkeypatch.setattr(sys, "stderr", Terminal())
    outcome = call_finetune(auditor_cli, train)
    assert re.match(r"\nepoch 1/3  [^\n]+\n\nepoch 2/3  ", outcome.out)


def test_training_sees_all_images_and_no_other(train: Project, monkeypatch: pytest.MonkeyPatch):
    seen: set[Path] = set()
    read = finetuning.read_image
    monkeypatch.setattr(finetuning, "read_image", lambda path: (seen.add(path), read(path))[1])
    config = auditor.read_config(train.config)
    finetune(config, auditor.open_dataset(config), train.folder / "m.pt")
    assert seen == {train.image(number) for number in range(COUNT)}
