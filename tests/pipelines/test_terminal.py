from deepfeast.pipelines.terminal import shown


def test_a_plain_line_a_stage_where_there_is_no_terminal(capsys):
    with shown("deep") as report:
        report("Encode", 0, 3)
        report("Encode", 3, 3, "40% reused")
    line = capsys.readouterr().err
    assert line.startswith("deep: encode 3 in ")
    assert line.endswith("s (40% reused)\n")
