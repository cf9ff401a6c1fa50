import pandas as pd
import pytest

from deepfeast.pipelines.start.look import look_at
from deepfeast.pipelines.start.plan import Asked
from deepfeast.pipelines.start.propose import propose
from deepfeast.pipelines.start.table import open_table
from deepfeast.transforms.errors import ColumnNotFound, LiftError


@pytest.fixture
def proposed(tmp_path):
    """Propose for a frame, written as a CSV."""

    def proposed(frame, **asked):
        path = tmp_path / "shop.csv"
        frame.to_csv(path, index=False)
        table = open_table(path)
        return propose(table, look_at(table), Asked(**asked))

    return proposed


def roles(proposal):
    return {name: role for role, name, _ in proposal.reasons}


def test_each_column_has_a_role_and_a_reason(proposed, rows):
    proposal = proposed(rows, target="price")
    assert roles(proposal) == {
        "sku": "id",
        "description": "text",
        "width": "number",
        "colour": "category",
        "price": "target",
    }
    plan = proposal.plan
    assert (plan.name, plan.key, plan.target_is) == ("shop", "sku", "number")
    assert all(why for _, _, why in proposal.reasons)
    assert not proposal.doubts


def test_times_groups_and_what_is_left_out(proposed, rows):
    frame = rows.assign(
        sold_at=pd.date_range("2024-01-01", periods=60).strftime("%d.%m.%Y"),
        updated=pd.date_range("2024-02-01", periods=60).strftime("%d.%m.%Y"),
        seller_id=[f"u{n % 20}" for n in range(60)],
        shop=[f"shop {n % 12}" for n in range(60)],
        same=1,
        nothing=None,
    )
    proposal = proposed(frame, target="price")
    found = roles(proposal)
    assert (found["sold_at"], found["seller_id"]) == ("time", "groups")
    assert {name for name, role in found.items() if role == "left out"} >= {
        "updated",
        "same",
        "nothing",
    }
    assert proposal.plan.time_format == "%d.%m.%Y"
    assert [(d.flag, d.options, d.usual) for d in proposal.doubts] == [
        ("time", ["sold_at", "updated", "none"], "sold_at"),
        ("groups", ["seller_id", "shop", "none"], "seller_id"),
    ]
    plain = proposed(frame, target="price", time="none", groups="none", key="none")
    assert (plain.plan.time, plain.plan.groups, plain.plan.key) == (None, None, None)
    unnamed = proposed(frame.drop(columns="sku"), target="price")
    assert unnamed.plan.key is None
    assert "number in the file" in unnamed.notes[0]


def test_photos_are_looked_for_and_urls_are_asked_for(proposed, rows, photos):
    frame = rows.assign(
        photo=[photos[n % 8] for n in range(60)],
        lost=[f"lost/{n}.png" for n in range(60)],
        image_url=[f"https://img.example/{n}" for n in range(60)],
    )
    proposal = proposed(frame, target="price")
    assert list(proposal.photos) == ["photo"]
    reasons = {name: why for _, name, why in proposal.reasons}
    assert "all of 8 looked for are below" in reasons["photo"]
    assert "0 of 60 looked for" in reasons["lost"]
    assert "--photos-root" in reasons["lost"]
    assert "--allow-host img.example" in reasons["image_url"]
    fetched = proposed(frame, target="price", hosts=("img.example",))
    assert fetched.photos["image_url"].hosts == ("img.example",)


def test_what_a_person_says_is_so(proposed, rows):
    frame = rows.assign(code=[f"{n % 30}" for n in range(60)])
    plan = proposed(
        frame, target="price", texts=("colour",), categories=("code",), skip=("width",)
    ).plan
    assert (list(plan.texts), plan.numbers, plan.categories) == (
        ["description", "colour"],
        [],
        ["code"],
    )


@pytest.mark.parametrize(
    ("asked", "error", "told"),
    [
        ({"target": "pice"}, ColumnNotFound, "no column 'pice'.*Did you mean 'price'"),
        ({"target": "price", "texts": ("no",)}, ColumnNotFound, "no column 'no'"),
        ({"target": "price", "time": "sku"}, LiftError, "does not look like times"),
        ({"target": "price", "key": "colour"}, LiftError, "3 values in 60 rows.*rows are numbered"),
        ({"target": "price", "photos": ("sku",)}, LiftError, "does not look like photos"),
    ],
)
def test_what_is_said_wrongly_is_told(proposed, rows, asked, error, told):
    with pytest.raises(error, match=told):
        proposed(rows, **asked)


def test_without_a_target_the_likely_ones_are_offered(proposed, rows):
    (doubt,) = proposed(rows).doubts
    assert (doubt.flag, doubt.options[0], doubt.usual) == ("target", "price", None)


def test_two_hundred_columns_and_texts_in_html(proposed, rows):
    numbers = pd.DataFrame({f"n{k}": range(k, k + 60) for k in range(200)}) % 37
    frame = pd.concat([rows.assign(description="<p>" + rows.description + "</p>"), numbers], axis=1)
    plan = proposed(frame, target="price").plan
    assert len(plan.numbers) == 201
    assert plan.tagged == ["description"]
