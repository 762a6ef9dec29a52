"""Values as text and back: exactly the same, or no value at all."""

import zlib
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cache.values import COVERAGE, ERROR, NFTS, READING, asset

from balance_tracker.cache.codec import MOST_BYTES, Codec, CodecError, Codecs
from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import Balance, Reading
from balance_tracker.core.positions import ProtocolFailure
from balance_tracker.ports import NftsFound
from balance_tracker.services.nft_completing import _Searched
from balance_tracker.services.nfts import _Found
from balance_tracker.services.whole_reading import _Kept

KEPT = _Kept(
    {Address("0xd8dA"): READING, Address("0x0"): replace(READING, balances=())}, {Address("0x1"): ERROR}
)


FAILED = ProtocolFailure("nfts", "0xb47e", "reverted", "it says no")
SEARCHED = _Searched(
    {Address("0xd8dA"): NftsFound((NFTS,), (FAILED,), 3), Address("0x0"): NftsFound(())}, ERROR
)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Reading, READING),
        (_Kept, KEPT),
        (_Found, _Found((NFTS,), (COVERAGE,))),
        (_Searched, SEARCHED),
        (str | None, None),
        (str | None, "a.eth"),
    ],
)
def test_what_is_read_is_what_was_written_in_value_and_in_type(kind: Any, value: object) -> None:
    codec = Codec(kind)
    read, length = codec.decode(codec.encode(value))
    assert read == value
    assert repr(read) == repr(value)
    assert length > 0


@given(st.integers(0, 2**256 - 1), st.decimals(allow_nan=False, allow_infinity=False), st.text())
def test_no_amount_loses_a_digit(raw_amount: int, factor: Decimal, text: str) -> None:
    @dataclass(frozen=True)
    class Both:
        balance: Balance
        factor: Decimal

    codec = Codec(Both)
    both = Both(Balance(replace(asset(1), name=text), raw_amount), factor)
    read, _ = codec.decode(codec.encode(both))
    assert (read.balance, read.factor) == (both.balance, both.factor)
    assert str(read.factor) == str(factor)


def test_what_is_no_value_of_the_type_is_refused() -> None:
    codec = Codec(Reading)
    other = Codec(str | None).encode("text")
    cut = codec.encode(READING)[:-20]
    huge = zlib.compress(b'"' + b"0" * (MOST_BYTES + 10) + b'"')
    text = zlib.decompress(codec.encode(READING)).replace(b'"raw_amount":0', b'"raw_amount":"0"')
    for data in (b"", b"nonsense", other, cut, huge, zlib.compress(text), zlib.compress(b"{}")):
        with pytest.raises(CodecError):
            codec.decode(data)


def test_a_value_that_is_too_large_or_of_another_type_is_not_written() -> None:
    with pytest.raises(CodecError):
        Codec(str | None).encode("0" * (MOST_BYTES + 1))
    with pytest.raises(CodecError):
        Codec(Reading).encode("text")


def test_types_of_another_shape_have_another_schema() -> None:
    def made(**fields: Any) -> type:
        return dataclass(type("Value", (), {"__annotations__": fields}))

    schemas = {
        Codec(made(**fields)).schema for fields in ({"a": int}, {"a": str}, {"b": int}, {"a": int, "b": int})
    }
    assert len(schemas) == 4
    assert Codec(Reading).schema == Codec(Reading).schema


def test_what_has_no_codec_stays_in_the_process() -> None:
    class Plain:
        pass

    codecs = Codecs()
    assert codecs.of(Plain) is None
    assert codecs.of(None) is None
    assert codecs.of(Reading) is codecs.of(Reading)
