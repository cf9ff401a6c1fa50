"""One loaded encoder a process, shared by all of its threads, which take turns.

Beam's thread pool sets up a DoFn once a thread; a network per thread would multiply memory. An
engine hands a worker many bundles at once, each in a thread; all of their networks at once on the
same cores would be slower than one after the other.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deepfeast.transforms.cores import cores
from deepfeast.transforms.encoders.base import Encoder
from deepfeast.transforms.encoders.registry import build_encoder
from deepfeast.transforms.files.bucket import Place
from deepfeast.transforms.files.fetch import local

if TYPE_CHECKING:
    from deepfeast.transforms.features import DeepFeature

_lock = threading.Lock()
_turn_lock = threading.Lock()
_turns: dict[int, threading.Semaphore] = {}
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


@contextmanager
def turn(threads: int | None = None) -> Iterator[None]:
    """Wait until cores are free for a network, and keep them meanwhile.

    Parameters
    ----------
    threads : int, optional
        Threads of the network; by default all cores of this process.
    """
    at_once = max(1, cores() // (threads or cores()))
    with _turn_lock:
        free = _turns.setdefault(at_once, threading.Semaphore(at_once))
    with free:
        yield
