"""Any torch network can be cut at a layer, and gives there what the whole network computes."""

from __future__ import annotations

import io
import pickle
import sys
import types

import numpy as np
import pytest
from PIL import Image

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.encoders.image.tap import cut
from deepfeast.transforms.encoders.machine import smallest_cosine
from deepfeast.transforms.errors import EncoderError, EncoderNotFound, SpecError


def residual_network(width=8):
    """A small network in the manner of ResNet."""
    from torch import nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(width, width, 3, padding=1)
            self.norm = nn.BatchNorm2d(width)

        def forward(self, x):
            return (x + self.norm(self.conv(x))).relu()

    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.ReLU()),
        Block(),
        Block(),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)),
    )


def discriminator():
    """A GAN's discriminator in the manner of StyleGAN: minibatch deviation and an epilogue."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, given, made):
            super().__init__()
            self.conv0 = nn.Conv2d(given, given, 3, padding=1)
            self.conv1 = nn.Conv2d(given, made, 3, 2, 1)
            self.skip = nn.Conv2d(given, made, 1, 2, bias=False)

        def forward(self, x):
            y = nn.functional.leaky_relu(self.conv0(x), 0.2)
            return (nn.functional.leaky_relu(self.conv1(y), 0.2) + self.skip(x)) * 0.5**0.5

    class Epilogue(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(17, 16, 3, padding=1)
            self.fc = nn.Linear(16 * 64, 24)
            self.out = nn.Linear(24, 1)

        def forward(self, x):
            deviation = x.std(0, unbiased=False).mean().expand(len(x), 1, *x.shape[2:])
            y = nn.functional.leaky_relu(self.conv(torch.cat([x, deviation], 1)), 0.2)
            return self.out(nn.functional.leaky_relu(self.fc(y.flatten(1)), 0.2))

    class Discriminator(nn.Module):
        def __init__(self):
            super().__init__()
            self.fromrgb = nn.Conv2d(3, 8, 1)
            self.b16 = Block(8, 12)
            self.b8 = Block(12, 16)
            self.b4 = Epilogue()

        def forward(self, x):
            return self.b4(self.b8(self.b16(nn.functional.leaky_relu(self.fromrgb(x), 0.2))))

    return Discriminator()


def transformer():
    """A network whose maps are of tokens: (n, 16, 12)."""
    from torch import nn

    class Patches(nn.Module):
        def __init__(self):
            super().__init__()
            self.cut = nn.Conv2d(3, 12, 8, 8)
            self.mix = nn.Linear(12, 12)

        def forward(self, x):
            return self.mix(self.cut(x).flatten(2).transpose(1, 2))

    return Patches()


HERE = f"torch:{__name__}"
SMALL = "size=32&mean=0.5&std=0.5"


def expected_at(network, layer, pool, photos, fit_to=(32, 32)):
    """Run the whole network, and listen by hand."""
    import torch

    heard = []
    dict(network.named_modules())[layer].register_forward_hook(lambda m, i, o: heard.append(o))
    found = []
    for data in photos:
        image = Image.open(io.BytesIO(data)).convert("RGB").resize(fit_to, resample=2)
        pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None] / 127.5 - 1
        with torch.inference_mode():
            network.eval()(pixels)
        found.append(pool(heard.pop()).flatten().numpy())
    return np.stack(found)


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    """The factories above, under the name that the encoder's string gives."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this())


def _this():
    module = types.ModuleType(__name__)
    module.__dict__.update(globals())
    return module


