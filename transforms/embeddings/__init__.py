"""The embedding table: its log and commits, its versions, what was fitted for it."""
