"""An object store, opened, and what it answers turned into errors that say what to do."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from deepfeast.transforms.errors import BucketError

# As S3, Google and Azure call it.
NO_BUCKET = ("NoSuchBucket", "The specified bucket does not exist", "ContainerNotFound")
CLIENT = ("allow_http", "allow_invalid_certificates")
REFUSED = ("403 Forbidden", "401 Unauthorized")
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
    # `deltalake` takes all in one, `obstore` these apart.
    client: Any = {
        name: value == "true"
        for option, value in options
        if (name := option.lower().removeprefix("aws_")) in CLIENT
    }
    config: Any = {
        option: value
        for option, value in options
        if option.lower().removeprefix("aws_") not in CLIENT
    }
    return from_url(root, config=config, client_options=client or None, retry_config=RETRIES)  # type: ignore[call-overload]


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
    except (AlreadyExistsError, PreconditionError):
        raise
    except (BaseError, OSError) as error:
        if any(code in str(error) for code in NO_BUCKET):
            told_of = f"there is no bucket for {path}. Make it, or mend its name."
        elif isinstance(error, NotFoundError | FileNotFoundError):
            raise FileNotFoundError(str(path)) from error
        # A refused list is of no class of its own.
        elif isinstance(error, PermissionDeniedError | UnauthenticatedError) or any(
            code in str(error) for code in REFUSED
        ):
            told_of = (
                f"the store refuses {path}: {told(error)}. Check the credentials of this process, "
                f"and that they may list, read, write and delete there."
            )
        else:
            told_of = (
                f"the store of {path} does not answer as it should: {told(error)}. Check the "
                f"endpoint, the region and the bucket's name, and run again: what is done is found "
                f"again."
            )
        raise BucketError(told_of) from error


def told(error: BaseException) -> str:
    r"""Return what a store said, without what may be in a signed address.

    >>> told(OSError("no PUT https://store/a?sig=x9: 503\n\nDebug source:"))
    'no PUT https://store/a: 503'
    """
    text = re.sub(r"\?[^\s:]*", "", str(error).partition("\n")[0]).rstrip(". ")
    said = re.search(r"<Code>(\w+)</Code>(?:\s*<Message>([^<]*)</Message>)?", str(error))
    if said:
        text = f"{text.partition(': <')[0]}: {said[1]} {said[2] or ''}".rstrip(". ")
    return text
