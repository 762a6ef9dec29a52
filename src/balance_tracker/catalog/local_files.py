"""Files of the operator's machine, read with a bound."""

from pathlib import Path

from balance_tracker.catalog.documents import refusal


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """The bytes of a file.

    Raises:
        ConfigurationError: Not a file, not readable, or larger than ``most_bytes``.
    """
    try:
        if not path.is_file():
            raise refusal(str(path), "is not a file" if path.exists() else "does not exist")
        with path.open("rb") as file:
            document = file.read(most_bytes + 1)
    except OSError as error:
        raise refusal(str(path), f"can't be read: {error.strerror}") from None
    check_size(document, str(path), most_bytes)
    return document


def check_size(document: bytes, origin: str, most_bytes: int) -> None:
    """Refuse a document that is larger than a file of its kind can be.

    Raises:
        ConfigurationError: It is.
    """
    if len(document) > most_bytes:
        raise refusal(origin, f"is larger than {most_bytes:,} bytes")
