"""What a text network's folder says beside its weights: pooling, length, prompt, layers on top.

A sentence-transformers folder lists its parts in ``modules.json``; a plain `transformers`
folder lists nothing, so the pooling must be stated in the encoder's string.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepfeast.transforms.encoders.files import read_json
from deepfeast.transforms.errors import EncoderError, SpecError, did_you_mean

POOLINGS = ("mean", "cls", "max", "last", "mean_sqrt_len", "weightedmean")
LONGEST = 8192  # tokens of a text, unless stated: attention grows with their square
_SPELLINGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "lasttoken": "last",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
}


@dataclass(frozen=True)
class TextSpec:
    """How the token vectors of a text become one vector.

    Attributes
    ----------
    transformer : Path
        Folder of the transformer inside the model's folder.
    poolings : tuple of str
        One or more of `POOLINGS`; several are concatenated.
    normalize : bool
        Whether vectors are scaled to length 1.
    max_length : int
        In tokens, special ones included; longer texts are cut.
    lower_case : bool
        Whether texts are put in lower case before the tokenizer.
    prompt : str
        Put in front of each text.
    dense : tuple of Path
        Folders of linear layers on top of the pooled vector.
    """

    transformer: Path
    poolings: tuple[str, ...]
    normalize: bool
    max_length: int
    lower_case: bool = False
    prompt: str = ""
    dense: tuple[Path, ...] = ()


def read_text_spec(folder: Path, options: dict[str, str]) -> TextSpec:
    """Read a folder's `TextSpec`; options of the encoder's string win over the folder."""
    if (folder / "modules.json").is_file():
        spec = _sentence_transformers(folder, options)
    elif "pooling" in options:
        spec = {"transformer": folder, "normalize": False}
    else:
        raise SpecError(
            f"{folder} is a plain transformers folder: it does not say how token vectors become "
            f"one. State it, e.g. hf:{folder}?pooling=mean (or {', '.join(POOLINGS[1:])})."
        )
    if "pooling" in options:
        spec["poolings"] = tuple(_known_pooling(name) for name in options["pooling"].split(","))
    if "normalize" in options:
        spec["normalize"] = options["normalize"] not in ("0", "false", "no")
    if "prompt_text" in options:
        spec["prompt"] = options["prompt_text"]
    places = _places(spec["transformer"])
    length = options.get("max_length") or spec.pop("max_length", None)
    spec["max_length"] = int(length or min(places, _tokenizer_limit(spec["transformer"])))
    if not 2 < spec["max_length"] <= places:
        raise SpecError(
            f"max_length={spec['max_length']} of {folder}: its network has places for {places} "
            f"tokens, special ones included."
        )
    return TextSpec(**spec)


def _sentence_transformers(folder: Path, options: dict[str, str]) -> dict[str, Any]:
    spec: dict[str, Any] = {"transformer": folder, "poolings": (), "normalize": False}
    dense, leaves_prompt_out = [], False
    for module in read_json(folder / "modules.json"):
        kind, where = module["type"].rsplit(".", 1)[-1], folder / module["path"]
        if kind == "Transformer":
            spec["transformer"] = where
            spec.update(_sentence_settings(where))
        elif kind == "Pooling":
            config = read_json(where / "config.json")
            spec["poolings"] = _poolings(config, where)
            leaves_prompt_out = not config.get("include_prompt", True)
        elif kind == "Normalize":
            spec["normalize"] = True
        elif kind == "Dense":
            dense.append(where)
        elif kind != "Dropout":
            raise EncoderError(
                f"{folder} has a module {module['type']!r}, which is not supported. Supported: "
                f"Transformer, Pooling, Dense, Normalize."
            )
    spec |= {"dense": tuple(dense), "prompt": _prompt(folder, options)}
    if not spec["poolings"] and "pooling" not in options:
        raise SpecError(f"{folder} names no pooling: state one, e.g. ?pooling=mean.")
    if spec["prompt"] and leaves_prompt_out:
        raise EncoderError(f"{folder} pools without its prompt, which is not supported.")
    return spec


def _sentence_settings(where: Path) -> dict[str, Any]:
    # Named after the network in older folders: sentence_roberta_config.json.
    path = next(iter(sorted(where.glob("sentence_*_config.json"))), None)
    settings = read_json(path) if path else {}
    return {
        "max_length": settings.get("max_seq_length"),
        "lower_case": bool(settings.get("do_lower_case", False)),
    }


def _poolings(config: dict[str, Any], where: Path) -> tuple[str, ...]:
    if "pooling_mode" in config:
        modes = config["pooling_mode"]
        modes = [modes] if isinstance(modes, str) else modes
    else:
        modes = [key for key, on in config.items() if key.startswith("pooling_mode_") and on]
    if not modes:
        raise EncoderError(f"{where / 'config.json'} names no pooling.")
    return tuple(_known_pooling(_SPELLINGS.get(mode, mode)) for mode in modes)


def _known_pooling(name: str) -> str:
    if name not in POOLINGS:
        raise SpecError(
            f"no pooling {name!r}; known: {', '.join(POOLINGS)}.{did_you_mean(name, POOLINGS)}"
        )
    return name


def _prompt(folder: Path, options: dict[str, str]) -> str:
    """Return the prompt by name (``?prompt=query``), or the folder's default one."""
    path = folder / "config_sentence_transformers.json"
    config = read_json(path) if path.is_file() else {}
    prompts = config.get("prompts") or {}
    name = options.get("prompt", config.get("default_prompt_name"))
    if name is None or name == "none":
        return ""
    if name not in prompts:
        raise SpecError(
            f"{folder} has no prompt {name!r}; it has: {', '.join(prompts) or 'none'}. A text of "
            f"your own: ?prompt_text=..."
        )
    return prompts[name]


def _tokenizer_limit(transformer: Path) -> int:
    path = transformer / "tokenizer_config.json"
    stated = read_json(path).get("model_max_length") if path.is_file() else None
    return int(min(stated or LONGEST, LONGEST))


def _places(transformer: Path) -> int:
    """Return for how many tokens a network has places."""
    config = read_json(transformer / "config.json")
    config = config.get("text_config", config)
    places = config.get("max_position_embeddings") or 10**9
    if "roberta" in str(config.get("model_type")):  # counts from behind the padding token's id
        places -= config.get("pad_token_id", 1) + 1
    return int(places)
