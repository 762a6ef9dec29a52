"""When a chain is believed to be lower than it was shown to be.

The best head may have been a lie, or be gone with a reorganisation or a restarted test chain. It is
not given up because one endpoint is behind: only when nobody has shown it for a while, and

* a lower block is later by its own time, which on one chain can't be; or
* every endpoint of the network shows less, and none is catching up with it; or
* blocks tell no time (Solana), and an endpoint below it moves on.
"""

from balance_tracker.transport.standing import Head

SURE_SECONDS = 10.0
"""How long the best head must be missing where the times of the blocks speak against it."""
GONE_SECONDS = 60.0
"""How long it must be missing where they don't."""


class Retreat:
    """What was shown since the best head was shown last.

    Args:
        endpoints: How many the network has.

    Attributes:
        asks_freely: Endpoints asked for the floor's block all refuse, so none shows its head: they
            are to be asked without it.
    """

    def __init__(self, endpoints: int) -> None:
        self._endpoints = endpoints
        self._since: float | None = None
        self._first: dict[str, Head] = {}
        self.asks_freely = False

    def ends(self) -> None:
        """The best head was shown again, or given up."""
        self._since = None
        self._first.clear()
        self.asks_freely = False

    def missed(self, at: float) -> None:
        """A read found nobody who reaches the block that was answered last."""
        if self._lasted(at) >= GONE_SECONDS and not self._first:
            self.asks_freely = True

    def is_believed(self, name: str, head: Head, top: Head | None, *, top_is_future: bool) -> bool:
        """Whether an endpoint's low head is the chain's.

        Args:
            name: The endpoint's.
            head: What it shows.
            top: The best head, if it is known with its times.
            top_is_future: Whether its time has not come yet, so that it says nothing.
        """
        lasted = self._lasted(head.seen_at)
        moves = head.number > self._first.setdefault(name, head).number
        everybody = len(self._first) == self._endpoints
        if top is None or top.timestamp is None or head.timestamp is None:
            return lasted >= GONE_SECONDS and (moves or everybody)
        if head.number < top.number and head.timestamp > top.timestamp:
            return lasted >= SURE_SECONDS
        catches_up = moves and not top_is_future
        return lasted >= GONE_SECONDS and everybody and not catches_up

    def _lasted(self, at: float) -> float:
        if self._since is None:
            self._since = at
        return at - self._since
