"""One loaded encoder a process, shared by all of its threads.

Beam's thread pool sets up a DoFn once a thread; a network per thread would multiply memory.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from deepfeast.transforms.encoders.base import Encoder
from deepfeast.transforms.encoders.registry import build_encoder
from deepfeast.transforms.files.bucket import Place
from deepfeast.transforms.files.fetch import local

if TYPE_CHECKING:
    from deepfeast.transforms.features import DeepFeature

_lock = threading.Lock()
_encoders: dict[tuple[str, int | None], Encoder] = {}


def loaded(feature: DeepFeature, threads: int | None = None, state: Place | None = None) -> Encoder:
    """Return the encoder of a feature, loaded, the same one for equal features.

    Parameters
    ----------
    feature : DeepFeature
    threads : int, optional
        Threads of the network.
    state : Path or BucketPath, optional
        File with what was fitted, for an encoder that needs it.
    """
    encoder = build_encoder(feature, threads)
    if state:
        encoder.load_state(local(state))
    with _lock:
        key = (encoder.fingerprint, threads)
        if key not in _encoders:
            encoder._ensure_loaded()
            _encoders[key] = encoder
        return _encoders[key]
