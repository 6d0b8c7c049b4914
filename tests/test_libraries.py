"""Classifiers of other libraries: timm, Transformers, and torchvision's transformers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import auditor
from auditor import Classifier, Preprocess
from auditor.cam import find_layer, gradcam, inspected
from auditor.cam.leaf import forward
from auditor.errors import ConfigurationError
from auditor.models import describe
from auditor.models.operators import torchvision
from tests.conftest import Project, seeded

WHY = "an optional extra: pip install 'auditor[timm,transformers]'"
PICTURE = Image.fromarray(
    np.random.default_rng(1).integers(0, 256, (9, 13, 3)).astype(np.uint8)
).resize((97, 71), Image.Resampling.BICUBIC)
SMALL = "[model.preprocess]\nresize = [64, 64]\ncrop = false\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n"


def follows(classifier: Classifier) -> tuple[str, tuple[int, int]]:
    """The automatic layer, having seen that a bright blob is where the map answers.

    Another stimulus than `find_layer` verifies with: a blob on grey, in four corners, and the
    centre of the raw maps' change, which has to move with it.
    """
    height, width = classifier.input_size
    layer = find_layer(classifier.module, classifier.logits, (3, height, width))
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(1, 3, height, width, generator=generator).mul(0.1).repeat(5, 1, 1, 1)
    blob = torch.randn(3, height // 2, width // 2, generator=generator) * 3
    corners = [(0, 0), (0, 1), (1, 0), (1, 1)]
    for image, (row, column) in zip(images[1:], corners, strict=True):
        top, left = row * height // 2, column * width // 2
        image[:, top : top + height // 2, left : left + width // 2] += blob
    change = torch.zeros(4, *layer.grid)
    with inspected(classifier.module) as module:
        run = forward(module, layer.name, images)
        with torch.enable_grad():
            scores = classifier.logits(run.output).sum(0)
        for score in scores:  # every class, since one may be dead
            maps = gradcam(layer.spatial(run.leaf.detach()), layer.spatial(run.gradient(score)))
            change += (maps[1:] - maps[:1]) ** 2
    rows, columns = (torch.arange(side).float() for side in layer.grid)
    down = ((change.sum(2) * rows).sum(1) / change.sum((1, 2))).view(2, 2)
    along = ((change.sum(1) * columns).sum(1) / change.sum((1, 2))).view(2, 2)
    assert (down[1] > down[0]).all(), (layer, down)
    assert (along[:, 1] > along[:, 0]).all(), (layer, along)
    assert layer.follows is not None
    assert layer.follows >= 0.5
    return layer.name, layer.grid


# -- torchvision's transformers -------------------------------------------------------------


def small_vit() -> nn.Module:
    found: nn.Module = torchvision().models.VisionTransformer(64, 8, 3, 2, 32, 64, num_classes=3)
    nn.init.normal_(found.heads.head.weight)  # torchvision starts it at zero
    return found


@pytest.mark.parametrize(
    ("build", "size", "layer", "grid"),
    [
        (small_vit, 64, "encoder.layers.encoder_layer_2.ln_1", (8, 8)),
        (
            lambda: torchvision().models.get_model("swin_t", weights=None, num_classes=3),
            96,
            "norm",
            (3, 3),
        ),
    ],
    ids=["vit", "swin_t"],
)
def test_maps_of_torchvisions_transformers_follow_a_moved_stimulus(
    build: Callable[[], nn.Module], size: int, layer: str, grid: tuple[int, int]
) -> None:
    with seeded():
        module = build().eval()
    preprocess = Preprocess(resize=(size, size), crop=None)
    assert follows(Classifier(module, ("a", "b", "c"), preprocess)) == (layer, grid)


class SequenceFirst(nn.Module):
    """A vision transformer whose blocks take [tokens, batch, channels], as OpenAI's CLIP does."""

    def __init__(self) -> None:
        super().__init__()
        self.cut = nn.Conv2d(3, 16, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.places = nn.Parameter(torch.randn(65, 1, 16) * 0.1)
        self.norm = nn.LayerNorm(16)
        self.attention = nn.MultiheadAttention(16, 2)
        self.fc = nn.Linear(16, 3)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.cut(images).flatten(2).permute(2, 0, 1)
        tokens = torch.cat([self.token.expand(-1, tokens.shape[1], -1), tokens]) + self.places
        tokens = self.norm(tokens)
        return self.fc((tokens + self.attention(tokens, tokens, tokens)[0])[0])


def test_a_transformer_that_puts_tokens_first() -> None:
    with seeded():
        module = SequenceFirst().eval()
    classifier = Classifier(module, ("a", "b", "c"), Preprocess(resize=(64, 64), crop=None))
    assert follows(classifier) == ("norm", (8, 8))
    layer = find_layer(module, classifier.logits, (3, 64, 64))
    assert (layer.layout, layer.prefix) == ("LND", 1)
    output = torch.randn(65, 2, 16)
    torch.testing.assert_close(layer.placed(layer.spatial(output), output), output)


# -- dispatch -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["keras/vgg16", "timm/", "/resnet18"])
def test_an_unknown_library_is_refused(refusal, name):
    told = refusal(f'architecture = "{name}"')
    assert "timm/<model>" in told
    assert name in told


def test_prompts_need_a_text_encoder(refusal):
    for name in ("resnet18", "timm/resnet10t"):
        told = refusal(f'architecture = "{name}"\nclasses = ["a", "b"]\n[model.prompts]')
        assert f"{name} has no text encoder" in told


@pytest.mark.parametrize(
    ("package", "lines", "extra"),
    [
        ("timm", 'architecture = "timm/resnet10t"', "timm"),
        ("transformers", 'architecture = "transformers/here"', "transformers"),
        ("open_clip", 'architecture = "open_clip/RN50"', "clip"),
        ("safetensors.torch", 'architecture = "resnet18"\ncheckpoint = "m.safetensors"', "timm"),
    ],
)
def test_a_missing_extra_names_the_command(refusal, monkeypatch, package, lines, extra):
    monkeypatch.setitem(sys.modules, package, None)
    told = refusal(lines)
    assert f"pip install 'auditor[{extra}]'" in told


# -- timm -----------------------------------------------------------------------------------


def timm_model(name: str, classes: int = 3) -> nn.Module:
    timm = pytest.importorskip("timm", reason=WHY)
    with seeded():
        model: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes)
    return model.eval()


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_timm_from_a_local_file(load, tmp_path, suffix):
    expected = timm_model("test_resnet")
    if suffix == "pt":
        torch.save({"state_dict": expected.state_dict()}, tmp_path / "m.pt")
    else:
        files = pytest.importorskip("safetensors.torch", reason=WHY)
        files.save_file(expected.state_dict(), tmp_path / "m.safetensors")
    found = load(
        f'architecture = "timm/test_resnet"\ncheckpoint = "m.{suffix}"\nclasses = ["a", "b", "c"]'
    )
    images = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(found.module(images), expected(images), rtol=0, atol=0)
    assert found.origin["architecture"] == "timm/test_resnet"
    assert found.origin["library"].startswith("timm ")
    assert len(found.origin["checkpoint_sha256"]) == 64
    assert describe(found)["classes"] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "name", ["resnet10t", "test_vit", "test_vit4", "test_convnext", "test_efficientnet"]
)
def test_timms_own_preprocessing(load, tmp_path, name):
    timm = pytest.importorskip("timm", reason=WHY)
    model = timm_model(name, 2)
    torch.save(model.state_dict(), tmp_path / "m.pt")
    found = load(f'architecture = "timm/{name}"\ncheckpoint = "m.pt"\nclasses = ["a", "b"]')
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    ours = found.inputs(found.preprocess.pixels(PICTURE)[None].copy())[0]
    torch.testing.assert_close(ours, transform(PICTURE), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "layer"),
    [("test_vit", "blocks.5.norm1"), ("test_resnet", "layer4"), ("test_mambaout", "stages")],
)
def test_maps_of_timm_models_follow_a_moved_stimulus(load, tmp_path, name, layer):
    torch.save(timm_model(name).state_dict(), tmp_path / "m.pt")
    found = load(f'architecture = "timm/{name}"\ncheckpoint = "m.pt"\nclasses = ["a", "b", "c"]')
    assert follows(found)[0] == layer


