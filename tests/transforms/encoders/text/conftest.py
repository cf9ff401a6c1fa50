"""Texts, and networks that read them."""

from __future__ import annotations

import json
import shutil

import pytest

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.encoders.text.minilm import minilm_folder
from deepfeast.transforms.errors import EncoderNotFound


@pytest.fixture(scope="session")
def texts():
    """Short and long ones, and one of unknown signs."""
    return [
        "red shirt",
        "the big red hat and the blue flat near the river " * 3,
        "hat",
        "A flat, THE river; hats?",
        "émile 今日は 😀",
    ]


@pytest.fixture(scope="session")
def minilm():
    try:
        minilm_folder()
    except EncoderNotFound as error:
        pytest.skip(str(error))
    return get_encoder("minilm", precision="exact")


@pytest.fixture(scope="session")
def fast(minilm):
    return get_encoder("minilm")


@pytest.fixture
def dressed(tmp_path):
    """To dress a transformers folder as a sentence-transformers one."""

    def dress(folder, pooling, normalize=False, **more):
        made = tmp_path / "model"
        shutil.copytree(folder, made)
        (made / "1_Pooling").mkdir()
        (made / "1_Pooling" / "config.json").write_text(
            json.dumps({"word_embedding_dimension": 32, f"pooling_mode_{pooling}": True})
        )
        kinds = [("Transformer", ""), ("Pooling", "1_Pooling")]
        kinds += [("Normalize", "2_Normalize")] if normalize else []
        modules = [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (kind, path) in enumerate(kinds)
        ]
        (made / "modules.json").write_text(json.dumps(modules))
        (made / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 20}))
        (made / "config_sentence_transformers.json").write_text(json.dumps(more))
        return made

    return dress
