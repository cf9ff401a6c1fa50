from pathlib import Path

import pytest

from deepfeast.pipelines.start.look import look_at
from deepfeast.pipelines.start.plan import Asked, Doubt
from deepfeast.pipelines.start.propose import propose
from deepfeast.pipelines.start.repo import Encoders
from deepfeast.pipelines.start.table import open_table
from deepfeast.pipelines.start.tell import answered, encoder_line, init_command, proposal_lines
from deepfeast.transforms.errors import LiftError


def test_each_role_is_told_with_its_reason(folder):
    table = open_table(folder / "shop.csv")
    look = look_at(table)
    proposal = propose(table, look, Asked(target="price"))
    lines = list(proposal_lines(table, look, proposal))
    assert lines[0] == "shop.csv: 60 rows, 5 columns; utf-8, comma between cells, decimal point"
    assert [line.split()[0] for line in lines[1:]] == ["target", "id", "text", "number", "category"]
    assert "--text-encoder minilm" in encoder_line(proposal, Encoders())
    assert encoder_line(proposal, Encoders("minilm")) == "Texts are read by minilm."


def test_questions_are_answered_by_a_person_or_by_what_is_usual():
    doubts = [Doubt("time", "When?", ["a", "b"], "a"), Doubt("id", "Which?", ["c"], "c")]
    asked, any_answer = answered(doubts, Asked(), lambda doubt: doubt.options[-1])
    assert (asked.time, asked.key, any_answer) == ("b", "c", True)
    assert answered(doubts, Asked(), None) == (Asked(), False)
    with pytest.raises(LiftError, match=r"What.*--target COLUMN, one of: price, width"):
        answered([Doubt("target", "What?", ["price", "width"])], Asked(), None)


def test_the_command_to_go_on_with_asks_the_same():
    asked = Asked(
        target="the price",
        groups="none",
        texts=("a b",),
        photos_root=Path("/p"),
        log_target=False,
    )
    told = init_command(Path("my table.csv"), "my", asked, Encoders("minilm"), Path("kept"))
    assert told == (
        "deepfeast init my_repo --table 'my table.csv' --target 'the price' --groups none "
        "--text 'a b' --photos-root /p --no-log-target --text-encoder minilm --cache kept"
    )
