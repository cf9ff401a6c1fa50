"""From the tables to the online store."""
