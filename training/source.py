"""Where a training's pictures come from: one pool on the device, kept fresh while it is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from dreams import dream
from pictures import SIDE, draw
from PIL import Image
from teacher import Teacher
from textures import textures
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from views import Dice, draw_views

CHUNK = 16
"""Drawn pictures that a worker hands over at a time."""

SHARES = {"photos": 0.48, "drawn": 0.22, "textures": 0.06, "dreams": 0.24}
"""How often each kind is viewed."""


class Source:
    """Photographs, drawn pictures, textures and dreams, of which it gives views.

    Parameters
    ----------
    photos : sequence of PIL.Image
        RGB; at least one.
    device : str
        Holds the pool: about 200 kB a picture.
    seed : int
        Decides everything that is drawn.
    room : int
        How many drawn pictures are kept, the newest; and as many textures as a third.
    workers : int
        Processes that draw.
    """

    def __init__(
        self, photos: Sequence[Image.Image], device: str, seed: int, room: int, workers: int
    ) -> None:
        self.dice = Dice(device, seed)
        self.room = {"photos": len(photos), "drawn": room, "textures": room // 3, "dreams": 0}
        self.put_so_far = dict.fromkeys(self.room, 0)
        total = sum(self.room.values())
        self.pool = torch.empty(total, 3, SIDE, SIDE, dtype=torch.uint8, device=device)
        self.aspect = torch.ones(total, device=device)
        for photo in photos:
            wide, tall = photo.size
            self.aspect[self.put_so_far["photos"]] = wide / tall
            self.put("photos", stored(photo)[None])
        self.drawn = iter(DataLoader(_Drawn(photos, seed), batch_size=None, num_workers=workers))

    def put(self, kind: str, pictures: torch.Tensor) -> None:
        """Store pictures (n, 3, side, side), uint8, in the place of the oldest of that kind."""
        start, room = self._start(kind), self.room[kind]
        places = (self.put_so_far[kind] + torch.arange(len(pictures))) % room + start
        self.pool[places.to(self.pool.device)] = pictures.to(self.pool.device)
        self.put_so_far[kind] += len(pictures)

    def refresh(self, drawn: int, drawn_textures: int) -> None:
        """Add at least so many new drawn pictures, and so many textures."""
        aim = self.put_so_far["drawn"] + drawn
        while self.put_so_far["drawn"] < aim:
            self.put("drawn", next(self.drawn))
        if drawn_textures:
            self.put("textures", textures(drawn_textures, self.dice))

    def views(self, n: int) -> torch.Tensor:
        """Give n views of random pictures, (n, 3, 224, 224) float32 of values 0 to 255."""
        kinds = [kind for kind in self.room if self.put_so_far[kind]]
        shares = torch.tensor([SHARES[kind] for kind in kinds])
        ends = (shares.cumsum(0) / shares.sum()).to(self.pool.device)
        which = torch.bucketize(self.dice.uniform(n), ends).clamp(max=len(kinds) - 1)
        filled = [min(self.put_so_far[kind], self.room[kind]) for kind in kinds]
        counts = torch.tensor(filled, device=self.pool.device)
        starts = torch.tensor([self._start(kind) for kind in kinds], device=self.pool.device)
        rows = starts[which] + (self.dice.uniform(n) * counts[which]).long()
        return draw_views(self.pool[rows], self.aspect[rows], self.dice)

    def add_dreams(self, teacher: Teacher, number: int, file: Path) -> None:
        """Dream so many pictures from views of the others; read them where ``file`` has them."""
        if not number:
            return
        if file.exists():
            made = torch.from_numpy(np.load(file))
        else:
            parts, batch = [], min(256, number)
            for _ in range(-(-number // batch)):
                bent = dream(self.views(batch), teacher, self.dice)
                wide = torch.nn.functional.interpolate(
                    bent, (SIDE, SIDE), mode="bilinear", align_corners=False
                )
                parts.append(wide.byte().cpu())
            made = torch.cat(parts)[:number]
            np.save(file, made.numpy())
        more = torch.ones(len(made), device=self.pool.device)
        self.pool = torch.cat([self.pool, made.to(self.pool.device)])
        self.aspect = torch.cat([self.aspect, more])
        self.room["dreams"] = self.put_so_far["dreams"] = len(made)

    def _start(self, kind: str) -> int:
        kinds = list(self.room)
        return sum(self.room[k] for k in kinds[: kinds.index(kind)])


class _Drawn(IterableDataset):
    """Endless chunks of drawn pictures, other ones in each worker."""

    def __init__(self, photos: Sequence[Image.Image], seed: int) -> None:
        self.photos, self.seed = photos, seed

    def __iter__(self) -> Iterator[torch.Tensor]:
        worker = get_worker_info()
        rng = np.random.default_rng((self.seed, worker.id if worker else 0))
        while True:
            yield torch.stack([stored(draw(rng, self.photos)) for _ in range(CHUNK)])


def stored(picture: Image.Image) -> torch.Tensor:
    """Squeeze a picture to the square that is stored: uint8 (3, 256, 256)."""
    square = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)


def open_photos(
    folder: Path, keep_out: Path | None = None
) -> tuple[list[Image.Image], list[Image.Image]]:
    """Photographs of a folder, and scikit-learn's two, decoded: those to use, those kept out."""
    from sklearn.datasets import load_sample_images

    if not folder.is_dir():
        raise SystemExit(f"no folder {folder}: give one of photographs as --photos")
    banned = set(keep_out.read_text().split()) if keep_out else set()
    used: list[Image.Image] = []
    kept: list[Image.Image] = []
    for file in sorted(folder.iterdir()):
        (kept if file.name in banned else used).append(Image.open(file).convert("RGB"))
    if not used:
        raise SystemExit(f"no photographs in {folder}")
    samples = [Image.fromarray(np.asarray(image)) for image in load_sample_images().images]
    # As often as some twenty photographs: they are larger, and of other things.
    return used + samples * 10, kept
