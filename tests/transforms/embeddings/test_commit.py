from datetime import datetime, timezone

from deepfeast.transforms.embeddings.commit import Commit

RUN = Commit(3, datetime(2024, 1, 1, tzinfo=timezone.utc), {"run_id": "r", "generation": 1})


def test_a_commit_that_goes_on_from_a_run_is_no_run():
    meta = RUN.followed_by("compact", {"folder": "c", "files": {"1": []}})
    compacted = Commit(4, RUN.time, meta)
    assert (RUN.kind, RUN.folder, RUN.files) == ("run", "r", {})
    assert (compacted.kind, compacted.folder, compacted.files) == ("compact", "c", {"1": []})
    again = Commit(5, RUN.time, compacted.followed_by("takeover", 4))
    assert (again.kind, again.folder, again.files) == ("takeover", "r", {})
