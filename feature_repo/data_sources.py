"""Where the data lie, relative to this folder."""

from feast import FileSource

# Texts and photos as the sellers gave them; a listing that is edited has several rows.
raw_listings = FileSource(
    name="raw_listings",
    path="data/listings.parquet",
    timestamp_field="event_timestamp",
)

# Handcrafted columns, measured and corrected over time.
listing_stats_source = FileSource(
    name="listing_stats_source",
    path="data/listing_stats.parquet",
    timestamp_field="event_timestamp",
    created_timestamp_column="created_timestamp",
)
