"""What is measured: fits, statistics, and closer looks, as plain data."""
