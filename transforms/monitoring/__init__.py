"""What ``feast monitor`` measures of features, and where the figures are kept."""
