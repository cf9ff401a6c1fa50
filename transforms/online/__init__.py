"""Features as of now, from the online store."""
