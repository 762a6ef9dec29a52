"""What extra requests may cost: a share of the reads, so that faults never multiply the load."""


class Budget:
    """Each read earns a part of an extra request; what is earned is kept up to a bound.

    Args:
        earned: What one read earns.
        most: The most that is kept.
        at_first: What there is before the first read.
    """

    def __init__(self, earned: float, most: float, at_first: float) -> None:
        self._earned = earned
        self._most = most
        self._left = at_first

    def earn(self) -> None:
        """One read went out."""
        self._left = min(self._most, self._left + self._earned)

    def has_one(self) -> bool:
        """Whether an extra request may be made."""
        return self._left >= 1.0

    def spend(self) -> bool:
        """Take one extra request out of it; ``False`` if it does not hold one."""
        if not self.has_one():
            return False
        self._left -= 1.0
        return True
