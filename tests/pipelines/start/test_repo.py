import ast
import subprocess
import sys

import pytest

from deepfeast.pipelines.start.look import look_at
from deepfeast.pipelines.start.plan import Asked, Plan
from deepfeast.pipelines.start.propose import propose
from deepfeast.pipelines.start.repo import Encoders, plan_code, write_repo
from deepfeast.pipelines.start.table import open_table
from deepfeast.transforms.errors import SpecError


@pytest.fixture
def write(folder):
    """Write a repo for shop.csv."""

    def write(name="repo", **asked):
        table = open_table(folder / "shop.csv")
        proposal = propose(table, look_at(table), Asked(**({"target": "price"} | asked)))
        return write_repo(folder / name, table, proposal, Encoders(), "s000")

    return write


def test_what_is_written_is_code_in_our_style_that_prepares_the_table(write, folder):
    repo = write()
    assert repo.files == [
        "feature_store.yaml",
        "shop_features.py",
        "shop_prepare.py",
        "shop_look_up.py",
        "shop_nightly.sh",
        "README.md",
    ]
    for path in (folder / "repo").glob("*.py"):
        assert all(len(line) <= 110 for line in path.read_text().splitlines())
        ast.parse(path.read_text())
    declared = (folder / "repo" / "shop_features.py").read_text()
    assert 'DeepFeature("description_vec", column="description", encoder="text-tiny")' in declared
    script = folder / "repo" / "shop_prepare.py"
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True, cwd="/"
    )
    assert done.stdout == "60 rows, 60 of them with a label\n"
    assert (folder / "repo" / "data" / "shop_labels.parquet").exists()
    assert (folder / "repo" / "shop_nightly.sh").stat().st_mode & 0o111


def test_photos_at_urls_are_fetched_from_the_hosts_that_were_allowed(write, folder, rows):
    urls = [f"https://img.example/{n}.jpg" for n in range(60)]
    rows.assign(photo=urls).to_csv(folder / "shop.csv", index=False)
    write(hosts=("img.example",))
    declared = (folder / "repo" / "shop_features.py").read_text()
    ast.parse(declared)
    assert 'allow_hosts=["img.example"]' in declared


def test_into_a_repo_that_is_there_files_come_beside_under_a_free_name(write, folder):
    there = folder / "repo"
    there.mkdir()
    (there / "feature_store.yaml").write_text("project: old\n")
    (there / "README.md").write_text("ours")
    (there / "views.py").write_text('shop_rows = FileSource(name="shop_rows")')
    repo = write()
    assert repo.plan.name == "shop_2"
    assert (there / "README.md").read_text() == "ours"
    assert (there / "feature_store.yaml").read_text() == "project: old\n"
    assert "shop_2_README.md" in repo.files
    assert "feature_store.yaml" not in repo.files
    assert [line.split(":")[1].strip() for line in repo.merge] == ["offline_store", "batch_engine"]


def test_a_folder_of_other_things_and_a_second_time_are_refused(write, folder):
    write()
    with pytest.raises(SpecError, match=r"shop_features\.py is there already"):
        write()
    (folder / "thesis").mkdir()
    (folder / "thesis" / "a.txt").write_text("years of work")
    with pytest.raises(SpecError, match="neither empty nor a Feast repo"):
        write("thesis")


def test_names_of_tables_and_columns_cannot_leave_their_quotes():
    plan = Plan("shop", texts=["a"], names={"a": 'x"]); import os #', "b": "new\nline 🏠 'q'"})
    assert eval(plan_code(plan), {"Plan": Plan}) == plan


def test_the_next_commands_name_what_there_is(write, folder):
    first, second, third = write().commands("s 0")
    assert first == f"deepfeast run --repo {folder / 'repo'}"
    assert second.endswith("--service shop_model --target price")
    assert third.endswith("shop_look_up.py 's 0'")
    assert write("logged", log_target=True).commands()[1].endswith(" price --log-target")
