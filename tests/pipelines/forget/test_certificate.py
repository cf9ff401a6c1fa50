from deepfeast.pipelines.forget.certificate import Certificate, Remains


def test_a_certificate_is_plain_data_and_says_where_it_lies():
    left = Remains("a cup", "it is yours", "Wash it.")
    done = Certificate("deep", "shop", 1, 0, "now", remains=[left], path="here.json")
    assert done.to_dict()["remains"] == [vars(left)]
    assert str(done).splitlines() == [
        "deep: 1 keys forgotten, 0 of them unknown",
        "  removed: 0 rows of the table; 0 rejects; 0 rows online; 0 files; 0 caches of lift",
        "  remains: a cup: it is yours. Wash it.",
        "  certificate: here.json",
    ]
