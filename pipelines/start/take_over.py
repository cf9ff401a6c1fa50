"""Vectors that a trial made, laid where the first run of a new repo looks for what it has already.

Not the trial's rows, which may be drawn ones: contents and their vectors alone, by fingerprint.
What the repo's table does not ask for goes when its first run is published.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deepfeast.pipelines.embed.folder import Spill
from deepfeast.pipelines.start.repo import Encoders, Repo
from deepfeast.transforms.arrow import vectors_to_matrix
from deepfeast.transforms.embeddings.table import EmbeddingTable
from deepfeast.transforms.encoders import build_encoder
from deepfeast.transforms.errors import TableError
from deepfeast.transforms.features import DeepFeature, hash_column

TABLES = Path("data", "embeddings")


def take_over(repo: Repo, encoders: Encoders, cache: Path) -> int:
    """Take the vectors of a cache of `deepfeast try` over into a repo, before its first run.

    Parameters
    ----------
    repo : Repo
        Just written: its table lies where declarations put it unless they say otherwise.
    encoders : Encoders
        That the repo names; vectors of others stay where they are.
    cache : Path
        Of hidden repos. A table in it that is damaged, or half written, is left alone.

    Returns
    -------
    int
        How many vectors were taken over, one for each content; 0 where there is no cache.
    """
    view = f"{repo.plan.name}_deep"
    named = [encoders.text] * bool(repo.plan.texts) + [encoders.image] * bool(repo.plan.photos)
    declared = [DeepFeature("vec", column="any", encoder=name) for name in named]
    fingerprints = {build_encoder(feature).fingerprint for feature in declared}
    target, count = EmbeddingTable(str(repo.folder / TABLES / view), view), 0
    for number, folder in enumerate(sorted(cache.glob(f"repo-*/{TABLES}/*_deep"))):
        tried = EmbeddingTable(str(folder), folder.name)
        try:
            delta = tried.open()
        except TableError:
            continue
        if delta is None:
            continue
        rows = tried.dataset(delta)
        for feature, fingerprint in tried.commits(delta)[0].meta["fingerprints"].items():
            if fingerprint not in fingerprints:
                continue
            found = rows.to_table(columns=[hash_column(feature), feature])
            found = found.filter(found[feature].is_valid())
            hashes = found[hash_column(feature)].to_numpy()
            found = found.take(np.unique(hashes, return_index=True)[1])
            spill = Spill(target.spill(fingerprint))
            spill.make()
            matrix = vectors_to_matrix(found[feature])
            spill.write(f"tried-{number:03d}-{feature}", found[hash_column(feature)], matrix)
            count += len(matrix)
    return count
