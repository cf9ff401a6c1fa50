r"""Distil text-tiny: vectors of word pieces whose sum over a text points where MiniLM's does.

    python training/text_packages.py build/text_packages
    python training/text_table.py --packages build/text_packages \
        --out transforms/encoders/text/weights/text_tiny.safetensors

Collects texts (`text_corpus`), encodes them by the teacher, and fits the table; about three
quarters of an hour on two cores. What is slow is kept in ``--cache`` and taken up again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))
from text_corpus import collect

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.encoders.text.minilm import minilm_folder
from deepfeast.transforms.encoders.text.pieces import cut, split
from deepfeast.transforms.encoders.text.static import DIM, WEIGHTS

TEACHER = "minilm"
POWER = 0.5  # chosen on sets of its own: see the card
Bags = list[tuple[NDArray[np.int32], NDArray[np.float32]]]


def kept_out(text: str) -> bool:
    """Whether a text is left for judging: one in twenty, by its own hash."""
    return zlib.crc32(text.encode()) % 20 == 0


def teacher_vectors(texts: list[str], cache: Path) -> NDArray[np.float16]:
    """Encode texts by the teacher, a few thousand at a time, each part kept on disk."""
    encoder = get_encoder(TEACHER)
    parts = []
    for start in range(0, len(texts), 8192):
        part = cache / f"teacher_{start:08d}.npy"
        if not part.is_file():
            vectors = encoder.encode_safely(texts[start : start + 8192]).vectors
            np.save(part, vectors.astype(np.float16))
            print(f"teacher: {start:,} of {len(texts):,}", flush=True)
        parts.append(np.load(part))
    return np.concatenate(parts)


def vocabulary() -> list[str]:
    """Return the teacher's word pieces, those left out that no text is cut into."""
    told = json.loads((minilm_folder() / "tokenizer.json").read_text())["model"]["vocab"]
    words = sorted(told, key=told.__getitem__)
    return [word for word in words if not word.startswith("[")]


def bags_of(texts: list[str], pieces: dict[str, int]) -> Bags:
    """Cut texts into pieces: for each its distinct pieces, and their weights."""
    known: dict[str, list[int]] = {}
    bags: Bags = []
    for text in texts:
        count: Counter[int] = Counter()
        # As the encoder does: a word's weight is that of its number, and all its pieces share it.
        for word, times in Counter(split(text)).items():
            if word not in known:
                known[word] = cut(word, pieces)
            for piece in known[word]:
                count[piece] += int(WEIGHTS[times])
        ids = np.fromiter(count.keys(), np.int32, len(count))
        bags.append((ids, np.fromiter(count.values(), np.float32, len(count)) / np.float32(16)))
    return bags


