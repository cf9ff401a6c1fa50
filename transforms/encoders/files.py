"""Where the files of a network lie, and a hash over all that decides its numbers."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from deepfeast.transforms.errors import EncoderError, EncoderNotFound

# What a network is made of; the rest of a hub repository (other formats, pictures) stays there.
NEEDED = ["*.json", "*.safetensors", "*.txt", "*.model", "*/*.json", "*/*.safetensors"]


def find_folder(where: str, revision: str | None = None) -> Path:
    """Return the folder of a network: a local one, the hub's cache, or the hub itself.

    Raises
    ------
    EncoderNotFound
        If none of the three has it; it says how to get it.
    """
    folder = Path(where).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if folder.is_absolute() or where.startswith((".", "~")) or where.count("/") > 1:
        raise EncoderNotFound(f"no folder at {folder}: hf: takes a folder or a hub id, org/model.")
    return _from_hub(where, revision)


def _from_hub(repo: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    failures: list[str] = []
    # Older repositories have torch's own weights only; fetching both kinds would double the load.
    ways = [(NEEDED, True), (NEEDED, False), ([*NEEDED, "*.bin"], False)]
    for patterns, local_only in ways:
        try:
            found = Path(
                snapshot_download(
                    repo, revision=revision, allow_patterns=patterns, local_files_only=local_only
                )
            )
            if _is_network(found):
                return found
            failures.append("it has no config.json or no weights")
        except Exception as error:  # the hub client raises a dozen unrelated kinds
            failures.append(f"{type(error).__name__}: {error}".splitlines()[0])
    raise EncoderNotFound(
        f"no network {repo!r}: not a folder here, not in the local hub cache, and the hub did "
        f"not give it ({'; '.join(dict.fromkeys(failures))}). Copy its folder here and write "
        f"hf:/path/to/folder, or run `hf download {repo}` on a machine with network."
    )


def _is_network(folder: Path) -> bool:
    named = any((folder / name).is_file() for name in ("config.json", "modules.json"))
    return named and any(
        True for suffix in ("safetensors", "bin") for _ in folder.rglob(f"*.{suffix}")
    )


def read_json(path: Path) -> Any:
    """Read a JSON file of a network's folder; say which one is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EncoderError(f"{path.parent} has no {path.name}: is the folder complete?") from None
    except json.JSONDecodeError as error:
        raise EncoderError(f"{path} is not JSON: {error}.") from None


def file_hash(path: str | Path) -> str:
    """Return the sha256 of a file; kept while its size and time of change stay the same."""
    path = Path(path).resolve()
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise EncoderNotFound(f"no file at {path}.") from None
    return _file_hash(path, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _file_hash(path: Path, size: int, mtime: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weight_files(folder: Path) -> list[Path]:
    """Return the weight files of a folder: safetensors, or else torch's own format."""
    for pattern in ("*.safetensors", "*.bin"):
        found = sorted(folder.glob(pattern))
        if found:
            return found
    raise EncoderError(f"{folder} has no weights: expected model.safetensors.")


def digest(**parts: Any) -> str:
    """Return one sha256 over named parts, whatever their order.

    >>> digest(layer="features.12", pool="avg") == digest(pool="avg", layer="features.12")
    True
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
