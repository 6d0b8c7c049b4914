"""Classifiers: what can be loaded, what is refused and why, and what their logits mean."""

from __future__ import annotations

import contextlib
import io
import math
import pickle
import sys
import urllib.error
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import auditor
from auditor import Classifier, Preprocess
from auditor.errors import ConfigurationError, ModelError
from auditor.geometry import IMAGENET_MEAN, IMAGENET_STD
from auditor.models import describe, downloads
from auditor.models.architectures import build, head_parameters, head_width, preset
from auditor.models.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from auditor.models.operators import torchvision
from tests.conftest import PREPROCESS, Project, seeded

SMALL = "squeezenet1_1"  # 0.7 million parameters, and a head that is a convolution
BATCHED = "shufflenet_v2_x0_5"  # with batch normalisation, and a linear head


def network(architecture: str, outputs: int) -> nn.Module:
    with seeded():
        return torchvision().models.get_model(architecture, num_classes=outputs).eval()


def names(count: int) -> str:
    return str([f"c{i}" for i in range(count)])


def lines(architecture: str = SMALL, classes: int = 5, checkpoint: str = "m.pt") -> str:
    return (
        f'architecture = "{architecture}"\ncheckpoint = "{checkpoint}"\nclasses = {names(classes)}'
        "\n[model.preprocess]\nresize = 64\ncrop = 64\n"
    )


IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def same_network(found: nn.Module, expected: nn.Module, images: Tensor = IMAGES) -> None:
    with torch.no_grad():
        torch.testing.assert_close(found(images), expected(images), rtol=0, atol=0)


# -- checkpoints that are read -------------------------------------------------------------


@pytest.mark.parametrize("architecture", [SMALL, BATCHED])
@pytest.mark.parametrize("outputs", [2, 5])
def test_a_plain_state_dict(load, tmp_path, architecture, outputs):
    expected = network(architecture, outputs)
    torch.save(expected.state_dict(), tmp_path / "m.pt")
    found = load(lines(architecture, outputs))
    same_network(found.module, expected)
    assert found.classes == tuple(f"c{i}" for i in range(outputs))
    assert not found.module.training
    assert found.origin["architecture"] == architecture
    assert found.origin["checkpoint"] == "m.pt"
    assert len(found.origin["checkpoint_sha256"]) == 64


def test_a_head_of_one_logit_for_two_classes(load, tmp_path):
    expected = network(SMALL, 1)
    torch.save(expected.state_dict(), tmp_path / "m.pt")
    found = load(lines(SMALL, 2))
    with torch.no_grad():
        single = expected(IMAGES)
        logits = found.logits(found.module(IMAGES))
    torch.testing.assert_close(logits, torch.cat([-single / 2, single / 2], dim=1))


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "module._orig_mod."])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict", "model"])
def test_what_trainers_wrap_around_a_state_dict(load, tmp_path, prefix, wrapper):
    expected = network(SMALL, 3)
    state: dict[str, Any] = {prefix + key: value for key, value in expected.state_dict().items()}
    saved = {wrapper: state, "epoch": 3, "optimizer": {"lr": 0.1}} if wrapper else state
    torch.save(saved, tmp_path / "m.pt")
    same_network(load(lines(classes=3)).module, expected)


def test_other_precisions_and_old_files(load, tmp_path):
    expected = network(BATCHED, 3)
    state = {
        key: value.double() if value.is_floating_point() else value
        for key, value in expected.state_dict().items()
        if not key.endswith("num_batches_tracked")  # which PyTorch before 0.4.1 did not write
    }
    torch.save(state, tmp_path / "m.pt", _use_new_zipfile_serialization=False)
    same_network(load(lines(BATCHED, 3)).module, expected)


def test_auditors_own_checkpoint_carries_everything(load, tmp_path):
    expected = network(BATCHED, 3)
    preprocess = Preprocess(
        resize=(72, 80),
        crop=64,
        mean=(0.1, 0.2, 0.3),
        std=(1, 2, 3),
        interpolation="nearest",
        pad=1,
    )
    checkpoint = Checkpoint(
        state=expected.state_dict(),
        architecture=BATCHED,
        classes=("b", "a", "c"),
        preprocess=preprocess,
        options={"transform_input": True},
        training={"epoch": 3, "seed": "0"},
    )
    write_checkpoint(tmp_path / "m.pt", checkpoint)
    read = read_checkpoint(tmp_path / "m.pt")
    assert read.state.keys() == checkpoint.state.keys()
    assert all(torch.equal(read.state[key], checkpoint.state[key]) for key in read.state)
    for name in ("architecture", "classes", "preprocess", "options", "training"):
        assert getattr(read, name) == getattr(checkpoint, name)

    found = load('checkpoint = "m.pt"')
    same_network(found.module, expected)
    assert (found.classes, found.preprocess) == (("b", "a", "c"), preprocess)
    assert found.module.transform_input is True
    assert found.origin["training"] == {"epoch": 3, "seed": "0"}
    # What the configuration says goes over what the checkpoint carries.
    changed = load('checkpoint = "m.pt"\n[model.preprocess]\ncrop = false\npad = 0\n')
    assert changed.preprocess == Preprocess(
        (72, 80), None, (0.1, 0.2, 0.3), (1, 2, 3), "nearest", 0
    )


