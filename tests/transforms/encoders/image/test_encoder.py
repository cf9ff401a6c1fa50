"""Vision folders give the numbers of transformers; any torch network can be cut at a layer."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
from PIL import Image

from deepfeast.transforms.encoders import build_encoder, get_encoder
from deepfeast.transforms.encoders.compose import PooledEncoder
from deepfeast.transforms.encoders.machine import smallest_cosine
from deepfeast.transforms.errors import EncoderError, EncoderNotFound, SpecError
from deepfeast.transforms.features import DeepFeature
from deepfeast.transforms.testing import untrained_photos

VISION = [
    "vit",
    "dinov2",
    "convnext",
    "resnet",
    "mobilenet_v2",
    "siglip_vision_model",
    "clip_vision_model",
]


def photo(seed, size=(90, 70)):
    random = np.random.default_rng(seed)
    image = Image.fromarray(random.integers(0, 256, (5, 6, 3), dtype=np.uint8)).resize(size)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


PHOTOS = [photo(seed, size) for seed, size in enumerate([(90, 70), (50, 80), (64, 64), (300, 40)])]


def open_photo(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


def make(kind, folder):
    """Save a small network with random weights and its kind's own image processor."""
    import torch
    import transformers as t

    torch.manual_seed(0)
    attention = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    attention |= {"intermediate_size": 64, "image_size": 32, "patch_size": 8}
    square = {"height": 32, "width": 32}
    edge = {"size": {"shortest_edge": 40}, "crop_size": square}
    model, processor = {
        "vit": lambda: (t.ViTModel(t.ViTConfig(**attention)), t.ViTImageProcessor(size=square)),
        "dinov2": lambda: (
            t.Dinov2Model(t.Dinov2Config(**{**attention, "mlp_ratio": 2})),
            t.BitImageProcessor(**edge),
        ),
        "convnext": lambda: (
            t.ConvNextModel(t.ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1])),
            t.ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.875),
        ),
        "resnet": lambda: (
            t.ResNetModel(
                t.ResNetConfig(
                    hidden_sizes=[8, 16, 24, 32],
                    depths=[1, 1, 1, 1],
                    embedding_size=8,
                    layer_type="basic",
                )
            ),
            t.ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.875),
        ),
        "mobilenet_v2": lambda: (
            t.MobileNetV2Model(t.MobileNetV2Config(image_size=32, depth_multiplier=0.25)),
            t.MobileNetV2ImageProcessor(**edge),
        ),
        "siglip_vision_model": lambda: (
            t.SiglipVisionModel(t.SiglipVisionConfig(**attention)),
            t.SiglipImageProcessor(size=square),
        ),
        "clip_vision_model": lambda: (
            t.CLIPVisionModel(t.CLIPVisionConfig(**attention)),
            t.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=square),
        ),
    }[kind]()
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def vision(tmp_path_factory):
    made = {}

    def get(kind):
        if kind not in made:
            made[kind] = make(kind, tmp_path_factory.mktemp(kind))
        return made[kind]

    return get


def their_output(folder):
    import torch
    from transformers import AutoImageProcessor, AutoModel

    processor = AutoImageProcessor.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    found = []
    with torch.inference_mode():
        for data in PHOTOS:
            found.append(model(**processor(open_photo(data), return_tensors="pt")))
    return found


# --- transformers folders --------------------------------------------------------------------


@pytest.mark.parametrize("kind", VISION)
def test_a_vision_folder_equals_transformers(vision, kind):
    encoder = get_encoder(f"hf:{vision(kind)}", precision="exact")
    theirs = their_output(vision(kind))
    if encoder.output == "cls":
        expected = np.stack([found.last_hidden_state[0, 0].numpy() for found in theirs])
    else:
        expected = np.stack([found.pooler_output.flatten().numpy() for found in theirs])
    ours = encoder.encode(PHOTOS)
    assert ours.shape == (len(PHOTOS), encoder.dim)
    assert smallest_cosine(expected, ours) >= 0.9999
    # Resizing and cropping were understood, not left to the slower processor.
    assert type(encoder._preprocess).__name__ == "Preprocessing"
    fast = get_encoder(f"hf:{vision(kind)}")
    assert smallest_cosine(expected, fast.encode(PHOTOS)) >= 0.999


