"""A text or a photo as a page shows it: within the page, and small."""

from __future__ import annotations

import base64
import io

PHOTO_SIDE = 150
TEXT_LENGTH = 420


def shown_content(value: str | bytes) -> dict[str, str]:
    """Show a photo as a small JPEG within the page, a text as its beginning.

    Returns
    -------
    dict
        ``photo``, a data URI; or ``text``.

    Raises
    ------
    Reject
        If the photo cannot be read.

    Examples
    --------
    >>> shown_content("a red  sofa")
    {'text': 'a red sofa'}
    """
    if isinstance(value, str):
        text = " ".join(value.split())
        return {"text": text if len(text) <= TEXT_LENGTH else text[:TEXT_LENGTH].rstrip() + " …"}
    return {"photo": f"data:image/jpeg;base64,{_thumbnail(value)}"}


def _thumbnail(image: bytes) -> str:
    from deepfeast.transforms.images import decode

    picture = decode(image)
    picture.thumbnail((2 * PHOTO_SIDE, PHOTO_SIDE))
    small = io.BytesIO()
    picture.save(small, "JPEG", quality=78, optimize=True)
    return base64.b64encode(small.getvalue()).decode()