def test_a_checkpoint_is_never_overwritten_and_leaves_no_part(tmp_path):
    checkpoint = Checkpoint({"w": torch.ones(1)}, preprocess=Preprocess())
    write_checkpoint(tmp_path / "new" / "m.pt", checkpoint)
    before = (tmp_path / "new" / "m.pt").read_bytes()
    with pytest.raises(ModelError, match=r"m\.pt: exists; choose another path"):
        write_checkpoint(tmp_path / "new" / "m.pt", checkpoint)
    assert (tmp_path / "new" / "m.pt").read_bytes() == before
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["m.pt"]


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"auditor_checkpoint": 2}, "checkpoint of version 2; this Auditor reads version 1"),
        ({"classes": None}, "is a damaged Auditor checkpoint (TypeError"),
        ({"preprocess": {}}, "is a damaged Auditor checkpoint (KeyError: 'resize')"),
        ({"state_dict": {"w": "text"}}, "its state_dict holds more than tensors"),
        ({"options": 3}, "is a damaged Auditor checkpoint (TypeError"),
    ],
)
def test_a_damaged_checkpoint_of_auditors_own(tmp_path, changes, cause):
    path = tmp_path / "m.pt"
    write_checkpoint(path, Checkpoint({"w": torch.ones(1)}, preprocess=Preprocess()))
    content = torch.load(path, weights_only=True)
    torch.save(content | changes, path)
    with pytest.raises(ModelError) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert cause in str(caught.value)


def test_other_interpolations_than_pillows_are_refused(tmp_path):
    path = tmp_path / "m.pt"
    write_checkpoint(path, Checkpoint({}, preprocess=Preprocess(interpolation="magic")))
    with pytest.raises(ModelError, match="interpolation is 'magic'"):
        read_checkpoint(path)


# -- files that are refused ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "classes"), [(SMALL, 3), (SMALL, 7), (BATCHED, 2), (BATCHED, 12)]
)
def test_a_class_list_of_the_wrong_length(refusal, tmp_path, architecture, classes):
    torch.save(network(architecture, 5).state_dict(), tmp_path / "m.pt")
    message = refusal(lines(architecture, classes))
    assert message.startswith(f"{tmp_path / 'm.pt'}: its head has 5 classes, but {classes} are")
    assert "Give model.classes all of them" in message


def test_a_checkpoint_of_another_architecture(refusal, tmp_path):
    torch.save(network(BATCHED, 2).state_dict(), tmp_path / "m.pt")
    message = refusal(lines(SMALL, 2))
    assert message.startswith(f"{tmp_path / 'm.pt'}: is not a checkpoint of {SMALL}: ")
    assert "tensors missing, such as 'features.0.weight'" in message
    assert "tensors unknown, such as 'conv1.0.weight'" in message
    assert "model.architecture" in message


def test_a_tensor_of_another_shape(refusal, tmp_path):
    state = network(SMALL, 2).state_dict()
    state["features.0.bias"] = torch.zeros(65)
    torch.save(state, tmp_path / "m.pt")
    assert (
        "1 tensors of another shape, such as 'features.0.bias' ((65,), not (64,)). Correct"
        in refusal(lines(SMALL, 2))
    )


def test_an_architecture_that_contradicts_the_checkpoint(refusal, tmp_path):
    write_checkpoint(
        tmp_path / "m.pt",
        Checkpoint({}, architecture=BATCHED, classes=("a", "b"), preprocess=Preprocess()),
    )
    message = refusal(f'architecture = "{SMALL}"\ncheckpoint = "m.pt"')
    assert f"holds a {BATCHED}, but model.architecture is '{SMALL}'" in message


