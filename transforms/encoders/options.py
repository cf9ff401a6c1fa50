"""Finding what an encoder's string names by dotted path."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any

from deepfeast.transforms.errors import EncoderNotFound, SpecError, did_you_mean


def check_options(name: str, options: Iterable[str], known: Iterable[str]) -> None:
    """Refuse an option of an encoder's string that it does not have.

    Raises
    ------
    SpecError
        It lists the options there are, and the nearest.
    """
    known = list(known)
    for option in options:
        if option not in known:
            raise SpecError(
                f"no option {option!r} of {name}. Known: {', '.join(known) or 'none'}."
                f"{did_you_mean(option, known)}"
            )


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
