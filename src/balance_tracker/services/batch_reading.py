"""Whole portfolios of many addresses, a few at a time, in the order they are ready."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass

from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.core.ids import Slug
from balance_tracker.core.networks import Network
from balance_tracker.core.whole import WholePortfolio
from balance_tracker.ports.snapshots import ReadsPortfolio
from balance_tracker.services.questions import find_network, split_words

AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """What became of one address; ``positions`` are its places in the list."""

    text: str
    positions: tuple[int, ...]
    result: WholePortfolio | InputError | UpstreamError


class WholeBatches:
    """Reads whole portfolios of many addresses.

    Args:
        portfolio: Reads one.
        networks: What is tracked.
        at_once: How many are read at a time.
    """

    def __init__(
        self, portfolio: ReadsPortfolio, networks: Mapping[Slug, Network], at_once: int = AT_ONCE
    ) -> None:
        self._portfolio = portfolio
        self._networks = networks
        self._at_once = at_once

    def check_networks(self, networks: Sequence[str] | None) -> None:
        """Refuse networks that are not tracked.

        Raises:
            InputError: ``unknown_network``, with the nearest slug.
        """
        for word in split_words(networks):
            find_network(word, self._networks)

    async def portfolios(
        self, addresses: Sequence[str], networks: Sequence[str] | None = None, *, currency: str = "usd"
    ) -> AsyncGenerator[WholeAnswer, None]:
        """Everything that each address has, as it is read; a repeated address is read once."""
        places: dict[str, list[int]] = {}
        for position, text in enumerate(addresses):
            places.setdefault(text.strip(), []).append(position)
        left = iter(places.items())
        running: set[asyncio.Task[WholeAnswer]] = set()
        try:
            while True:
                while len(running) < self._at_once and (following := next(left, None)) is not None:
                    text, positions = following
                    running.add(asyncio.create_task(self._one(text, positions, networks, currency)))
                if not running:
                    return
                ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    yield task.result()
        finally:
            await _cancelled(running)

    async def _one(
        self, text: str, positions: Sequence[int], networks: Sequence[str] | None, currency: str
    ) -> WholeAnswer:
        if "," in text:  # where one address is asked for, a portfolio takes several
            several = InputError("Several addresses are not one.", code="invalid_address", hint="Split them.")
            return WholeAnswer(text, tuple(positions), several)
        try:
            found = await self._portfolio([text], networks, currency=currency)
        except (InputError, UpstreamError) as error:
            return WholeAnswer(text, tuple(positions), error)
        return WholeAnswer(text, tuple(positions), found)


async def _cancelled(tasks: Collection["asyncio.Task[WholeAnswer]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
