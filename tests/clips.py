"""Small random CLIP models on disk, as OpenCLIP and Transformers keep them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import seeded

WHY = "an optional extra: pip install 'auditor[clip,transformers]'"
_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
_VISION: dict[str, dict[str, Any]] = {
    "tiny-RN": {"layers": [1, 1, 1, 1], "width": 8, "head_width": 16, "patch_size": None},
    "tiny-ViT": {"layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
}
_SIGLIP: dict[str, Any] = {  # "SigLIP" in the name would make OpenCLIP download a tokenizer
    "embed_dim": 96,
    "init_logit_bias": -10,
    "custom_text": True,
    "vision_cfg": {
        "image_size": 160,
        "timm_model_name": "test_vit3",
        "timm_model_pretrained": False,
        "timm_pool": "map",
        "timm_proj": "none",
    },
    "text_cfg": _TEXT
    | {
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
        "norm_kwargs": {"eps": 1e-6},
    },
}
"""OpenCLIP's ViT-B-16-SigLIP with a small image tower of timm and its own plain tokenizer."""
_WORDS = ["a", "photo", "picture", "of", "doctor", "nurse", "red", "blue", "thing", "."]


def tiny_open_clip(folder: Path, name: str) -> Any:
    """The model `name`, made known to OpenCLIP, its state dict in `<name>.pt`."""
    open_clip = pytest.importorskip("open_clip", reason=WHY)
    for known, vision in _VISION.items():
        config = {"embed_dim": 16, "vision_cfg": vision | {"image_size": 64}, "text_cfg": _TEXT}
        (folder / f"{known}.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tiny-sigmoid.json").write_text(json.dumps(_SIGLIP), encoding="utf-8")
    open_clip.add_model_config(folder)
    with seeded():
        model = open_clip.create_model(name, pretrained_text=False).eval()
        for key, parameter in model.visual.named_parameters():
            # Zero, or next to it, at the start of a training.
            if key.endswith(("bn3.weight", ".gamma")):
                torch.nn.init.ones_(parameter)
    torch.save(model.state_dict(), folder / f"{name}.pt")
    return model


def tiny_transformers_clip(folder: Path) -> Any:
    """A CLIP model with its tokenizer of ten words and its image processor, in `folder`."""
    tf = pytest.importorskip("transformers", reason=WHY)
    tokenizer_of_ten_words(folder, ["input_ids", "attention_mask"])
    tower = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    tower |= {"intermediate_size": 64}
    config = tf.CLIPConfig(
        text_config=tower
        | {"vocab_size": 13, "max_position_embeddings": 12, "bos_token_id": 1, "eos_token_id": 2},
        vision_config=tower | {"image_size": 64, "patch_size": 8},
        projection_dim=16,
    )
    with seeded():
        model = tf.CLIPModel(config).eval()
    model.save_pretrained(folder)
    told = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": 64},
        "crop_size": {"height": 64, "width": 64},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(told), encoding="utf-8")
    return model


def tiny_transformers_siglip(folder: Path, words: int = 13, places: int = 12) -> Any:
    """A SigLIP model with the same words, whose tokenizer gives no mask, as SigLIP's own."""
    tf = pytest.importorskip("transformers", reason=WHY)
    tokenizer_of_ten_words(folder, ["input_ids"])
    tower = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    tower |= {"intermediate_size": 64}
    config = tf.SiglipConfig(
        text_config=tower | {"vocab_size": words, "max_position_embeddings": places},
        vision_config=tower | {"image_size": 64, "patch_size": 8},
    )
    with seeded():
        model = tf.SiglipModel(config).eval()
    with torch.no_grad():
        model.logit_scale.fill_(2.5)
        model.logit_bias.fill_(-10.0)
    model.save_pretrained(folder)
    told = {
        "image_processor_type": "SiglipImageProcessor",
        "size": {"height": 64, "width": 64},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(told), encoding="utf-8")
    return model


def tokenizer_of_ten_words(folder: Path, gives: list[str]) -> None:
    """A tokenizer with a start and an end, which pads by the end, in `folder`."""
    tf = pytest.importorskip("transformers", reason=WHY)
    tokenizers = pytest.importorskip("tokenizers", reason=WHY)
    ends = ["<unk>", "<|startoftext|>", "<|endoftext|>"]
    words = tokenizers.models.WordLevel(
        {word: number for number, word in enumerate([*ends, *_WORDS])}, unk_token=ends[0]
    )
    inner = tokenizers.Tokenizer(words)
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    inner.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"{ends[1]} $A {ends[2]}", special_tokens=[(ends[1], 1), (ends[2], 2)]
    )
    tf.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token=ends[1], eos_token=ends[2], pad_token=ends[2],
        unk_token=ends[0], model_input_names=gives,
    ).save_pretrained(folder)  # fmt: skip
