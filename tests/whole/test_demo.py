"""The main job from end to end, on generated rows and on real ones; and the page that tells it."""

import re
import runpy
import shlex
from difflib import ndiff
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deepfeast.pipelines.cli import app
from deepfeast.transforms import OnlineFeatures, training_frame

runner = CliRunner()


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    out = tmp_path_factory.mktemp("generated") / "demo"
    done = runner.invoke(app, ["demo", "--out", str(out), "--listings", "300"])
    assert done.exit_code == 0, done.output
    return out, done.output


def test_the_demonstration_tells_what_happened_and_where_to_look(generated):
    out, told = generated
    for step in ("feast apply", "deepfeast embed", "join", "train", "materialize", "look"):
        assert step in told
    assert "nothing new" in told
    assert f"rejects listing_deep --repo {out}" in told
    assert "helps" in told or "no evidence" in told


def test_the_commands_of_the_page_answer_as_it_says(generated):
    out, _ = generated
    page = (Path(__file__).resolve().parents[2] / "docs" / "marketplace.md").read_text()
    first, *others = re.findall(r"^```sh\n(.*)\n```", page, re.MULTILINE)
    assert first == "deepfeast demo --out demo"  # as the fixture does, with fewer listings
    told = {}
    for line in others:
        _, command, *words = shlex.split(line)
        words = [word.replace("demo/feature_repo", str(out / "feature_repo")) for word in words]
        done = runner.invoke(app, [command, *words])
        assert done.exit_code == 0, f"{line}\n{done.output}"
        told[command] = done.stdout
    assert "image" in told["rejects"]
    assert "photo" in told["rejects"]
    assert "listing_deep" in told["verify"]
    assert set(told) == {"rejects", "runs", "verify", "doctor"}


def test_training_and_serving_have_the_same_columns_and_values(generated):
    import numpy as np
    import pandas as pd

    repo = generated[0] / "feature_repo"
    listings = pd.read_parquet(repo / "data" / "listings.parquet")
    # Each listing as of now, once: what the online store holds.
    labels = listings[["listing_id"]].drop_duplicates().head(20).reset_index(drop=True)
    labels["event_timestamp"] = listings["event_timestamp"].max() + pd.Timedelta(days=30)
    frame = training_frame(repo, labels, service="price_model")
    served = OnlineFeatures(repo, "price_model").frame(
        labels[["listing_id"]], now=labels["event_timestamp"][0].to_pydatetime()
    )
    assert list(frame.columns[2:]) == list(served.columns)
    vectors = [column for column in served.columns if "_vec_" in column]
    np.testing.assert_array_equal(frame[vectors].to_numpy(), served[vectors].to_numpy())


def test_five_lines_give_a_legacy_script_the_texts(generated, monkeypatch, capsys):
    docs = Path(__file__).resolve().parents[2] / "docs"
    monkeypatch.chdir(generated[0].parent)
    before, after = (docs / "examples" / f"forest_{name}.py" for name in ("before", "after"))
    changed = [line for line in ndiff(*map(lines_of, (before, after))) if line[0] in "+-"]
    assert len(changed) == 5
    assert all(line.startswith("+ ") for line in changed)
    runpy.run_path(str(before))
    model = runpy.run_path(str(after))["model"]
    deep, forest = model[0], model[-1]
    assert list(deep.features_) == ["description_vec"]
    assert len(deep.features_["description_vec"]) == 320
    # Six old columns, and of the vector a probe and ten components, which the forest splits on.
    assert forest.feature_importances_[6:].sum() > 0.2
    page = (docs / "existing_models.md").read_text()
    row = re.search(r"--listings 300` \| ([\d.]+) \| ([\d.]+) \|", page)
    told = re.findall(r"R² ([\d.]+) on", capsys.readouterr().out)
    assert [float(score) for score in told] == pytest.approx(
        list(map(float, row.groups())), abs=0.02
    )


def lines_of(path):
    return [line for line in path.read_text().splitlines() if line]


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    done = runner.invoke(app, ["demo", "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "SpecError" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_folder_without_listings_is_refused(tmp_path):
    command = ["demo", "--out", str(tmp_path / "out"), "--folder", str(tmp_path)]
    done = runner.invoke(app, command)
    assert done.exit_code == 69
    assert "no listings.csv" in done.stderr
    assert not (tmp_path / "out" / "feature_repo" / "data").exists()


@pytest.mark.shared
def test_a_real_listing_has_its_numbers_its_texts_and_its_photo_in_one_row(
    shared, tmp_path, monkeypatch
):
    import pandas as pd

    from deepfeast.pipelines.demo.listings import write_listings

    real, some = shared / "data" / "listings", tmp_path / "some"
    some.mkdir()
    (some / "photos").symlink_to(real / "photos")
    pd.read_csv(real / "listings.csv").iloc[::10].to_csv(some / "listings.csv", index=False)
    repo = tmp_path / "repo"
    repo.mkdir()
    written = write_listings(some, repo)
    monkeypatch.setenv("DEEPFEAST_IMAGE_ENCODER", f"hf:{shared / 'models' / 'mobilenet_v2'}")
    done = runner.invoke(app, ["run", "--repo", str(repo)])
    assert done.exit_code == 0, done.output
    frame = training_frame(repo, pd.read_parquet(written.labels), service="price_model")
    assert len(frame) == 99
    for vector, dim in {"title_vec": 320, "description_vec": 320, "photo_vec": 1280}.items():
        columns = [name for name in frame.columns if re.fullmatch(rf"{vector}_\d+", name)]
        assert len(columns) == dim
        assert frame[columns[0]].notna().mean() > 0.8