def test_classes_in_another_order_than_the_checkpoints(refusal, tmp_path):
    write_checkpoint(
        tmp_path / "m.pt",
        Checkpoint({}, architecture=SMALL, classes=("a", "b"), preprocess=Preprocess()),
    )
    message = refusal('checkpoint = "m.pt"\nclasses = ["b", "a"]')
    assert "was trained on the classes ['a', 'b'], but model.classes is ['b', 'a']" in message


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (None, "no such file; correct model.checkpoint"),
        (b"", "cannot be read as a checkpoint"),
        (b"these are not weights\n", "may be damaged or of another program"),
        (b"hello", "may be damaged or of another program"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "is refused"),
    ],
)
def test_files_that_are_no_checkpoint(refusal, tmp_path, content, cause):
    if content is not None:
        (tmp_path / "m.pt").write_bytes(content)
    message = refusal(lines())
    assert message.startswith(f"{tmp_path / 'm.pt'}: ")
    assert cause in message
    assert "\n" not in message


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("kept", [0.01, 0.5, 0.999])
def test_a_truncated_checkpoint(refusal, tmp_path, new, kept):
    path = tmp_path / "m.pt"
    torch.save(network(SMALL, 5).state_dict(), path, _use_new_zipfile_serialization=new)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    message = refusal(lines())
    assert message.startswith(f"{path}: ")
    assert "may be damaged" in message or "no checkpoint at all" in message


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_damaged_checkpoint_never_raises_anything_else(tmp_path):
    state = {"conv.weight": torch.rand(2, 3), "bn.num_batches_tracked": torch.tensor(3)}
    path = tmp_path / "m.pt"
    random = np.random.default_rng(0)
    for new in (True, False):
        torch.save(state, path, _use_new_zipfile_serialization=new)
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(60):
            damaged = whole.copy()
            places = random.integers(0, len(whole), random.integers(1, 20))
            damaged[places] = random.integers(0, 256, len(places))
            path.write_bytes(damaged.tobytes())
            with contextlib.suppress(ModelError):
                read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ([1, 2], "holds a list, not a state dict"),
        (torch.ones(3), "holds a Tensor, not a state dict"),
        ({}, "holds a dict, not a state dict"),
        ({"epoch": 3}, "is no state dict, since 'epoch' is a int"),
        ({"net": {"w": torch.ones(1)}}, "is no state dict, since 'net' is a dict"),
    ],
)
def test_checkpoints_of_something_else(refusal, tmp_path, content, kind):
    torch.save(content, tmp_path / "m.pt")
    assert kind in refusal(lines())


