"""Train a small GAN on the marketplace's photos, and ask what its discriminator is worth.

A discriminator has learned to tell photos from made-up ones without any label: its inner layers
are features like any other network's. From the root of the repository, ten minutes on two cores:

    python training/photo_gan.py --out build/photo_gan

It draws a marketplace nobody sells on, trains on its photos, saves the discriminator's weights,
and then asks ``deepfeast lift`` about the demonstration's listings, whose photos it has not seen:
the discriminator beside its untrained twin and beside ``image-tiny``.

References
----------
Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks", 2016: the shape, and discriminators as features. Miyato et al., "Spectral
Normalization for Generative Adversarial Networks", 2018: the norm and the hinge loss.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import parametrizations, parametrize

SIZE, NOISE, WIDTH = 64, 64, 16
HERE = Path(__file__).resolve().parent
LAYER = "6"
"""The last convolution before the verdict: 8 × 8 places of 64 numbers."""


def discriminator(width: int = WIDTH) -> nn.Sequential:
    """Return a network from photos (n, 3, 64, 64) of -1 to 1 to verdicts (n, 1)."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, 1, 1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(width, 2 * width, 4, 2, 1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(2 * width, 4 * width, 4, 2, 1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(4 * width, 4 * width, 4, 2, 1),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
        nn.Linear(4 * width * 8 * 8, 1),
    )


def generator(width: int = WIDTH) -> nn.Sequential:
    """Return a network from noise (n, 64, 1, 1) to photos (n, 3, 64, 64) of -1 to 1."""
    wide = [NOISE, 8 * width, 4 * width, 2 * width, width]
    layers: list[nn.Module] = []
    for place, (read, made) in enumerate(itertools.pairwise(wide)):
        stride, margin = (1, 0) if place == 0 else (2, 1)
        layers += [nn.ConvTranspose2d(read, made, 4, stride, margin, bias=False)]
        layers += [nn.BatchNorm2d(made), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 4, 2, 1), nn.Tanh())


def train(photos: NDArray[np.uint8], steps: int, batch: int, seed: int) -> nn.Sequential:
    """Train both networks on photos (n, 64, 64, 3); return the discriminator."""
    torch.manual_seed(seed)
    real = torch.from_numpy(photos).permute(0, 3, 1, 2)
    judge, maker = discriminator(), generator()
    for network in (judge, maker):
        # A quarter faster; torch's stubs do not know of it.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for layer in judge:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            parametrizations.spectral_norm(layer)
    # With a faster judge it soon knows all, its loss is zero, and it learns nothing more.
    judging, making = (
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
        for network in (judge, maker)
    )
    for step in range(1, steps + 1):
        seen = real[torch.randint(len(real), (batch,))].float() / 127.5 - 1
        seen = torch.where(torch.rand(batch, 1, 1, 1) < 0.5, seen.flip(3), seen)
        seen = seen.contiguous(memory_format=torch.channels_last)
        made = maker(torch.randn(batch, NOISE, 1, 1))
        wrong = torch.relu(1 - judge(seen)).mean() + torch.relu(1 + judge(made.detach())).mean()
        judging.zero_grad()
        wrong.backward()
        judging.step()
        judge.requires_grad_(False)
        found_out = -judge(made).mean()
        making.zero_grad()
        found_out.backward()
        making.step()
        judge.requires_grad_(True)
        if step % 100 == 0 or step == steps:
            print(f"step {step:,} of {steps:,}: the judge's loss {wrong.item():.2f}", flush=True)
    for layer in judge:
        if parametrize.is_parametrized(layer):
            parametrize.remove_parametrizations(layer, "weight")
    return judge.eval()


def read_photos(folder: Path) -> NDArray[np.uint8]:
    """Read a folder of JPEGs as (n, 64, 64, 3); what does not decode is left out."""
    from deepfeast.transforms.errors import Reject
    from deepfeast.transforms.images import decode

    photos = []
    for path in sorted(folder.iterdir()):
        try:
            photo = decode(path.read_bytes(), shorter=2 * SIZE)
        except Reject:
            continue
        photos.append(np.asarray(photo.resize((SIZE, SIZE))))
    return np.stack(photos)


def encoder_name(weights: Path | None) -> str:
    """Return the encoder's string; without weights it is the untrained twin's."""
    name = f"torch:photo_gan:discriminator?layer={LAYER}&size={SIZE}&fit=squash&mean=0.5&std=0.5"
    return f"{name}&weights={weights.resolve()}" if weights else name


def main() -> None:
    """Draw, train, save, and ask."""
    parser = argparse.ArgumentParser(description="Train a small GAN on the marketplace's photos.")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights and report")
    parser.add_argument("--listings", type=int, default=3000, help="whose photos are learned from")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=32, help="photos a step")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--no-lift", action="store_true", help="end with the weights")
    asked = parser.parse_args()
    from safetensors.torch import save_file

    from deepfeast.pipelines.demo.market import write_marketplace

    market = write_marketplace(asked.out / "market", listings=asked.listings, seed=asked.seed)
    judge = train(read_photos(market.photos), asked.steps, asked.batch, asked.seed)
    weights = asked.out / "discriminator.safetensors"
    save_file({name: each.contiguous() for name, each in judge.state_dict().items()}, weights)
    print(f"encoder: {encoder_name(weights)}")
    if not asked.no_lift:
        ask(asked.out, weights)


def ask(out: Path, weights: Path) -> None:
    """Run the demonstration, and ask what each network makes of its photos."""
    repo = out / "demo" / "feature_repo"
    # The networks' own module must be found by name.
    paths = [str(HERE), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}

    def deepfeast(*arguments: str) -> None:
        command = [str(Path(sys.executable).with_name("deepfeast")), *arguments]
        subprocess.run(command, check=True, env=environment)

    deepfeast("demo", "--out", str(repo.parent))
    others = ",".join([encoder_name(weights), encoder_name(None)])
    deepfeast(
        *("lift", str(repo / "data" / "labels.parquet"), "--repo", str(repo)),
        *("--service", "price_model", "--target", "price", "--log-target", "--groups", "seller_id"),
        *("--model", "xgboost", "--forms", "columns", "--most-repeats", "2"),
        *("--column", "photo", "--encoders", others, "--out", str(out / "lift")),
    )


if __name__ == "__main__":
    main()
