"""The bundled network as an encoder, and its twin that has learned nothing."""

import pytest

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.errors import EncoderNotFound, SpecError
from deepfeast.transforms.testing import untrained_photos


def test_the_bundled_network_and_its_untrained_twin(photos):
    trained, untrained = get_encoder("image-tiny"), untrained_photos()
    assert trained.dim == untrained.dim
    assert trained.fingerprint != untrained.fingerprint
    assert trained.encode(photos).shape == untrained.encode(photos).shape == (4, trained.dim)


def test_what_needs_torch_says_so_where_there_is_none(photos, without_torch):
    with pytest.raises(EncoderNotFound, match=r"needs torch.*pip install torch"):
        untrained_photos().encode(photos)
    with pytest.raises(SpecError, match="this machine has cpu"):
        get_encoder("image-tiny?device=cuda").encode(photos)
