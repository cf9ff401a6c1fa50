"""A repo's first run encodes nothing that a trial has encoded."""

from deepfeast.pipelines.start.plan import Plan
from deepfeast.pipelines.start.repo import Encoders, Repo
from deepfeast.pipelines.start.take_over import take_over
from deepfeast.transforms import DeepFeature, deep_feature_view

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"
ROWS = [{"id": "a", "title": "red shirt"}, {"id": "b", "title": "sofa"}, {"id": "c", "title": None}]


def test_contents_that_were_tried_are_reused_and_new_ones_encoded(Shirts, tmp_path):
    tried = Shirts(tmp_path / "shop.csv.deepfeast" / "repo-1")
    tried.write(ROWS)
    tried.embed()
    # As `deepfeast try` names its table.
    tried.table.rename(tried.table.with_name("shop_deep"))
    shop = Shirts(tmp_path / "repo")
    view = deep_feature_view(
        name="shop_deep",
        entities=[shop.entity],
        source=shop.source,
        features=[DeepFeature("vec", column="title", encoder=WORDS)],
    )
    shop.store.apply([view])
    shop.write([*ROWS, {"id": "d", "title": "an oak bench"}])
    repo = Repo(shop.folder, Plan("shop", texts=["title"]))

    assert take_over(repo, Encoders(text="text-tiny"), tmp_path / "shop.csv.deepfeast") == 0
    assert take_over(repo, Encoders(text=WORDS), tmp_path / "nowhere") == 0
    assert take_over(repo, Encoders(text=WORDS), tmp_path / "shop.csv.deepfeast") == 2

    from deepfeast.pipelines.embed import embed

    run = embed(shop.store, "shop_deep")
    assert (run.rows, run.encoded, run.reused, run.missing) == (4, 1, 2, 1)
    assert not list((shop.folder / "data" / "embeddings").glob("shop_deep/_deepfeast/spill/*"))