def test_timm_with_one_logit_for_two_classes(load, tmp_path):
    torch.save(timm_model("test_resnet", 1).state_dict(), tmp_path / "m.pt")
    lines = 'architecture = "timm/test_resnet"\ncheckpoint = "m.pt"\nclasses = ["a", "b"]'
    assert load(lines).module(torch.zeros(1, 3, 160, 160)).shape == (1, 1)


def test_what_timm_refuses(load, refusal, tmp_path):
    torch.save(timm_model("test_resnet").state_dict(), tmp_path / "m.pt")
    start = 'checkpoint = "m.pt"\narchitecture = '
    told = refusal(f'{start}"timm/test_resnet"\nclasses = ["a", "b"]')
    assert "its head has 3 classes, but 2 are named" in told
    assert "did you mean timm/resnet50" in refusal(f'{start}"timm/resnet5O"')
    told = refusal(f'{start}"timm/test_convnext"\nclasses = ["a", "b", "c"]')
    assert "is not a checkpoint of timm/test_convnext" in told
    assert "untrained" in refusal('architecture = "timm/test_resnet"')
    assert "model.classes is missing" in refusal(f'{start}"timm/test_resnet"')
    (tmp_path / "m.safetensors").write_bytes(b"no header")
    told = refusal('checkpoint = "m.safetensors"\narchitecture = "timm/test_resnet"')
    assert "cannot be read as safetensors" in told


