"""EIP-55 addresses: any case comes in, a wrong checksum does not."""

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from balance_tracker.core.errors import InputError
from balance_tracker.evm.address import EvmAddresses

FORMAT = EvmAddresses()

# The test vectors of EIP-55.
VECTORS = [
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]


def refused(text: str) -> InputError:
    with pytest.raises(InputError) as caught:
        FORMAT.parse(text)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("vector", VECTORS)
def test_the_vectors_of_the_standard_come_out_as_they_are(vector: str) -> None:
    digits = vector[2:]
    for text in (
        vector,
        digits,
        vector.lower(),
        "0x" + digits.upper(),
        "0X" + digits.upper(),
        digits.lower(),
    ):
        assert FORMAT.parse(text) == vector
        assert FORMAT.looks_like(text)


@given(st.binary(min_size=20, max_size=20))
def test_every_address_agrees_with_a_second_implementation(raw: bytes) -> None:
    assert FORMAT.parse(raw.hex()) == to_checksum_address(raw)


@given(st.binary(min_size=20, max_size=20), st.integers(0, 39))
def test_one_letter_in_the_wrong_case_is_found_and_the_right_form_is_shown(raw: bytes, place: int) -> None:
    right = to_checksum_address(raw)[2:]
    wrong = right[:place] + right[place].swapcase() + right[place + 1 :]
    if wrong in (right, right.lower(), right.upper()):
        assert FORMAT.parse(wrong) == "0x" + right
        return
    error = refused("0x" + wrong)
    assert error.code == "invalid_checksum"
    assert f"0x{right}" in (error.hint or "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0x", "has 0"),
        ("0x123", "has 3"),
        ("0x" + "a" * 39, "has 39"),
        ("0x" + "a" * 41, "has 41"),
        ("0x" + "a" * 39 + "g", "'g'"),
        ("0x" + "a" * 39 + "１", "'１'"),
        (" 0x" + "a" * 40, "' '"),
        ("0x" + "a" * 40 + "\n", r"'\n'"),
        ("vitalik.eth", "'v'"),
        ("", "has 0"),
    ],
)
def test_what_is_no_address_is_told_what_is_wrong(text: str, told: str) -> None:
    error = refused(text)
    assert error.code == "invalid_address"
    assert told in (error.hint or "")


def test_a_very_long_text_is_not_repeated_whole() -> None:
    assert len(refused("0x" + "a" * 10_000).message) < 200


@pytest.mark.parametrize("text", ["", "0", "vitalik.eth", "9WzDXwBbmkg8ZTbNMqUxvQRAyrZzDsGYdLVL9zYtAWWM"])
def test_other_texts_do_not_look_like_an_address(text: str) -> None:
    assert not FORMAT.looks_like(text)


@given(st.text(max_size=60))
def test_no_text_raises_anything_but_an_input_error(text: str) -> None:
    FORMAT.looks_like(text)
    try:
        parsed = FORMAT.parse(text)
    except InputError:
        return
    assert parsed[2:].lower() == text.lower().removeprefix("0x")
