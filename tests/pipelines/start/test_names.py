import pytest

from deepfeast.pipelines.start.names import plain_name, plain_names


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("price", "price"),
        ("Price", "Price"),
        ("price per night", "price_per_night"),
        ('the "best" price', "the_best_price"),
        ("Größe (m²)", "grosse_m2"),
        ("🏠", "column_3"),
        ("", "column_3"),
        ("2024", "n2024"),
        ("class", "class_"),
        ("event_timestamp", "event_time"),
    ],
)
def test_a_name_becomes_letters_digits_and_underscores(name, plain):
    assert plain_name(name, 3) == plain


def test_no_two_columns_share_a_name_even_to_a_database_that_ignores_case():
    assert plain_names(["a", "A", "a", "a_2", "event_timestamp", "event_time"]) == [
        "a",
        "A_2",
        "a_3",
        "a_2_2",
        "event_time",
        "event_time_2",
    ]