def test_timm_offline_names_the_local_way(refusal):
    pytest.importorskip("timm", reason=WHY)
    told = refusal('architecture = "timm/resnet10t"\nweights = "default"')
    assert "could not be loaded" in told
    assert "model.checkpoint" in told
    told = refusal('architecture = "timm/resnet10t"\nweights = "nothing"')
    assert "Its tags are: c3_in1k" in told


def test_timms_download_brings_classes(load, monkeypatch):
    timm = pytest.importorskip("timm", reason=WHY)
    own = timm.create_model
    monkeypatch.setattr(  # what a download would do, but for the weights
        timm, "create_model", lambda name, pretrained: own(name, pretrained=not pretrained)
    )
    found = load('architecture = "timm/test_resnet"\nweights = "default"')
    assert found.classes[0] == "n01440764"
    assert len(found.classes) == 1000
    assert found.origin["weights"] == "default"


# -- Transformers ---------------------------------------------------------------------------


def configs() -> dict[str, Any]:
    tf = pytest.importorskip("transformers", reason=WHY)
    names = {0: "doctor", 1: "nurse", 2: "guard"}
    given = {"id2label": names, "label2id": {name: key for key, name in names.items()}}
    tiny = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
    return {
        "vit": tf.ViTConfig(**tiny, intermediate_size=64, image_size=64, patch_size=8, **given),
        "swin": tf.SwinConfig(
            embed_dim=16,
            depths=[2, 2],
            num_heads=[2, 2],
            window_size=4,
            image_size=64,
            patch_size=4,
            **given,
        ),
        "convnext": tf.ConvNextConfig(
            hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1], image_size=64, **given
        ),
        "resnet": tf.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1], **given
        ),
    }


def saved(folder: Path, kind: str = "vit", processor: dict[str, Any] | None = None) -> nn.Module:
    """A small random model, saved as its library saves it, and the model itself."""
    config = configs()[kind]
    tf = pytest.importorskip("transformers", reason=WHY)
    with seeded():
        model: nn.Module = tf.AutoModelForImageClassification.from_config(config).eval()
    model.save_pretrained(folder)
    size = {"height": 64, "width": 64}
    told = {"image_processor_type": "ViTImageProcessor", "size": size} | (processor or {})
    (folder / "preprocessor_config.json").write_text(json.dumps(told), encoding="utf-8")
    return model


