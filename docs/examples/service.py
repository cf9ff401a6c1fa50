"""A price service: looks features up, encodes what is new, and asks the model.

export REPO=feature_repo SERVICE=price_model MODEL=model.ubj SIGNATURE=model.json
uvicorn --app-dir docs/examples service:app --workers 2
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException
from xgboost import Booster

from deepfeast.transforms import OnlineFeatures
from deepfeast.transforms.errors import JoinError, SignatureMismatch


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open everything before the first request; a model of other vectors does not start."""
    app.state.model = Booster(model_file=os.environ["MODEL"])
    app.state.online = OnlineFeatures(
        os.environ["REPO"], os.environ["SERVICE"], expect=os.environ["SIGNATURE"]
    )
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/predict")
def predict(rows: list[dict[str, Any]]) -> list[float]:
    """Predict for rows of keys, beside which raw texts may stand for keys that are new.

    No `async`: FastAPI then answers in threads, and a lookup waits for its store in one.
    """
    try:
        X, _ = app.state.online.matrix(rows)
    except JoinError as error:  # a row is wrong: its key, or a type
        raise HTTPException(422, str(error)) from error
    except SignatureMismatch as error:  # the store was filled by another encoder meanwhile
        raise HTTPException(503, str(error)) from error
    return [float(price) for price in app.state.model.inplace_predict(X)]
