"""A cell becomes the bytes of a photo from where it may come from, or a reject."""

from __future__ import annotations

import base64
import http.server
import threading
import time

import pytest

from deepfeast.transforms.cells import reader as image_reader
from deepfeast.transforms.cells.reader import ImageReader, is_public
from deepfeast.transforms.errors import Reject


def reason(call):
    with pytest.raises(Reject) as caught:
        call()
    return caught.value.reason


@pytest.fixture
def photos(tmp_path):
    root = tmp_path / "photos"
    (root / "a").mkdir(parents=True)
    (root / "a" / "one.png").write_bytes(b"one")
    (tmp_path / "secret.png").write_bytes(b"secret")
    return root


def test_bytes_pass_and_paths_are_relative_to_the_root(photos):
    reader = ImageReader(photos)
    assert reader.read(b"raw") == b"raw"
    assert reader.read("a/one.png") == b"one"
    assert reader.read(str(photos / "a" / "one.png")) == b"one"
    assert reader.read(" ") is None


def test_a_path_never_leads_out_of_the_root(photos):
    (photos / "link.png").symlink_to(photos.parent / "secret.png")
    (photos / "inner.png").symlink_to(photos / "a" / "one.png")
    reader = ImageReader(photos)
    for cell in ("../secret.png", "a/../../secret.png", "link.png", "/etc/passwd"):
        assert reason(lambda cell=cell: reader.read(cell)) == "path_outside_root"
    assert reader.read("inner.png") == b"one"


def test_what_is_missing_too_large_or_odd(photos):
    reader = ImageReader(photos, max_bytes=2)
    assert reason(lambda: reader.read("a/none.png")) == "image_missing"
    assert reason(lambda: reader.read("a")) == "image_missing"
    assert reason(lambda: reader.read("a\0b")) == "image_missing"
    assert reason(lambda: reader.read("x" * 5000)) == "image_missing"
    assert reason(lambda: reader.read("a/one.png")) == "image_too_large"
    assert reason(lambda: reader.read(b"one")) == "image_too_large"
    assert reason(lambda: reader.read(3)) == "not_an_image"


def test_data_uris(photos):
    reader = ImageReader(photos)
    coded = base64.b64encode(b"\x00\xff").decode()
    assert reader.read(f"data:image/png;base64,{coded}") == b"\x00\xff"
    assert reader.read("data:,a%20b") == b"a b"
    for cell in ("data:image/png;base64", "data:image/png;base64,@@@@", "data:;base64,A"):
        assert reason(lambda cell=cell: reader.read(cell)) == "data_uri_malformed"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("::ffff:192.168.0.1", False),
        ("2002:7f00:0001::", False),
    ],
)
def test_public_addresses(address, public):
    assert is_public(address) is public


class Site(http.server.BaseHTTPRequestHandler):
    server: http.server.HTTPServer

    def do_GET(self):
        if self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            for _ in range(40):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.1)
            return
        to = {
            "/inward": f"http://127.0.0.2:{self.server.server_port}/ok",
            "/on": "/ok",
            "/loop": "/loop",
        }
        self.send_response(302 if self.path in to else 200 if self.path == "/ok" else 404)
        if self.path in to:
            self.send_header("Location", to[self.path])
        self.end_headers()
        if self.path == "/ok":
            self.wfile.write(b"photo")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_urls_are_off_unless_their_host_is_allowed(photos, site):
    assert reason(lambda: ImageReader(photos).read(f"{site}/ok")) == "url_not_allowed"
    elsewhere = ImageReader(photos, allow_hosts=["example.org", ".example.org"])
    for url in (f"{site}/ok", "http://notexample.org/", "http://a@example.org/", "http://[bad"):
        assert reason(lambda url=url: elsewhere.read(url)) == "url_not_allowed"


def test_an_allowed_host_at_a_private_address_is_refused(photos, site):
    reader = ImageReader(photos, allow_hosts=["127.0.0.1", "localhost"])
    assert reason(lambda: reader.read(f"{site}/ok")) == "url_private"
    assert reason(lambda: reader.read(site.replace("127.0.0.1", "localhost"))) == "url_private"


def test_urls_of_an_allowed_public_host_are_read(photos, site, monkeypatch):
    # The test's only server is on this machine: one of its addresses stands for a public one.
    monkeypatch.setattr(image_reader, "is_public", lambda address: address == "127.0.0.1")
    reader = ImageReader(photos, allow_hosts=["127.0.0.1", "127.0.0.2"], timeout=1)
    assert reader.read(f"{site}/ok") == b"photo"
    assert reader.read(f"{site}/on") == b"photo"
    assert reason(lambda: reader.read(f"{site}/inward")) == "url_private"
    assert reason(lambda: reader.read(f"{site}/loop")) == "url_failed"
    assert reason(lambda: reader.read(f"{site}/none")) == "url_failed"
    started = time.perf_counter()
    assert reason(lambda: reader.read(f"{site}/slow")) == "url_failed"
    assert time.perf_counter() - started < 2.5
    small = ImageReader(photos, allow_hosts=["127.0.0.1"], max_bytes=3)
    assert reason(lambda: small.read(f"{site}/ok")) == "image_too_large"
