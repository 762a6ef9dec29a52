"""The least that the server can be asked to do: one ready answer, sent by a raw ASGI app.

Usage: ``python -m benchmarks.raw_answer PORT``, with the answer on stdin: a line of JSON (the headers as
pairs of texts), then the body.
"""

import json
import sys

import uvicorn
from starlette.types import Receive, Scope, Send

from balance_tracker.cli.serve import SERVER_OPTIONS

HOST = "127.0.0.1"


class RawAnswer:
    """Sends the same bytes to everyone.

    Args:
        headers: Names and values, as they go out.
        body: The text.
    """

    def __init__(self, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self._start = {"type": "http.response.start", "status": 200, "headers": headers}
        self._body = {"type": "http.response.body", "body": body}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        del receive
        if scope["type"] == "http":
            await send(self._start)
            await send(self._body)


def main() -> None:
    """Serve until told to stop."""
    described, _, body = sys.stdin.buffer.read().partition(b"\n")
    headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in json.loads(described)]
    options = {**SERVER_OPTIONS, "factory": False, "lifespan": "off"}
    uvicorn.run(RawAnswer(headers, body), host=HOST, port=int(sys.argv[1]), workers=1, **options)


if __name__ == "__main__":
    main()