@pytest.mark.parametrize(
    ("kind", "layer", "grid"),
    [
        ("vit", "vit.layers.2.layernorm_before", (8, 8)),
        ("swin", "swin.layernorm", (8, 8)),
        ("convnext", "convnext.encoder.stages.3", (2, 2)),
        ("resnet", "resnet.encoder.stages.3", (2, 2)),
    ],
)
def test_transformers_from_a_local_folder(load, tmp_path, kind, layer, grid):
    expected = saved(tmp_path / "here", kind)
    found = load('architecture = "transformers/here"')
    assert found.classes == ("doctor", "nurse", "guard")
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = found.logits(found.module(images))
        torch.testing.assert_close(ours, expected(images).logits, rtol=0, atol=0)
    assert found.preprocess.mean == (0.5, 0.5, 0.5)
    assert found.origin["library"].startswith("transformers ")
    assert list(found.origin["files_sha256"]) == ["model.safetensors"]
    assert follows(found) == (layer, grid)


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        ({"resample": 3}, {"resize": (64, 64), "crop": None, "interpolation": "bicubic"}),
        (
            {
                "image_processor_type": "CLIPImageProcessor",
                "size": {"shortest_edge": 70},
                "crop_size": {"height": 64, "width": 64},
            },
            {"resize": 70, "crop": (64, 64), "interpolation": "bicubic"},
        ),
        (
            {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 64}},
            {"resize": 73, "crop": (64, 64), "interpolation": "bicubic"},
        ),
        ({"do_normalize": False}, {"mean": (0, 0, 0), "std": (1, 1, 1)}),
        (
            {"rescale_factor": 1 / 127.5, "image_mean": [1, 1, 1], "image_std": [1, 1, 1]},
            {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
        ),
    ],
)
def test_image_processors_are_taken_over(load, tmp_path, processor, expected):
    saved(tmp_path / "here", processor=processor)
    found = load('architecture = "transformers/here"').preprocess
    for name, value in expected.items():
        if isinstance(value, tuple) and name in ("mean", "std"):
            np.testing.assert_allclose(getattr(found, name), value, err_msg=name)
        else:
            assert getattr(found, name) == value, name


@pytest.mark.parametrize(
    ("processor", "told"),
    [
        ({"image_processor_type": "CLIPImageProcessor", "size": {"longest_edge": 64}}, "resizes"),
        (  # it turns RGB into BGR
            {
                "image_processor_type": "MobileViTImageProcessor",
                "size": {"shortest_edge": 64},
                "crop_size": {"height": 64, "width": 64},
            },
            "gives other pixels than its keys say",
        ),
        (  # it resizes to 256/224 of its size
            {
                "image_processor_type": "LevitImageProcessor",
                "size": {"shortest_edge": 64},
                "crop_size": {"height": 64, "width": 64},
            },
            "gives other pixels than its keys say",
        ),
    ],
)
def test_image_processors_that_auditor_cannot_do(load, refusal, tmp_path, processor, told):
    saved(tmp_path / "here", processor=processor)
    refused = refusal('architecture = "transformers/here"')
    assert told in refused
    assert "resize, crop, mean and std" in refused
    assert load('architecture = "transformers/here"\n' + SMALL).preprocess.mean == (0, 0, 0)


def test_without_an_image_processor(load, refusal, tmp_path):
    saved(tmp_path / "here")
    (tmp_path / "here/preprocessor_config.json").unlink()
    assert "preprocessor_config.json" in refusal('architecture = "transformers/here"')
    assert load('architecture = "transformers/here"\n' + SMALL).input_size == (64, 64)


