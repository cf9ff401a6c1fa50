"""How findings are told: to people, to CI by a code, and as JUnit's checks."""

from deepfeast.pipelines.doctor.findings import Finding, checks, exit_status, render
from deepfeast.pipelines.junit import Check

ERROR = Finding("error", "view a", "It was never embedded.", "deepfeast embed a")
WARNING = Finding("warning", "view b", "Its source has news.", "deepfeast embed b")


def test_nothing_to_mend():
    assert render([]) == "nothing to mend"
    assert exit_status([], strict=True) == 0
    assert checks([]) == [Check("nothing to mend")]


def test_only_an_error_fails_unless_strict():
    assert [exit_status([found]) for found in (ERROR, WARNING)] == [1, 0]
    assert exit_status([WARNING], strict=True) == 1
    assert [bool(check.failure) for check in checks([ERROR, WARNING])] == [True, False]
    assert checks([WARNING], strict=True)[0].failure == "Its source has news.\ndeepfeast embed b"


def test_each_finding_is_told_with_what_to_do():
    assert render([ERROR, WARNING]).splitlines() == [
        "error    view a: It was never embedded.",
        "         → deepfeast embed a",
        "warning  view b: Its source has news.",
        "         → deepfeast embed b",
    ]
