"""The network written out gives the numbers of transformers, or says that it does not suit."""

import json
import shutil

import pytest
import torch

from deepfeast.transforms.encoders.text.bert import Bert

BATCH = [[2, 4, 5, 6, 7, 3], [2, 8, 9, 10, 11, 3], [2, 4, 3]]


@pytest.fixture(scope="module")
def bert(save_network, tmp_path_factory):
    """A small network, as a folder."""
    return save_network("bert", tmp_path_factory.mktemp("bert"))


def theirs(folder):
    """Return the vectors of each text's tokens, text by text, as transformers computes them."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        return [model(torch.tensor([tokens])).last_hidden_state[0] for tokens in BATCH]


def ours(folder):
    with torch.inference_mode():
        groups = Bert(folder, torch.float32)(BATCH)
    assert [tuple(group.shape) for group in groups] == [(2, 6, 32), (1, 3, 32)]
    return [text for group in groups for text in group]


def apart(one, other):
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
def test_each_activation_gives_the_numbers_of_transformers(save_network, tmp_path, activation):
    folder = save_network("bert", tmp_path, hidden_act=activation)
    assert Bert.suits(folder)
    assert apart(theirs(folder), ours(folder)) < 1e-5


def test_old_names_of_weights_inside_a_larger_model_are_understood(bert, tmp_path):
    from safetensors.torch import load_file, save_file

    shutil.copy(bert / "config.json", tmp_path)
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    renamed = {}
    for name, values in load_file(bert / "model.safetensors").items():
        for now, then in old.items():
            name = name.replace(now, then)
        renamed[f"bert.{name}"] = values
    save_file(renamed, tmp_path / "model.safetensors")
    assert apart(ours(bert), ours(tmp_path)) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "distilbert"},
        {"hidden_act": "silu"},
        {"position_embedding_type": "relative_key"},
        {"is_decoder": True},
    ],
)
def test_another_architecture_is_left_to_transformers(bert, tmp_path, change):
    config = json.loads((bert / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    assert Bert.suits(bert)
    assert not Bert.suits(tmp_path)