def test_outputs_are_stated_and_in_the_fingerprint(vision):
    theirs = their_output(vision("vit"))
    mean = get_encoder(f"hf:{vision('vit')}?output=mean", precision="exact")
    expected = np.stack([found.last_hidden_state[0].mean(0).numpy() for found in theirs])
    assert smallest_cosine(expected, mean.encode(PHOTOS)) >= 0.9999
    assert mean.fingerprint != get_encoder(f"hf:{vision('vit')}", precision="exact").fingerprint
    with pytest.raises(SpecError, match="Did you mean 'pooled'"):
        get_encoder(f"hf:{vision('vit')}?output=pooledd")


def test_an_unknown_processor_is_used_as_it_is(vision, tmp_path):
    """A padded crop is nothing we translate; the folder's own processor does it."""
    import transformers as t

    folder = make("clip_vision_model", tmp_path / "padded")
    t.CLIPImageProcessor(
        size={"shortest_edge": 20}, crop_size={"height": 32, "width": 32}
    ).save_pretrained(folder)
    encoder = get_encoder(f"hf:{folder}", precision="exact")
    expected = np.stack([found.pooler_output[0].numpy() for found in their_output(folder)])
    assert smallest_cosine(expected, encoder.encode(PHOTOS)) >= 0.9999


def test_order_and_batches_never_matter(vision):
    encoder = get_encoder(f"hf:{vision('resnet')}")
    photos = [photo(seed) for seed in range(11)]
    together = encoder.encode(photos)
    assert smallest_cosine(together[::-1], encoder.encode(photos[::-1])) > 0.99999
    assert smallest_cosine(together[[3]], encoder.encode([photos[3]])) > 0.99999
    same = encoder.encode([photos[0]] * 3)
    assert (same == same[0]).all()


def test_a_bad_photo_never_fails_its_neighbours(vision):
    encoder = get_encoder(f"hf:{vision('resnet')}")
    encoded = encoder.encode_safely([PHOTOS[0], PHOTOS[1][:60], b"hello", PHOTOS[2]])
    assert sorted(encoded.rejects) == [1, 2]
    assert smallest_cosine(encoded.vectors[[0, 3]], encoder.encode(PHOTOS)[[0, 2]]) > 0.99999


def test_several_photos_in_a_cell(vision):
    encoder = get_encoder(f"hf:{vision('resnet')}")
    one, two = encoder.encode(PHOTOS[:2])
    cells = [PHOTOS[0], (PHOTOS[0], PHOTOS[1]), (PHOTOS[1], b"hello"), (b"hello",), ()]
    encoded = PooledEncoder(encoder, "mean").encode_safely(cells)
    assert np.allclose(encoded.vectors[:3], [one, (one + two) / 2, two], atol=1e-5)
    assert {place: reject.reason for place, reject in encoded.rejects.items()} == {
        3: "image_unknown",
        4: "no_photos",
    }
    assert encoded.counts["photos_left_out"] == 1
    largest = PooledEncoder(encoder, "max").encode([(PHOTOS[0], PHOTOS[1])])[0]
    assert np.allclose(largest, np.maximum(one, two), atol=1e-5)


def test_pooling_is_in_the_fingerprint(vision):
    prints = {
        build_encoder(
            DeepFeature("v", column="c", encoder=f"hf:{vision('resnet')}", pool=pool)
        ).fingerprint
        for pool in ("mean", "max")
    }
    assert len(prints) == 2


# --- any torch network -----------------------------------------------------------------------


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


def expected_at(network, layer, pool, fit_to=(32, 32)):
    """Run the whole network, and listen by hand."""
    import torch

    heard = []
    dict(network.named_modules())[layer].register_forward_hook(lambda m, i, o: heard.append(o))
    found = []
    for data in PHOTOS:
        image = open_photo(data).resize(fit_to, resample=2)
        pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None] / 127.5 - 1
        with torch.inference_mode():
            network.eval()(pixels)
        found.append(pool(heard.pop()).flatten().numpy())
    return np.stack(found)


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    """The factories above, under the name that the encoder's string gives."""
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this())


