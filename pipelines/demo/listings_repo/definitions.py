"""Holiday listings: handcrafted columns, and what their texts and a photo say."""

import os
from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

from deepfeast.transforms import DeepFeature, deep_feature_view

listing = Entity(name="listing", join_keys=["listing_id"], value_type=ValueType.STRING)

raw_listings = FileSource(
    name="raw_listings", path="data/listings.parquet", timestamp_field="event_timestamp"
)

listing_stats = FeatureView(
    name="listing_stats",
    entities=[listing],
    source=FileSource(
        name="listing_stats_source",
        path="data/listing_stats.parquet",
        timestamp_field="event_timestamp",
    ),
    schema=[
        Field(name=name, dtype=Float64)
        for name in (
            "guests",
            "beds",
            "bathrooms",
            "bedrooms",
            "amenities_count",
            "cleanliness_rate",
            "accuracy_rate",
            "communication_rate",
            "location_rate",
            "checkin_rate",
            "value_rate",
        )
    ],
    ttl=timedelta(days=0),
)

listing_deep = deep_feature_view(
    name="listing_deep",
    entities=[listing],
    source=raw_listings,
    features=[
        DeepFeature("title_vec", column="title", encoder="text-tiny"),
        DeepFeature("description_vec", column="description", encoder="text-tiny"),
        DeepFeature(
            "photo_vec",
            column="photo",
            encoder=os.environ.get("DEEPFEAST_IMAGE_ENCODER", "image-tiny"),
        ),
    ],
)

price_model_handcrafted = FeatureService(name="price_model_handcrafted", features=[listing_stats])
price_model = FeatureService(name="price_model", features=[listing_stats, listing_deep])
