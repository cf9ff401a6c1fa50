"""The doctor asks every check, and finds nothing in a healthy repo."""

from deepfeast.pipelines.doctor import diagnose


def test_a_healthy_repo_has_nothing_to_mend(healthy):
    assert diagnose(healthy.folder) == []


def test_errors_come_first(shirts):
    shirts.write([{"id": "a", "title": "red shirt"}])  # Feast's own stores, and never embedded
    levels = [finding.level for finding in diagnose(shirts.store)]
    assert set(levels) == {"error", "warning"}
    assert levels == sorted(levels)
