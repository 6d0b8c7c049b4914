"""CLIP as the audited classifier: its logits against the libraries' own, its maps, an audit."""

from __future__ import annotations

import json
import shutil
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

import auditor
from auditor.cam import find_layer, inspected
from auditor.cam.randomisation import randomisable, stages_of
from auditor.configuration import PromptsConfig
from auditor.errors import ModelError
from auditor.models import describe, load_clip
from auditor.models.clip import sentences_of
from tests.clips import (
    WHY,
    tiny_open_clip,
    tiny_transformers_clip,
    tiny_transformers_siglip,
    tokenizer_of_ten_words,
)
from tests.conftest import Project

IMAGES = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
LARGE = torch.randn(4, 3, 160, 160, generator=torch.Generator().manual_seed(0))
"""For the one image tower that takes no other size."""
PLAIN = 'classes = ["doctor", "nurse"]\n[model.prompts]\ntemplates = ["a photo of a {}."]\n'
ENSEMBLE = """classes = ["doctor", "nurse"]
[model.prompts]
templates = ["a photo of a {}.", "a picture of a {}."]
words = { nurse = ["nurse", "red thing"] }
"""


def from_open_clip(name: str) -> str:
    return f'architecture = "open_clip/{name}"\ncheckpoint = "{name}.pt"\n'


# -- logits ---------------------------------------------------------------------------------


def test_sentences_are_every_word_in_every_template():
    prompts = PromptsConfig(("{}!", "a {0} {}?"), {"b": ("x", "{y}")})
    assert sentences_of(("a", "b"), prompts) == {
        "a": ("a!", "a {0} a?"),
        "b": ("x!", "a {0} x?", "{y}!", "a {0} {y}?"),
    }


@pytest.mark.parametrize("name", ["tiny-RN", "tiny-ViT"])
def test_logits_are_open_clips_own(load, tmp_path, name):
    open_clip = pytest.importorskip("open_clip", reason=WHY)
    model = tiny_open_clip(tmp_path, name)
    found = load(from_open_clip(name) + PLAIN)
    tokens = open_clip.get_tokenizer(name)(["a photo of a doctor.", "a photo of a nurse."])
    with torch.no_grad():
        expected, _ = model.get_logits(IMAGES, tokens)
        torch.testing.assert_close(found.module(IMAGES), expected, rtol=0, atol=1e-5)
        one_by_one = torch.cat([found.module(image[None]) for image in IMAGES])
        torch.testing.assert_close(one_by_one, found.module(IMAGES), rtol=0, atol=1e-5)
    assert expected.std() > 1e-3


def test_an_ensemble_of_prompts(load, tmp_path):
    open_clip = pytest.importorskip("open_clip", reason=WHY)
    model = tiny_open_clip(tmp_path, "tiny-RN")
    found = load(from_open_clip("tiny-RN") + ENSEMBLE)
    prompts = describe(found)["prompts"]
    assert prompts["nurse"][2:] == ["a photo of a red thing.", "a picture of a red thing."]
    tokenizer = open_clip.get_tokenizer("tiny-RN")
    with torch.no_grad():
        directions = []
        for sentences in prompts.values():
            embedded = model.encode_text(tokenizer(sentences), normalize=True)
            mean = sum(embedded) / len(embedded)
            directions.append(mean / mean.norm())
        looks = model.encode_image(IMAGES, normalize=True)
        expected = model.logit_scale.exp() * looks @ torch.stack(directions).T
        torch.testing.assert_close(found.module(IMAGES), expected, rtol=0, atol=1e-5)
    assert found.origin["scale"] == pytest.approx(1 / 0.07)
    assert found.origin["architecture"] == "open_clip/tiny-RN"
    assert found.origin["library"].startswith("open_clip_torch ")
    assert len(found.origin["checkpoint_sha256"]) == 64


def test_logits_are_transformers_own(load, tmp_path):
    tf = pytest.importorskip("transformers", reason=WHY)
    model = tiny_transformers_clip(tmp_path / "clip")
    found = load('architecture = "transformers/clip"\n' + PLAIN)
    tokenizer = tf.AutoTokenizer.from_pretrained(tmp_path / "clip")
    tokens = tokenizer(["a photo of a doctor.", "a photo of a nurse."], return_tensors="pt")
    with torch.no_grad():
        expected = model(
            input_ids=tokens["input_ids"],
            attention_mask=tokens["attention_mask"],
            pixel_values=IMAGES,
        ).logits_per_image
        torch.testing.assert_close(found.module(IMAGES), expected, rtol=0, atol=1e-5)
    assert expected.std() > 1e-3
    assert found.preprocess.interpolation == "bicubic"


