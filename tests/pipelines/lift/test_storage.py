"""What vectors of fewer bytes cost a model."""

import numpy as np
import pandas as pd
import pytest

from deepfeast.pipelines.lift.ask.models import named_models
from deepfeast.pipelines.lift.ask.question import Question
from deepfeast.pipelines.lift.run import run_lift
from deepfeast.pipelines.lift.storage import kept_as
from deepfeast.transforms.errors import LiftError
from deepfeast.transforms.int8 import round_to_int8

VECTORS = pd.DataFrame({"vec_000": [127.0, np.nan], "vec_001": [0.7, np.nan]}, index=[5, 9])


def test_the_vectors_as_they_would_be_stand_beside_the_declared_ones():
    made = kept_as("int8", VECTORS, {"vec": list(VECTORS.columns)})
    assert list(made) == ["vec__int8"]
    assert made["vec__int8"].columns.tolist() == ["vec__int8_000", "vec__int8_001"]
    assert made["vec__int8"].loc[5].tolist() == [127, 1]
    assert made["vec__int8"].loc[9].isna().all()


def test_what_is_so_already_or_unknown_is_no_question():
    rounded = pd.DataFrame(round_to_int8(VECTORS.to_numpy()), columns=VECTORS.columns)
    with pytest.raises(LiftError, match="kept as int8 already"):
        kept_as("int8", rounded, {"vec": list(VECTORS.columns)})
    with pytest.raises(LiftError, match="storage='int4': expected 'int8'"):
        kept_as("int4", VECTORS, {"vec": list(VECTORS.columns)})


def test_the_cost_is_that_on_the_same_splits(sold):
    result = run_lift(
        sold.folder,
        sold.folder / "labels.parquet",
        Question("price", representations=("probe",), repeats=1, most_repeats=1),
        service="wear",
        columns=["size"],
        models=named_models([], sold.folder / "ridge.pkl"),
        storage="int8",
    )
    full, small = (
        result.comparison.outcome("ridge", f"+ {name} (probe)") for name in ("vec", "vec__int8")
    )
    # Lengths of words are whole numbers up to 11: in 255 steps they are nearly the same.
    change = small.score - full.score
    assert 0 < abs(change) < 0.01
    told = "Kept as int8, 4 bytes a vector instead of 8, vec changes r2 of ridge by"
    (note,) = [note for note in result.notes if note.startswith(f"{told} {change:+.4f} (")]
    assert note.endswith(" at 95 %, 5 splits).")
