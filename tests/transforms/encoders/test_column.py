import pyarrow as pa

from deepfeast.transforms.encoders.column import encode_column
from deepfeast.transforms.testing import WordLengths


def test_each_content_is_encoded_once_and_bad_ones_do_not_harm_their_neighbours():
    encoder = WordLengths(2)
    column = pa.array(["red shirt", "poison", None, "red shirt"])
    encoded = encode_column(column, encoder)
    assert encoded.vectors[[0, 3]].tolist() == [[3, 5], [3, 5]]
    assert list(encoded.rejects) == [1]
    assert encoder.encoded == 1
