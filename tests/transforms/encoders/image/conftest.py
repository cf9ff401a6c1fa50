"""Small vision networks with random weights."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image


def make(kind, folder):
    """Save a small network with random weights and its kind's own image processor."""
    import torch
    import transformers as t

    torch.manual_seed(0)
    attention: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    attention |= {"intermediate_size": 64, "image_size": 32, "patch_size": 8}
    square = {"height": 32, "width": 32}
    edge: dict[str, Any] = {"size": {"shortest_edge": 40}, "crop_size": square}
    model, processor = {
        "vit": lambda: (t.ViTModel(t.ViTConfig(**attention)), t.ViTImageProcessor(size=square)),
        "dinov2": lambda: (
            t.Dinov2Model(t.Dinov2Config(**{**attention, "mlp_ratio": 2})),
            t.BitImageProcessor(**edge),
        ),
        "convnext": lambda: (
            t.ConvNextModel(t.ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1])),
            t.ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.875),
        ),
        "resnet": lambda: (
            t.ResNetModel(
                t.ResNetConfig(
                    hidden_sizes=[8, 16, 24, 32],
                    depths=[1, 1, 1, 1],
                    embedding_size=8,
                    layer_type="basic",
                )
            ),
            t.ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.875),
        ),
        "mobilenet_v2": lambda: (
            t.MobileNetV2Model(t.MobileNetV2Config(image_size=32, depth_multiplier=0.25)),
            t.MobileNetV2ImageProcessor(**edge),
        ),
        "siglip_vision_model": lambda: (
            t.SiglipVisionModel(t.SiglipVisionConfig(**attention)),
            t.SiglipImageProcessor(size=square),
        ),
        "clip_vision_model": lambda: (
            t.CLIPVisionModel(t.CLIPVisionConfig(**attention)),
            t.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=square),
        ),
    }[kind]()
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def save_vision():
    """To put a network of a kind into a folder."""
    return make


@pytest.fixture(scope="session")
def vision(tmp_path_factory):
    """To get the folder of a network by its kind."""
    made = {}

    def get(kind):
        if kind not in made:
            made[kind] = make(kind, tmp_path_factory.mktemp(kind))
        return made[kind]

    return get


@pytest.fixture(scope="session")
def their_output(photos):
    """To run the photos through a folder as transformers does, one by one."""

    def run(folder):
        import torch
        from transformers import AutoImageProcessor, AutoModel

        processor = AutoImageProcessor.from_pretrained(folder)
        model = AutoModel.from_pretrained(folder).eval()
        opened = [Image.open(io.BytesIO(data)).convert("RGB") for data in photos]
        with torch.inference_mode():
            return [model(**processor(image, return_tensors="pt")) for image in opened]

    return run