class Malicious:
    """Unpickled, it would write a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.trace, "run")


def test_the_malicious_object_would_act_if_it_were_unpickled(tmp_path):
    pickle.loads(pickle.dumps(Malicious(tmp_path / "trace")))  # noqa: S301 - shows the danger
    assert (tmp_path / "trace").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "beside tensors", "in the wrapper"])
def test_a_malicious_checkpoint_is_refused_and_never_run(refusal, tmp_path, form):
    path, trace = tmp_path / "m.pt", tmp_path / "trace"
    bad: Any = Malicious(trace)
    if form == "pickle":
        path.write_bytes(pickle.dumps(bad))
    else:
        content = {"beside tensors": {"w": torch.ones(1), "x": bad}}.get(form, bad)
        content = {"state_dict": {"w": torch.ones(1)}, "x": bad} if "wrapper" in form else content
        torch.save(content, path, _use_new_zipfile_serialization=form != "legacy")
    message = refusal(lines())
    assert not trace.exists()
    assert message.startswith(f"{path}: is refused, because it holds pickled Python objects")
    assert "torch.save(model.state_dict(), path)" in message


def test_a_pickled_module_is_refused_with_the_remedy(refusal, tmp_path):
    torch.save(network(SMALL, 5), tmp_path / "m.pt")
    message = refusal(lines())
    assert "a whole module" in message
    assert "torch.save(model.state_dict(), path)" in message


# -- architectures -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "architecture",
    [
        "resnet50",
        "vgg16",
        "densenet121",
        "mobilenet_v2",
        "mobilenet_v3_small",
        "efficientnet_b0",
        "convnext_tiny",
        "shufflenet_v2_x0_5",
        "squeezenet1_1",
        "regnet_y_400mf",
        "vit_b_16",
        "swin_t",
        "maxvit_t",
        "mnasnet0_5",
        "alexnet",
        "resnext50_32x4d",
    ],
)
def test_the_head_of_an_architecture(architecture):
    # RegNet and MaxViT work with values while they are built; the others need none.
    device = "cpu" if architecture.startswith(("regnet", "maxvit")) else "meta"
    with torch.device(device):
        module = torchvision().models.get_model(architecture, num_classes=5)
    state = module.state_dict()
    assert head_width(architecture, state) == 5
    # Exactly the last weight (with its bias) belongs to the head.
    head = head_parameters(architecture, module)
    last = [name for name in state if name.rpartition(".")[0] == list(state)[-1].rpartition(".")[0]]
    assert head == set(last)


@pytest.mark.parametrize(
    ("architecture", "auxiliary"), [("inception_v3", "AuxLogits.fc"), ("googlenet", "aux2.fc2")]
)
def test_architectures_with_auxiliary_heads(architecture, auxiliary):
    def state(aux: bool) -> dict[str, Tensor]:
        with torch.device("meta"):
            return (
                torchvision()
                .models.get_model(architecture, num_classes=5, aux_logits=aux, init_weights=False)
                .state_dict()
            )

    with_aux, without = state(True), state(False)
    assert f"{auxiliary}.weight" in with_aux.keys() - without.keys()
    assert head_width(architecture, with_aux) == head_width(architecture, without) == 5
    assert head_parameters(architecture, without) == {"fc.weight", "fc.bias"}
    assert f"{auxiliary}.bias" in head_parameters(architecture, with_aux)
    # A fine-tuned main head beside an auxiliary one that kept ImageNet's classes.
    with_aux[f"{auxiliary}.weight"] = torch.empty(1000, 7, device="meta")
    assert head_width(architecture, with_aux) == 5
    # The network that is built has the heads that the state has.
    with torch.device("meta"):
        assert build(architecture, 5, with_aux).state_dict().keys() == with_aux.keys()
        assert build(architecture, 5, without).state_dict().keys() == without.keys()


def test_a_state_without_a_head(refusal, tmp_path):
    state = {k: v for k, v in network(BATCHED, 2).state_dict().items() if not k.startswith("fc")}
    assert head_width(BATCHED, state) is None
    torch.save(state, tmp_path / "m.pt")
    assert "2 tensors missing, such as 'fc.weight'" in refusal(lines(BATCHED, 2))


def test_every_architecture_has_a_preset():
    models = torchvision().models
    for name in models.list_models(module=models):
        found = preset(name)
        assert found.input_size is not None
        assert (found.mean, found.std) in [
            (IMAGENET_MEAN, IMAGENET_STD),
            ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),  # EfficientNetV2-L
        ]


@pytest.mark.parametrize(
    ("name", "near"),
    [("vgg61", "vgg16"), ("ResNet18", "resnet18"), ("squeezenet1.1", "squeezenet1_1")],
)
def test_an_unknown_architecture_with_near_names(refusal, name, near):
    message = refusal(f'architecture = "{name}"')
    assert f"model.architecture {name!r} is no torchvision classification model" in message
    assert near in message.split("did you mean ")[1]


def test_architectures_of_other_tasks_are_unknown(refusal):
    message = refusal('architecture = "fasterrcnn_resnet50_fpn"')
    assert "is no torchvision classification model" in message


def test_a_name_that_is_near_nothing_gets_the_list(refusal):
    assert "known: alexnet, convnext_base" in refusal('architecture = "qqqqqq"')


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "names no architecture, factory or file"),
        (f'architecture = "{SMALL}"', "gives neither checkpoint nor weights"),
    ],
)
def test_too_little_is_given(refusal, tmp_path, given, message):
    assert refusal(given).startswith(f"{tmp_path / 'audit.toml'}: [model] {message}")


def test_classes_that_nobody_names(refusal, tmp_path):
    torch.save(network(SMALL, 5).state_dict(), tmp_path / "m.pt")
    message = refusal(f'architecture = "{SMALL}"\ncheckpoint = "m.pt"')
    assert message.startswith(f"{tmp_path / 'audit.toml'}: model.classes is missing")


# -- published weights ---------------------------------------------------------------------


def test_weights_that_do_not_exist(refusal):
    message = refusal(f'architecture = "{SMALL}"\nweights = "IMAGENET1K_V9"')
    assert message == (
        f"model.weights 'IMAGENET1K_V9' does not exist for {SMALL}; it has IMAGENET1K_V1."
    )


def test_weights_that_cannot_be_downloaded(refusal, monkeypatch, tmp_path):
    def unreachable(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "urlopen", unreachable)
    monkeypatch.setattr(downloads, "urlopen", unreachable)
    monkeypatch.setattr(sys, "stderr", io.StringIO())  # torch announces the download
    message = refusal(f'architecture = "{SMALL}"\nweights = "IMAGENET1K_V1"')
    assert f"of {SMALL} could not be downloaded (<urlopen error no route to host>)" in message
    file = tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    assert f"copy the file to {file}" in message


def test_weights_from_the_cache(load, monkeypatch, tmp_path):
    expected = network(SMALL, 1000)
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.save(expected.state_dict(), cache / "squeezenet1_1-b8a52dc0.pth")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "urlopen", lambda *_, **__: pytest.fail("downloads"))
    monkeypatch.setattr(downloads, "urlopen", lambda *_, **__: pytest.fail("asks the network"))
    found = load(f'architecture = "{SMALL}"\nweights = "IMAGENET1K_V1"')
    same_network(found.module, expected)
    assert len(set(found.classes)) == len(found.classes) == 1000
    assert found.classes[:2] == ("tench", "goldfish")
    assert found.preprocess == Preprocess(256, 224)
    assert found.origin["weights"] == "IMAGENET1K_V1"


# -- factories -----------------------------------------------------------------------------

FACTORY = 'factory = "warmth:warmth"'


def test_a_factory_beside_the_configuration(project: Project):
    found = auditor.load_classifier(project.config)
    assert found.classes == ("warm", "cold")
    assert found.preprocess == Preprocess((32, 40), None, (0, 0, 0), (1, 1, 1))
    assert found.origin["factory"] == "warmth:warmth"
    assert len(found.origin["factory_sha256"]) == 64
    assert str(project.folder) not in sys.path
    # Red against blue, four times the difference of the means.
    image = np.asarray(Image.open(project.image(0)))[None].copy()
    with torch.no_grad():
        logits = found.logits(found.module(found.inputs(image)))
    torch.testing.assert_close(logits, torch.tensor([[4 * 200 / 255, 4 * 30 / 255]]))


def test_a_factory_with_a_checkpoint(project: Project):
    found = auditor.load_classifier(project.config).module
    state = {f"module.{key}": value + 1 for key, value in found.state_dict().items()}
    torch.save({"state_dict": state}, project.folder / "m.pt")
    project.replace(FACTORY, FACTORY + '\ncheckpoint = "m.pt"')
    loaded = auditor.load_classifier(project.config)
    torch.testing.assert_close(loaded.module.fc.weight, found.fc.weight + 1)
    assert loaded.origin["checkpoint"] == "m.pt"

    torch.save({"fc.weight": torch.zeros(2, 2)}, project.folder / "m.pt")
    with pytest.raises(ModelError, match="is not a checkpoint of warmth:warmth: 1 tensors missing"):
        auditor.load_classifier(project.config)


@pytest.mark.parametrize(
    ("factory", "code", "message"),
    [
        ("nowhere:f", None, "cannot be imported (No module named 'nowhere'); put nowhere beside"),
        ("made:absent", "x = 1", "made.py has no function 'absent'"),
        ("made:x", "x = 1", "made.py has no function 'x'"),
        ("made", "x = 1", 'write "package.module:function"'),
        (":f", "x = 1", 'write "package.module:function"'),
        ("made:f", "def f(): return 3", "returned a int; it must return a torch.nn.Module"),
        ("made:f", "def f(): pass", "returned a NoneType"),
        ("made:f", "import no_such_package", "(No module named 'no_such_package')"),
        ("made:f", "def f(:", "fails with SyntaxError"),
        ("made:f", "1 / 0", "fails with ZeroDivisionError: division by zero ("),
        ("made:f", "def f():\n    return {}['x']", "made.py, line 2)"),
        ("made:f", "def f(needed): pass", "fails with TypeError: f() missing 1 required"),
    ],
)
def test_factories_that_build_nothing(project: Project, factory, code, message):
    if code is not None:
        (project.folder / "made.py").write_text(code)
    project.replace("warmth:warmth", factory)
    with pytest.raises(ModelError) as caught:
        auditor.load_classifier(project.config)
    assert str(caught.value).startswith(f"{project.config}: model.factory ")
    assert message in str(caught.value)
    assert str(project.folder) not in sys.path


def test_a_factory_may_import_its_neighbours_when_it_is_called(project: Project):
    (project.folder / "made.py").write_text(
        "def f():\n    from warmth import warmth\n    return warmth()\n"
    )
    project.replace("warmth:warmth", "made:f")
    assert auditor.load_classifier(project.config).classes == ("warm", "cold")


@pytest.mark.parametrize("code", ["f = functools.partial(Warmth)", "class f(Warmth): pass"])
def test_other_callables_as_factories(project: Project, code):
    (project.folder / "made.py").write_text(f"import functools\nfrom warmth import Warmth\n{code}")
    project.replace("warmth:warmth", "made:f")
    found = auditor.load_classifier(project.config)
    assert len(found.origin["factory_sha256"]) == 64


def test_a_factory_of_the_same_name_in_another_folder_is_not_mistaken(
    project: Project, tmp_path_factory
):
    auditor.load_classifier(project.config)
    other = Project(tmp_path_factory.mktemp("other"))
    (other.folder / "warmth.py").write_text("def warmth(): pass")
    other.config.write_text(project.config.read_text())
    with pytest.raises(ModelError, match="another module called warmth is in use already"):
        auditor.load_classifier(other.config)


# -- exported programs ---------------------------------------------------------------------


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.ReLU(), nn.Dropout())
        self.fc = nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.features(images).mean((2, 3)))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path, Path]:
    """A module, its program with a dynamic batch, and one with a batch of two."""
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 8):
        pytest.skip("torch before 2.8 writes another layout, which is refused")
    folder = tmp_path_factory.mktemp("exported")
    with seeded():
        module, images = Tiny().eval(), torch.rand(2, 3, 32, 40)
    batch = torch.export.Dim("batch", min=1, max=1024)
    program = torch.export.export(module, (images,), dynamic_shapes=({0: batch},))
    torch.export.save(program, folder / "dynamic.pt2")
    torch.export.save(torch.export.export(module, (images,)), folder / "static.pt2")
    return module, folder / "dynamic.pt2", folder / "static.pt2"


def exported_lines(path: Path) -> str:
    return f'file = "{path}"\nclasses = ["a", "b"]\n{PREPROCESS}'


def test_an_exported_program_gives_the_modules_logits(load, exported):
    module, dynamic, _ = exported
    found = load(exported_lines(dynamic))
    same_network(found.module, module, torch.rand(5, 3, 32, 40))
    assert "features.1" in dict(found.module.named_modules())  # so maps can be made
    assert found.origin["file"] == "dynamic.pt2"
    assert len(found.origin["file_sha256"]) == 64


def test_an_exported_program_of_a_fixed_batch_is_refused(refusal, exported):
    message = refusal(exported_lines(exported[2]))
    assert "does not accept an input of (1, 3, 32, 40)" in message
    assert "export the model with a dynamic batch" in message


def torchscript(path: Path) -> None:
    torch.jit.trace(Tiny().eval(), torch.rand(1, 3, 32, 40)).save(str(path))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TorchScript's own
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (None, "no such file; correct model.file"),
        (lambda path: path.write_bytes(b"no program"), "(File is not a zip file)"),
        (lambda path: path.write_bytes(b""), "(File is not a zip file)"),
        (lambda path: torch.save({"w": torch.ones(1)}, path), "cannot be read as a torch.export"),
        (torchscript, "(it is TorchScript)"),
        (lambda path: path.mkdir(), "Is a directory"),
    ],
)
def test_other_files_as_exported_programs(refusal, tmp_path, write, reason, capfd):
    path = tmp_path / "m.pt2"
    if write:
        write(path)
    capfd.readouterr()
    message = refusal(exported_lines(path))
    assert message.startswith(f"{path}: ")
    assert reason in message
    assert "torch.export.save" in message or write is None
    assert "Traceback" not in capfd.readouterr().err  # torch.export logs its own


def rewritten(source: Path, target: Path, ends: str, content: bytes, new: str = "") -> None:
    """Copy an archive with one member's content replaced, or with a `new` one added."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as made:
        for name in old.namelist():
            replaced = not new and name.endswith(ends)
            made.writestr(name, content if replaced else old.read(name))
        if new:
            made.writestr(new, content)


