"""Fit the student to the teacher's stored activations."""

from __future__ import annotations

import itertools
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as group
from shards import TOP, read_shards
from torch import nn
from torch.nn import functional

from deepfeast.transforms.encoders import tiny

TEACHER_DIM = 1280
LATE_DIM = 512
"""Channels of the student's last map, which alone learns from the teacher."""
LOCAL_DIMS = 320
"""Teacher channels compared cell by cell in one step, drawn anew: all would cost a tenth."""


class Fit:
    """The state of one training: student, head, optimiser, running average, clock.

    Parameters
    ----------
    cache : Path
        Holds the shards; checkpoints and exported weights go there too.
    rate : float
        Largest learning rate.
    seed : int
        Starting weights and the order of the pictures.
    """

    def __init__(self, cache: Path, rate: float = 3e-3, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.cache, self.rate, self.seed = cache, rate, seed
        self.student = tiny.network(batch_norm=True).to(memory_format=torch.channels_last)
        for layer in self.student.modules():
            if hasattr(layer, "body"):
                # A block begins as the identity, which steadies the first steps.
                nn.init.zeros_(layer.body[-1].weight)
        self.head = nn.Linear(LATE_DIM, TEACHER_DIM)
        self.average = {k: v.clone() for k, v in self.student.state_dict().items()}
        self.weights = [*self.student.parameters(), *self.head.parameters()]
        self.optimiser = torch.optim.AdamW(
            self.weights, lr=rate, betas=(0.9, 0.99), weight_decay=0.02, fused=True
        )
        self.step, self.pictures, self.seconds = 0, 0, 0.0
        shards = read_shards(cache)
        if not shards:
            raise SystemExit(f"no finished shard in {cache}: run tiny_train.py label first")
        self.scales = [_scale(shards[:4], "pooled", 1.0), _scale(shards[:4], "local", TOP / 255)]

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Mean squared error to standardised activations, pooled and by cell."""
        maps = self.student[0](batch["pixels"])
        pooled = self.head(maps.mean((2, 3)))
        (mean, std), (_, cell_std) = self.scales
        whole = functional.mse_loss(pooled.float(), ((batch["pooled"] - mean) / std).clamp(-6, 6))
        some = torch.from_numpy(
            np.random.default_rng(self.step).permutation(TEACHER_DIM)[:LOCAL_DIMS]
        )
        cells = functional.linear(
            maps.permute(0, 2, 3, 1), self.head.weight[some], self.head.bias[some]
        )
        # One head for both: a picture's activations are the mean of its cells'.
        aims = (batch["local"][..., some] * (TOP / 255) - mean[some]) / std[some]
        spread = cell_std[some] / std[some]
        part = (((cells.float() - aims) / spread).clamp(-6, 6) ** 2).mean()
        self.last = (whole.item(), part.item())
        return whole + 0.5 * part

    def advance(self, batch: dict[str, torch.Tensor], progress: float) -> float:
        """One step on this process's batch and its fellows'; returns the shared progress."""
        with torch.autocast("cpu", torch.bfloat16):
            loss = self.loss(batch)
        loss.backward()
        progress = _shared([w.grad for w in self.weights], progress)
        rate = self.rate * min(1, self.step / 200) * (1 + math.cos(math.pi * min(progress, 1))) / 2
        self.optimiser.param_groups[0]["lr"] = rate
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        self._follow(min(0.999, (1 + self.step) / (10 + self.step)))
        return progress

    def _follow(self, decay: float) -> None:
        """Let the running average follow the weights: it is what is shipped."""
        with torch.no_grad():
            for name, value in self.student.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value, 1 - decay)

    def save(self) -> None:
        """Write a checkpoint to resume from, and the folded average as float16."""
        state = {
            "student": self.student.state_dict(),
            "head": self.head.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "clock": (self.step, self.pictures, self.seconds),
        }
        part = self.cache / "checkpoint.part"
        torch.save(state, part)
        part.replace(self.cache / "checkpoint.pt")
        export(self.average, self.cache / "image_tiny.safetensors")

    def resume(self) -> None:
        """Carry on from the checkpoint, where there is one."""
        path = self.cache / "checkpoint.pt"
        if path.exists():
            state = torch.load(path, weights_only=True)
            self.student.load_state_dict(state["student"])
            self.head.load_state_dict(state["head"])
            self.average = state["average"]
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.pictures, self.seconds = state["clock"]


def fit(
    cache: Path, *, minutes: float, pictures: float, batch: int, rate: float, seed: int
) -> None:
    """Train until ``minutes`` are spent or ``pictures`` seen, saving every two minutes."""
    rank, ranks = _join()
    # One thread a process: with more, every layer would wait for the slowest core.
    torch.set_num_threads(1)
    run = Fit(cache, rate, seed)
    run.resume()
    rng = np.random.default_rng((seed, rank, run.step))
    progress, before = 0.0, run.seconds
    began = saved = time.monotonic()
    shards = read_shards(cache)
    while progress < 1:
        progress = max(run.seconds / 60 / minutes, run.pictures / pictures)
        progress = run.advance(read_batch(rng, shards, batch), progress)
        run.pictures += batch * ranks
        run.seconds = before + time.monotonic() - began
        if run.step % 50 == 0:
            shards = read_shards(cache)
        if rank == 0 and (run.step % 50 == 0 or progress >= 1):
            whole, part = run.last
            print(
                f"{progress:6.1%} step {run.step} pictures {run.pictures} shards {len(shards)} "
                f"unexplained {whole:.3f} by cell {part:.3f}",
                flush=True,
            )
        if rank == 0 and (time.monotonic() - saved > 120 or progress >= 1):
            run.save()
            saved = time.monotonic()


def read_batch(rng: np.random.Generator, shards: list, size: int) -> dict[str, torch.Tensor]:
    """Random stored pictures, shifted by some pixels and mirrored at random."""
    pixels = np.empty((size, tiny.SIZE, tiny.SIZE, 3), np.uint8)
    pooled = np.empty((size, TEACHER_DIM), np.float32)
    local = np.empty((size, 4, 4, TEACHER_DIM), np.uint8)
    for i in range(size):
        shard = shards[rng.integers(len(shards))]
        row = int(rng.integers(len(shard["pooled"])))
        margin = shard["pixels"].shape[1] - tiny.SIZE
        y, x = rng.integers(0, margin + 1, 2)
        turn = int(rng.choice((-1, 1)))
        pixels[i] = shard["pixels"][row, y : y + tiny.SIZE, x : x + tiny.SIZE][:, ::turn]
        pooled[i], local[i] = shard["pooled"][row], shard["local"][row][:, ::turn]
    scaled = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
    scaled = (scaled / 255 - tiny.MEAN[0]) / tiny.STD[0]
    return {"pixels": scaled, "pooled": torch.from_numpy(pooled), "local": torch.from_numpy(local)}


def export(state: dict[str, torch.Tensor], path: Path) -> None:
    """Fold batch norm into the convolutions and write float16 safetensors."""
    from safetensors.torch import save_file

    trained = tiny.network(batch_norm=True)
    trained.load_state_dict(state)
    folded = tiny.network()
    pairs, layers = [], list(trained.eval().modules())
    for conv, norm in itertools.pairwise(layers):
        if isinstance(norm, nn.BatchNorm2d):
            pairs.append(nn.utils.fusion.fuse_conv_bn_eval(conv, norm))
    plain = [layer for layer in folded.modules() if isinstance(layer, nn.Conv2d)]
    for target, source in zip(plain, pairs, strict=True):
        target.load_state_dict(source.state_dict())
    save_file({name: value.half() for name, value in folded.state_dict().items()}, str(path))


def _scale(shards: list, name: str, unit: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each teacher channel, the latter bounded below."""
    values = np.concatenate([s[name][:: 8 if name == "local" else 1] for s in shards])
    values = values.reshape(-1, TEACHER_DIM).astype(np.float32) * unit
    return torch.from_numpy(values.mean(0)), torch.from_numpy(values.std(0).clip(0.02))


def _join() -> tuple[int, int]:
    """Join the processes started by torchrun; give one's own number and how many there are."""
    if not torch.distributed.is_torchelastic_launched():
        return 0, 1
    group.init_process_group("gloo")
    return group.get_rank(), group.get_world_size()


def _shared(grads: list, progress: float) -> float:
    """Average gradients, in place, and progress over all processes."""
    if not group.is_initialized():
        return progress
    flat = torch.cat([*(grad.reshape(-1) for grad in grads), torch.tensor([progress])])
    group.all_reduce(flat)
    flat /= group.get_world_size()
    start = 0
    for grad in grads:
        grad.copy_(flat[start : start + grad.numel()].view_as(grad))
        start += grad.numel()
    return float(flat[-1])
