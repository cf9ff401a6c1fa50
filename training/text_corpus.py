"""Texts for the distillation of text-tiny: only what package registries ship, no network.

Glosses and example sentences of WordNet (Debian's ``wordnet-base``), the descriptions of Debian's
packages, the docstrings of the installed Python packages, fortunes (Debian's
``fortunes``), texts of the generated marketplace, made-up opinions (`text_opinions`), and texts of
packages that were fetched (`text_packages`). What is not there is left out, and said.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sysconfig
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from text_opinions import opinions
from text_packages import PACKAGES, texts_of

SHORTEST, LONGEST, LONGEST_JOINED = 3, 2000, 700  # characters
WORDNET = Path("/usr/share/wordnet")
FORTUNES = Path("/usr/share/games/fortunes")


def wordnet(folder: Path = WORDNET) -> Iterator[str]:
    """Yield each gloss with its words, and each example sentence by itself."""
    for path in sorted(folder.glob("data.*")):
        for line in path.read_text(encoding="latin-1").splitlines():
            if line.startswith("  "):
                continue
            data, _, gloss = line.partition(" | ")
            parts = data.split()
            words = [word.replace("_", " ") for word in parts[4 : 4 + 2 * int(parts[3], 16) : 2]]
            meaning, *examples = [part.strip(' "') for part in gloss.split('; "')]
            yield f"{', '.join(words)}: {meaning}"
            yield from examples


def debian() -> Iterator[str]:
    """Yield the descriptions of Debian's packages: the line, and the paragraphs below it."""
    listed = subprocess.run(
        ["apt-cache", "dumpavail"], capture_output=True, text=True, check=True
    ).stdout
    for entry in listed.split("\n\n"):
        found = re.search(r"^Description(?:-en)?: (.*(?:\n .*)*)", entry, re.MULTILINE)
        if found:
            title, _, body = found[1].partition("\n")
            yield title
            text = re.sub(r"^ ", "", body, flags=re.MULTILINE)
            yield from (" ".join(part.split()) for part in re.split(r"\n\.\n", text))


def docstrings() -> Iterator[str]:
    """Yield the paragraphs of the docstrings of the installed Python packages."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in sorted(Path(sysconfig.get_path("purelib")).rglob("*.py")):
            try:
                tree = ast.parse(path.read_text(encoding="utf-8"))
            except (SyntaxError, UnicodeDecodeError, ValueError):
                continue
            for node in ast.walk(tree):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                    yield from _paragraphs(ast.get_docstring(node) or "")


def fortunes(folder: Path = FORTUNES) -> Iterator[str]:
    """Yield sayings, jokes and quotations."""
    for path in sorted(folder.rglob("*.u8")):
        yield from (" ".join(part.split()) for part in path.read_text("utf-8").split("\n%\n"))


def marketplace(rows: int = 3000, seed: int = 77) -> Iterator[str]:
    """Yield titles and descriptions of generated listings."""
    from deepfeast.pipelines.demo.market.items import invent
    from deepfeast.pipelines.demo.market.texts import description, title

    random = np.random.default_rng(seed)
    for item in invent(rows, seed):
        yield title(item, random)
        yield description(item, random)


SOURCES: dict[str, tuple[Callable[[], Iterator[str]], int]] = {
    "wordnet": (wordnet, 70_000),
    "debian": (debian, 49_000),
    "docstrings": (docstrings, 20_000),
    "fortunes": (fortunes, 15_000),
    "marketplace": (marketplace, 5_000),
    "opinions": (lambda: opinions(WORDNET), 24_000),
}


def collect(
    packages: Path, seed: int = 0, keep_out: Callable[[str], bool] | None = None
) -> list[str]:
    """Collect distinct texts, at most so many of each source, and join some to longer ones.

    Parameters
    ----------
    packages : Path
        A folder with the files of `text_packages`.
    seed : int
        Draws them, and what is joined.
    keep_out : callable, optional
        Texts for which it is true are left to be judged on.

    Returns
    -------
    list of str
    """
    random = np.random.default_rng(seed)
    texts: list[str] = []
    fetched = {name: (partial(texts_of, name, packages), 100_000) for name in PACKAGES}
    for name, (source, most) in (SOURCES | fetched).items():
        try:
            found = list(dict.fromkeys(t for t in source() if SHORTEST <= len(t) <= LONGEST))
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{name}: left out, {error}")
            continue
        if keep_out is not None:
            found = [text for text in found if not keep_out(text)]
        chosen = random.permutation(len(found))[:most]
        print(f"{name}: {len(chosen):,} of {len(found):,} texts", flush=True)
        texts += [found[index] for index in chosen]
    return [*texts, *_longer(texts, len(texts) // 80, random)]


def _longer(texts: list[str], count: int, random: np.random.Generator) -> list[str]:
    """Join two to six texts: real columns hold many sentences."""
    joined = []
    for _ in range(count):
        chosen = random.integers(0, len(texts), random.integers(2, 7))
        joined.append(" ".join(texts[index] for index in chosen)[:LONGEST_JOINED])
    return joined


def _paragraphs(text: str) -> Iterator[str]:
    for part in re.split(r"\n\s*\n", text):
        if not re.search(r">>>|\.\. |-{4}|={4}|```|https?://\S+\)|^\s*\|", part):
            yield " ".join(part.split())
