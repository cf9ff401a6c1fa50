"""What a folder says of its pooling, length, prompt and layers on top is done so."""

import json

import numpy as np
import pytest

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.encoders.text.folder import read_text_spec
from deepfeast.transforms.errors import EncoderError, SpecError


def test_prompts_and_dense_layers_equal_sentence_transformers(network, tmp_path, texts, dressed):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    import torch

    folder = dressed(network, "mean_tokens", prompts={"query": "the red "})
    peer = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    dense = sentence_transformers.models.Dense(32, 5, activation_function=torch.nn.Tanh())
    peer.append(dense)
    peer.save(str(tmp_path / "dense"))
    theirs = peer.encode(texts, prompt_name="query")
    encoder = get_encoder(f"hf:{tmp_path / 'dense'}?prompt=query", precision="exact")
    assert encoder.dim == 5
    assert np.abs(theirs - encoder.encode(texts)).max() < 1e-5
    assert encoder.fingerprint != get_encoder(f"hf:{tmp_path / 'dense'}").fingerprint


def test_a_plain_folder_must_state_its_pooling(network):
    with pytest.raises(SpecError, match=r"\?pooling=mean"):
        get_encoder(f"hf:{network}")
    with pytest.raises(SpecError, match="Did you mean 'mean'"):
        get_encoder(f"hf:{network}?pooling=meen")


def test_a_text_longer_than_the_network_has_places_for_is_refused_in_the_spec(network):
    with pytest.raises(SpecError, match=r"places for (30|29) tokens"):
        get_encoder(f"hf:{network}?pooling=mean&max_length=31")


@pytest.fixture
def folder(tmp_path):
    """To write a sentence-transformers folder without weights: its parts by their kind."""

    def write(*kinds, pooling=None, **files):
        modules = [{"type": f"sentence_transformers.models.{kind}", "path": ""} for kind in kinds]
        settings = {"max_position_embeddings": 100, **(pooling or {})}
        named = {"modules.json": modules, "config.json": settings}
        named |= {f"{name}.json": content for name, content in files.items()}
        for name, content in named.items():
            (tmp_path / name).write_text(json.dumps(content))
        return tmp_path

    return write


def test_an_older_folder_names_its_settings_after_its_network(folder):
    told = {"max_seq_length": 50, "do_lower_case": True}
    made = folder(
        "Transformer",
        "Pooling",
        pooling={"pooling_mode": ["mean", "max"]},
        sentence_roberta_config=told,
    )
    spec = read_text_spec(made, {})
    assert (spec.poolings, spec.max_length, spec.lower_case) == (("mean", "max"), 50, True)
    assert (spec.normalize, spec.prompt, spec.dense) == (False, "", ())


def test_what_the_string_says_wins_over_the_folder(folder):
    made = folder("Transformer", "Pooling", "Normalize", pooling={"pooling_mode_cls_token": True})
    assert read_text_spec(made, {}).poolings == ("cls",)
    options = {"pooling": "max", "normalize": "0", "max_length": "7", "prompt_text": "query: "}
    spec = read_text_spec(made, options)
    assert (spec.poolings, spec.normalize, spec.max_length) == (("max",), False, 7)
    assert spec.prompt == "query: "


def test_a_part_that_is_not_known_is_named(folder):
    with pytest.raises(EncoderError, match=r"models\.LSTM', which is not supported"):
        read_text_spec(folder("Transformer", "LSTM"), {})
    with pytest.raises(SpecError, match="names no pooling"):
        read_text_spec(folder("Transformer"), {})


def test_a_prompt_is_asked_for_by_name(folder):
    prompts = {"prompts": {"query": "q: ", "passage": "p: "}, "default_prompt_name": "passage"}
    made = folder(
        "Transformer",
        "Pooling",
        pooling={"pooling_mode": "mean"},
        config_sentence_transformers=prompts,
    )
    given = [{}, {"prompt": "query"}, {"prompt": "none"}]
    assert [read_text_spec(made, options).prompt for options in given] == ["p: ", "q: ", ""]
    with pytest.raises(SpecError, match="no prompt 'question'; it has: query, passage"):
        read_text_spec(made, {"prompt": "question"})
