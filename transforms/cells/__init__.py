"""One raw cell to a content with a hash."""
