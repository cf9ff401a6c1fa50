"""A `transformers` vision network as one function from pixels to vectors, and its fast forms."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.encoders.checkpoints import open_transformer
from deepfeast.transforms.encoders.image.graph import open_session
from deepfeast.transforms.encoders.machine import agrees, fast_dtype, smallest_cosine
from deepfeast.transforms.errors import SpecError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from deepfeast.transforms.encoders.image.pixels import Preprocessing

SAME_ALONE = 0.9999
"""Smallest cosine between an image's vector in a batch and alone."""

OUTPUTS = ("pooled", "cls", "mean", "shared")


def open_model(folder: Path, trust: bool, output: str) -> Any:
    """Load the model of a folder; of two towers only the one that sees, where that is enough."""
    model = open_transformer(folder, trust)
    if output != "shared":
        model = getattr(model, "vision_model", model)
    return model.eval()


def pixels_to_vectors(model: Any, output: str, scale: Preprocessing | None) -> torch.nn.Module:
    """Make one module of scaling, network and choice of output.

    It reads (n, height, width, 3) uint8 where ``scale`` is given, else what the model reads.
    """
    import torch

    class PixelsToVectors(torch.nn.Module):
        mean: torch.Tensor
        std: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.model = model
            if scale is not None:
                for name in ("mean", "std"):
                    values = torch.tensor(getattr(scale, name)).view(1, -1, 1, 1)
                    self.register_buffer(name, values)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            if scale is not None:
                pixels = (pixels.permute(0, 3, 1, 2).float() - self.mean) / self.std
            dtype = next((p.dtype for p in self.model.parameters()), torch.float32)
            pixels = pixels.to(dtype).contiguous(memory_format=torch.channels_last)
            return choose_output(self.model, pixels, output).flatten(1).float()

    return PixelsToVectors().eval()


def choose_output(model: Any, pixels: torch.Tensor, output: str) -> torch.Tensor:
    """Run a model and take the stated output: (n, dim) or (n, dim, 1, 1)."""
    import torch

    if output == "called":  # a plain module, that gives its vectors itself
        return model(pixels)
    if output == "shared":
        found = model.get_image_features(pixel_values=pixels)
        vectors = found if isinstance(found, torch.Tensor) else found.pooler_output
        return torch.nn.functional.normalize(vectors, dim=1)
    found = model(pixel_values=pixels)
    if output == "pooled":
        if getattr(found, "pooler_output", None) is None:
            raise SpecError("this network has no pooled output: write ?output=cls or ?output=mean.")
        return found.pooler_output
    hidden = found.last_hidden_state
    if hidden.ndim == 4:
        if output == "cls":
            raise SpecError("a convolutional network has no class token: write ?output=pooled.")
        return hidden.mean((2, 3))
    return hidden[:, 0] if output == "cls" else hidden.mean(1)


class Engine:
    """A module in the form that suits precision and machine.

    Convolutions run fastest in ONNX Runtime, whose layout keeps channels in blocks; networks
    of attention in torch in bfloat16, where the processor has it. Each form is compared with
    torch in float32 before it is used.

    Attributes
    ----------
    name : str
        What was chosen, e.g. ``"onnxruntime, float32"``.
    one_at_a_time : bool
        Whether the network looks across its batch, as a GAN's discriminator does: a vector
        would depend on its neighbours.
    """

    def __init__(self, module: torch.nn.Module, sample: Any, precision: str, device: str):
        import torch

        self.device = device
        exact = _in_torch(module, "cpu")
        alone = np.concatenate([exact(sample[place : place + 1]) for place in range(len(sample))])
        self.one_at_a_time = smallest_cosine(alone, exact(sample)) < SAME_ALONE
        if self.one_at_a_time:
            sample, alone = sample[:1], alone[:1]
        for name, build in _forms(module, precision, device, sample):
            run = build()
            if run is not None and _agrees(run, sample, alone, precision):
                self.name, self.run = name, run
                return
        self.name, self.run = "torch, float32", _in_torch(module.to(torch.float32), device)

    def __call__(self, prepared: Sequence[Any]) -> NDArray[np.float32]:
        """Encode pixels of one shape: (n, dim)."""
        return self.run(np.stack(prepared))


def _agrees(
    run: Callable[[Any], Any], sample: Any, expected: NDArray[np.float32], precision: str
) -> bool:
    """Whether a form gives the expected vectors, together and alone."""
    try:
        together, first = run(sample), run(sample[:1])
        return agrees(expected, together, precision) and agrees(expected[:1], first, precision)
    except Exception:  # a translation that holds for one batch size only
        return False


def _forms(
    module: torch.nn.Module, precision: str, device: str, sample: Any
) -> list[tuple[str, Callable[[], Any]]]:
    """List the faster forms of a module, best first."""
    import torch

    convolutional = not any("attention" in type(m).__name__.lower() for m in module.modules())
    onnx = ("onnxruntime, float32", lambda: in_onnx(module, sample))
    dtype = fast_dtype(device) if precision == "fast" else torch.float32
    half = (
        f"torch, {device}, {str(dtype).removeprefix('torch.')}",
        lambda: _in_torch(_copy(module, dtype), device),
    )
    if device != "cpu":
        return [half]
    if dtype != torch.float32 and not convolutional:
        return [half, onnx]
    return [onnx]


def _copy(module: torch.nn.Module, dtype: torch.dtype) -> torch.nn.Module:
    import copy

    made = copy.deepcopy(module)
    made.model.to(dtype)
    return made


def _in_torch(module: torch.nn.Module, device: str) -> Callable[[Any], NDArray[np.float32]]:
    import torch

    module = module.to(device)

    def run(pixels: NDArray[Any]) -> NDArray[np.float32]:
        given = torch.from_numpy(pixels)
        if device != "cpu":
            given = given.pin_memory().to(device, non_blocking=True)
        with torch.inference_mode():
            return module(given).cpu().numpy()

    return run


def in_onnx(
    module: torch.nn.Module, sample: NDArray[Any]
) -> Callable[[NDArray[Any]], NDArray[np.float32]] | None:
    """Translate a module for ONNX Runtime, one core a call; None where that cannot be done."""
    import torch

    try:
        file = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (torch.from_numpy(sample),),
                file,  # type: ignore[arg-type]  # this exporter does write to open files
                dynamo=False,  # the other exporter needs onnxscript and takes ten times as long
                input_names=["pixels"],
                output_names=["vectors"],
                dynamic_axes={"pixels": {0: "n"}, "vectors": {0: "n"}},
                opset_version=17,
            )
        return open_session(file.getvalue())
    except Exception:  # an optimisation: any failure means another form is used, and recorded
        return None
