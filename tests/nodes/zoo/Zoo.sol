// SPDX-License-Identifier: MIT
// Tokens that break a promise each, for tests. None of them is a token to hold.
pragma solidity 0.8.27;

abstract contract Kept {
    mapping(address => uint256) internal kept;

    function give(address owner, uint256 amount) external {
        kept[owner] = amount;
    }
}

contract NoDecimals is Kept {
    string public symbol = "NODEC";
    string public name = "No Decimals";

    function balanceOf(address owner) external view returns (uint256) {
        return kept[owner];
    }
}

contract OddDecimals is Kept {
    string public symbol = "ODDDEC";
    string public name = "Decimals Out Of Range";
    uint256 public decimals = 300;

    function balanceOf(address owner) external view returns (uint256) {
        return kept[owner];
    }
}

abstract contract Named {
    uint8 public decimals = 18;

    function symbol() external view virtual returns (string memory) {
        return "ZOO";
    }

    function name() external view virtual returns (string memory) {
        return "Zoo Member";
    }
}

contract RevertsPlainly is Named {
    function balanceOf(address) external pure returns (uint256) {
        assembly {
            revert(0, 0)
        }
    }
}

contract RevertsWithReason is Named {
    function balanceOf(address) external pure returns (uint256) {
        revert("the zoo is closed");
    }
}

contract ReturnsNothing is Named {
    function balanceOf(address) external pure {}
}

contract ReturnsBlob is Named {
    function balanceOf(address) external pure {
        assembly {
            let end := 102400
            for { let at := 0 } lt(at, end) { at := add(at, 32) } {
                mstore(at, 0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee)
            }
            return(0, end)
        }
    }
}

contract Returns31Bytes is Named {
    function balanceOf(address) external pure {
        assembly {
            mstore(0, shl(8, 31))
            return(0, 31)
        }
    }
}

contract Returns64Bytes is Named {
    function balanceOf(address) external pure {
        assembly {
            mstore(0, 64)
            mstore(32, 1)
            return(0, 64)
        }
    }
}

contract LoopsForever is Named {
    function balanceOf(address) external pure returns (uint256) {
        assembly {
            for {} 1 {} {}
        }
    }
}

contract InvalidOpcode is Named {
    function balanceOf(address) external pure returns (uint256) {
        assembly {
            invalid()
        }
    }
}

contract Heavy is Kept, Named {
    mapping(uint256 => uint256) private padding;

    // 120 cold storage slots of 2,100 gas each: over 250,000 gas.
    function balanceOf(address owner) external view returns (uint256 total) {
        total = kept[owner];
        for (uint256 slot = 0; slot < 120; slot++) {
            total += padding[slot];
        }
    }
}

contract Rebasing is Kept, Named {
    uint256 public index = 1e18;

    function rebase(uint256 newIndex) external {
        index = newIndex;
    }

    function balanceOf(address owner) external view returns (uint256) {
        return kept[owner] * index / 1e18;
    }
}

contract SameForEveryone is Named {
    function balanceOf(address) external pure returns (uint256) {
        return 888_000_000_000_000_000_000;
    }
}

contract OnlyEvents is Named {
    event Transfer(address indexed from, address indexed to, uint256 value);

    function announce(address to, uint256 value) external {
        emit Transfer(address(0), to, value);
    }

    function balanceOf(address) external pure returns (uint256) {
        return 0;
    }
}

// Answers balanceOf, and symbol() and name() with 200 kB of text.
contract BlobTexts is Kept {
    uint8 public decimals = 18;

    function balanceOf(address owner) external view returns (uint256) {
        return kept[owner];
    }

    fallback() external {
        assembly {
            mstore(0, 32)
            mstore(32, 204800)
            return(0, 204864)
        }
    }
}
