"""GOAWAY, taken out of the frames before the h2 library sees it.

The library ends its connection at a GOAWAY, and with it the streams that the server
still means to answer (RFC 9113 section 6.8); servers send one every thousand requests.
"""

_FRAME_HEAD_BYTES = 9
_GOAWAY = 7
_LONGEST_FRAME_BYTES = 16_384
"""What we allow: the default of SETTINGS_MAX_FRAME_SIZE."""


class GoAwayFilter:
    """Cuts what comes in at the borders of frames."""

    def __init__(self) -> None:
        self._rest = b""

    def split(self, data: bytes) -> tuple[bytes, int | None]:
        """The whole frames so far but for GOAWAY, and the last stream that the server serves, if it said.

        Raises:
            ValueError: A frame is longer than allowed; most likely these are no frames.
        """
        data = self._rest + data
        kept: list[bytes] = []
        last_served: int | None = None
        position = 0
        while len(data) - position >= _FRAME_HEAD_BYTES:
            length = int.from_bytes(data[position : position + 3])
            if length > _LONGEST_FRAME_BYTES:
                raise ValueError("the frame is longer than allowed")
            end = position + _FRAME_HEAD_BYTES + length
            if end > len(data):
                break
            if data[position + 3] == _GOAWAY and length >= 8:
                first = position + _FRAME_HEAD_BYTES
                last_served = int.from_bytes(data[first : first + 4]) & 0x7FFF_FFFF
            else:
                kept.append(data[position:end])
            position = end
        self._rest = data[position:]
        return b"".join(kept), last_served
