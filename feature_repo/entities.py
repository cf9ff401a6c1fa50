"""What the features are about."""

from feast import Entity, ValueType

listing = Entity(
    name="listing",
    join_keys=["listing_id"],
    value_type=ValueType.STRING,
    description="One piece of furniture on offer",
)
