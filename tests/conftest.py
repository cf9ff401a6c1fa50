"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real listings and an image network; tests that need it skip elsewhere."""
    folder = Path(os.environ.get("DEEPFEAST_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "listings").is_dir():
        pytest.skip(f"no shared data at {folder}: set DEEPFEAST_SHARED to its folder")
    return folder
