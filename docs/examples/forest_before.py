"""Train the forest that prices furniture, on what is known of each listing."""

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import GroupKFold, cross_val_score

data = "demo/feature_repo/data"
sales = pd.read_parquet(f"{data}/labels.parquet").sort_values("event_timestamp")
stats = pd.read_parquet(f"{data}/listing_stats.parquet")
stats = stats.sort_values(["event_timestamp", "created_timestamp"])

# What was known of a listing when it was sold; the latest correction counts.
frame = pd.merge_asof(sales, stats, on="event_timestamp", by="listing_id")
frame["category"] = frame["category_code"].astype("category").cat.codes
columns = ["category", "seller_rating", "n_photos", "age_years", "width_cm", "views_7d"]

model = RandomForestRegressor(100, min_samples_leaf=3, random_state=0)
price = np.log(frame["price"])
# A seller's furniture is either learned from or asked about.
folds = GroupKFold(5).split(frame, price, frame["seller_id"])
scores = cross_val_score(model, frame[columns], price, cv=list(folds))
print(f"R² {scores.mean():.2f} on {len(frame)} sales, {len(columns)} columns")
model.fit(frame[columns], price)
