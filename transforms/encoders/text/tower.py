"""The text tower of a text-image network (CLIP, SigLIP): vectors comparable with its images'."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.cores import cores
from deepfeast.transforms.encoders.checkpoints import open_transformer
from deepfeast.transforms.encoders.files import digest, file_hash, read_json, weight_files
from deepfeast.transforms.encoders.machine import find_device
from deepfeast.transforms.encoders.options import check_options
from deepfeast.transforms.encoders.text.encoder import TextEncoder, Tokens, load_tokenizer
from deepfeast.transforms.encoders.text.folder import TextSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray


class SharedTextEncoder(TextEncoder):
    """Encode texts into the space that a network's images share; vectors have length 1."""

    batch_cost = 1024
    _loaded = ("_model", "_tokenizer")

    def __init__(
        self,
        folder: Path,
        options: dict[str, str] | None = None,
        precision: str = "fast",
        threads: int | None = None,
    ):
        options = options or {}
        check_options(str(folder), options, ("max_length", "device"))
        config = read_json(folder / "config.json")
        self.text_config = config["text_config"]
        longest = self.text_config.get("max_position_embeddings", 77)
        # SigLIP was trained on texts padded to full length, in lower case, without a mask.
        self.pads = str(config.get("model_type", "")).startswith("siglip")
        length = int(options.get("max_length", longest))
        self.spec = TextSpec(folder, (), True, length, lower_case=self.pads)
        self.folder, self.precision, self.threads = folder, precision, threads
        self.device = options.get("device")
        self._dim = int(
            config.get("projection_dim")
            or self.text_config.get("projection_size")
            or self.text_config["hidden_size"]
        )

    @property
    def dim(self) -> int:
        return self._dim

    @functools.cached_property
    def fingerprint(self) -> str:
        files = [*weight_files(self.folder), self.folder / "config.json"]
        files += sorted(self.folder.glob("*token*")) + sorted(self.folder.glob("*vocab*"))
        hashes = [(path.name, file_hash(path)) for path in files]
        length = self.spec.max_length
        return digest(kind="text tower", files=hashes, length=length, precision=self.precision)

    @property
    def info(self) -> dict[str, str]:
        return {"engine": f"transformers, {self._on}, float32"} if "_on" in self.__dict__ else {}

    def load(self) -> None:
        self._on = find_device(self.device)
        self._tokenizer = load_tokenizer(self.folder, self.spec.max_length)
        self._pad = self._padding()
        model = open_transformer(self.folder, trust=False)
        self._model = model.eval().to(self._on)
        self.workers = 0 if self._on != "cpu" else self.threads or cores()

    def _padding(self) -> int:
        """Return the id that fills a text up: what the tokenizer says, else the network."""
        path = self.folder / "tokenizer_config.json"
        token = read_json(path).get("pad_token") if path.is_file() else None
        token = token["content"] if isinstance(token, dict) else token
        found = self._tokenizer.token_to_id(token) if token else None
        return found if found is not None else self.text_config.get("pad_token_id", 0)

    def cost(self, prepared: Tokens) -> int:
        return self.spec.max_length if self.pads else len(prepared.ids)

    def encode_batch(self, prepared: Sequence[Tokens]) -> NDArray[np.float32]:
        import torch

        width = self.spec.max_length if self.pads else max(len(t.ids) for t in prepared)
        ids = torch.full((len(prepared), width), self._pad)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(prepared):
            ids[row, : len(tokens.ids)] = torch.tensor(tokens.ids)
            mask[row, : len(tokens.ids)] = 1
        given: dict[str, Any] = {"input_ids": ids.to(self._on)}
        if not self.pads:
            given["attention_mask"] = mask.to(self._on)
        with torch.inference_mode():
            found = self._model.get_text_features(**given)
            vectors = found if isinstance(found, torch.Tensor) else found.pooler_output
            return torch.nn.functional.normalize(vectors.float(), dim=1).cpu().numpy()
