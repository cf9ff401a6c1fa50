"""Rows at rest: where they lie and how they are read, once."""
