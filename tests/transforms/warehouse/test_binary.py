"""Vectors in binary are what the server reads as these numbers."""

import numpy as np
import pytest

from deepfeast.transforms.warehouse.binary import REALS, pgvectors, real_arrays, takes_ready

MATRIX = np.array([[1.5, -2.0, 1e-38], [np.nan] * 3, [0.1, 3e38, 7.0]], np.float32)


@pytest.mark.parametrize(("kind", "write"), [("real[]", real_arrays), ("vector", pgvectors)])
def test_the_server_reads_the_same_numbers(pgvector_port, kind, write):
    import psycopg

    where = f"host=127.0.0.1 port={pgvector_port} dbname=postgres user=feast"
    with psycopg.connect(where) as connection:
        oid = psycopg.types.TypeInfo.fetch(connection, "vector").oid if kind == "vector" else REALS
        takes_ready(connection, oid)
        values = write(MATRIX)
        connection.execute(f"CREATE TEMP TABLE t (n int, v {kind})")
        with connection.cursor().copy("COPY t FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types([23, oid])
            for row in enumerate(values):
                copy.write_row(row)
        found = connection.execute("SELECT v::real[] FROM t ORDER BY n").fetchall()
    assert found[1] == (None,)
    there = np.array([found[0][0], found[2][0]], np.float32)
    np.testing.assert_array_equal(there, MATRIX[[0, 2]])


def test_no_rows_are_no_values():
    assert real_arrays(MATRIX[:0]) == pgvectors(MATRIX[:0]) == []
