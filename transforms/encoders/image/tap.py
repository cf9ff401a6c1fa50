"""Any torch network, cut at a layer: its activations there are the vector.

``torch:package.module:factory?layer=features.12&weights=file.safetensors``. The layer is
listened to, not copied out, so that any network will do: a classifier, a GAN's discriminator,
something of your own. What lies behind the last layer listened to is not computed.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.transforms.encoders.checkpoints import read_weights
from deepfeast.transforms.encoders.files import digest, file_hash
from deepfeast.transforms.encoders.fitted import hash_arrays
from deepfeast.transforms.encoders.image.encoder import PixelEncoder
from deepfeast.transforms.encoders.image.pixels import Preprocessing
from deepfeast.transforms.encoders.image.runtime import pixels_to_vectors
from deepfeast.transforms.encoders.options import check_options, find_factory
from deepfeast.transforms.errors import EncoderError, EncoderNotFound, SpecError

if TYPE_CHECKING:
    import torch

POOLS = ("avg", "max", "gem")
OPTIONS = ("layer", "weights", "key", "pool", "size", "resize", "fit", "mean", "std", "device")


class TapEncoder(PixelEncoder):
    """Encode images by the activations of a network's layers.

    Parameters
    ----------
    name : str
        ``package.module:factory``. The factory is called without arguments (but for ``arg.*``
        options) and returns a ``torch.nn.Module`` that reads (n, 3, size, size) float32.
    options : dict of str to str
        ``layer``
            Name of the layer, or several joined by commas: their vectors are put end to end.
        ``weights``
            File of weights, safetensors or torch's; ``key`` names a part of it.
        ``pool``
            ``avg`` (default), ``max`` or ``gem``: how a map of places or tokens becomes one
            vector.
        ``size``, ``resize``, ``fit``
            Side that the network reads (224); shorter side before the centre crop
            (``size / 0.875``); ``fit=squash`` scales to the square without a crop.
        ``mean``, ``std``
            Of pixels from 0 to 1, one or three numbers; by default ImageNet's.
        ``arg.NAME``
            Goes to the factory, as a number where it is one.
    precision : {"fast", "exact"}
    threads : int, optional

    References
    ----------
    Generalised mean pooling: Radenović, Tolias, Chum, "Fine-tuning CNN Image Retrieval with No
    Human Annotation", 2018.
    """

    def __init__(
        self,
        name: str,
        options: dict[str, str],
        precision: str = "fast",
        threads: int | None = None,
    ):
        super().__init__(precision, threads, options.get("device"))
        find_factory(name)  # a wrong name is said here, where the user is
        self.name = name
        self.options = options
        plain = [option for option in options if not option.startswith("arg.")]
        check_options(f"torch:{name}", plain, (*OPTIONS, "arg.NAME"))
        if not options.get("layer"):
            raise SpecError(f"torch:{name} needs a layer to cut at, e.g. ?layer=features.12")
        self.layers = tuple(options["layer"].split(","))
        self.pool = options.get("pool", "avg")
        if self.pool not in POOLS:
            raise SpecError(
                f"pool={self.pool!r} of torch:{name}: expected one of {', '.join(POOLS)}."
            )
        self.preprocessing = _read_input(options)

    @functools.cached_property
    def dim(self) -> int:
        import torch

        height, width = self.preprocessing.crop or (0, 0)
        with torch.inference_mode():
            return int(self._cut(self._build())(torch.zeros(1, 3, height, width)).shape[1])

    @functools.cached_property
    def fingerprint(self) -> str:
        if "weights" in self.options:
            weights = file_hash(self.options["weights"])
        else:  # the factory brings its own
            state = self._build().state_dict()
            weights = hash_arrays({name: t.float().numpy() for name, t in state.items()})
        told = {k: v for k, v in self.options.items() if k not in ("weights", "device")}
        return digest(
            kind="torch", name=self.name, told=told, weights=weights, precision=self.precision
        )

    def load(self) -> None:
        self._preprocess = self.preprocessing
        module = pixels_to_vectors(self._cut(self._network()), "called", self.preprocessing)
        self._open(module)

    def _build(self) -> torch.nn.Module:
        """Call the factory; random weights are the same ones every time."""
        import torch

        arguments = {
            option.removeprefix("arg."): _number(value)
            for option, value in self.options.items()
            if option.startswith("arg.")
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return find_factory(self.name)(**arguments).eval()

    def _network(self) -> torch.nn.Module:
        network = self._build()
        if "weights" in self.options:
            path = Path(self.options["weights"])
            state: Any = read_weights(path)
            if "key" in self.options:
                state = _part(state, self.options["key"], path)
            try:
                network.load_state_dict(state)
            except RuntimeError as error:
                raise EncoderError(f"{path} does not fit torch:{self.name}: {error}") from None
        return network

    def _cut(self, network: torch.nn.Module) -> torch.nn.Module:
        return cut(network, self.layers, self.pool, self.name)


class _Enough(Exception):
    """All layers have spoken: what follows need not be computed."""


def cut(
    network: torch.nn.Module, layers: tuple[str, ...], pool: str, name: str = "the network"
) -> torch.nn.Module:
    """Return a module from a network's input to the pooled outputs of its layers: (n, dim)."""
    import torch

    modules = dict(network.named_modules())
    for layer in layers:
        if layer not in modules or not layer:
            raise EncoderNotFound(_no_such_layer(layer, list(modules), name))
    heard = threading.local()  # batches run side by side in threads

    def listen(layer: str) -> Callable[..., None]:
        def hook(module: Any, given: Any, found: Any) -> None:
            heard.found[layer] = found[0] if isinstance(found, tuple | list) else found
            # A trace must see the network's end; ONNX Runtime drops what is not used.
            if len(heard.found) == len(layers) and not torch.jit.is_tracing():
                raise _Enough

        return hook

    for layer in layers:
        modules[layer].register_forward_hook(listen(layer))

    class Cut(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            heard.found = {}
            with contextlib.suppress(_Enough):
                self.network(pixels)
            found, heard.found = heard.found, {}
            silent = [layer for layer in layers if layer not in found]
            if silent:
                raise EncoderError(f"{name} never called its layer {', '.join(silent)}.")
            return torch.cat([_flat(found[layer], pool) for layer in layers], dim=1)

    return Cut().eval()


def _flat(found: torch.Tensor, pool: str) -> torch.Tensor:
    """Pool a map (n, channels, height, width) or (n, tokens, channels) to (n, channels)."""
    if found.ndim == 2:
        return found
    if found.ndim not in (3, 4):
        raise EncoderError(
            f"the layer gives {tuple(found.shape)}; expected (n, channels), (n, tokens, channels) "
            f"or (n, channels, height, width)."
        )
    axes = (1,) if found.ndim == 3 else (2, 3)
    if pool == "max":
        return found.amax(axes)
    if pool == "gem":
        return found.clamp(min=1e-6).pow(3).mean(axes).pow(1 / 3)
    return found.mean(axes)


def _no_such_layer(layer: str, known: list[str], name: str) -> str:
    near = difflib.get_close_matches(layer, known, n=6, cutoff=0.5)
    listed = near or [found for found in known if found and found.count(".") < 2][:12]
    return f"no layer {layer!r} in {name}. Near: {', '.join(listed)}."


def _read_input(options: dict[str, str]) -> Preprocessing:
    size = int(options.get("size", 224))
    squash = options.get("fit") == "squash"
    shorter = int(options.get("resize", round(size / 0.875)))
    return Preprocessing(
        resize=(size, size) if squash else max(size, shorter),
        crop=(size, size),
        resample=2,
        mean=_three(options.get("mean", "0.485,0.456,0.406")),
        std=_three(options.get("std", "0.229,0.224,0.225")),
    )


def _three(text: str) -> tuple[float, ...]:
    """Read one or three numbers of a scale from 0 to 1, as of a scale from 0 to 255."""
    numbers = tuple(float(number) * 255 for number in text.split(","))
    return numbers * 3 if len(numbers) == 1 else numbers


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _part(state: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    if isinstance(state.get(key), dict):
        return state[key]
    found = {
        name.removeprefix(f"{key}."): tensor
        for name, tensor in state.items()
        if name.startswith(f"{key}.")
    }
    if not found:
        raise EncoderError(
            f"{path} has no part {key!r}. It starts with: {', '.join(list(state)[:8])}."
        )
    return found
