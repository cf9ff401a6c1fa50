"""A table whose price hangs on size and on vec; noise says nothing."""

import numpy as np
import pandas as pd
import pytest

VEC = [f"vec_{position:03d}" for position in range(6)]
NOISE = [f"noise_{position:03d}" for position in range(6)]


@pytest.fixture
def shop():
    """200 rows: the price hangs on size and on vec; noise says nothing; sellers have 2 rows."""
    random = np.random.default_rng(7)
    frame = pd.DataFrame(random.normal(size=(200, 12)), columns=[*VEC, *NOISE])
    frame["size"] = random.normal(size=200)
    frame["colour"] = random.choice(["red", "blue"], 200)
    frame["seller"] = np.arange(200) // 2
    frame["price"] = frame["size"] + frame[VEC].sum(axis=1) + random.normal(size=200)
    return frame
