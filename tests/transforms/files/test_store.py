import pytest
from obstore.exceptions import PermissionDeniedError

from deepfeast.transforms.errors import BucketError
from deepfeast.transforms.files.store import asking


def test_a_refusal_says_what_to_check_and_shows_no_signed_address():
    with pytest.raises(BucketError) as caught, asking("s3://shop/deep"):
        raise PermissionDeniedError("GET https://store/deep?sig=s3cr3t - 403\n\nDebug source:")
    assert "the store refuses s3://shop/deep: GET https://store/deep - 403." in str(caught.value)
    assert "Check the credentials" in str(caught.value)


def test_what_is_not_there_stays_what_it_is():
    with pytest.raises(FileNotFoundError), asking("s3://shop/deep"):
        raise FileNotFoundError("deep")
