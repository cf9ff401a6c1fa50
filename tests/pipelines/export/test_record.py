"""Where a view was exported to is known beside its table."""

from deepfeast.pipelines.export.record import Export, keep_export, read_exports


def test_what_is_kept_is_read_and_replaced_by_its_place(tmp_path):
    assert read_exports(tmp_path) == {}
    keep_export(tmp_path, "here", Export("a", transactional=True))
    keep_export(tmp_path, "there", Export("b", transactional=False, version=1, runs=["x"]))
    keep_export(tmp_path, "here", Export("c", transactional=True))
    assert read_exports(tmp_path) == {
        "here": Export("c", transactional=True),
        "there": Export("b", transactional=False, version=1, runs=["x"]),
    }
