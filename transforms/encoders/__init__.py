"""Encoders: what turns texts and images into vectors."""

from deepfeast.transforms.encoders.base import Encoded, Encoder
from deepfeast.transforms.encoders.registry import build_encoder, get_encoder

__all__ = ["Encoded", "Encoder", "build_encoder", "get_encoder"]
