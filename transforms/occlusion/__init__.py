"""What a prediction stands on: parts of a text or a photo left out, one at a time."""
