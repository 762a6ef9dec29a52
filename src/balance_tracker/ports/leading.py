"""The seam for what only one process may do at a time."""

from typing import Protocol


class Leaders(Protocol):
    """Tells which process does what only one may do."""

    async def take(self, task: str, holder: str, seconds: float) -> bool:
        """Whether the holder may do the task for so long: nobody else may meanwhile."""
