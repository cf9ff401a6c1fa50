"""A raw column through an encoder: read its cells, encode the contents, keep their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from deepfeast.transforms.cells.content import Contents, Reader, read_contents
from deepfeast.transforms.encoders.base import Encoded, Encoder

if TYPE_CHECKING:
    from deepfeast.transforms.features import DeepFeature


def open_reader(feature: DeepFeature, encoder: Encoder, root: str) -> Reader:
    """Return the reader of a feature's cells, with those options of the feature that it has.

    Paths are relative to the feature's own root, or else to `root`.
    """
    kind = encoder.reads
    given: dict[str, Any] = {"root": feature.root or root, "allow_hosts": feature.allow_hosts}
    return kind(**{name: given[name] for name in kind.options})


def encode_contents(contents: Contents, encoder: Encoder) -> Encoded:
    """Encode the contents of a column, each distinct one once.

    Returns
    -------
    Encoded
        Vectors of shape (n_cells, dim), NaN where there is no value or it was rejected; all
        rejects by position, those of reading included; and what the encoder counted.

    Examples
    --------
    >>> from deepfeast.transforms.cells.content import TextReader
    >>> from deepfeast.transforms.testing import WordLengths
    >>> contents = read_contents(pa.array(["red shirt", None, "red shirt"]), TextReader())
    >>> encode_contents(contents, WordLengths(2)).vectors
    array([[ 3.,  5.],
           [nan, nan],
           [ 3.,  5.]], dtype=float32)
    """
    present = [row for row, value in enumerate(contents.values) if value is not None]
    encoded = encoder.encode_safely([contents.values[row] for row in present])
    matrix = np.full((len(contents.values), encoder.dim), np.nan, dtype=np.float32)
    matrix[present] = encoded.vectors
    rejects = {present[position]: reject for position, reject in encoded.rejects.items()}
    return Encoded(matrix, contents.rejects | rejects, encoded.counts)


def encode_column(column: pa.Array, encoder: Encoder, reader: Reader | None = None) -> Encoded:
    """Read and encode a column in one step; see `read_contents` and `encode_contents`."""
    return encode_contents(read_contents(column, reader or encoder.reads()), encoder)
