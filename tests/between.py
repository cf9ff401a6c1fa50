"""A proxy before an S3 server that answers some requests itself; see the fixture `between`.

It is a process of its own: a client that keeps other threads waiting would wait for itself.
"""

from __future__ import annotations

import http.client
import random
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, BEHIND, STATUS = (int(one) for one in sys.argv[1:4])
WHICH = sys.argv[4]
DROPPED = {"content-length", "connection", "transfer-encoding"}
dice = random.Random(7)
answered: list[str] = []


def is_mine(method: str, path: str) -> bool:
    """Tell whether the proxy answers a request itself."""
    return {
        "all": True,
        "list": method == "GET" and "list-type" in path,
        "delete": method == "DELETE" or (method == "POST" and "?delete" in path),
        "tenth": dice.random() < 0.1,
    }[WHICH]


class Between(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/answered":
            self.send(200, [], str(len(answered)).encode())
        elif not is_mine(self.command, self.path):
            self.hand_on(body)
        elif STATUS < 0:  # no answer at all
            answered.append(self.path)
            self.close_connection = True
        else:
            answered.append(self.path)
            self.send(STATUS, [], b"<Error><Code>Refused</Code></Error>")

    def hand_on(self, body: bytes) -> None:
        behind = http.client.HTTPConnection("127.0.0.1", BEHIND, timeout=60)
        behind.request(self.command, self.path, body, dict(self.headers))
        found = behind.getresponse()
        dropped = DROPPED - ({"content-length"} if self.command == "HEAD" else set())
        kept = [pair for pair in found.getheaders() if pair[0].lower() not in dropped]
        self.send(found.status, kept, found.read())
        behind.close()

    def send(self, status: int, headers: list[tuple[str, str]], data: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Between)
    server.daemon_threads = True
    server.serve_forever()
