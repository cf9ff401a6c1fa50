import pytest

from deepfeast.pipelines.terminal import open_repo, print_run, shown
from deepfeast.transforms.errors import SourceNotFound


def test_a_plain_line_a_stage_where_there_is_no_terminal(capsys):
    with shown("deep") as report:
        report("Encode", 0, 3)
        report("Encode", 3, 3, "40% reused")
    line = capsys.readouterr().err
    assert line.startswith("deep: encode 3 in ")
    assert line.endswith("s (40% reused)\n")


def test_a_run_is_told_in_a_line_and_its_rejects_below(shirts, capsys):
    shirts.write([{"id": "a", "title": "red shirt"}, {"id": "b", "title": "poison"}])
    print_run(shirts.embed(allowed_rejects=0.5))
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("deep: 2 of 2 rows were new: 1 contents encoded, 0 reused")
    assert told[1] == "  poisoned: 1"
    print_run(shirts.embed())
    assert capsys.readouterr().out == "deep: nothing new in 2 rows; nothing committed\n"


def test_a_repo_is_opened_by_its_folder(shirts, tmp_path):
    assert open_repo(shirts.folder).project == "shirts"
    with pytest.raises(SourceNotFound, match="on the command line, with --repo"):
        open_repo(tmp_path)
