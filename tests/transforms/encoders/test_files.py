"""Where a network's files are found, and a hash that tells any two apart."""

import os
import shutil

import pytest

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.encoders.files import file_hash, read_json, weight_files
from deepfeast.transforms.errors import EncoderError, EncoderNotFound


def test_nothing_there_names_the_ways_out(monkeypatch):
    with pytest.raises(EncoderNotFound, match="no folder"):
        get_encoder("hf:/no/such/folder")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EncoderNotFound, match="hf download no-such-org-here/none"):
        get_encoder("hf:no-such-org-here/none")


def test_a_hub_id_is_found_in_the_local_cache(network, tmp_path, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    cached = tmp_path / "models--shop--words"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("0" * 40)
    shutil.copytree(network, cached / "snapshots" / ("0" * 40))
    by_id = get_encoder("hf:shop/words?pooling=mean")
    assert by_id.fingerprint == get_encoder(f"hf:{network}?pooling=mean").fingerprint
    assert by_id.encode(["red hat"]).shape == (1, 32)


def test_a_hash_follows_the_content_and_says_what_is_not_there(tmp_path):
    one, same = tmp_path / "one", tmp_path / "same"
    one.write_bytes(b"abc")
    same.write_bytes(b"abc")
    # The published sha256 of these three letters.
    assert file_hash(one).startswith("ba7816bf8f01cfea")
    assert file_hash(one) == file_hash(same)
    stat = one.stat()
    one.write_bytes(b"abd")
    os.utime(one, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert file_hash(one) != file_hash(same)
    with pytest.raises(EncoderNotFound, match=r"no file at .*/none"):
        file_hash(tmp_path / "none")


def test_safetensors_are_preferred_and_a_folder_without_weights_is_said(tmp_path):
    with pytest.raises(EncoderError, match="has no weights"):
        weight_files(tmp_path)
    for name in ("b.bin", "2.safetensors", "1.safetensors"):
        (tmp_path / name).touch()
    assert [path.name for path in weight_files(tmp_path)] == ["1.safetensors", "2.safetensors"]


def test_a_file_that_is_missing_or_broken_is_named(tmp_path):
    with pytest.raises(EncoderError, match=r"has no config\.json: is the folder complete"):
        read_json(tmp_path / "config.json")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(EncoderError, match=r"config\.json is not JSON"):
        read_json(tmp_path / "config.json")
