"""Words and pieces of texts, counted: as one would by hand, whatever was seen before."""

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfeast.transforms.encoders.text.pieces import (
    MAX_CHARACTERS,
    PieceCounter,
    cut,
    split,
)

PIECES = {
    piece: row
    for row, piece in enumerate(
        ["red", "hat", "##s", "a", "b", "e", "i", "##e", "##a", "##b", "σ", "##σ", "ς", "##ς"]
        + [",", "'", "-", "[", "]", "sep", "日", "本", "가", "2", "##2", "👍", "ß", "\x00", "##i"]
    )
}
TEXTS = [
    "Red HATS, red hats; a red-hat's hats",
    "[SEP] [sep] sep",
    "Réd hȧts, ÉÉ e\u0301 e\u0323\u0301 \u0301a",
    "日本 日本a가나",
    "ΑΣ ΑΣΑ ΣΣ, Σ'Σ a\u0301Σ\u2003ΣB",
    "İI ßẞ ﬁ",
    "a\x00b\x1ca\x85b\u200ba\u180eb\ufeff",
    "👍👍🏽 a👍",
    "a" * 64 + " " + "a" * 65 + " " + "ab" * 500,
    "red " * 9000,
    "x" * (MAX_CHARACTERS - 1) + " red",
    " \t\n",
    "",
]


def by_hand(text: str) -> Counter[tuple[int, int]]:
    """Count pieces, each with how often its word occurs."""
    return Counter(
        (piece, times)
        for word, times in Counter(split(text)).items()
        for piece in cut(word, PIECES)
    )


def counted(counter: PieceCounter, texts: list[str]) -> list[Counter[tuple[int, int]]]:
    pieces, times, ends = counter(texts)
    pairs = list(zip(pieces.tolist(), times.tolist(), strict=True))
    return [Counter(pairs[a:b]) for a, b in pairwise(ends)]


def test_words_signs_case_and_accents():
    assert split("Café, RED shirts!") == ["cafe", ",", "red", "shirts", "!"]
    assert split("日本") == ["日", "本"]
    assert cut("shirts", {"shirt": 1, "##s": 2}) == [1, 2]
    assert cut("xyz", {"x": 0}) == []


def test_what_stands_between_blanks_is_cut_as_the_whole_is():
    assert counted(PieceCounter(PIECES), TEXTS) == [by_hand(text) for text in TEXTS]


SIGNS = st.one_of(
    st.sampled_from("abAB hs,.'-[]2\x00\x1c\u00a0\u2003\u0301\u0323ΣσςİéÉ日가👍ßﬁ\u00ad\u1fef"),
    st.characters(),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(SIGNS, max_size=40), max_size=6), st.sampled_from([0, 2000, 10**6]))
def test_any_texts_are_counted_as_by_hand(texts, most):
    counter = PieceCounter(PIECES, most)
    # What is remembered, or was forgotten, makes no difference.
    for some in (texts, texts[::-1], texts):
        assert counted(counter, some) == [by_hand(text) for text in some]


def test_threads_do_not_mix_up_words():
    random = np.random.default_rng(0)
    texts = [
        " ".join("".join(random.choice(list("abei2"), 4)) for _ in range(60)) for _ in range(64)
    ]
    expected = [by_hand(text) for text in texts]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for most in (0, 10**6):
            counter = PieceCounter(PIECES, most)
            with ThreadPoolExecutor(8) as pool:
                for found in pool.map(lambda _, c=counter: counted(c, texts), range(16)):
                    assert found == expected
    finally:
        sys.setswitchinterval(before)


def test_what_is_kept_has_a_bound():
    counter = PieceCounter(PIECES, most=20_000)
    for number in range(300):
        counter([f"word{number}, {number}" for number in range(50 * number, 50 * number + 50)])
        assert sum(known.size for known in counter._known) < 20_000 + 50 * 5 * 200
