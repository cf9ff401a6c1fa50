"""What is asked: the labels, the columns, the splits, the arms, the models."""
