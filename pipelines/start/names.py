"""Names of columns as people write them, and the plain ones that Feast and models take."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Sequence

# What the files of a repo call their own columns.
RESERVED = {"event_timestamp": "event_time", "created_timestamp": "created_time"}


def plain_name(name: str, place: int = 1) -> str:
    """Write a name in letters, digits and underscores; one that has no others stays as it is.

    Parameters
    ----------
    name : str
    place : int
        Of the column, counted from one: names it where nothing of the name is left.

    Examples
    --------
    >>> plain_name("Preis (€)"), plain_name("Größe in m²"), plain_name("🚗", 4), plain_name("2nd")
    ('preis', 'grosse_in_m2', 'column_4', 'n2nd')
    """
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) and not keyword.iskeyword(name):
        return RESERVED.get(name, name)
    letters = name.replace("ß", "ss")
    letters = unicodedata.normalize("NFKD", letters).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9]+", "_", letters).strip("_")
    if not plain:
        return f"column_{place}"
    if plain[0].isdigit():
        plain = f"n{plain}"
    return f"{plain}_" if keyword.iskeyword(plain) else RESERVED.get(plain, plain)


def plain_names(names: Sequence[str]) -> list[str]:
    """Write the names of a table's columns plainly, each once.

    Two that differ in upper and lower case alone would be one to a database.

    >>> plain_names(["price", "Price", "price", "a b"])
    ['price', 'Price_2', 'price_3', 'a_b']
    """
    taken: set[str] = set()
    found = []
    for place, name in enumerate(names, start=1):
        plain = base = plain_name(name, place)
        number = 1
        while plain.lower() in taken:
            number += 1
            plain = f"{base}_{number}"
        taken.add(plain.lower())
        found.append(plain)
    return found
