"""Handcrafted and deep features side by side."""

from datetime import timedelta

from data_sources import listing_stats_source, raw_listings
from entities import listing
from feast import FeatureView, Field
from feast.types import Float64, Int64, String

from deepfeast.transforms import DeepFeature, deep_feature_view

listing_stats = FeatureView(
    name="listing_stats",
    entities=[listing],
    source=listing_stats_source,
    schema=[
        Field(name="category_code", dtype=String),
        Field(name="seller_rating", dtype=Float64),
        Field(name="n_photos", dtype=Int64),
        Field(name="age_years", dtype=Float64),
        Field(name="width_cm", dtype=Float64),
        Field(name="views_7d", dtype=Int64),
        Field(name="shipping_km", dtype=Float64),
    ],
    ttl=timedelta(days=365),
)

listing_deep = deep_feature_view(
    name="listing_deep",
    entities=[listing],
    source=raw_listings,
    features=[
        DeepFeature("title_vec", column="title", encoder="text-tiny"),
        DeepFeature("description_vec", column="description", encoder="text-tiny"),
        DeepFeature("photo_vec", column="photo", encoder="image-tiny"),
    ],
    ttl=timedelta(days=365),
)