def test_classes_of_transformers(load, refusal, tmp_path):
    saved(tmp_path / "here")
    start = 'architecture = "transformers/here"\nclasses = '
    assert load(start + '["Arzt", "Pflege", "Wache"]').classes[0] == "Arzt"
    assert "put it in that order" in refusal(start + '["nurse", "doctor", "guard"]')
    assert "model.classes names 2" in refusal(start + '["nurse", "doctor"]')


def test_a_model_without_a_trained_head_is_refused(refusal, tmp_path):
    tf = pytest.importorskip("transformers", reason=WHY)
    saved(tmp_path / "here")
    config = configs()["vit"]
    tf.ViTModel(config).save_pretrained(tmp_path / "here")
    told = refusal('architecture = "transformers/here"')
    assert "'classifier.bias'" in told
    assert "would be random" in told


def test_what_transformers_refuses(refusal, tmp_path):
    saved(tmp_path / "here")
    for line in ('checkpoint = "m.pt"', 'weights = "x"'):
        torch.save({"a": torch.zeros(1)}, tmp_path / "m.pt")
        told = refusal(f'architecture = "transformers/here"\n{line}')
        assert "brings its own weights" in told
    assert "no such folder" in refusal('architecture = "transformers/./nowhere"')
    told = refusal('architecture = "transformers/somebody/model"')  # an id, and no network
    assert "give a local folder" in told
    told = refusal('architecture = "transformers/here"\nclasses = ["a", "b"]\n[model.prompts]')
    assert "only 'clip' and 'siglip' can be given prompts" in told


def test_an_audit_of_a_transformers_model(project: Project) -> None:
    saved(project.folder / "here")
    project.replace('factory = "warmth:warmth"', 'architecture = "transformers/here"')
    project.replace('classes = ["warm", "cold"]', 'classes = ["warm", "cold", "other"]')
    text = project.config.read_text(encoding="utf-8")
    project.config.write_text(text.split("[model.preprocess]")[0], encoding="utf-8")
    run = auditor.audit(
        auditor.load_classifier(project.config),
        auditor.open_dataset(project.config),
        project.folder / "run",
    )
    assert run.info["model"]["architecture"] == "transformers/here"
    assert run.info["layer"]["grid"] == [8, 8]
    assert run.cases["predicted"].notna().all()


def test_prompts_in_a_configuration(tmp_path):
    def read(lines: str) -> auditor.Config:
        head = '[dataset]\npath = "d.csv"\nformat = "manifest"\n[model]\nclasses = ["a b", "c"]\n'
        (tmp_path / "a.toml").write_text(head + lines, encoding="utf-8")
        return auditor.read_config(tmp_path / "a.toml")

    assert read("").model.prompts is None
    found = read("[model.prompts]").model.prompts
    assert found.templates == ("a photo of a {}.",)
    found = read('[model.prompts]\ntemplates = ["{}"]\nwords = { "a b" = ["x", "y"] }').model
    assert found.prompts.words == {"a b": ("x", "y")}
    for lines, told in {
        '[model.prompts]\ntemplates = ["a photo"]': "one {} each",
        "[model.prompts]\ntemplates = []": "one {} each",
        '[model.prompts]\nwords = { d = ["x"] }': "model.prompts.words.d is no class",
        "[model.prompts]\nwords = { c = [] }": "model.prompts.words.c is empty",
        "[model.prompts]\ntemplate = []": "did you mean model.prompts.templates?",
        'file = "m.pt2"\n[model.prompts]': "model.prompts is given beside model.file",
    }.items():
        with pytest.raises(ConfigurationError) as caught:
            read(lines)
        assert told in str(caught.value)


def test_a_model_that_brings_code_is_refused(refusal, tmp_path):
    saved(tmp_path / "here")
    file = tmp_path / "here/config.json"
    told = json.loads(file.read_text(encoding="utf-8"))
    told |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}
    file.write_text(json.dumps(told), encoding="utf-8")
    (tmp_path / "here/own.py").write_text("raise SystemExit('was run')", encoding="utf-8")
    assert "could not be loaded" in refusal('architecture = "transformers/here"')
