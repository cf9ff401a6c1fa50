"""What changes in features: the figures of ``feast monitor``, and tests of two windows."""
