from deepfeast.pipelines.search.words import strange_words

TEXTS = ["Comfortable RED sofa, 3 seats", None, "Oak table"]


def test_case_numbers_and_a_few_new_words_are_no_reason_to_warn():
    assert strange_words("red SOFA 2024", TEXTS) == []
    assert strange_words("huge red sofa", TEXTS) == []
    assert strange_words("42", TEXTS) == []


def test_a_query_of_other_words_is_strange_in_any_script():
    assert strange_words("bequemes rotes Sofa", TEXTS) == ["bequemes", "rotes"]
    assert strange_words("красный диван", TEXTS) == ["красный", "диван"]
