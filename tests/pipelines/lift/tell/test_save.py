"""The page and the data on disk."""

import json

from deepfeast.pipelines.lift import save


def test_the_page_and_the_data_land_in_a_new_folder(prices, tmp_path):
    page, data = save(prices, str(tmp_path / "a" / "b"))
    assert page.read_text().startswith("<!doctype html>")
    body = json.loads(data.read_text())
    assert body["rows"] == 150
    assert {len(arm["scores"]) for arm in body["arms"]} == {5, 10}  # clear arms stop early
