"""What is alike: exact search over the vectors of an embedding table.

`VectorSearch` holds the vectors; `similar`, `search` and `duplicates` open them for one question.
The names below load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepfeast.transforms.late import load

if TYPE_CHECKING:
    from deepfeast.pipelines.search.answer import Found, Hit
    from deepfeast.pipelines.search.groups import Duplicates, Group, duplicates
    from deepfeast.pipelines.search.vectors import VectorSearch, search, similar

__all__ = [
    "Duplicates",
    "Found",
    "Group",
    "Hit",
    "VectorSearch",
    "duplicates",
    "search",
    "similar",
]

_HOME = {
    "Duplicates": "groups",
    "Found": "answer",
    "Group": "groups",
    "Hit": "answer",
    "VectorSearch": "vectors",
    "duplicates": "groups",
    "search": "vectors",
    "similar": "vectors",
}


def __getattr__(name: str) -> Any:
    return load(__name__, _HOME, name)