def save_weights(network, path):
    from safetensors.torch import save_file

    save_file(network.state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("factory", "layer", "pool", "by_hand"),
    [
        ("residual_network", "2", "avg", lambda y: y.mean((2, 3))),
        ("residual_network", "1.conv", "max", lambda y: y.amax((2, 3))),
        ("residual_network", "3", "avg", lambda y: y),
        ("discriminator", "b8", "gem", lambda y: y.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)),
        ("discriminator", "b4.fc", "avg", lambda y: y),
        ("transformer", "mix", "avg", lambda y: y.mean(1)),
    ],
)
def test_a_network_cut_at_a_layer(tmp_path, factory, layer, pool, by_hand, photos):
    import torch

    torch.manual_seed(3)
    network = globals()[factory]()
    weights = save_weights(network, tmp_path / "w.safetensors")
    text = f"{HERE}:{factory}?layer={layer}&pool={pool}&weights={weights}&fit=squash&{SMALL}"
    encoder = get_encoder(text, precision="exact")
    expected = expected_at(network, layer, by_hand, photos)
    ours = encoder.encode(photos)
    assert encoder.dim == expected.shape[1]
    assert smallest_cosine(expected, ours) >= 0.9999


def test_a_network_that_looks_across_its_batch_gets_one_photo_at_a_time(photos):
    """The discriminator's minibatch deviation would make a vector depend on its neighbours."""
    behind = get_encoder(f"{HERE}:discriminator?layer=b4.fc&{SMALL}")
    before = get_encoder(f"{HERE}:discriminator?layer=b8&{SMALL}")
    alone = np.concatenate([behind.encode([data]) for data in photos])
    assert smallest_cosine(alone, behind.encode(photos)) > 0.99999
    before.encode(photos)
    assert (behind.batch_cost, before.batch_cost) == (1, 4)


def test_several_layers_are_put_end_to_end(photos):
    encoder = get_encoder(f"{HERE}:residual_network?layer=1,2&{SMALL}&arg.width=6")
    first = get_encoder(f"{HERE}:residual_network?layer=1&{SMALL}&arg.width=6")
    assert (encoder.dim, first.dim) == (12, 6)
    assert smallest_cosine(encoder.encode(photos)[:, :6], first.encode(photos)) > 0.9999


def test_a_cut_network_pickles_without_its_weights(photos):
    encoder = get_encoder(f"{HERE}:residual_network?layer=2&{SMALL}")
    vectors = encoder.encode(photos)
    kept = pickle.dumps(encoder)
    assert len(kept) < 2000
    assert np.allclose(pickle.loads(kept).encode(photos), vectors)


def test_nothing_is_computed_behind_the_last_layer():
    import torch

    network = residual_network().eval()
    ran = []
    network[2].register_forward_hook(lambda *_: ran.append(2))
    network[3].register_forward_hook(lambda *_: ran.append(3))
    cut(network, ("1",), "avg")(torch.zeros(1, 3, 32, 32))
    assert ran == []


def test_a_wrong_layer_lists_near_ones():
    with pytest.raises(EncoderNotFound, match=r"b16\.conv2.*Near: b16\.conv[01]"):
        _ = get_encoder(f"{HERE}:discriminator?layer=b16.conv2&{SMALL}").dim


def test_other_options_and_weights_are_other_fingerprints(tmp_path):
    one = save_weights(residual_network(), tmp_path / "one.safetensors")
    two = save_weights(residual_network(), tmp_path / "two.safetensors")
    same = tmp_path / "same.safetensors"
    same.write_bytes(one.read_bytes())
    base = f"{HERE}:residual_network?layer=2&{SMALL}"
    prints = [
        get_encoder(f"{base}{more}").fingerprint
        for more in ("", f"&weights={one}", f"&weights={two}", "&pool=max", "&size=64")
    ]
    assert len(set(prints)) == 5
    assert get_encoder(f"{base}&weights={same}").fingerprint == prints[1]


def test_what_is_wrong_with_a_torch_string(tmp_path, photos):
    with pytest.raises(SpecError, match="needs a layer"):
        get_encoder(f"{HERE}:residual_network")
    with pytest.raises(SpecError, match="Did you mean 'layer'"):
        get_encoder(f"{HERE}:residual_network?layr=2")
    with pytest.raises(EncoderNotFound, match="no_such_factory"):
        get_encoder(f"{HERE}:no_such_factory?layer=2")
    weights = save_weights(discriminator(), tmp_path / "w.safetensors")
    with pytest.raises(EncoderError, match="does not fit"):
        get_encoder(f"{HERE}:residual_network?layer=2&weights={weights}").encode(photos)