def test_a_program_that_brings_pickled_code_never_runs_it(refusal, exported, tmp_path):
    path, trace = tmp_path / "m.pt2", tmp_path / "trace"
    buffer = io.BytesIO()
    torch.save((Malicious(trace),), buffer)
    rewritten(exported[1], path, "data/sample_inputs/model.pt", buffer.getvalue())
    message = refusal(exported_lines(path))
    assert not trace.exists()
    assert message.startswith(f"{path}: cannot be read as a torch.export program")


@pytest.mark.parametrize(
    "member", ["dynamic/data/constants/opaque_obj_0", "dynamic/data/aotinductor/model/lib.so"]
)
def test_a_program_that_brings_objects_or_libraries_is_refused(refusal, exported, tmp_path, member):
    path = tmp_path / "m.pt2"
    rewritten(exported[1], path, "", b"code", new=member)
    assert f"is refused, because {member} in it is code" in refusal(exported_lines(path))


# -- preprocessing -------------------------------------------------------------------------


def test_the_default_is_the_architectures_imagenet_preset(load, tmp_path):
    torch.save(network(BATCHED, 2).state_dict(), tmp_path / "m.pt")
    given = f'architecture = "{BATCHED}"\ncheckpoint = "m.pt"\nclasses = ["a", "b"]\n'
    assert load(given).preprocess == Preprocess(256, 224, IMAGENET_MEAN, IMAGENET_STD, "bilinear")
    changed = load(given + "[model.preprocess]\nresize = 80\ncrop = [64, 72]\n")
    assert changed.preprocess == Preprocess(80, (64, 72), IMAGENET_MEAN, IMAGENET_STD, "bilinear")
    assert changed.input_size == (64, 72)


