"""Fit the student to the teacher, each view seen by both and never again."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from source import Source
from teacher import DIM, HINTS, SIDE, STATISTICS, Targets, Teacher
from torch import nn
from torch.nn import functional
from views import student_view

from deepfeast.transforms.encoders.image import tiny
from deepfeast.transforms.encoders.image.pixels import Preprocessing

WEIGHTS = (1.0, 0.5, 0.15, 0.15, 0.15, 0.25, 0.25)
"""Of each part in the loss: pooled, cells, three hints, two sets of statistics."""

_AS_A_USER = Preprocessing(256, (SIDE, SIDE), Image.Resampling.BILINEAR, (127.5,) * 3, (127.5,) * 3)


class Student(nn.Module):
    """The network, and the linear heads that predict the teacher from it while it learns."""

    def __init__(self) -> None:
        super().__init__()
        self.network = tiny.network(batch_norm=True)
        net = cast(Any, self.network)
        for block in net.blocks:
            if block.adds:
                # A block begins as the identity, which steadies the first steps.
                nn.init.zeros_(block.body[-1].weight)
        self.readouts = (net.late, net.middle, net.early)
        read = [readout[0].out_channels for readout in self.readouts]
        handed = [readout[0].in_channels for readout in self.readouts]
        self.late = nn.Linear(read[0], DIM)
        self.statistics = nn.ModuleList(map(nn.Linear, read[1:], STATISTICS))
        self.hints = nn.ModuleList(nn.Conv2d(*pair, 1) for pair in zip(handed, HINTS, strict=True))

    def forward(self, pixels: torch.Tensor) -> Targets:
        """Predict the teacher's standardised `Targets` of pixels (n, 3, 128, 128)."""
        trunk = cast(Any, self.network).trunk(pixels)
        late, *others = (read(x) for read, x in zip(self.readouts, trunk, strict=True))
        # One head for both: a picture's activations are the mean of its cells'.
        cells = self.late(late.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return Targets(
            self.late(late.mean((2, 3))),
            cells,
            tuple(head(x) for head, x in zip(self.hints, trunk, strict=True)),
            tuple(head(x.mean((2, 3))) for head, x in zip(self.statistics, others, strict=True)),
        )


class Scale:
    """Mean and deviation of each channel of the teacher's targets.

    Parameters
    ----------
    pairs : list of tensor of shape (2, channels)
        One for each part of `Targets`.
    """

    FLOOR = 0.02
    """Smallest deviation: a channel that hardly ever speaks is not amplified."""

    def __init__(self, pairs: list[torch.Tensor]) -> None:
        self.pairs = pairs

    @classmethod
    def measure(cls, batches: Sequence[Targets]) -> Scale:
        """Take them from some batches."""
        pairs = []
        for column in zip(*(_flat(batch) for batch in batches), strict=True):
            values = torch.cat(column).transpose(0, 1).flatten(1)
            pairs.append(torch.stack([values.mean(1), values.std(1).clamp(cls.FLOOR)]))
        return cls(pairs)

    def __call__(self, targets: Targets) -> list[torch.Tensor]:
        """Standardise every part; beyond six deviations is cut off."""
        scaled = []
        for values, (mean, std) in zip(_flat(targets), self.pairs, strict=True):
            shape = (-1,) + (1,) * (values.dim() - 2)
            scaled.append(((values - mean.view(shape)) / std.view(shape)).clamp(-6, 6))
        return scaled


def _flat(targets: Targets) -> list[torch.Tensor]:
    return [targets.pooled, targets.cells, *targets.hints, *targets.statistics]


class Fit:
    """The state of one training: student, optimiser, running average, clock.

    Parameters
    ----------
    cache : Path
        Checkpoints and exported weights go there.
    teacher : callable
        From views (n, 3, 224, 224) to their `Targets`, as a ``Teacher`` is.
    device : str
    rate : float
        Largest learning rate.
    seed : int
        Starting weights, and all pictures.
    """

    def __init__(
        self,
        cache: Path,
        teacher: Callable[[torch.Tensor], Targets],
        device: str,
        rate: float = 3e-3,
        seed: int = 0,
    ):
        torch.manual_seed(seed)
        self.cache, self.teacher, self.device, self.rate = cache, teacher, device, rate
        self.student = Student().to(device)
        self.student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = torch.optim.swa_utils.AveragedModel(
            self.student, multi_avg_fn=self._follow, use_buffers=True
        )
        self.scale = Scale([])
        flat = [p for p in self.student.parameters() if p.dim() < 2]
        deep = [p for p in self.student.parameters() if p.dim() >= 2]
        groups = [{"params": deep, "weight_decay": 0.02}, {"params": flat, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99), fused=True)
        self.step, self.pictures, self.seconds = 0, 0, 0.0

    def losses(self, views: torch.Tensor, model: nn.Module) -> torch.Tensor:
        """Mean squared error of each part: pooled, cells, hints, statistics."""
        aims = self.scale(self.teacher(views))
        pixels = student_view(views).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device, torch.bfloat16):
            guess = model(pixels)
        pairs = zip(_flat(guess), aims, strict=True)
        return torch.stack([functional.mse_loss(g.float(), a) for g, a in pairs])

    def advance(self, views: torch.Tensor, progress: float) -> torch.Tensor:
        """Take one step on a batch of views; returns its losses."""
        rate = self.rate * min(1, self.step / 200) * (1 + math.cos(math.pi * min(progress, 1))) / 2
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        losses = self.losses(views, self.student)
        (losses * torch.tensor(WEIGHTS, device=self.device)).sum().backward()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        self.average.update_parameters(self.student)
        return losses.detach()

    def _follow(self, averages: Any, values: Any, count: object) -> None:
        """Let the running average follow the weights: it is what is shipped."""
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, values, max(1e-3, 9 / (10 + self.step)))

    def unexplained(self, pictures: torch.Tensor) -> float:
        """Mean squared error of the averaged student's pooled predictions: 1 knows nothing."""
        self.average.eval()
        with torch.no_grad():
            parts = [self.losses(part, self.average)[0] * len(part) for part in pictures.split(128)]
        return float(sum(parts) / len(pictures))

    def save(self) -> None:
        """Write a checkpoint to resume from, and the folded average as float16."""
        state = {
            "student": self.student.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scale": self.scale.pairs,
            "clock": (self.step, self.pictures, self.seconds),
        }
        part = self.cache / "checkpoint.part"
        torch.save(state, part)
        part.replace(self.cache / "checkpoint.pt")
        network = self.average.module.get_submodule("network")
        export(network.state_dict(), self.cache / "image_tiny.safetensors")

    def resume(self) -> bool:
        """Carry on from the checkpoint, where there is one."""
        path = self.cache / "checkpoint.pt"
        if not path.exists():
            return False
        state = torch.load(path, weights_only=True, map_location=self.device)
        self.student.load_state_dict(state["student"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scale = Scale(state["scale"])
        self.step, self.pictures, self.seconds = state["clock"]
        return True


def fit(
    cache: Path,
    teacher: Teacher,
    photos: Sequence[Image.Image],
    kept_out: Sequence[Image.Image] = (),
    *,
    device: str = "cpu",
    minutes: float = math.inf,
    pictures: float = 2e6,
    batch: int = 64,
    rate: float = 3e-3,
    seed: int = 0,
    room: int = 2000,
    workers: int = 0,
    dreams: int = 0,
) -> Fit:
    """Train until ``minutes`` are spent or ``pictures`` seen, saving every two minutes.

    ``kept_out`` photographs are never learnt from; every save says how much of the teacher's
    answer to them is left unexplained.
    """
    cache.mkdir(parents=True, exist_ok=True)
    run = Fit(cache, teacher, device, rate, seed)
    resumed = run.resume()
    before, began = run.seconds, time.monotonic()
    # A resumed training sees other pictures than its beginning did.
    fresh = int(np.random.SeedSequence((seed, run.step)).generate_state(1)[0])
    source = Source(photos, device, fresh, room, workers)
    source.refresh(min(room, 8 * batch), batch)
    source.add_dreams(teacher, dreams, cache / "dreams.npy")
    if not resumed:
        run.scale = Scale.measure([teacher(source.views(batch)) for _ in range(8)])
    checks = [whole_view(photo) for photo in kept_out]
    progress, saved, recent = 0.0, time.monotonic(), []
    while progress < 1:
        progress = max(run.seconds / 60 / minutes, run.pictures / pictures)
        source.refresh(batch // 8, batch // 16 if run.step % 16 == 0 else 0)
        recent.append(run.advance(source.views(batch), progress))
        run.pictures += batch
        run.seconds = before + time.monotonic() - began
        if run.step % 100 == 0 or progress >= 1:
            shown = " ".join(f"{value:.3f}" for value in torch.stack(recent).mean(0))
            print(
                f"{progress:6.1%} step {run.step} pictures {run.pictures} "
                f"seconds {run.seconds:.0f} unexplained {shown}",
                flush=True,
            )
            recent = []
        if time.monotonic() - saved > 120 or progress >= 1:
            run.save()
            saved = time.monotonic()
            if checks:
                print(f"of photos kept out {run.unexplained(torch.stack(checks).to(device)):.3f}")
    return run


def whole_view(photo: Image.Image) -> torch.Tensor:
    """Show a photograph as the teacher's preprocessing does: (3, 224, 224) of 0 to 255."""
    return torch.from_numpy(np.array(_AS_A_USER(photo))).permute(2, 0, 1).float()


def export(state: dict[str, torch.Tensor], path: Path) -> None:
    """Fold batch norm into the convolutions and write float16 safetensors."""
    from safetensors.torch import save_file

    trained = tiny.network(batch_norm=True)
    trained.load_state_dict(state)
    folded = tiny.network()
    pairs, layers = [], list(trained.eval().modules())
    for conv, norm in itertools.pairwise(layers):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            pairs.append(nn.utils.fusion.fuse_conv_bn_eval(conv, norm))
    plain = [layer for layer in folded.modules() if isinstance(layer, nn.Conv2d)]
    for target, source in zip(plain, pairs, strict=True):
        target.load_state_dict(source.state_dict())
    save_file({name: value.half() for name, value in folded.state_dict().items()}, str(path))
