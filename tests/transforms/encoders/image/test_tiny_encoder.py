"""The bundled network as an encoder, and its twin that has learned nothing."""

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.testing import untrained_photos


def test_the_bundled_network_and_its_untrained_twin(photos):
    trained, untrained = get_encoder("image-tiny"), untrained_photos()
    assert trained.dim == untrained.dim
    assert trained.fingerprint != untrained.fingerprint
    assert trained.encode(photos).shape == untrained.encode(photos).shape == (4, trained.dim)
