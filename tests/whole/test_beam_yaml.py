"""The page of Beam YAML: its pipeline, by its command."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from deepfeast.transforms import get_encoder

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "howto" / "beam_yaml.md").read_text()


def test_the_pipeline_of_the_page_embeds_csv_and_parquet(tmp_path, monkeypatch):
    pytest.importorskip("docstring_parser", reason="run: pip install 'deepfeast[yaml]'")
    from apache_beam.yaml import main

    # Beam YAML imports what networks are there, for steps that this pipeline has not: 5 s.
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    monkeypatch.chdir(tmp_path)
    shutil.copy(DOCS / "examples" / "embed.yaml", tmp_path)
    Path("listings.csv").write_text(
        "listing_id,title,description,beds\na,red shirt,a warm one,1\nb,,blue,\nc,hat,  ,3\n"
    )
    shell = re.search(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]
    words = shlex.split(shell.replace("\\\n", " ").splitlines()[-1])
    assert words[:3] == ["python", "-m", "apache_beam.yaml.main"]
    main.run(words[3:])
    (csv,) = Path("vectors").glob("listings*.parquet")
    rows = pq.read_table(csv)
    assert rows.schema.field("title_vec").type.value_type == pa.float32()
    assert rows["beds"].to_pylist() == [1, None, 3]
    found = rows["title_vec"].to_pylist()
    assert found[1] is None
    assert rows["description_vec"].to_pylist()[2] is None
    assert [len(vector) for vector in rows["description_vec"].to_pylist()[:2]] == [64, 64]
    expected = get_encoder("text-tiny").encode(["red shirt", "hat"])
    np.testing.assert_allclose([found[0], found[2]], expected, atol=1e-6)

    given = rows.select(["listing_id", "title", "description", "beds"])
    given = given.replace_schema_metadata()  # where Beam wrote down the fields of all columns
    # The same rows from Parquet, by the step that the page has for it, give the same vectors.
    pipeline = yaml.safe_load(Path("embed.yaml").read_text())
    (step,) = yaml.safe_load(re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)[1])
    pipeline["pipeline"]["transforms"][0] = step
    Path("embed.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False))
    pq.write_table(given, "listings.parquet")
    main.run(
        [
            word.replace("listings.csv", "listings.parquet").replace("vectors/", "again/")
            for word in words[3:]
        ]
    )
    (parquet,) = Path("again").glob("listings*.parquet")
    assert pq.read_table(parquet).to_pylist() == rows.to_pylist()
