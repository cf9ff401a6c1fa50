"""A model for MLflow that takes keys, looks their features up, and refuses other vectors.

MLflow runs this file where the model is loaded: nothing is pickled.
"""

from __future__ import annotations

from typing import Any

import mlflow
from xgboost import Booster

from deepfeast.transforms import OnlineFeatures


class PriceModel(mlflow.pyfunc.PythonModel):
    """An XGBoost model, beside the signature of the vectors that it was trained on."""

    def load_context(self, context: Any) -> None:
        """Open model and store; another encoder behind the columns is a SignatureMismatch."""
        files, told = context.artifacts, context.model_config
        self.model = Booster(model_file=files["model"])
        self.online = OnlineFeatures(told["repo"], told["service"], expect=files["signature"])

    def predict(self, context, model_input, params=None):  # with types MLflow would guess columns
        """Predict for rows of keys, beside which raw texts may stand for keys that are new."""
        X, _ = self.online.matrix(model_input.to_dict("records"))
        return self.model.inplace_predict(X)


mlflow.models.set_model(PriceModel())
