"""A warehouse that a company already has, read through Feast's own store for it."""
