import xml.etree.ElementTree as ET

from deepfeast.pipelines.junit import Check, write_junit


def test_checks_are_tests_of_one_suite(tmp_path):
    path = tmp_path / "reports" / "doctor.xml"
    write_junit(
        path,
        "deepfeast doctor",
        [Check("view a", "it was\x00 never embedded <&>\nembed it"), Check("view b", told="fine")],
        seconds=1.5,
    )
    (suite,) = ET.parse(path).getroot()
    assert suite.attrib == {
        "name": "deepfeast doctor",
        "time": "1.500",
        "tests": "2",
        "failures": "1",
        "errors": "0",
        "skipped": "0",
    }
    bad, good = suite
    assert bad.get("name") == "view a"
    assert bad[0].get("message") == "it was? never embedded <&>"
    assert bad[0].text.endswith("embed it")
    assert good.find("failure") is None
    assert good.findtext("system-out") == "fine"
    assert [other.name for other in path.parent.iterdir()] == ["doctor.xml"]