def test_logits_of_siglip_are_open_clips_own(load, tmp_path):
    open_clip = pytest.importorskip("open_clip", reason=WHY)
    model = tiny_open_clip(tmp_path, "tiny-sigmoid")
    found = load(from_open_clip("tiny-sigmoid") + PLAIN)
    tokens = open_clip.get_tokenizer("tiny-sigmoid")(
        ["a photo of a doctor.", "a photo of a nurse."]
    )
    with torch.no_grad():
        expected, _ = model.get_logits(LARGE, tokens)
        ours = found.module(LARGE)
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)
        looks = model.encode_image(LARGE, normalize=True)
        words = model.encode_text(tokens, normalize=True)
        cosines = looks @ words.T
        assert cosines.std() > 1e-3
        # The bias that SigLIP is trained with moves no margin and no share of a softmax.
        torch.testing.assert_close(ours, found.origin["scale"] * cosines - 10, rtol=0, atol=1e-5)
        torch.testing.assert_close(
            ours.softmax(1), (found.origin["scale"] * cosines).softmax(1), rtol=0, atol=1e-5
        )
    assert found.origin["bias"] == -10


def test_logits_of_siglip_are_transformers_own(load, tmp_path):
    tf = pytest.importorskip("transformers", reason=WHY)
    model = tiny_transformers_siglip(tmp_path / "siglip")
    found = load('architecture = "transformers/siglip"\n' + PLAIN)
    tokenizer = tf.AutoTokenizer.from_pretrained(tmp_path / "siglip")
    sentences = ["a photo of a doctor.", "a photo of a nurse."]
    # As its documentation says: padded to all places, as it was trained.
    tokens = tokenizer(sentences, padding="max_length", max_length=12, return_tensors="pt")
    assert set(tokens) == {"input_ids"}
    with torch.no_grad():
        expected = model(**tokens, pixel_values=IMAGES).logits_per_image
        torch.testing.assert_close(found.module(IMAGES), expected, rtol=0, atol=1e-5)
        short = tokenizer(sentences, padding=True, return_tensors="pt")
        other = model(**short, pixel_values=IMAGES).logits_per_image
    assert expected.std() > 1e-3
    assert (other - expected).abs().max() > 1e-3  # the padding is read, so it has to be right
    assert found.origin["scale"] == pytest.approx(np.exp(2.5))
    assert found.origin["bias"] == -10
    assert found.preprocess.resize == (64, 64)
    assert found.preprocess.crop is None
    assert found.preprocess.mean == pytest.approx((0.5, 0.5, 0.5))


