"""An array without a declared length does not become columns."""

from deepfeast.pipelines.doctor.arrays import check_arrays, is_array


def test_an_array_without_a_length():
    from feast import FeatureView, Field, FileSource
    from feast.types import Array, Float32

    source = FileSource(name="s", path="s.parquet", timestamp_field="at")
    bare = Field(name="bare", dtype=Array(Float32))
    told = Field(name="told", dtype=Array(Float32), vector_index=False, vector_length=3)
    number = Field(name="number", dtype=Float32)
    view = FeatureView(name="shops", entities=[], schema=[bare, told, number], source=source)
    (finding,) = check_arrays(view)
    assert "the array 'bare' declares no vector_length" in finding.what
    assert [is_array(field) for field in (bare, told, number)] == [True, True, False]
