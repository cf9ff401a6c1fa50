"""From the cell of a column of photos, or of other files, to the bytes of the file.

A cell is bytes, a path, a ``data:`` URI or, where allowed, a URL. The table may come from
strangers: a path never leads out of its root, not even through a link, and a URL never into
the network that the job runs in.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import http.client
import io
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import SplitResult, unquote_to_bytes, urljoin, urlsplit

import numpy as np

from deepfeast.transforms.cells.content import Reader
from deepfeast.transforms.errors import Reject

MAX_BYTES = 50_000_000
MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)


class FileReader(Reader):
    """Reads cells to the bytes of a file.

    Parameters
    ----------
    root : str or Path
        Folder that paths are relative to, and that they never leave.
    allow_hosts : iterable of str
        Hosts that URLs may name, e.g. ``"photos.example.org"``; with a leading dot all hosts
        below a domain. By default none: URLs are rejects.
    max_bytes : int
        Larger files are rejects.
    timeout : float
        Seconds that fetching one URL may take in all.

    Attributes
    ----------
    what : str
        What the files are, as reasons of rejection begin: ``image_missing``.

    Examples
    --------
    >>> FileReader(".").read("data:audio/midi;base64,TVRoZA==")
    b'MThd'
    """

    what: ClassVar[str] = "file"
    options = ("root", "allow_hosts")
    several = True
    window = 512

    def __init__(
        self,
        root: str | Path = ".",
        *,
        allow_hosts: Iterable[str] = (),
        max_bytes: int = MAX_BYTES,
        timeout: float = 20.0,
    ):
        self.root = Path(root).expanduser().resolve()
        self.allow_hosts = tuple(host.lower() for host in allow_hosts)
        self.max_bytes = max_bytes
        self.timeout = timeout
        article = "an" if self.what[0] in "aeiou" else "a"
        self._missing, self._not_one = f"{self.what}_missing", f"not_{article}_{self.what}"
        self._too_large = f"{self.what}_too_large"

    def read(self, cell: Any) -> bytes | None:
        """Return the bytes of a cell; None for an empty one.

        Raises
        ------
        Reject
            ``path_outside_root``, ``data_uri_malformed``, ``url_not_allowed``, ``url_private``,
            ``url_failed``, or, where files are images, ``image_missing``, ``image_too_large`` or
            ``not_an_image``.
        """
        if isinstance(cell, bytes | bytearray | memoryview):
            return self._limited(bytes(cell)) or None
        if not isinstance(cell, str):
            raise Reject(
                self._not_one,
                f"expected bytes, a path, a data: URI or a URL, got {type(cell).__name__}",
            )
        cell = cell.strip()
        if not cell:
            return None
        scheme = cell[:8].lower()
        if scheme.startswith("data:"):
            return self._limited(_data_uri(cell))
        if scheme.startswith(("http://", "https://")):
            return self._fetch(cell)
        return self._file(cell)

    def _file(self, cell: str) -> bytes:
        path = self._inside(cell)
        try:
            if not path.is_file():  # nor a device, nor a pipe
                raise Reject(self._missing, f"no file {cell!r} below {self.root}")
            size = path.stat().st_size
            if size > self.max_bytes:
                raise Reject(self._too_large, f"{cell!r} has {size:,} bytes; {self._limit()}")
            return path.read_bytes()
        except OSError as error:
            raise Reject(self._missing, f"{cell!r} cannot be read: {error.strerror}") from None

    def _inside(self, cell: str) -> Path:
        """Resolve a path, links included, and refuse it outside the root."""
        try:
            path = (self.root / cell).resolve()
        except (OSError, ValueError, RuntimeError) as error:
            raise Reject(self._missing, f"{cell[:80]!r} is no path: {error}") from None
        if not path.is_relative_to(self.root):
            raise Reject(
                "path_outside_root",
                f"{cell!r} leads out of {self.root}. State the folder that paths are relative to: "
                f"DeepFeature(..., root='/photos')",
            )
        return path

    def _fetch(self, url: str) -> bytes:
        deadline = time.monotonic() + self.timeout
        for _ in range(MAX_REDIRECTS + 1):
            parts = self._allowed(url)
            try:
                status, location, body = self._get(parts, deadline)
            except (OSError, http.client.HTTPException) as error:
                raise Reject("url_failed", f"{url}: {type(error).__name__}: {error}") from None
            if status in _REDIRECTS and location:
                url = urljoin(url, location)
            elif status == 200:
                return body
            else:
                raise Reject("url_failed", f"{url} answered with status {status}")
        raise Reject("url_failed", f"{url}: more than {MAX_REDIRECTS} redirects")

    def _allowed(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            host, _ = (parts.hostname or "").lower(), parts.port
        except ValueError as error:
            raise Reject("url_not_allowed", f"{url[:80]!r} is no URL: {error}") from None
        listed = any(
            host == allowed or (allowed.startswith(".") and host.endswith(allowed))
            for allowed in self.allow_hosts
        )
        if parts.scheme not in ("http", "https") or not listed or parts.username is not None:
            known = ", ".join(self.allow_hosts) or "none, URLs are off"
            raise Reject(
                "url_not_allowed",
                f"{url[:200]!r}: hosts that may be read: {known}. "
                f"Allow one: DeepFeature(..., allow_hosts=['photos.example.org'])",
            )
        return parts

    def _get(self, parts: SplitResult, deadline: float) -> tuple[int, str | None, bytes]:
        """Get one URL from an address that was checked; redirects are left to the caller."""
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = _public_address(host, port)
        connection = _Checked(host, port, address, parts.scheme == "https", self._left(deadline))
        # A server that sends a byte a second would reset any timeout of a single read.
        watch = threading.Timer(self._left(deadline), connection.cut_off)
        watch.daemon = True
        watch.start()
        try:
            target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
            # An encoded answer could unfold to any size.
            connection.request("GET", target, headers={"Accept-Encoding": "identity"})
            response = connection.getresponse()
            body = self._body(response) if response.status == 200 else b""
            self._left(deadline)  # cut off at the deadline, half a body looks like a whole one
            return response.status, response.getheader("Location"), body
        finally:
            watch.cancel()
            connection.close()

    def _body(self, response: http.client.HTTPResponse) -> bytes:
        parts, size = [], 0
        while block := response.read1(1 << 16):
            parts.append(block)
            size += len(block)
            if size > self.max_bytes:
                raise Reject(self._too_large, f"a URL sends more; {self._limit()}")
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        return b"".join(parts)

    def _left(self, deadline: float) -> float:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"took longer than {self.timeout} seconds")
        return left

    def _limited(self, value: bytes) -> bytes:
        if len(value) > self.max_bytes:
            raise Reject(self._too_large, f"{len(value):,} bytes; {self._limit()}")
        return value

    def _limit(self) -> str:
        return f"at most {self.max_bytes:,} are read"


class ImageReader(FileReader):
    """Reads photos.

    Examples
    --------
    >>> ImageReader(".").read("data:image/gif;base64,R0lGODdh")
    b'GIF87a'
    """

    what = "image"

    @classmethod
    def samples(cls, count: int) -> list[bytes]:
        """Make up JPEGs of 320 x 240 pixels."""
        from PIL import Image

        random = np.random.default_rng(0)
        photos = []
        for _ in range(count):
            coarse = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            file = io.BytesIO()
            Image.fromarray(coarse).resize((320, 240)).save(file, "JPEG")
            photos.append(file.getvalue())
        return photos


class _Checked(http.client.HTTPConnection):
    """A connection to an address already checked: the name is not looked up again."""

    def __init__(self, host: str, port: int, address: str, tls: bool, timeout: float):
        super().__init__(host, port, timeout=timeout)
        self.address = address
        self.tls = tls

    def connect(self) -> None:
        self.sock = socket.create_connection((self.address, self.port), self.timeout)
        if self.tls:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)
        self.wire = self.sock

    def cut_off(self) -> None:
        """End the exchange, whatever it waits for."""
        with contextlib.suppress(OSError, AttributeError):
            self.wire.shutdown(socket.SHUT_RDWR)


def _public_address(host: str, port: int) -> str:
    """Look a host up; refuse it where any of its addresses is not a public one."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not is_public(address):
            raise Reject("url_private", f"{host} is at {address}, which is not a public address")
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet.

    >>> is_public("127.0.0.1"), is_public("::ffff:10.0.0.1"), is_public("9.9.9.9")
    (False, False, True)
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    ip = inner or ip
    return ip.is_global and not ip.is_multicast


def _data_uri(cell: str) -> bytes:
    head, comma, body = cell.partition(",")
    if not comma:
        raise Reject("data_uri_malformed", f"{cell[:60]!r} has no comma before its data")
    data = unquote_to_bytes(body)
    if not head.lower().endswith(";base64"):
        return data
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise Reject("data_uri_malformed", f"{cell[:60]!r}: {error}") from None