def test_prompts_are_cut_into_the_words_of_siglips_own_tokenizer(load, tmp_path):
    tf = pytest.importorskip("transformers", reason=WHY)
    pieces = pytest.importorskip("sentencepiece", reason="sentencepiece is not installed")
    sentences = ["a photo of a doctor.", "a photo of a nurse."]
    words = tmp_path / "words.txt"
    words.write_text("\n".join(sentences * 50), encoding="utf-8")
    pieces.SentencePieceTrainer.train(
        input=str(words), model_prefix=str(tmp_path / "words"), vocab_size=40,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    tokenizer = tf.SiglipTokenizer(vocab_file=str(tmp_path / "words.model"))
    folder = tmp_path / "siglip"
    model = tiny_transformers_siglip(folder, len(tokenizer), places=24)
    for file in folder.glob("tokenizer*"):
        file.unlink()
    tokenizer.save_pretrained(folder)
    found = load('architecture = "transformers/siglip"\n' + PLAIN)
    tokens = tokenizer(sentences, padding="max_length", max_length=24, return_tensors="pt")
    assert len(set(map(tuple, tokens["input_ids"].tolist()))) == 2
    with torch.no_grad():
        expected = model(**tokens, pixel_values=IMAGES).logits_per_image
        torch.testing.assert_close(found.module(IMAGES), expected, rtol=0, atol=1e-5)


def test_open_clips_own_preprocessing(load, tmp_path):
    open_clip = pytest.importorskip("open_clip", reason=WHY)
    model = tiny_open_clip(tmp_path, "tiny-RN")
    found = load(from_open_clip("tiny-RN") + PLAIN)
    cfg = open_clip.transform.PreprocessCfg(**model.visual.preprocess_cfg)
    noise = np.random.default_rng(0).integers(0, 256, (90, 70, 3)).astype(np.uint8)
    image = Image.fromarray(noise)
    expected = open_clip.transform.image_transform_v2(cfg, is_train=False)(image)
    ours = found.inputs(found.preprocess.pixels(image)[None].copy())[0]
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


def test_a_folder_that_brings_its_own_weights(load, refusal, tmp_path):
    model = tiny_open_clip(tmp_path, "tiny-RN")
    folder = tmp_path / "own"
    folder.mkdir()
    config = json.loads((tmp_path / "tiny-RN.json").read_text())
    told = {"resize_mode": "longest", "mean": [0.5] * 3, "std": [0.25] * 3}
    whole = {"model_cfg": config, "preprocess_cfg": told}
    (folder / "open_clip_config.json").write_text(json.dumps(whole), encoding="utf-8")
    shutil.copy(tmp_path / "tiny-RN.pt", folder / "open_clip_pytorch_model.bin")
    found = load('architecture = "open_clip/local-dir:own"\n' + PLAIN)
    assert found.preprocess.pad == "square"
    assert found.preprocess.resize == (64, 64)
    assert found.preprocess.mean == (0.5, 0.5, 0.5)
    with torch.no_grad():
        features = F.normalize(model.visual(IMAGES), dim=-1)
        torch.testing.assert_close(
            F.normalize(found.module.images(IMAGES), dim=-1), features, rtol=0, atol=1e-6
        )
    told = refusal('architecture = "open_clip/local-dir:own"\nweights = "openai"\n' + PLAIN)
    assert "brings its own weights" in told


# -- what is refused ------------------------------------------------------------------------


def test_what_is_refused(refusal, tmp_path):
    tiny_open_clip(tmp_path, "tiny-RN")
    start = from_open_clip("tiny-RN")
    assert "model.classes is missing" in refusal(start)
    assert "did you mean open_clip/RN50" in refusal('architecture = "open_clip/RN50z"\n' + PLAIN)
    assert 'weights = "openai"' in refusal('architecture = "open_clip/RN50"\n' + PLAIN)
    lines = 'architecture = "open_clip/RN50"\nweights = "nothing"\n'
    assert "it has openai" in refusal(lines + PLAIN)
    long = "very " * 90
    told = refusal(start + f'classes = ["doctor", "{long}long"]')
    assert "tokens, and the text encoder reads 77" in told
    torch.save({"a": torch.zeros(1)}, tmp_path / "tiny-RN.pt")
    assert "could not be loaded with" in refusal(start + PLAIN)


def test_offline_says_what_to_do(refusal):
    pytest.importorskip("open_clip", reason=WHY)
    told = refusal('architecture = "open_clip/RN50"\nweights = "openai"\n' + PLAIN)
    assert "give a local state dict as model.checkpoint" in told


def test_a_clip_model_of_transformers_needs_prompts(refusal, tmp_path):
    tiny_transformers_clip(tmp_path / "clip")
    told = refusal('architecture = "transformers/clip"\nclasses = ["doctor", "nurse"]')
    assert "[model.prompts]" in told
    words = "a " * 20
    told = refusal(
        f'architecture = "transformers/clip"\nclasses = ["{words}", "b"]\n[model.prompts]'
    )
    assert "the text encoder reads 12" in told


def test_siglip_of_transformers_needs_prompts_that_fit(refusal, tmp_path):
    tiny_transformers_siglip(tmp_path / "siglip")
    start = 'architecture = "transformers/siglip"\n'
    told = refusal(start + 'classes = ["doctor", "nurse"]')
    assert "is a SiglipModel, whose classes are sentences" in told
    words = "a " * 20
    told = refusal(start + f'classes = ["b", "{words}"]\n[model.prompts]')
    # 20 words and 4 before them, the full stop, its start and its end
    assert f"the prompt 'a photo of a {words}.' has 27 tokens" in told
    assert "the text encoder reads 12" in told


def test_another_kind_of_contrastive_model_is_named(refusal, tmp_path):
    tf = pytest.importorskip("transformers", reason=WHY)
    tf.Siglip2Config().save_pretrained(tmp_path / "naflex")
    told = refusal('architecture = "transformers/naflex"\n' + PLAIN)
    assert "type 'siglip2'" in told
    assert "only 'clip' and 'siglip' can be given prompts" in told


def test_a_prompt_too_long_for_a_tokenizer_of_transformers_in_open_clip(refusal, tmp_path):
    tiny_open_clip(tmp_path, "tiny-sigmoid")
    folder = tmp_path / "own"
    folder.mkdir()
    config = json.loads((tmp_path / "tiny-sigmoid.json").read_text())
    config["text_cfg"] |= {"hf_tokenizer_name": "beside", "context_length": 12}
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": {}}), encoding="utf-8"
    )
    tokenizer_of_ten_words(folder, ["input_ids"])
    open_clip = pytest.importorskip("open_clip", reason=WHY)
    state = open_clip.create_model(f"local-dir:{folder}", pretrained_text=False).state_dict()
    torch.save(state, folder / "open_clip_pytorch_model.bin")
    words = "a " * 20
    told = refusal(
        f'architecture = "open_clip/local-dir:own"\nclasses = ["b", "{words}"]\n[model.prompts]'
    )
    assert "has 27 tokens, and the text encoder reads 12" in told


