"""Features as of a time."""