class Table(torch.nn.Module):
    """Vectors of pieces; a text is their weighted sum, scaled to length 1."""

    def __init__(self, start: torch.Tensor):
        super().__init__()
        self.vectors = torch.nn.Parameter(start)

    def forward(
        self, ids: torch.Tensor, offsets: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        sums = torch.nn.functional.embedding_bag(
            ids, self.vectors, offsets, mode="sum", per_sample_weights=weights
        )
        return torch.nn.functional.normalize(sums, dim=1)


def batch_of(bags: Bags, rows: NDArray[np.int64]) -> tuple[torch.Tensor, ...]:
    """Put the bags of some texts end to end."""
    lengths = np.array([len(bags[row][0]) for row in rows])
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    ids = np.concatenate([bags[row][0] for row in rows])
    weights = np.concatenate([bags[row][1] for row in rows])
    return torch.from_numpy(ids).long(), torch.from_numpy(offsets), torch.from_numpy(weights)


def first_guess(words: list[str], basis: NDArray[np.float32], bags: Bags) -> torch.Tensor:
    """Begin with each piece encoded alone by the teacher, rare pieces weighing more."""
    alone = get_encoder(TEACHER).encode_safely([word.removeprefix("##") for word in words]).vectors
    seen = np.zeros(len(words))
    for ids, _ in bags:
        seen[ids] += 1
    rarity = 1e-3 / (1e-3 + seen / len(bags))
    return torch.from_numpy(((np.nan_to_num(alone) @ basis) * rarity[:, None]).astype(np.float32))


def fit(
    table: Table,
    bags: Bags,
    targets: NDArray[np.float32],
    *,
    epochs: int,
    batch: int = 2048,
    rate: float = 3e-3,
    dropped: float = 0.15,
    seed: int = 0,
) -> None:
    """Turn the sums towards the teacher's vectors: Adam, one cosine from `rate` to zero.

    A share of the pieces is left out of each sum at random: so each learns to stand for a text by
    itself, and texts of new kinds lie nearer to the teacher's vectors.
    """
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    optimizer = torch.optim.Adam(table.parameters(), lr=rate)
    steps = epochs * (len(bags) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    goals = torch.from_numpy(targets)
    started = time.perf_counter()
    for epoch in range(epochs):
        losses = []
        order = random.permutation(len(bags))
        for start in range(0, len(bags) - batch + 1, batch):
            rows = order[start : start + batch]
            ids, offsets, weights = batch_of(bags, rows)
            weights = weights * (torch.rand(len(weights)) >= dropped)
            found = table(ids, offsets, weights)
            loss = 1 - (found * goals[rows]).sum(dim=1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        spent = time.perf_counter() - started
        print(f"epoch {epoch + 1}: 1 - cosine {np.mean(losses):.4f}, {spent:.0f} s", flush=True)


def leveled(vectors: NDArray[np.float32], power: float = POWER) -> NDArray[np.float32]:
    """Bring vectors' lengths nearer to each other: common words weigh more than a fit gives them.

    The cosine to the teacher's vectors alone lets rare words drown the common ones ("not good"),
    by which a target can often be told. At the power a half, a model's lift gains, and similarity
    loses little.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-3) ** power


def rounded(vectors: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.uint8]]:
    """Round each vector to eight bits and a shift of its own: vector = mantissas << shift.

    The longest entry of the table comes to 127 << 3: sums of long texts stay below 2²⁴.
    """
    scaled = vectors * (127 * 2**3 / np.abs(vectors).max())
    largest = np.abs(scaled).max(axis=1)
    shifts = np.clip(np.ceil(np.log2(np.maximum(largest, 1e-9) / 127)), 0, 3).astype(np.uint8)
    mantissas = np.rint(scaled / (1 << shifts.astype(np.int64))[:, None])
    return np.clip(mantissas, -127, 127).astype(np.int8), shifts


def save(path: Path, words: list[str], vectors: NDArray[np.float32]) -> None:
    """Write the table that the encoder reads."""
    from safetensors.numpy import save_file

    mantissas, shifts = rounded(vectors)
    text = np.frombuffer("\n".join(words).encode(), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"vocabulary": text, "mantissas": mantissas, "shifts": shifts}, path)


def main() -> None:
    """Collect, teach, fit, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("build/text_tiny"))
    parser.add_argument("--packages", type=Path, default=Path("build/text_packages"))
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    listed = asked.cache / "texts.json"
    if not listed.is_file():
        listed.write_text(json.dumps(collect(asked.packages, asked.seed, kept_out)))
    texts = json.loads(listed.read_text())
    taught = teacher_vectors(texts, asked.cache).astype(np.float32)
    good = np.isfinite(taught).all(axis=1)
    words = vocabulary()
    bags = bags_of(texts, {word: row for row, word in enumerate(words)})
    good &= np.array([len(ids) > 0 for ids, _ in bags])
    bags, taught = [bag for bag, ok in zip(bags, good, strict=True) if ok], taught[good]
    # The directions in which the teacher's vectors lie: 320 keep nearly all of their products.
    basis = np.linalg.eigh(taught.T @ taught)[1][:, ::-1][:, :DIM].astype(np.float32)
    targets = taught @ basis
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    table = Table(first_guess(words, basis, bags))
    fit(table, bags, targets, epochs=asked.epochs, seed=asked.seed)
    save(asked.out, words, leveled(table.vectors.detach().numpy()))
    print(f"wrote {asked.out}: {asked.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
