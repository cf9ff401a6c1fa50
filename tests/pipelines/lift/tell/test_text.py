"""The verdict on the terminal."""

import io

from rich.console import Console

from deepfeast.pipelines.lift import show


def test_the_terminal_ends_with_the_verdict(prices):
    told = io.StringIO()
    show(prices, Console(file=told, width=100))
    lines = told.getvalue().strip().splitlines()
    assert lines[-1].endswith("No evidence for photo_vec alone.")
    assert max(map(len, lines)) <= 100


def test_a_comparison_is_shown_by_the_same_word(prices):
    told = io.StringIO()
    show(prices.comparison, Console(file=told, width=100))
    text = told.getvalue()
    assert "old model" in text
    assert "+ text_vec (probe)" in text
