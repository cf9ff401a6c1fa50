import pytest

from deepfeast.transforms.occlusion.texts import Span, text_parts, without


def told(text, most=40):
    return [text[part.start : part.end] for part in text_parts(text, most)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("nice flat. two rooms. no pets", ["nice flat.", "two rooms.", "no pets"]),
        ('Near St. Ives. 3.5 km off, e.g. by bus! "Lovely." Ask J. Smith…', None),
        ("- sofa\n- chair\n\n* * *\n- lamp", ["- sofa", "- chair", "- lamp"]),
        ("房间很大。有花园！靠近地铁站？", ["房间很大。", "有花园！", "靠近地铁站？"]),
        ("a cosy red sofa", ["a", "cosy", "red", "sofa"]),
        ("Hello. World", ["Hello.", "World"]),
        ("sofa", []),
        ("", []),
        (" \n ", []),
    ],
)
def test_a_text_is_split_at_its_sentences_or_into_words(text, parts):
    expected = ["Near St. Ives.", "3.5 km off, e.g. by bus!", '"Lovely."', "Ask J. Smith…"]
    assert told(text) == (expected if parts is None else parts)


def test_long_texts_have_no_more_parts_than_asked_and_lose_no_word():
    words = [f"w{number}" for number in range(200)]
    bare = " ".join(words)
    assert len(told(bare)) == 12
    assert " ".join(told(bare)).split() == words
    many = ". ".join(words)
    assert len(told(many, 15)) == 15
    assert " ".join(told(many, 15)) == many
    # One endless sentence among short ones is taken in chunks.
    mixed = f"One. Two. Three. {bare}."
    assert [part.split()[0] for part in told(mixed)] == [
        "One.",
        "Two.",
        "Three.",
        "w0",
        "w40",
        "w80",
        "w120",
        "w160",
    ]
    assert len(told("字" * 240)) == 10


def test_what_is_left_reads_on():
    assert without("One. Two. Three.", Span(5, 9)) == "One. Three."
    assert without("One. Two.", Span(5, 9)) == "One."