@pytest.mark.parametrize(
    ("architecture", "expected"),
    # From torchvision's documentation of the IMAGENET1K_V1 weights.
    [
        ("resnet50", Preprocess(256, 224)),
        ("inception_v3", Preprocess(342, 299)),
        ("efficientnet_b1", Preprocess(256, 240, interpolation="bicubic")),
        ("swin_t", Preprocess(232, 224, interpolation="bicubic")),
        ("convnext_tiny", Preprocess(236, 224)),
        ("regnet_y_400mf", Preprocess(256, 224)),
    ],
)
def test_presets_of_imagenet1k_v1(architecture, expected):
    assert preset(architecture) == expected


def test_a_preset_of_other_weights():
    weights = torchvision().models.get_model_weights("resnet50")["IMAGENET1K_V2"]
    assert preset("resnet50", weights) == Preprocess(232, 224)


def test_preprocessing_without_one_input_size(refusal, tmp_path):
    torch.save(network(SMALL, 2).state_dict(), tmp_path / "m.pt")
    message = refusal(lines(SMALL, 2).replace("crop = 64", "crop = false"))
    assert message.startswith(f"{tmp_path / 'audit.toml'}: the preprocessing gives every image")


def test_mean_and_std_of_different_lengths_name_the_file(load, tmp_path):
    torch.save(network(SMALL, 2).state_dict(), tmp_path / "m.pt")
    with pytest.raises(ConfigurationError, match=r"audit\.toml: model\.preprocess: mean is"):
        load(lines(SMALL, 2) + "mean = [0.5]\n")


