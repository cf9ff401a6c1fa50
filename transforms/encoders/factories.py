"""Finding what an encoder's string names by dotted path."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from deepfeast.transforms.errors import EncoderNotFound


def find_factory(where: str) -> Callable[..., Any]:
    """Import ``package.module:factory``.

    Raises
    ------
    EncoderNotFound
        If the module or the factory is not there.
    """
    module, _, attribute = where.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise EncoderNotFound(
            f"cannot find {where!r}: {error}. Write package.module:name, with the package "
            f"installed or on PYTHONPATH."
        ) from error
