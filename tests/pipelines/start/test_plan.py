from deepfeast.pipelines.start.plan import Plan


def test_rows_without_an_id_have_a_key_of_their_own():
    assert Plan("shop", key="sku").join_key == "sku"
    assert Plan("shop").join_key == "shop_row"


def test_each_column_that_is_read_is_named_once():
    plan = Plan("shop", key="sku", target="price", groups="seller", texts=["t"], numbers=["price"])
    assert plan.used == ["sku", "price", "seller", "t"]
    assert plan.handcrafted == ["price"]
