from datetime import datetime, timezone

UNTRAINED = "python:deepfeast.transforms.testing:untrained_photos"
LATER = datetime(2024, 2, 1, tzinfo=timezone.utc)


def test_only_news_is_encoded(shirts):
    shirts.write([{"id": "a", "title": "red shirt"}, {"id": "b", "title": "blue shirt"}])
    shirts.embed()
    shirts.write(
        [
            {"id": "a", "title": "red shirt"},
            {"id": "b", "title": "new title"},
            # The same text under another key, and at another time.
            {"id": "c", "title": "red shirt"},
            {"id": "a", "title": "red shirt", "event_timestamp": LATER},
        ]
    )
    run = shirts.embed()
    assert (run.rows, run.encoded, run.reused) == (3, 1, 2)
    assert shirts.vectors() == {"a": [3, 5], "b": [3, 5], "c": [3, 5]}
    assert len(shirts.rows()) == 5


def test_a_text_that_goes_back_to_what_it_was_is_news(shirts):
    for title in ("red", "crimson", "red"):
        shirts.write([{"id": "a", "title": title}])
        shirts.embed()
    assert shirts.vectors() == {"a": [3, 0]}
    assert len(shirts.rows()) == 3


def test_many_slices_and_parts_lose_nothing(shirts, monkeypatch):
    from deepfeast.pipelines.embed import job
    from deepfeast.pipelines.embed import news as steps
    from deepfeast.transforms.files import slices as sources

    monkeypatch.setattr(sources, "SLICE_ROWS", 30)
    monkeypatch.setattr(steps, "PART_ROWS", 70)
    monkeypatch.setattr(job, "WINDOW", 8)
    rows = [{"id": str(n), "title": f"{'x' * (n % 11 + 1)} shirt"} for n in range(500)]
    shirts.write(rows, row_group_size=130)
    run = shirts.embed()
    assert (run.rows, run.encoded) == (500, 11)
    assert shirts.vectors() == {row["id"]: [len(row["title"]) - 6, 5] for row in rows}


def test_features_of_one_encoder_share_their_vectors(Shirts, tmp_path):
    shirts = Shirts(tmp_path, {"title_vec": "title", "text_vec": "text"})
    shirts.write(
        [{"id": "a", "title": "red", "text": "blue"}, {"id": "b", "title": "blue", "text": None}]
    )
    run = shirts.embed()
    assert run.encoded == 2
    assert shirts.vectors("text_vec") == {"a": [4, 0], "b": None}
    assert shirts.vectors("title_vec") == {"a": [3, 0], "b": [4, 0]}


def test_a_photo_that_could_not_be_read_is_no_news_the_next_time(Shirts, tmp_path):
    shirts = Shirts(tmp_path, {"vec": "photo"})
    shirts.declare(UNTRAINED)
    shirts.write([{"id": "a", "photo": "nowhere.png"}])
    assert shirts.embed(allowed_rejects=1).rejected == 1
    shirts.write([{"id": "a", "photo": "nowhere.png"}, {"id": "b", "photo": None}])
    run = shirts.embed(allowed_rejects=0)
    assert (run.rows, run.rejected, run.missing) == (1, 0, 1)
