"""A gateway in front of a node that counts what passes: connections, requests and bytes."""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

HOST = "127.0.0.1"


@dataclass
class Traffic:
    """What has passed so far."""

    connections: int = 0
    requests: int = 0
    bytes_up: int = 0
    bytes_down: int = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    traffic: Traffic
    node: str

    def setup(self) -> None:
        super().setup()
        self.traffic.connections += 1
        self._upstream = http.client.HTTPConnection(self.node)

    def finish(self) -> None:
        self._upstream.close()
        super().finish()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._upstream.request("POST", "/", body, {"Content-Type": "application/json"})
        answer = self._upstream.getresponse().read()
        self.traffic.requests += 1
        self.traffic.bytes_up += len(body)
        self.traffic.bytes_down += len(answer)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: the table is the output."""


@contextmanager
def gateway(node_url: str) -> Iterator[tuple[str, Traffic]]:
    """A URL in front of the node, and what passes through it."""
    traffic = Traffic()
    names = {"traffic": traffic, "node": urlsplit(node_url).netloc}
    server = ThreadingHTTPServer((HOST, 0), type("Handler", (_Handler,), names))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}", traffic
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
