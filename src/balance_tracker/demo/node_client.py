"""JSON-RPC for setting up a local node: plain, blocking, one connection, no failover.

Reading wallets goes through ``transport``; this only prepares what is there to be read.
"""

import http.client
import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from balance_tracker.core.errors import UpstreamError

TIMEOUT_SECONDS = 30.0
MAX_BODY_BYTES = 1_500_000
"""anvil refuses bodies over 2 MiB with a strange answer."""

type Call = tuple[str, list[Any]]


class NodeClient:
    """Asks one local node; safe to use from several threads, one at a time."""

    def __init__(self, host: str, port: int, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=timeout_seconds)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def call(self, method: str, *params: Any) -> Any:
        """The result of one call.

        Raises:
            UpstreamError: The node answered with an error.
            OSError: The node can't be reached.
        """
        return self.batch([(method, list(params))])[0]

    def batch(self, calls: Sequence[Call]) -> list[Any]:
        """The results of many calls, in order, in as few requests as the node takes.

        Raises:
            UpstreamError: The node answered one of them with an error.
            OSError: The node can't be reached.
        """
        results: list[Any] = []
        for body, count in _bodies(calls):
            replies = {reply["id"]: reply for reply in self._post(body)}
            results += [_result(replies[number], calls[len(results) + number]) for number in range(count)]
        return results

    def _post(self, body: str) -> Any:
        with self._lock:
            try:
                self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
                return json.loads(self._connection.getresponse().read())
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                if isinstance(error, OSError):
                    raise
                raise ConnectionError(str(error)) from error


def _bodies(calls: Sequence[Call]) -> Iterator[tuple[str, int]]:
    """JSON-RPC batches under the size limit, each with the number of its calls."""
    items: list[str] = []
    size = 0
    for method, params in calls:
        item = json.dumps({"jsonrpc": "2.0", "id": len(items), "method": method, "params": params})
        if items and size + len(item) > MAX_BODY_BYTES:
            yield f"[{','.join(items)}]", len(items)
            items, size = [], 0
            item = json.dumps({"jsonrpc": "2.0", "id": 0, "method": method, "params": params})
        items.append(item)
        size += len(item)
    if items:
        yield f"[{','.join(items)}]", len(items)


def _result(reply: Any, call: Call) -> Any:
    if "error" in reply:
        message = str(reply["error"].get("message"))[:300]
        raise UpstreamError(f"The local node refused {call[0]}: {message}", code="local_node_refused")
    return reply["result"]
