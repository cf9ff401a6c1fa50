"""What was found, in words, plots and pages."""
