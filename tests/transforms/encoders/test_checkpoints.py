"""Weights are data: what a folder brings as code never runs unless it is trusted."""

import json
import pickle
import shutil
from pathlib import Path

import pytest

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.encoders.checkpoints import read_weights
from deepfeast.transforms.encoders.text.encoder import TextEncoder
from deepfeast.transforms.errors import EncoderError


def test_weights_are_read_and_never_run(network, tmp_path):
    """A pickle that would write a file is refused, and the file is not written."""

    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    folder = tmp_path / "evil"
    shutil.copytree(network, folder)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Evil()}))
    encoder = TextEncoder(folder, {"pooling": "mean"})
    with pytest.raises(Exception, match=r"(?i)weights"):
        encoder.encode(["hat"])
    assert not (tmp_path / "ran").exists()


def test_code_of_a_folder_runs_only_when_trusted(network, tmp_path):
    """A folder whose config points to its own module, which would write a file."""
    folder = tmp_path / "own"
    shutil.copytree(network, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModel": "own.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    with pytest.raises(EncoderError, match=r"\?trust_remote_code=1"):
        get_encoder(f"hf:{folder}?pooling=mean").encode(["hat"])
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("key", ["state_dict", "model", None])
def test_torch_files_and_safetensors_hold_the_same(tmp_path, key):
    import torch
    from safetensors.torch import save_file

    weights = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.ones(1)}
    save_file(weights, tmp_path / "w.safetensors")
    torch.save(weights if key is None else {key: weights, "epoch": 3}, tmp_path / "w.bin")
    for name in ("w.safetensors", "w.bin"):
        found = read_weights(tmp_path / name)
        assert {name: values.tolist() for name, values in found.items()} == {
            "a.weight": [[0, 1, 2], [3, 4, 5]],
            "b": [1],
        }


def test_the_parts_of_a_folder_are_put_together(tmp_path):
    import torch
    from safetensors.torch import save_file

    for part, name in enumerate("ab"):
        save_file({name: torch.ones(part + 1)}, tmp_path / f"model-{part}.safetensors")
    assert {name: len(values) for name, values in read_weights(tmp_path).items()} == {
        "a": 1,
        "b": 2,
    }
