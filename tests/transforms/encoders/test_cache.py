import threading

from deepfeast.transforms.cores import cores
from deepfeast.transforms.encoders import build_encoder
from deepfeast.transforms.encoders.cache import loaded, turn
from deepfeast.transforms.features import DeepFeature

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"


def test_equal_features_share_one_loaded_encoder():
    title = DeepFeature("title_vec", column="title", encoder=WORDS)
    text = DeepFeature("text_vec", column="text", encoder=WORDS)
    longer = DeepFeature("vec", column="title", encoder=WORDS.replace("2", "3"))
    assert loaded(title) is loaded(text)
    assert loaded(title) is not loaded(longer)
    assert loaded(title) is not loaded(title, threads=1)


def test_what_was_fitted_comes_from_its_file(tmp_path):
    short = DeepFeature("vec", column="title", encoder=WORDS, reduce="pca:1")
    fitted = build_encoder(short)
    fitted.fit(["x y", "xxx y", "xxxxx y"])
    fitted.save_state(tmp_path / "state.safetensors")
    encoder = loaded(short, state=tmp_path / "state.safetensors")
    assert encoder.encode(["xxxxx y"]).tolist() == [[2]]


def test_networks_take_turns_at_the_cores_of_a_process():
    entered = threading.Event()

    def enter():
        with turn(cores()):
            entered.set()

    other = threading.Thread(target=enter)
    with turn():
        other.start()
        assert not entered.wait(0.1)
    other.join(10)
    assert entered.is_set()
    with turn(1):
        assert entered.is_set()
