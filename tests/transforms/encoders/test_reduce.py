"""Reductions: small vectors, checked by eye."""

from __future__ import annotations

import numpy as np
import pytest

from deepfeast.transforms.encoders import build_encoder
from deepfeast.transforms.encoders.files import digest
from deepfeast.transforms.encoders.reduce import dim_after, parse_steps
from deepfeast.transforms.errors import EncoderError, SpecError
from deepfeast.transforms.features import DeepFeature
from deepfeast.transforms.int8 import round_to_int8

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=3"
TEXTS = ["a bb ccc", "aaaa b c", "aa bbbbb", "aaa bb cccccc", "a b c"]


def apply(steps, vectors):
    vectors = np.asarray(vectors, np.float32)
    for step in parse_steps(steps):
        step.fit(vectors)
        vectors = step.apply(vectors)
    return vectors


def feature(reduce, **options):
    return DeepFeature("title_vec", column="title", encoder=WORDS, reduce=reduce, **options)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("l2", [[0.6, -0.8], [0, 0]]),
        ("sqrt", [[3**0.5, -2], [0, 0]]),
        ("truncate:1", [[3], [0]]),
        ("sqrt|truncate:1", [[3**0.5], [0]]),
    ],
)
def test_pure_steps(steps, expected):
    assert np.allclose(apply(steps, [[3, -4], [0, 0]]), expected)


def test_pca_finds_the_long_axis_and_its_sign_is_fixed():
    line = np.array([[1, 1], [2, 2], [3, 3], [4, 4]])
    assert np.allclose(apply("pca:1", line)[:, 0], np.array([-1.5, -0.5, 0.5, 1.5]) * 2**0.5)
    assert np.allclose(apply("pca:1", line[::-1]), apply("pca:1", line)[::-1])


def test_whitened_directions_have_variance_one():
    vectors = np.random.default_rng(0).normal(size=(200, 5)) * [9, 5, 3, 1, 0.1]
    assert np.allclose(apply("pca:4,whiten", vectors).var(axis=0, ddof=1), 1, atol=1e-4)


def test_a_random_projection_nearly_keeps_lengths_and_never_changes():
    vectors = np.random.default_rng(0).normal(size=(50, 300))
    shorter = apply("random:256", vectors)
    ratio = np.linalg.norm(shorter, axis=1) / np.linalg.norm(vectors, axis=1)
    assert 0.8 < ratio.min() < ratio.max() < 1.2
    assert np.allclose(apply("random:2", np.eye(3))[0], [-0.72333, -0.09928], atol=1e-4)


@pytest.mark.parametrize("wrong", ["pac:3", "pca", "pca:x", "pca:0", "l2:3", "truncate:4,whiten"])
def test_an_unknown_step_lists_the_known(wrong):
    with pytest.raises(SpecError, match="Known: l2, sqrt, pca:N"):
        parse_steps(wrong)


def test_a_reduction_cannot_make_vectors_longer():
    with pytest.raises(SpecError, match="at most 384"):
        dim_after(parse_steps("truncate:512"), 384)


def test_pca_says_how_many_rows_it_needs():
    with pytest.raises(EncoderError, match="more than 3"):
        apply("pca:3", np.eye(3))


def test_a_fitted_encoder_is_frozen_in_a_file(tmp_path):
    encoder = build_encoder(feature("pca:2"))
    assert (encoder.dim, encoder.needs_fit) == (2, True)
    with pytest.raises(EncoderError, match="load_state"):
        encoder.encode(["a b c"])
    with pytest.raises(EncoderError, match="spec_fingerprint"):
        _ = encoder.fingerprint

    encoder.fit([*TEXTS, "poison"])
    encoder.save_state(tmp_path / "state.safetensors")
    again = build_encoder(feature("pca:2"))
    again.load_state(tmp_path / "state.safetensors")
    assert again.fingerprint == encoder.fingerprint
    assert (again.encode(TEXTS) == encoder.encode(TEXTS)).all()


def test_other_rows_give_another_fingerprint():
    one, other = build_encoder(feature("pca:2")), build_encoder(feature("pca:2"))
    one.fit(TEXTS)
    other.fit(TEXTS[:4])
    assert one.spec_fingerprint == other.spec_fingerprint
    assert one.fingerprint != other.fingerprint


def test_a_state_of_another_declaration_is_refused(tmp_path):
    encoder = build_encoder(feature("pca:2"))
    encoder.fit(TEXTS)
    encoder.save_state(tmp_path / "state.safetensors")
    with pytest.raises(EncoderError, match="another declaration"):
        build_encoder(feature("pca:2,whiten")).load_state(tmp_path / "state.safetensors")


def test_a_pure_reduction_needs_no_fit():
    encoder = build_encoder(feature("l2|truncate:2"))
    assert not encoder.needs_fit
    assert not encoder.has_state
    assert encoder.fingerprint == encoder.spec_fingerprint
    assert np.allclose(encoder.encode(["aaa bbbb"]), [[0.6, 0.8]])


def test_what_is_kept_as_int8_is_rounded_last_and_is_another_encoder():
    encoder = build_encoder(feature("l2", storage="int8"))
    full = build_encoder(feature("l2"))
    vectors = encoder.encode(TEXTS)
    assert (vectors == round_to_int8(full.encode(TEXTS))).all()
    assert (vectors != full.encode(TEXTS)).any()
    marks = [
        encoder,
        full,
        build_encoder(feature(None, storage="int8")),
        build_encoder(feature(None)),
    ]
    assert len({one.fingerprint for one in marks}) == 4
    # As before there was such an option.
    assert full.fingerprint == digest(encoder=marks[3].fingerprint, reduce="l2")


def test_what_is_fitted_can_be_kept_as_int8(tmp_path):
    encoder = build_encoder(feature("pca:2", storage="int8"))
    encoder.fit(TEXTS)
    encoder.save_state(tmp_path / "state.safetensors")
    again = build_encoder(feature("pca:2", storage="int8"))
    again.load_state(tmp_path / "state.safetensors")
    vectors = again.encode(TEXTS)
    assert (vectors == round_to_int8(vectors)).all()
    with pytest.raises(EncoderError, match="another declaration"):
        build_encoder(feature("pca:2")).load_state(tmp_path / "state.safetensors")
