"""What every source of the web must do, whatever it is: each source's test file runs all of it.

A source's file makes a subclass of :class:`SourceContract` and says how its server answers.
"""

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.fakes.web_api import Asked, Said, WebApi, web_api
from tests.prices.recorded_bodies import Recorded, recorded

from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.prices import Quote
from balance_tracker.ports import PriceSource
from balance_tracker.transport.http import HttpClient

KEY = "CG-sEcReTkEy0123456789"
AS_OF = 1_782_315_604
"""2026-06-24T15:40:04Z."""

NO_PRICES: tuple[Any, ...] = (0, -1, "1.5", "NaN", None, True, [], {}, 10**200)
"""What stands where a price should, and is none; the last is no number that anybody means."""

ERRORS = recorded("errors")
EXPECTED_CODES = {400: "request_refused", 401: "unauthorized", 404: "request_refused", 500: "bad_response"}


def soon(seconds: float = 5.0) -> float:
    """A deadline."""
    return asyncio.get_running_loop().time() + seconds


def named(error: Recorded) -> str:
    return f"{error.status} {error.body[:40].decode()}"


class SourceContract:
    """The tests; what is not said here is said by each source."""

    has_key = False

    def known(self) -> Asset:
        """An asset that the source has a price of."""
        raise AssertionError("each source says it")

    def unknown(self) -> Asset:
        """An asset that it has none of."""
        raise AssertionError("each source says it")

    def answer(self, asked: Asked, price: Any, as_of: int | None) -> Said:
        """Its answer to any request, with this for the price of the known asset."""
        raise AssertionError("each source says it")

    def opened(self, http: HttpClient, url: str) -> PriceSource:
        """The source, asked at this URL with :data:`KEY`."""
        raise AssertionError("each source says it")

    @asynccontextmanager
    async def source(self, answer: Callable[[Asked], Said]) -> AsyncIterator[tuple[PriceSource, WebApi]]:
        async with web_api(answer) as api, HttpClient() as http:
            yield self.opened(http, api.url), api

    async def quotes(self, answer: Callable[[Asked], Said], *assets: Asset) -> list[Quote]:
        async with self.source(answer) as (source, _):
            return list(await source.quotes(assets or [self.known()], soon()))

    async def test_a_quote_is_of_the_priced_id_and_right_to_the_digit(self) -> None:
        text = "60580.281213362980000000000000000001"
        asset = self.known()
        [quote] = await self.quotes(lambda asked: self.raw(asked, text), asset)
        assert str(quote.amount) == text
        assert quote.asset_id == asset.price_key
        assert quote.as_of == datetime.fromtimestamp(AS_OF, UTC)

    def raw(self, asked: Asked, digits: str) -> Said:
        """An answer in which the price stands in exactly these digits."""
        said = self.answer(asked, 987654321, AS_OF)
        body = said.rendered().partition(b"\r\n\r\n")[2]
        return Said(body.replace(b"987654321", digits.encode()), said.status)

    async def test_an_unknown_asset_is_left_out(self) -> None:
        quotes = await self.quotes(lambda asked: self.answer(asked, 2, AS_OF), self.known(), self.unknown())
        assert [quote.asset_id for quote in quotes] == [self.known().price_key]

    @pytest.mark.parametrize("price", NO_PRICES, ids=repr)
    async def test_what_is_no_price_is_no_quote(self, price: Any) -> None:
        assert await self.quotes(lambda asked: self.answer(asked, price, AS_OF)) == []

    @pytest.mark.parametrize("digits", ["NaN", "Infinity", "-Infinity", "1e99999999999", "-0.0"])
    async def test_numbers_that_are_none_are_no_quote(self, digits: str) -> None:
        assert await self.quotes(lambda asked: self.raw(asked, digits)) == []

    async def test_without_a_time_there_is_no_quote(self) -> None:
        assert await self.quotes(lambda asked: self.answer(asked, 2, None)) == []

    async def test_nothing_asked_is_nothing_sent(self) -> None:
        async with self.source(lambda asked: self.answer(asked, 2, AS_OF)) as (source, api):
            assert await source.quotes([], soon()) == []
            assert not api.asked

    @pytest.mark.parametrize("error", ERRORS, ids=named)
    async def test_every_recorded_error_is_an_error_and_no_quote(self, error: Recorded) -> None:
        said = Said(error.body, error.status, {"Content-Type": error.content_type})
        async with self.source(lambda asked: said) as (source, _):
            with pytest.raises(UpstreamError) as caught:
                await source.quotes([self.known()], soon())
        assert caught.value.code == EXPECTED_CODES.get(error.status, "bad_response")

    @pytest.mark.parametrize(
        ("said", "code"),
        [
            (Said(b"", 200), "bad_response"),
            (Said(b"<html><body>Just a moment...</body></html>", 200), "bad_response"),
            (
                Said(b"<html>1015: You are being rate limited</html>", 429, {"Retry-After": "30"}),
                "rate_limited",
            ),
            (Said({"error": "over the limit"}, 200), "bad_response"),
            (Said([], 200), "bad_response"),
            (Said(b'{"a": ' * 3000, 200), "bad_response"),
            (Said({}, 503), "bad_response"),
            (Said(b"<html>Attention Required!</html>", 403), "unauthorized"),
            (Said({}, 302, {"Location": "http://169.254.169.254/latest"}), "redirected"),
            (Said(b"x" * (9 * 2**20), 200), "response_too_large"),
        ],
        ids=lambda value: value if isinstance(value, str) else f"{value.status} {str(value.body)[:30]}",
    )
    async def test_an_answer_that_is_none_is_named_for_what_it_is(self, said: Said, code: str) -> None:
        async with self.source(lambda asked: said) as (source, _):
            with pytest.raises(UpstreamError) as caught:
                await source.quotes([self.known()], soon())
        assert caught.value.code == code

    async def test_a_host_that_hangs_costs_no_more_than_the_time_allowed(self) -> None:
        loop = asyncio.get_running_loop()
        async with self.source(lambda asked: Said({}, after_seconds=20)) as (source, _):
            started = loop.time()
            with pytest.raises(UpstreamError) as caught:
                await source.quotes([self.known()], soon(0.4))
            assert loop.time() - started < 1.5
        assert caught.value.code == "timed_out"

    async def test_a_host_that_is_down_is_left_alone_for_a_while(self) -> None:
        async with self.source(lambda asked: Said(b"oops", 500)) as (source, api):
            with pytest.raises(UpstreamError):
                await source.quotes([self.known()], soon())
            asked = len(api.asked)
            with pytest.raises(UpstreamError) as caught:
                await source.quotes([self.known()], soon())
            assert caught.value.code == "source_resting"
            assert len(api.asked) == asked

    async def test_retry_after_is_obeyed(self) -> None:
        async with self.source(lambda asked: Said({}, 429, {"Retry-After": "20"})) as (source, api):
            for _ in range(3):
                with pytest.raises(UpstreamError) as caught:
                    await source.quotes([self.known()], soon())
                assert caught.value.code == "rate_limited"
                assert 15 < (caught.value.retry_after_seconds or 0) <= 20
            assert len(api.asked) == 1

    async def test_the_key_is_sent_in_a_header_and_shown_nowhere(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        echo = Said({"status": {"error_code": 1001, "error_message": f"The key {KEY} is wrong"}}, 401)
        log = io.StringIO()
        handler = logging.StreamHandler(log)
        logging.getLogger().addHandler(handler)
        try:
            with caplog.at_level("DEBUG"):
                async with self.source(lambda asked: echo) as (source, api):
                    with pytest.raises(UpstreamError) as caught:
                        await source.quotes([self.known()], soon())
                    shown = [repr(source), repr(vars(caught.value)), str(caught.value), caplog.text]
                    host = getattr(source, "host", None)
                    shown += [repr(host), repr(host and host.health())]
        finally:
            logging.getLogger().removeHandler(handler)
        assert caught.value.code == "unauthorized"
        assert not any(KEY in text for text in [*shown, log.getvalue()])
        assert all(KEY not in asked.target for asked in api.asked)
        assert any(KEY in asked.headers.values() for asked in api.asked) is self.has_key

    async def test_an_asset_that_it_can_not_know_costs_no_request(self) -> None:
        async with self.source(lambda asked: self.answer(asked, 2, AS_OF)) as (source, _):
            nobody = self.nameless()
            assert await source.quotes([nobody], soon()) == []
            assert await source.quotes_at([nobody], datetime(2026, 1, 1, tzinfo=UTC), soon()) in ([], ())

    def nameless(self) -> Asset:
        """An asset that no service can know by name or contract."""
        from tests.prices.assets import coin  # noqa: PLC0415

        asset = coin("x")
        asset.price_ids.clear()
        return asset
