"""A text and a photo in one space, as CLIP and SigLIP have it."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.errors import SpecError


@pytest.fixture(scope="module", params=["clip", "siglip"])
def towers(request, tmp_path_factory, save_tokenizer):
    """A small CLIP or SigLIP with random weights, with tokenizer and processor."""
    import torch
    import transformers as t

    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    length = 12 if request.param == "siglip" else 24
    text: dict[str, Any] = {"vocab_size": save_tokenizer(folder), "max_position_embeddings": length}
    text |= {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    text |= {"intermediate_size": 64, "eos_token_id": 3, "bos_token_id": 2, "pad_token_id": 0}
    image: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    image |= {"intermediate_size": 64, "image_size": 32, "patch_size": 8}
    square = {"height": 32, "width": 32}
    if request.param == "clip":
        clip = t.CLIPConfig(text_config=text, vision_config=image, projection_dim=16)
        t.CLIPModel(clip).save_pretrained(folder)
        t.CLIPImageProcessor(size=square, crop_size=square).save_pretrained(folder)
    else:
        siglip = t.SiglipConfig(text_config=text, vision_config=image)
        t.SiglipModel(siglip).save_pretrained(folder)
        t.SiglipImageProcessor(size=square).save_pretrained(folder)
    return request.param, folder


def test_both_towers_give_one_space(towers, photos):
    import torch
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    kind, folder = towers
    texts = ["red shirt", "the big flat near the river", "hat"]
    reads = get_encoder(f"hf:{folder}?tower=text", precision="exact")
    sees = get_encoder(f"hf:{folder}?tower=image", precision="exact")
    assert (reads.modality, sees.modality) == ("text", "image")
    assert reads.dim == sees.dim == (16 if kind == "clip" else 32)

    model = AutoModel.from_pretrained(folder).eval()
    padding = {"padding": "max_length", "max_length": 12} if kind == "siglip" else {"padding": True}
    tokens = AutoTokenizer.from_pretrained(folder)(texts, return_tensors="pt", **padding)
    tokens.pop("token_type_ids", None)
    if kind == "siglip":
        tokens.pop("attention_mask")
    pixels = AutoImageProcessor.from_pretrained(folder)(
        [Image.open(io.BytesIO(photo)).convert("RGB") for photo in photos], return_tensors="pt"
    )
    with torch.inference_mode():
        both = model(**tokens, **pixels)
    assert np.abs(both.text_embeds.numpy() - reads.encode(texts)).max() < 1e-5
    assert np.abs(both.image_embeds.numpy() - sees.encode(photos)).max() < 1e-4


def test_two_towers_must_say_which(towers):
    with pytest.raises(SpecError, match=r"\?tower=text or .*\?tower=image"):
        get_encoder(f"hf:{towers[1]}")
    assert get_encoder(f"hf:{towers[1]}", modality="text").modality == "text"
