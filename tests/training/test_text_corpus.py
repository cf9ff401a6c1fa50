"""What text-tiny learns from: passages, made-up opinions, packages known by their hash."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "training"))
import text_opinions
import text_packages
from text_table import leveled


def test_sentences_are_put_together_to_passages_of_several_lengths():
    found = list(text_packages.passages("It rained all day. " * 40))
    assert [len(text) for text in found[:4]] == [75, 151, 303, 75]
    assert {text[:18] for text in found} == {"It rained all day."}


def test_opinions_are_whole_sentences_with_words_of_wordnet(tmp_path):
    line = "{} {} 1 1 ! 1 {} 00001740\n"
    (tmp_path / "index.adj").write_text(
        line.format("tepid", "a", 3) + line.format("unused", "a", 0)
    )
    (tmp_path / "index.noun").write_text(line.format("ice_cream", "n", 2))
    said = list(text_opinions.opinions(tmp_path, count=300))
    assert said == list(text_opinions.opinions(tmp_path, count=300))
    assert any("tepid" in text for text in said)
    assert any("ice cream" in text for text in said)
    assert not any("{" in text or "unused" in text for text in said)


def test_another_file_by_the_name_of_a_package_is_not_read(tmp_path):
    (tmp_path / text_packages.PACKAGES["jokes"].file).write_bytes(b"no jokes")
    with pytest.raises(OSError, match="not the file that is known"):
        list(text_packages.texts_of("jokes", tmp_path))


def test_lengths_come_nearer_to_each_other_and_directions_stay():
    vectors = np.array([[4, 0], [0, 0.25], [0, 0]], dtype=np.float32)
    assert leveled(vectors, 0.5).tolist() == [[2, 0], [0, 0.5], [0, 0]]
