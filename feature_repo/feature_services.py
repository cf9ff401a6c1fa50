"""What a model reads, in its order."""

from feast import FeatureService
from feature_views import listing_deep, listing_stats

# What the old model has, and what it gets beside that.
price_model_handcrafted = FeatureService(name="price_model_handcrafted", features=[listing_stats])
price_model = FeatureService(name="price_model", features=[listing_stats, listing_deep])
