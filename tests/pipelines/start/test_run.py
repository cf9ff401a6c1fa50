"""A repo as `deepfeast init` writes it, brought up to its table by its own script."""

import subprocess

import pytest
from typer.testing import CliRunner

from deepfeast.pipelines.cli import app
from deepfeast.pipelines.start.run import KEPT, apply, run_repo
from deepfeast.transforms import OnlineFeatures
from deepfeast.transforms.errors import SourceNotFound, SpecError


@pytest.mark.slow
def test_the_nightly_script_takes_what_is_new_and_brings_it_online(folder):
    words = ["init", str(folder / "repo"), "--table", str(folder / "shop.csv"), "--target", "price"]
    assert CliRunner().invoke(app, words).exit_code == 0
    with (folder / "shop.csv").open("a") as table:
        table.write("s999,a solid pine bench with a drawer,90,red,200\n")
    done = subprocess.run(
        [folder / "repo" / "shop_nightly.sh"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "61 rows, 61 of them with a label" in done.stdout
    assert "61 of 61 rows were new" in done.stdout
    assert "Online: shop_" in done.stdout
    row = OnlineFeatures(folder / "repo", "shop_model").frame([{"sku": "s999"}])
    assert row.columns[:3].tolist() == ["width", "colour", "description_vec_000"]
    assert row["width"].tolist() == [90]
    assert not row.isna().any(axis=None)


def test_declarations_that_feast_refuses_are_told_with_its_last_word(tmp_path):
    with pytest.raises(SourceNotFound, match="no Feast repo in"):
        apply(tmp_path)
    (tmp_path / "feature_store.yaml").write_text(
        "project: shop\nprovider: local\nregistry: registry.db\n"
        "entity_key_serialization_version: 3\nonline_store: {type: sqlite, path: online.db}\n"
    )
    (tmp_path / "views.py").write_text("raise ValueError('no such table')")
    with pytest.raises(SpecError, match=r"feast apply refuses.*ValueError: no such table"):
        apply(tmp_path)


def test_ctrl_c_says_what_is_kept(tmp_path, monkeypatch):
    from deepfeast.pipelines.start import run

    def interrupted(repo):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "apply", interrupted)
    with pytest.raises(KeyboardInterrupt) as stop:
        run_repo(tmp_path)
    assert stop.value.__notes__ == [KEPT]
