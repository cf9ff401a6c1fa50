"""Text through a transformer: a sentence-transformers folder, or any `transformers` one."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deepfeast.transforms.cores import cores
from deepfeast.transforms.encoders.base import Encoder
from deepfeast.transforms.encoders.files import digest, file_hash, read_json, weight_files
from deepfeast.transforms.encoders.options import check_options
from deepfeast.transforms.encoders.text.folder import read_text_spec
from deepfeast.transforms.errors import Reject

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Longer texts are cut here before the tokenizer, which would read all of a megabyte to keep
# its first page.
MAX_CHARACTERS = 100_000


OPTIONS = (
    "pooling",
    "normalize",
    "max_length",
    "prompt",
    "prompt_text",
    "device",
    "trust_remote_code",
)


class Tokens(NamedTuple):
    """One text as token ids, and whether it was cut."""

    ids: list[int]
    truncated: bool


class TextEncoder(Encoder):
    """Encode texts by a transformer from a folder.

    Parameters
    ----------
    folder : Path
        With ``modules.json`` (sentence-transformers) or with ``config.json`` and a stated pooling.
    options : dict of str to str
        ``pooling``, ``normalize``, ``max_length``, ``prompt`` (a name), ``prompt_text``,
        ``device``, ``trust_remote_code=1``.
    precision : {"fast", "exact"}
    threads : int, optional
        By default one for each core.
    """

    modality = "text"
    batch_cost = 1024  # tokens: enough to keep a core busy, few enough for its cache
    _loaded = ("_network", "_tokenizer")

    def __init__(
        self,
        folder: Path,
        options: dict[str, str] | None = None,
        precision: str = "fast",
        threads: int | None = None,
    ):
        options = options or {}
        check_options(str(folder), options, OPTIONS)
        self.folder = folder
        self.spec = read_text_spec(folder, options)
        self.trust = options.get("trust_remote_code") == "1"
        self.precision = precision
        self.threads = threads
        self.device = options.get("device")

    @property
    def dim(self) -> int:
        if self.spec.dense:
            return int(read_json(self.spec.dense[-1] / "config.json")["out_features"])
        config = read_json(self.spec.transformer / "config.json")
        config = config.get("text_config", config)
        hidden = config.get("hidden_size") or config.get("d_model") or config.get("dim")
        return int(hidden) * len(self.spec.poolings)

    @functools.cached_property
    def fingerprint(self) -> str:
        transformer = self.spec.transformer
        spec = asdict(self.spec)
        files = [*weight_files(transformer), transformer / "config.json"]
        files += sorted(transformer.glob("*token*")) + sorted(transformer.glob("*vocab*"))
        for dense in spec.pop("dense"):
            files += [dense / "config.json", *weight_files(dense)]
        del spec["transformer"]
        hashes = [(path.name, file_hash(path)) for path in files if path.is_file()]
        return digest(kind="text", spec=spec, files=hashes, precision=self.precision)

    def load(self) -> None:
        from deepfeast.transforms.encoders.text.network import SAMPLE, TextNetwork

        self._tokenizer = load_tokenizer(self.spec.transformer, self.spec.max_length)
        sample = [tokens.ids for tokens in self._tokenizer.encode_batch_fast(SAMPLE)]
        self._network = TextNetwork(self.spec, self.precision, self.device, sample, self.trust)
        on_gpu = self._network.device != "cpu"
        self.workers = 0 if on_gpu else self.threads or cores()
        self.batch_cost = 64 * 1024 if on_gpu else TextEncoder.batch_cost

    @property
    def info(self) -> dict[str, str]:
        return {"engine": self._network.engine} if "_network" in self.__dict__ else {}

    def prepare(self, value: Any) -> Tokens:
        prepared = self.prepare_many([value])[0]
        if isinstance(prepared, Reject):
            raise prepared
        return prepared

    def prepare_many(self, values: Sequence[Any]) -> list[Tokens | Reject]:
        cleaned = [self._clean(value) for value in values]
        texts = [text for text in cleaned if not isinstance(text, Reject)]
        cut = {i for i, text in enumerate(texts) if len(text) > MAX_CHARACTERS}
        encodings = self._tokenizer.encode_batch_fast([text[:MAX_CHARACTERS] for text in texts])
        tokens = iter(
            Tokens(encoding.ids, i in cut or bool(encoding.overflowing))
            for i, encoding in enumerate(encodings)
        )
        return [text if isinstance(text, Reject) else next(tokens) for text in cleaned]

    def cost(self, prepared: Tokens) -> int:
        return len(prepared.ids)

    def tally(self, prepared: Tokens) -> dict[str, int]:
        return {"tokens": len(prepared.ids), "truncated": int(prepared.truncated)}

    def encode_batch(self, prepared: Sequence[Tokens]) -> NDArray[np.float32]:
        return self._network([tokens.ids for tokens in prepared])

    def _clean(self, value: Any) -> str | Reject:
        if not isinstance(value, str):
            return Reject("not_text", f"expected a str, got {type(value).__name__}")
        if not value.strip():
            return Reject("text_blank", "the text is empty or blank; treat it as missing")
        text = self.spec.prompt + whole_characters(value)
        return text.lower() if self.spec.lower_case else text


def whole_characters(text: str) -> str:
    r"""Join surrogate pairs and replace lone surrogates, which no tokenizer can read.

    >>> whole_characters("a\ud83d\ude00b\ud83dc") == "a\U0001f600b\ufffdc"
    True
    """
    try:
        text.encode("utf-8")
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def load_tokenizer(folder: Path, max_length: int) -> Any:
    """Open the folder's tokenizer; only one without tokenizer.json needs `transformers`."""
    path = folder / "tokenizer.json"
    if path.is_file():
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(path))
    else:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    return tokenizer
