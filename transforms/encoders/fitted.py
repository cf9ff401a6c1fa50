"""Encoders whose numbers are fitted to data once, and frozen then."""

from __future__ import annotations

import abc
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepfeast.transforms.encoders.base import Encoder
from deepfeast.transforms.encoders.files import digest
from deepfeast.transforms.errors import EncoderError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FittedEncoder(Encoder):
    """An encoder with a state: arrays that `fit` makes and a safetensors file keeps.

    Subclasses implement `spec_fingerprint`, `fit`, `state` and `restore`.

    Attributes
    ----------
    fit_until : str, optional
        The moment before which it is declared to be fitted (`DeepFeature.fit_until`).
    """

    has_state = True
    fit_until: str | None = None

    @property
    @abc.abstractmethod
    def spec_fingerprint(self) -> str:
        """The fingerprint of what is declared, known even before fitting."""

    @property
    def declaration(self) -> str:
        """The fingerprint of what is declared, with the moment until which to fit it."""
        if self.fit_until is None:
            return self.spec_fingerprint
        return digest(spec=self.spec_fingerprint, fit_until=self.fit_until)

    @abc.abstractmethod
    def state(self) -> dict[str, NDArray]:
        """Return what was fitted, by name; empty before."""

    @abc.abstractmethod
    def restore(self, state: dict[str, NDArray]) -> None:
        """Take back what `state` returned."""

    @property
    def needs_fit(self) -> bool:
        return self.has_state and not self.state()

    @property
    def fingerprint(self) -> str:
        if not self.has_state:
            return self.spec_fingerprint
        if self.needs_fit:
            raise EncoderError(
                f"{type(self).__name__} has no fingerprint before it is fitted. Call fit(values) "
                f"once, or load_state(path); spec_fingerprint is known already."
            )
        return digest(spec=self.declaration, state=hash_arrays(self.state()))

    def save_state(self, path: str | Path) -> None:
        from safetensors.numpy import save_file

        if self.needs_fit or not self.has_state:
            raise EncoderError(f"{type(self).__name__} has no state to save.")
        state = {name: np.ascontiguousarray(array) for name, array in self.state().items()}
        save_file(state, path, metadata={"spec_fingerprint": self.declaration})

    def load_state(self, path: str | Path) -> None:
        from safetensors import safe_open

        if not Path(path).is_file():
            raise EncoderError(f"no state of a fitted encoder at {path}: call fit and save_state.")
        with safe_open(path, framework="numpy") as file:
            saved = (file.metadata() or {}).get("spec_fingerprint")
            if saved != self.declaration:
                raise EncoderError(
                    f"{path} was fitted for another declaration (spec fingerprint "
                    f"{str(saved)[:12]}, expected {self.declaration[:12]}): fit again."
                )
            self.restore({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118


def hash_arrays(arrays: dict[str, NDArray]) -> str:
    """Return one sha256 over arrays: names, types, shapes, numbers."""
    sha = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        sha.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def under(state: dict[str, NDArray], prefix: str) -> dict[str, NDArray]:
    """Take the entries of a state whose names start with a prefix, without it.

    >>> under({"0.mean": 1, "1.mean": 2}, "1.")
    {'mean': 2}
    """
    return {
        name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)
    }
