"""Names of a package that load on first use, so that naming the package imports nothing heavy."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any


def load(package: str, home: Mapping[str, str], name: str) -> Any:
    """Return a public name of a package from the module that it lives in.

    Parameters
    ----------
    package : str
        Dotted name of the package, its ``__name__``.
    home : mapping of str to str
        The module, below the package, of each name.
    name : str

    Raises
    ------
    AttributeError
        If the package has no such name, as Python says it.

    Examples
    --------
    >>> load("deepfeast.transforms", {"vector_field": "arrow"}, "vector_field").__name__
    'vector_field'
    """
    if name not in home:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{package}.{home[name]}"), name)
