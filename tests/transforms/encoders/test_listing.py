from deepfeast.transforms.encoders.listing import describe, list_encoders, time_encoder
from deepfeast.transforms.testing import WordLengths


def test_what_is_ready_has_a_length_and_a_fingerprint():
    row = describe("image-tiny")
    assert (row.modality, row.status, len(row.fingerprint)) == ("image", "ready", 64)
    assert row.dim > 0
    assert "distilled" in row.source


def test_what_is_not_there_says_why():
    row = describe("nothing")
    assert (row.dim, row.fingerprint) == (None, None)
    assert "no encoder 'nothing'" in row.status


def test_names_come_before_kinds():
    found = [row.name for row in list_encoders()]
    assert found.index("minilm") < found.index("tfidf:N")


def test_speed_is_measured_in_contents_a_second():
    encoder = WordLengths(2)
    assert time_encoder(encoder, seconds=0.01) > 0
    assert encoder.encoded >= 64
