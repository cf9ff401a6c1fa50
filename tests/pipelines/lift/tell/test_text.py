"""The verdict on the terminal."""

import io

from rich.console import Console

from deepfeast.pipelines.lift import show


def test_the_terminal_ends_with_the_verdict(prices):
    console = Console(file=io.StringIO(), width=100)
    show(prices, console)
    lines = console.file.getvalue().strip().splitlines()
    assert lines[-1].endswith("No evidence for photo_vec alone.")
    assert max(map(len, lines)) <= 100


def test_a_comparison_is_shown_by_the_same_word(prices):
    console = Console(file=io.StringIO(), width=100)
    show(prices.comparison, console)
    text = console.file.getvalue()
    assert "old model" in text
    assert "+ text_vec (probe)" in text
