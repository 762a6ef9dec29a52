"""Snapshots as compact JSON, and back: amounts and prices are text, and so exact."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from balance_tracker.core.amounts import plain
from balance_tracker.core.ids import Address, AssetId, Slug
from balance_tracker.core.snapshots import KeptCollection, Line, LinePrice, Place, ReadNetwork, Side, Snapshot

_VERSION = 1


def document_of(snapshot: Snapshot) -> dict[str, Any]:
    """What is kept of a snapshot beside its columns.

    Prices stand once, in a list of their own, since several lines share one.
    """
    prices: dict[LinePrice, int] = {}
    lines = [_line(line, prices) for line in snapshot.lines]
    return {
        "v": _VERSION,
        "addresses": list(snapshot.addresses),
        "lines": lines,
        "prices": [[plain(one.amount), _text(one.as_of), list(one.sources)] for one in prices],
        "networks": [_network(one) for one in snapshot.networks],
        "collections": [
            [one.network, one.owner, one.contract_address, one.name, _number(one.balance), list(one.ids)]
            for one in snapshot.collections
        ],
    }


def addresses_in(document: dict[str, Any]) -> tuple[Address, ...]:
    """Whose portfolio it was."""
    return tuple(Address(address) for address in document["addresses"])


def lines_in(document: dict[str, Any]) -> tuple[Line, ...]:
    """What was held."""
    prices = [
        LinePrice(Decimal(amount), datetime.fromisoformat(as_of), tuple(sources))
        for amount, as_of, sources in document["prices"]
    ]
    return tuple(_read_line(line, prices) for line in document["lines"])


def networks_in(document: dict[str, Any]) -> tuple[ReadNetwork, ...]:
    """What each network answered."""
    return tuple(
        ReadNetwork(
            network=Slug(network),
            status=status,
            block_number=number,
            block_hash=block_hash,
            as_of=_time(as_of),
            missing=missing,
            carried_from=_time(carried),
            error=error,
            known=known,
        )
        for network, status, number, block_hash, as_of, missing, carried, error, known in document["networks"]
    )


def collections_in(document: dict[str, Any]) -> tuple[KeptCollection, ...]:
    """Collections that were held."""
    return tuple(
        KeptCollection(
            network=Slug(network),
            owner=Address(owner),
            contract_address=Address(contract),
            name=name,
            balance=None if balance is None else int(balance),
            ids=tuple(ids),
        )
        for network, owner, contract, name, balance, ids in document["collections"]
    )


def _line(line: Line, prices: dict[LinePrice, int]) -> list[Any]:
    place = line.place
    return [
        place.network,
        place.asset_id,
        line.price_key if line.price_key != place.asset_id else None,
        line.symbol,
        str(line.raw_amount),
        None if line.amount is None else plain(line.amount),
        _index(line.price, prices),
        _text(line.read_at),
        line.receipt,
        _index(line.last_price, prices),
        *_where(place),
    ]


def _index(price: LinePrice | None, prices: dict[LinePrice, int]) -> int | None:
    return None if price is None else prices.setdefault(price, len(prices))


def _where(place: Place) -> Sequence[Any]:
    """Nothing for what lies in the wallet itself, which is most of it."""
    if place == Place(place.network, place.asset_id):
        return ()
    return (
        place.side.value,
        place.kind,
        place.protocol,
        place.market,
        place.position_id,
        place.owner,
        place.label,
    )


def _read_line(line: Sequence[Any], prices: Sequence[LinePrice]) -> Line:
    network, asset_id, price_key, symbol, raw_amount, amount, price, read_at, receipt, last, *where = line
    place = Place(Slug(network), AssetId(asset_id))
    if where:
        side, *rest = where
        place = Place(Slug(network), AssetId(asset_id), Side(side), *rest)
    return Line(
        place=place,
        price_key=AssetId(price_key or asset_id),
        symbol=symbol,
        raw_amount=int(raw_amount),
        amount=None if amount is None else Decimal(amount),
        price=None if price is None else prices[price],
        read_at=_time(read_at),
        receipt=receipt,
        last_price=None if last is None else prices[last],
    )


def _network(one: ReadNetwork) -> list[Any]:
    return [
        one.network,
        one.status,
        one.block_number,
        one.block_hash,
        _text(one.as_of),
        one.missing,
        _text(one.carried_from),
        one.error,
        one.known,
    ]


def _number(value: int | None) -> str | None:
    return None if value is None else str(value)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