def _this():
    import types

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
def test_a_network_cut_at_a_layer(tmp_path, factory, layer, pool, by_hand):
    import torch

    torch.manual_seed(3)
    network = globals()[factory]()
    weights = save_weights(network, tmp_path / "w.safetensors")
    text = f"{HERE}:{factory}?layer={layer}&pool={pool}&weights={weights}&fit=squash&{SMALL}"
    encoder = get_encoder(text, precision="exact")
    expected = expected_at(network, layer, by_hand)
    ours = encoder.encode(PHOTOS)
    assert encoder.dim == expected.shape[1]
    assert smallest_cosine(expected, ours) >= 0.9999


def test_a_network_that_looks_across_its_batch_gets_one_photo_at_a_time():
    """The discriminator's minibatch deviation would make a vector depend on its neighbours."""
    behind = get_encoder(f"{HERE}:discriminator?layer=b4.fc&{SMALL}")
    before = get_encoder(f"{HERE}:discriminator?layer=b8&{SMALL}")
    alone = np.concatenate([behind.encode([data]) for data in PHOTOS])
    assert smallest_cosine(alone, behind.encode(PHOTOS)) > 0.99999
    before.encode(PHOTOS)
    assert (behind.batch_cost, before.batch_cost) == (1, 4)


def test_several_layers_are_put_end_to_end():
    encoder = get_encoder(f"{HERE}:residual_network?layer=1,2&{SMALL}&arg.width=6")
    first = get_encoder(f"{HERE}:residual_network?layer=1&{SMALL}&arg.width=6")
    assert (encoder.dim, first.dim) == (12, 6)
    assert smallest_cosine(encoder.encode(PHOTOS)[:, :6], first.encode(PHOTOS)) > 0.9999


def test_a_cut_network_pickles_without_its_weights():
    encoder = get_encoder(f"{HERE}:residual_network?layer=2&{SMALL}")
    vectors = encoder.encode(PHOTOS)
    kept = pickle.dumps(encoder)
    assert len(kept) < 2000
    assert np.allclose(pickle.loads(kept).encode(PHOTOS), vectors)


def test_nothing_is_computed_behind_the_last_layer():
    import torch

    from deepfeast.transforms.encoders.image.tap import cut

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


def test_what_is_wrong_with_a_torch_string(tmp_path):
    with pytest.raises(SpecError, match="needs a layer"):
        get_encoder(f"{HERE}:residual_network")
    with pytest.raises(SpecError, match="Did you mean 'layer'"):
        get_encoder(f"{HERE}:residual_network?layr=2")
    with pytest.raises(EncoderNotFound, match="no_such_factory"):
        get_encoder(f"{HERE}:no_such_factory?layer=2")
    weights = save_weights(discriminator(), tmp_path / "w.safetensors")
    with pytest.raises(EncoderError, match="does not fit"):
        get_encoder(f"{HERE}:residual_network?layer=2&weights={weights}").encode(PHOTOS)


# --- the bundled network ---------------------------------------------------------------------


def test_the_bundled_network_and_its_untrained_twin():
    trained, untrained = get_encoder("image-tiny"), untrained_photos()
    assert trained.dim == untrained.dim
    assert trained.fingerprint != untrained.fingerprint
    assert trained.encode(PHOTOS).shape == untrained.encode(PHOTOS).shape == (4, trained.dim)


@pytest.mark.shared
def test_the_shared_network_equals_transformers(shared):
    folder = shared / "models" / "mobilenet_v2"
    encoder = get_encoder(f"hf:{folder}")
    expected = np.stack([found.pooler_output.flatten().numpy() for found in their_output(folder)])
    assert smallest_cosine(expected, encoder.encode(PHOTOS)) >= 0.9999


def test_a_gpu_gives_the_same(vision):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    on_cpu = get_encoder(f"hf:{vision('vit')}?device=cpu", precision="exact")
    on_gpu = get_encoder(f"hf:{vision('vit')}?device=cuda", precision="exact")
    assert smallest_cosine(on_cpu.encode(PHOTOS), on_gpu.encode(PHOTOS)) >= 0.999
    assert on_cpu.fingerprint == on_gpu.fingerprint


def test_a_device_that_is_not_there_is_said(vision):
    with pytest.raises(SpecError, match="this machine has cpu"):
        get_encoder(f"hf:{vision('vit')}?device=tpu").encode(PHOTOS)
