"""A clock that stands still until a test moves it."""


class Clock:
    """Called, it tells its time in seconds."""

    def __init__(self, start: float = 1_000.0) -> None:
        self.seconds = start

    def __call__(self) -> float:
        return self.seconds

    def move(self, seconds: float) -> None:
        self.seconds += seconds
