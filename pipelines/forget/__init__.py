"""A person asks to be forgotten: keys leave a deep view wherever deepfeast keeps it."""
