"""What a text is made of: words and single signs, and the pieces that each word is cut into.

What stands between two blanks is cut up at its first use and kept under a number, since it comes
again: of the words of a column, nearly all have been seen after its first thousand rows.
"""

from __future__ import annotations

import itertools
import re
import threading
import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.integer]

# Beyond it a sum could leave 32 bits; a text's end tells little after so much.
MAX_CHARACTERS = 16_000
LONGEST_WORD = 64
# Bytes, about, of all that is kept; an entry takes some 150 beside its characters.
MOST_KEPT, ENTRY = 64_000_000, 150
# Letters and digits hold together; every other sign, and every ideograph, stands alone.
_WORD = re.compile(r"[^\W_\u2e80-\u9fff\uac00-\ud7af]+|\S")
_ACCENTS = re.compile("[\u0300-\u036f]+")


class Counted(NamedTuple):
    """Pieces of texts, those of text i between ``ends[i]`` and ``ends[i + 1]``.

    Attributes
    ----------
    pieces : ndarray of shape (n,)
    times : ndarray of shape (n,)
        How often the word occurs in the text of which the piece is a part.
    ends : ndarray of shape (n_texts + 1,)
    """

    pieces: Ints
    times: Ints
    ends: Ints


class PieceCounter:
    """Counts the words of texts, and cuts them into pieces. Safe in threads.

    Parameters
    ----------
    pieces : dict of str to int
        Number of each piece; inside a word pieces begin with ``##``.
    most : int
        So many bytes are kept of what was cut, about, and those of a batch.

    Examples
    --------
    >>> counted = PieceCounter({"red": 0, "hat": 1, "##s": 2})(["red red hats", "red"])
    >>> [numbers.tolist() for numbers in counted]
    [[0, 1, 2, 0], [2, 1, 1, 1], [0, 3, 4]]
    """

    def __init__(self, pieces: dict[str, int], most: int = MOST_KEPT):
        self.pieces = pieces
        self.most = most
        self._forget()

    def __call__(self, texts: Sequence[str]) -> Counted:
        chunks, words = self._known  # another thread may forget meanwhile: these stay a pair
        if chunks.size + words.size > self.most:
            chunks, words = self._forget()
        # Words end at blanks, and neither case nor accents look beyond one: `split` of a text is
        # that of its chunks.
        found = [text[:MAX_CHARACTERS].split() for text in texts]
        lengths = np.fromiter(map(len, found), np.int64, len(found))
        numbers = map(chunks.__getitem__, itertools.chain.from_iterable(found))
        parts, many = chunks.cut(np.fromiter(numbers, np.int64, lengths.sum()))
        owners = np.repeat(np.repeat(np.arange(len(found)), lengths), many)
        base = max(1, len(words))
        # Each word once a text, with the number of times it occurs.
        keys, times = np.unique(owners * base + parts, return_counts=True)
        pieces, many = words.cut(keys % base)
        first = np.searchsorted(keys, np.arange(len(found) + 1) * base)
        ends = np.concatenate([[0], np.cumsum(many)])[first]
        return Counted(pieces, np.repeat(times, many), ends)

    def _forget(self) -> tuple[_Known, _Known]:
        words = _Known(lambda word: cut(word, self.pieces))
        chunks = _Known(lambda chunk: [words[word] for word in split(chunk)])
        self._known = chunks, words
        return self._known


class _Known(dict[str, int]):
    """Texts by their number; one that is new gets the next, and is cut into a list of numbers.

    The lists lie end to end in one array. Only adding is locked: it never alters what was there.
    """

    def __init__(self, cut_up: Callable[[str], list[int]]):
        super().__init__()
        self.cut_up = cut_up
        self.size = 0
        self._lock = threading.Lock()
        self._ends = np.zeros(1024, np.int32)
        self._lists = np.empty(1024, np.int32)

    def __missing__(self, text: str) -> int:
        found = self.cut_up(text)
        with self._lock:
            number = self.get(text)
            if number is None:  # nor has another thread added it meanwhile
                number = self._add(found)
                self.size += len(text) + ENTRY
                self[text] = number
        return number

    def _add(self, found: list[int]) -> int:
        number = len(self)
        start = int(self._ends[number])
        end = start + len(found)
        self._lists = _with_room(self._lists, end)
        self._ends = _with_room(self._ends, number + 2)
        self._lists[start:end] = found
        self._ends[number + 1] = end
        return number

    def cut(self, numbers: NDArray[np.int64]) -> tuple[Ints, Ints]:
        """Return the lists of some texts, end to end, and the length of each."""
        ends, lists = self._ends, self._lists
        starts = ends[numbers]
        lengths = ends[numbers + 1] - starts
        after = np.cumsum(lengths)
        places = np.repeat(starts - after + lengths, lengths)
        places += np.arange(len(places))
        return lists[places], lengths


def _with_room(array: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """Return an array for at least `count` numbers that begins with those of `array`."""
    if count <= len(array):
        return array
    return np.concatenate([array, np.empty(max(count, len(array)), np.int32)])


def split(text: str) -> list[str]:
    """Cut a text into words and single signs, in lower case and without accents.

    >>> split("Café au lait, 2 cups!")
    ['cafe', 'au', 'lait', ',', '2', 'cups', '!']
    """
    text = text[:MAX_CHARACTERS].lower()
    if not text.isascii():
        text = _ACCENTS.sub("", unicodedata.normalize("NFD", text))
    return _WORD.findall(text)


def cut(word: str, pieces: dict[str, int]) -> list[int]:
    """Cut a word into the longest known pieces, from its start; empty where that fails.

    >>> cut("armchairs", {"arm": 0, "armchair": 1, "##s": 2})
    [1, 2]
    """
    found: list[int] = []
    start, end = 0, len(word)
    if end > LONGEST_WORD:
        return []
    while start < len(word):
        piece = pieces.get(f"##{word[start:end]}" if start else word[:end])
        if piece is not None:
            found.append(piece)
            start, end = end, len(word)
        elif end - start == 1:
            return []
        else:
            end -= 1
    return found