def test_a_clip_model_by_itself(tmp_path, monkeypatch):
    model = tiny_open_clip(tmp_path, "tiny-ViT")
    monkeypatch.chdir(tmp_path)
    found = load_clip("open_clip/tiny-ViT", "tiny-ViT.pt")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    looks = found.looks(pixels)
    torch.testing.assert_close(looks.norm(dim=1), torch.ones(2))
    assert found.directions({"x": ["x"]}).shape == (1, 16)
    assert model.visual.output_dim == 16
    with pytest.raises(ModelError, match="has no text encoder"):
        load_clip("timm/resnet10t")


# -- maps, gates, an audit ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "layer", "grid", "prefix"),
    [
        ("tiny-RN", "images.layer4", (2, 2), 0),
        ("tiny-ViT", "images.transformer.resblocks.1.ln_1", (8, 8), 1),
        ("transformers", "images.encoder.encoder.layers.1.layer_norm1", (8, 8), 1),
        ("tiny-sigmoid", "images.trunk.norm", (10, 10), 1),
        ("siglip", "images.encoder.post_layernorm", (8, 8), 0),
    ],
)
def test_layers_and_weight_randomisation(load, tmp_path, name, layer, grid, prefix):
    if name == "transformers":
        tiny_transformers_clip(tmp_path / "clip")
        found = load('architecture = "transformers/clip"\n' + PLAIN)
    elif name == "siglip":
        tiny_transformers_siglip(tmp_path / "siglip")
        found = load('architecture = "transformers/siglip"\n' + PLAIN)
    else:
        tiny_open_clip(tmp_path, name)
        found = load(from_open_clip(name) + PLAIN)
    images = LARGE if name == "tiny-sigmoid" else IMAGES
    chosen = find_layer(found.module, found.logits, images.shape[1:])
    assert (chosen.grid, chosen.prefix) == (grid, prefix)
    assert chosen.name.endswith(layer.rpartition("encoder.")[2])
    assert chosen.follows is not None
    assert chosen.follows >= 0.5
    with inspected(found.module) as module, torch.no_grad():
        stages = stages_of(module, images)
        assert stages[0] == ("head",)
        before = module(images)
        with randomisable(module) as randomise:
            for stage in stages:
                randomise(stage, 0)
            assert (module(images) - before).abs().max() > 1e-3
        torch.testing.assert_close(module(images), before, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["tiny-RN", "tiny-ViT", "tiny-sigmoid"])
def test_an_audit_from_end_to_end(project: Project, name: str) -> None:
    tiny_open_clip(project.folder, name)
    text = project.config.read_text(encoding="utf-8").split("[model]")[0]
    lines = from_open_clip(name) + 'classes = ["warm", "cold"]\n[model.prompts]\n'
    lines += 'words = { warm = ["red thing"], cold = ["blue thing"] }\n'
    project.config.write_text(
        text + "[model]\n" + lines + '[evidence]\ncases = "all"\n', encoding="utf-8"
    )
    run: Any = auditor.audit(
        auditor.load_classifier(project.config),
        auditor.open_dataset(project.config),
        project.folder / "run",
    )
    told = run.info["model"]
    assert told["prompts"]["warm"] == ["a photo of a red thing."]
    assert told["scale"] == pytest.approx(1 / 0.07)
    assert run.maps.shape[:2] == (12, 3)
    assert np.isfinite(run.maps[:]).all()
    assert len(run.interventions) > 0
    assert run.cases["predicted"].notna().all()
