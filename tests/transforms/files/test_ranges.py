import io

import pyarrow as pa
import pyarrow.parquet as pq

from deepfeast.transforms.files.ranges import Ranges


def test_only_the_ranges_that_are_asked_for_are_fetched():
    made = pa.BufferOutputStream()
    noise = [f"{n:0100d}" for n in range(20_000)]
    pq.write_table(
        pa.table({"id": noise}), made, row_group_size=1000, compression=None, use_dictionary=False
    )
    data, asked = made.getvalue().to_pybytes(), []

    def fetch(start, stop):
        asked.append(stop - start)
        return data[start:stop]

    with pq.ParquetFile(io.BufferedReader(Ranges(len(data), fetch), 4096)) as file:
        assert file.read_row_group(3)["id"].to_pylist() == noise[3000:4000]
    assert sum(asked) < len(data) / 5


def test_a_read_beyond_the_end_gives_nothing():
    file = Ranges(3, lambda start, stop: b"red"[start:stop])
    file.seek(9)
    assert file.read(2) == b""
