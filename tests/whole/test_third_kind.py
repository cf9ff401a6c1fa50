"""A third kind of content, besides texts and photos: an encoder names the reader of its cells.

The module below is all that a kind takes. Nothing in deepfeast knows of sounds.
"""

import io
import wave

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to

from deepfeast.transforms import DeepFeature, EmbedColumns, OnlineFeatures, get_encoder
from deepfeast.transforms.encoders.listing import time_encoder
from deepfeast.transforms.errors import EncoderError

SOUNDS = '''
import hashlib
import io
import wave

import numpy as np

from deepfeast.transforms.cells.reader import FileReader
from deepfeast.transforms.encoders import Encoder
from deepfeast.transforms.errors import Reject


class SoundReader(FileReader):
    """Reads WAV files."""

    what = "sound"


class Loudness(Encoder):
    """The seconds of a sound, and its mean loudness."""

    modality = "sound"
    reader = SoundReader
    dim = 2
    fingerprint = hashlib.sha256(b"loudness, version 1").hexdigest()

    def load(self):
        pass

    def prepare(self, value):
        try:
            with wave.open(io.BytesIO(value)) as sound:
                frames = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
                return [len(frames) / sound.getframerate(), np.abs(frames).mean()]
        except (wave.Error, EOFError) as error:
            raise Reject("sound_damaged", str(error)) from None

    def encode_batch(self, prepared):
        return np.asarray(prepared, np.float32)
'''
LOUDNESS = "python:sounds:Loudness"


def sound(seconds, loudness):
    """A WAV file of 8,000 samples a second, all of one loudness."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(np.full(8000 * seconds, loudness, np.int16).tobytes())
    return file.getvalue()


@pytest.fixture
def sounds(tmp_path, monkeypatch):
    """The module on the path, and a folder of sounds."""
    (tmp_path / "sounds.py").write_text(SOUNDS)
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "repo"
    folder.mkdir()
    (folder / "bell.wav").write_bytes(sound(1, 300))
    (folder / "copy.wav").write_bytes(sound(1, 300))
    (folder / "horn.wav").write_bytes(sound(2, 500))
    return folder


def test_sounds_are_embedded_and_served(Shirts, sounds):
    shop = Shirts(sounds, {"vec": "sound"})
    shop.declare(LOUDNESS)
    cells = {
        "bell": ["bell.wav"],
        "copy": ["copy.wav"],
        "both": ["bell.wav", "horn.wav"],
        "none": None,
        "gone": ["gone.wav"],
    }
    shop.write([{"id": key, "sound": cell} for key, cell in cells.items()])
    run = shop.embed(allowed_rejects=0.5)
    assert shop.vectors() == {
        "bell": [1, 300],
        "copy": [1, 300],
        "both": [1.5, 400],
        "none": None,
        "gone": None,
    }
    assert (run.encoded, run.reused, run.missing) == (2, 1, 1)
    assert list(run.reasons) == ["sound_missing"]
    assert shop.embed().version is None
    online = OnlineFeatures(shop.folder, ["deep:vec"])
    served = online.frame([{"id": "new", "sound": "horn.wav"}])
    assert served.iloc[0].tolist() == [2, 500]


def test_a_pooled_sound_is_the_loudest_of_each_number(Shirts, sounds):
    shop = Shirts(sounds, {"vec": "sound"})
    shop.declare(LOUDNESS, pool="max", root=str(sounds))
    shop.write([{"id": "both", "sound": ["bell.wav", "horn.wav"]}])
    shop.embed()
    assert shop.vectors() == {"both": [2, 500]}


def test_sounds_in_anyones_pipeline(sounds):
    batch = pa.record_batch({"sound": [sound(1, 300), b"RIFF", None]})
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        found = (
            pipeline
            | beam.Create([batch])
            | EmbedColumns([DeepFeature("vec", column="sound", encoder=LOUDNESS)])
            | beam.Map(lambda batch: batch.column("vec").to_pylist())
        )
        assert_that(found, equal_to([[[1, 300], None, None]]))


def test_a_kind_without_samples_cannot_be_timed(sounds):
    with pytest.raises(EncoderError, match="SoundReader has no samples to time Loudness with"):
        time_encoder(get_encoder(LOUDNESS))


def test_a_kind_without_a_reader_is_told_how_to_get_one(sounds, monkeypatch):
    encoder = get_encoder(LOUDNESS)
    monkeypatch.setattr(type(encoder), "reader", None)
    with pytest.raises(EncoderError, match="Loudness encodes 'sound', for which there is no"):
        _ = encoder.reads