def test_an_input_that_the_model_cannot_take(refusal, project: Project, tmp_path):
    project.replace("resize = [32, 40]", "resize = [4, 4]")  # smaller than the kernel
    with pytest.raises(ModelError) as caught:
        auditor.load_classifier(project.config)
    message = str(caught.value)
    assert message.startswith(f"{project.config}: the model does not accept an input of (1, 3, 4")
    assert "Kernel size can't be greater than actual input size" in message
    assert "[model.preprocess]" in message


@pytest.mark.parametrize("channels", [3, 1])
def test_inputs_equal_torchvisions_to_tensor_and_normalize(channels):
    transforms = pytest.importorskip("torchvision.transforms")
    mean, std = IMAGENET_MEAN[:channels], IMAGENET_STD[:channels]
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 7, channels), dtype=np.uint8)
    before = pixels.copy()
    found = Classifier(nn.Identity(), ("a", "b"), Preprocess(crop=5, mean=mean, std=std)).inputs(
        pixels
    )
    steps = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])
    expected = torch.stack([steps(image) for image in pixels])
    assert torch.equal(found, expected)  # to the last bit
    assert found.is_contiguous()
    np.testing.assert_array_equal(pixels, before)


# -- logits and decisions ------------------------------------------------------------------


def two(threshold: float | None = None, classes: tuple[str, ...] = ("a", "b")) -> Classifier:
    return Classifier(nn.Identity(), classes, threshold=threshold)


def test_a_single_logit_is_a_symmetric_pair():
    output = torch.tensor([[3.0], [-1.0]], requires_grad=True)
    logits = two().logits(output)
    assert logits.tolist() == [[-1.5, 1.5], [0.5, -0.5]]
    assert two().logits(output[:, 0]).tolist() == logits.tolist()
    # The pair's softmax is the sigmoid that the single logit was trained with.
    torch.testing.assert_close(two().probabilities(logits)[:, 1], torch.sigmoid(output[:, 0]))
    logits[:, 1].sum().backward()
    assert output.grad.tolist() == [[0.5], [0.5]]


def test_two_logits_pass_unchanged_without_a_threshold():
    output = torch.tensor([[3.0, -1.0], [0.5, 0.75]])
    assert torch.equal(two().logits(output), output)
    assert two().logits(output.half()).dtype == torch.float32


