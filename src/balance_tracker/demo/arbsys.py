"""Arbitrum's system contract for a local node, which has none: block number and block hash.

On Arbitrum the EVM's ``NUMBER`` is the block of the parent chain; the network's own number comes
from ``ArbSys`` at ``0x…64``. Source: Arbitrum documentation, precompile ``ArbSys``
(``arbBlockNumber()`` ``a3b1b31d``, ``arbBlockHash(uint256)`` ``2b407a82``).
"""

ARBSYS_ADDRESS = "0x0000000000000000000000000000000000000064"

_INSTRUCTIONS = (
    "6000 35 60e0 1c",  # PUSH1 0, CALLDATALOAD, PUSH1 224, SHR: the selector
    "80 63a3b1b31d 14 601e 57",  # DUP1, PUSH4 arbBlockNumber, EQ, PUSH1 30, JUMPI
    "80 632b407a82 14 6028 57",  # DUP1, PUSH4 arbBlockHash, EQ, PUSH1 40, JUMPI
    "6000 80 fd",  # PUSH1 0, DUP1, REVERT: nothing else is answered
    "5b 43 6000 52 6020 6000 f3",  # 30: JUMPDEST, NUMBER, MSTORE at 0, RETURN 32 bytes
    "5b 6004 35 40 80 15 603a 57",  # 40: JUMPDEST, BLOCKHASH of the argument; if it is 0, to 58
    "6000 52 6020 6000 f3",  # MSTORE at 0, RETURN 32 bytes
    "5b 6000 80 fd",  # 58: JUMPDEST, REVERT: not one of the 256 blocks before this one
)


def arbsys_runtime() -> bytes:
    """The contract's code: as on Arbitrum, but a hash that is not known reverts without a reason."""
    return bytes.fromhex("".join(_INSTRUCTIONS))
