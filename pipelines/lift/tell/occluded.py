"""What parts of a content do to a prediction, drawn on the content itself.

Orange raises and blue lowers; a triangle, and on a photo a plus or a minus, says so, too.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.lift.tell.units import amount
from deepfeast.pipelines.templates import html_templates
from deepfeast.transforms.images import decode
from deepfeast.transforms.occlusion.photos import Box
from deepfeast.transforms.occlusion.texts import Span

if TYPE_CHECKING:
    from deepfeast.transforms.occlusion.effects import Part

TEMPLATES = Path(__file__).parent / "templates"
SIDE = 320
# Weaker parts bear no sign: what moves little is mostly rounding.
LEAST = 0.25


def signed_amount(effect: float) -> str:
    """Write an effect in the target's unit.

    >>> signed_amount(1234.5), signed_amount(-0.5), signed_amount(0)
    ('+1,230', '−0.5', '0')
    """
    if effect == 0:
        return "0"
    told = amount(abs(effect))
    whole = told.rstrip("0").rstrip(".") if "." in told else told
    return f"{'+' if effect > 0 else '−'}{whole}"


def css() -> str:
    """Return the style of what `drawn` writes."""
    return (TEMPLATES / "occluded.css").read_text(encoding="utf-8")


def drawn(content: str | bytes | tuple[bytes, ...], parts: Sequence[Part], unit: str) -> str:
    """Draw a text with coloured sentences, or photos beside their heat.

    Parameters
    ----------
    content : str, bytes or tuple of bytes
    parts : sequence of Part
    unit : str
        Of the effects, for those who cannot see the picture.

    Returns
    -------
    str
        HTML without script; nothing of the content is taken for markup.
    """
    environment = html_templates(TEMPLATES)
    most = max((abs(part.effect) for part in parts), default=0.0)
    if isinstance(content, str):
        return environment.get_template("occluded.html").render(
            pieces=_pieces(content, parts, most), photos=[]
        )
    photos = content if isinstance(content, tuple) else (content,)
    shown = [
        _heat(photo, [part for part in parts if part.photo == number], most, unit)
        for number, photo in enumerate(photos)
        if any(part.photo == number for part in parts)
    ]
    return environment.get_template("occluded.html").render(pieces=[], photos=shown)


def where(content: str | bytes | tuple[bytes, ...], part: Part) -> str:
    """Say of which part of a content an effect is: its words, or where the patch lies.

    >>> from deepfeast.transforms.occlusion.effects import Part
    >>> where(b"", Part(Box(0, 0, 0.5, 1), 1.0))
    '0–50 % from the left, 0–100 % from the top'
    """
    if isinstance(content, str):
        return " ".join(content[slice(*part.place)].split())
    box = part.place
    assert isinstance(box, Box)
    number = f"photo {part.photo + 1}: " if isinstance(content, tuple) and len(content) > 1 else ""
    across = f"{100 * box.left:.0f}–{100 * box.right:.0f} % from the left"
    return f"{number}{across}, {100 * box.top:.0f}–{100 * box.bottom:.0f} % from the top"


def _look(part: Part, most: float) -> dict[str, Any]:
    strength = abs(part.effect) / most if most and not part.luck else 0.0
    kind = "raises" if part.effect > 0 else "lowers"
    return {"kind": kind, "strength": round(strength, 3), "strong": strength >= LEAST}


def _pieces(text: str, parts: Sequence[Part], most: float) -> list[dict[str, Any]]:
    """Cut a text into parts with an effect and what lies between them."""
    pieces: list[dict[str, Any]] = []
    at = 0
    for part in parts:
        assert isinstance(part.place, Span)
        start, end = part.place
        pieces.append({"text": text[at:start], "effect": ""})
        look = _look(part, most)
        pieces.append({"text": text[start:end], "effect": signed_amount(part.effect), **look})
        at = end
    return [*pieces, {"text": text[at:], "effect": ""}]


def _heat(photo: bytes, parts: Sequence[Part], most: float, unit: str) -> dict[str, Any]:
    picture = decode(photo)
    picture.thumbnail((2 * SIDE, SIDE))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=80, optimize=True)
    cells = []
    for part in parts:
        box, look = part.place, _look(part, most)
        assert isinstance(box, Box)
        cell = {
            "x": round(box.left * picture.width, 1),
            "y": round(box.top * picture.height, 1),
            "width": round((box.right - box.left) * picture.width, 1),
            "height": round((box.bottom - box.top) * picture.height, 1),
            "sign": "+" if part.effect > 0 else "−",
            "effect": signed_amount(part.effect),
            # Squeezed a little, so that the photo stays to be seen under the strongest.
            "opacity": round(0.65 * look["strength"], 3),
            **look,
        }
        cells.append(cell)
    best = max(parts, key=lambda part: abs(part.effect))
    return {
        "uri": f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}",
        "width": picture.width,
        "height": picture.height,
        "cells": cells,
        "words": f"Strongest: {signed_amount(best.effect)} {unit}, {where(photo, best)}"
        f"{', within the noise' if best.luck else ''}.",
    }