@pytest.mark.parametrize("threshold", [0.01, 0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("single", [True, False])
def test_the_decision_flips_exactly_at_the_threshold(threshold, single):
    around = torch.tensor(
        [threshold * (1 - 1e-4), threshold * (1 + 1e-4) if threshold < 0.99 else 0.9995],
        dtype=torch.float64,
    )
    logit = torch.logit(around)[:, None]
    output = logit if single else torch.cat([1 - logit, torch.ones_like(logit)], dim=1)
    classifier = two(threshold)
    logits = classifier.logits(output)
    assert logits.argmax(1).tolist() == [0, 1]
    # The probabilities stay the model's own.
    torch.testing.assert_close(
        classifier.probabilities(logits)[:, 1].double(), around, rtol=1e-5, atol=0
    )


def test_the_shift_of_a_threshold_in_numbers():
    # log(0.8 / 0.2) = log 4, half of it to each side.
    logits = two(0.8).logits(torch.tensor([[0.0, 0.0]]))
    torch.testing.assert_close(logits, torch.tensor([[math.log(2), -math.log(2)]]))
    torch.testing.assert_close(two(0.8).probabilities(logits), torch.tensor([[0.5, 0.5]]))


@pytest.mark.parametrize(
    ("output", "classes", "message"),
    [
        ({"logits": 1}, 2, "the model returns a dict; it must return a tensor of logits"),
        ((torch.ones(2, 2),), 2, "the model returns a tuple"),
        (None, 2, "the model returns a NoneType"),
        (torch.ones(2, 3), 2, "gives (2, 3) outputs for a batch, but model.classes names 2: c0"),
        (torch.ones(2, 2), 3, "gives (2, 2) outputs for a batch, but model.classes names 3"),
        (torch.ones(2, 1), 3, "gives (2, 1) outputs for a batch, but model.classes names 3"),
        (torch.ones(3), 3, "gives (3,) outputs for a batch, but model.classes names 3"),
        (torch.ones(2, 2, 7, 7), 2, "gives (2, 2, 7, 7) outputs"),
        (torch.ones(()), 2, "gives () outputs for a batch"),
        (torch.ones(2, 2), 12, "c7 and 4 more"),
    ],
)
def test_outputs_that_are_no_logits(output, classes, message):
    classifier = two(classes=tuple(f"c{i}" for i in range(classes)))
    with pytest.raises(ModelError) as caught:
        classifier.logits(output)
    assert message in str(caught.value)


def test_an_output_with_logits_inside():
    class Answer:
        logits = torch.tensor([[1.0, 2.0]])

    assert two().logits(Answer()).tolist() == [[1, 2]]


def test_an_output_of_the_wrong_width_is_found_while_loading(project: Project):
    project.replace('classes = ["warm", "cold"]', 'classes = ["warm", "cold", "mild"]')
    with pytest.raises(ModelError) as caught:
        auditor.load_classifier(project.config)
    assert str(caught.value).startswith(f"{project.config}: the model gives (1, 2) outputs")
    assert "names 3: warm, cold, mild" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("a",)}, "name at least two, each once"),
        ({"classes": ("a", "b", "a")}, "name at least two, each once"),
        ({"classes": ("a", "b", "c"), "threshold": 0.5}, "a threshold decides between two"),
        ({"preprocess": Preprocess(resize=256, crop=None)}, "and a batch needs one"),
    ],
)
def test_classifiers_that_cannot_be(changes, message):
    with pytest.raises(ModelError, match=message):
        Classifier(**({"module": nn.Identity(), "classes": ("a", "b")} | changes))


def test_labels_that_the_model_does_not_know():
    classifier = two(classes=("doctor", "nurse"))
    classifier.check_labels(("doctor",), "d.csv")
    with pytest.raises(ModelError, match=r"d\.csv: the label 'x' is none of the model's classes"):
        classifier.check_labels(("doctor", "x"), "d.csv")
    with pytest.raises(ModelError, match="nor are 2 other labels"):
        classifier.check_labels(("x", "y", "z"), "d.csv")


def test_provenance_is_ready_for_json(project: Project):
    project.replace(FACTORY, FACTORY + "\nthreshold = 0.25")
    found = describe(auditor.load_classifier(project.config))
    assert found["classes"] == ["warm", "cold"]
    assert found["threshold"] == 0.25
    assert found["preprocess"] == {
        "resize": [32, 40],
        "crop": None,
        "mean": [0.0, 0.0, 0.0],
        "std": [1.0, 1.0, 1.0],
        "interpolation": "bilinear",
        "pad": 0,
    }
