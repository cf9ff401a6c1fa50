"""An object store, opened, and what it answers turned into errors that say what to do."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from deepfeast.transforms.errors import BucketError

# Long enough for a store that says 503 now and then, short enough for an address that is wrong.
RETRIES = {"max_retries": 8, "retry_timeout": timedelta(seconds=60)}


@functools.lru_cache(maxsize=64)
def opened(root: str, options: tuple[tuple[str, str], ...]) -> Any:
    """Open a bucket, once a process.

    Parameters
    ----------
    root : str
        Such as ``s3://shop``.
    options : tuple of pair of str

    Raises
    ------
    BucketError
        If the package for it is not installed.
    """
    try:
        from obstore.store import from_url
    except ImportError as error:
        raise BucketError(
            f"{root} lies in an object store, which needs obstore: pip install 'deepfeast[bucket]'"
        ) from error
    return from_url(root, config=dict(options), retry_config=RETRIES)  # type: ignore[call-overload]


@contextmanager
def asking(path: object) -> Iterator[None]:
    """Turn what a store answers into an error that says what to do, and names no credential."""
    from obstore.exceptions import (
        AlreadyExistsError,
        BaseError,
        NotFoundError,
        PermissionDeniedError,
        PreconditionError,
        UnauthenticatedError,
    )

    try:
        yield
    except (FileNotFoundError, AlreadyExistsError, PreconditionError):
        raise
    except NotFoundError as error:
        raise FileNotFoundError(str(path)) from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise BucketError(
            f"the store refuses {path}: {told(error)}. Check the credentials of this process, and "
            f"that they may list, read, write and delete there."
        ) from error
    except (BaseError, OSError) as error:
        raise BucketError(
            f"the store of {path} does not answer as it should: {told(error)}. Check the endpoint, "
            f"the region and the bucket's name, and run again: what is done is found again."
        ) from error


def told(error: BaseException) -> str:
    r"""Return what a store said, without what may be in a signed address.

    >>> told(OSError("no PUT https://store/a?sig=x9: 503\n\nDebug source:"))
    'no PUT https://store/a: 503'
    """
    text = str(error).partition("\n")[0]
    return re.sub(r"\?[^\s:]*", "", text).rstrip(". ")
