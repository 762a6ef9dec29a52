"""What an address holds, on which network, at which block, and what could not be learnt.

Three names are the library; each is imported only when it is used, so that the
hot path (:class:`BalanceReader`) pays for no catalog, settings or web framework.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from balance_tracker.bootstrap import Tracker
    from balance_tracker.evm.balance_reader import BalanceReader, read_balances

__version__ = "0.1.0"
__all__ = ["BalanceReader", "Tracker", "__version__", "read_balances"]

_HOMES = {
    "Tracker": "balance_tracker.bootstrap",
    "BalanceReader": "balance_tracker.evm.balance_reader",
    "read_balances": "balance_tracker.evm.balance_reader",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'balance_tracker' has no attribute {name!r}")
    return getattr(import_module(home), name)
