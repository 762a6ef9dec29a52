// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {ERC721A} from "erc721a/contracts/ERC721A.sol";
import {ERC721AQueryable} from "erc721a/contracts/extensions/ERC721AQueryable.sol";

/// Packs of tokens in one go, some burnt later: ids have gaps, and views list them.
contract Packs is ERC721AQueryable {
    constructor() ERC721A("Packs", "PACK") {}

    function mint(address to, uint256 count) external {
        _mint(to, count);
    }

    function burn(uint256 id) external {
        _burn(id);
    }
}

/// The same without views that list.
contract PlainPacks is ERC721A {
    constructor() ERC721A("Plain packs", "PPACK") {}

    function mint(address to, uint256 count) external {
        _mint(to, count);
    }

    function burn(uint256 id) external {
        _burn(id);
    }
}

/// A whole collection by one event of EIP-2309.
contract Consecutive is ERC721A {
    constructor() ERC721A("Consecutive", "CON") {}

    function mint(address to, uint256 count) external {
        _mintERC2309(to, count);
    }
}

/// ERC-721 and nothing more: any ids, no supply, no list.
contract Bare721 {
    mapping(uint256 => address) internal owners;
    mapping(address => uint256) public balanceOf;
    mapping(uint256 => string) internal uris;

    event Transfer(address indexed from, address indexed to, uint256 indexed id);

    function ownerOf(uint256 id) external view virtual returns (address owner) {
        owner = owners[id];
        require(owner != address(0), "no such token");
    }

    function give(address to, uint256 id) external {
        address from = owners[id];
        if (from != address(0)) balanceOf[from]--;
        owners[id] = to;
        balanceOf[to]++;
        emit Transfer(from, to, id);
    }

    function write(uint256 id, string calldata uri) external {
        uris[id] = uri;
    }

    function tokenURI(uint256 id) external view virtual returns (string memory) {
        return uris[id];
    }
}

/// As many lists write it: one view with all ids of a wallet.
contract Wallets is Bare721 {
    function walletOfOwner(address owner) external view returns (uint256[] memory ids) {
        ids = new uint256[](balanceOf[owner]);
        uint256 at;
        for (uint256 id; id < 200 && at < ids.length; id++) {
            if (owners[id] == owner) ids[at++] = id;
        }
    }
}

/// Few tokens whose events have no indexed fields, so that no filter finds them.
contract Silent {
    mapping(uint256 => address) public punks;
    mapping(address => uint256) public balanceOf;
    uint256 public totalSupply;

    event Transfer(address from, address to, uint256 id);

    function ownerOf(uint256 id) external view returns (address owner) {
        owner = punks[id];
        require(owner != address(0), "no such token");
    }

    function give(address to, uint256 id) external {
        punks[id] = to;
        balanceOf[to]++;
        totalSupply++;
        emit Transfer(address(0), to, id);
    }
}

/// CryptoPunksMarket as far as a wallet is concerned.
contract Punks {
    mapping(uint256 => address) public punkIndexToAddress;
    mapping(address => uint256) public balanceOf;
    string public symbol = "C";
    uint256 public totalSupply = 10000;

    event Assign(address indexed to, uint256 punkIndex);
    event PunkTransfer(address indexed from, address indexed to, uint256 punkIndex);

    function setInitialOwner(address to, uint256 index) external {
        require(index < 10000);
        if (punkIndexToAddress[index] != address(0)) balanceOf[punkIndexToAddress[index]]--;
        punkIndexToAddress[index] = to;
        balanceOf[to]++;
        emit Assign(to, index);
    }

    function transferPunk(address to, uint256 index) external {
        balanceOf[punkIndexToAddress[index]]--;
        balanceOf[to]++;
        emit PunkTransfer(punkIndexToAddress[index], to, index);
        punkIndexToAddress[index] = to;
    }
}

/// Everybody holds 2**255 of it, and it lists as many as it is asked for.
contract Boundless {
    function balanceOf(address) external pure returns (uint256) {
        return 1 << 255;
    }

    function tokenOfOwnerByIndex(address, uint256 index) external pure returns (uint256) {
        return index;
    }

    function balanceOfBatch(address[] calldata, uint256[] calldata ids)
        external
        pure
        returns (uint256[] memory amounts)
    {
        amounts = new uint256[](ids.length);
        for (uint256 at; at < ids.length; at++) amounts[at] = 1 << 255;
    }

    event TransferSingle(address indexed by, address indexed from, address indexed to, uint256 id, uint256 value);

    function say(address to, uint256 id) external {
        emit TransferSingle(msg.sender, address(0), to, id, 1);
    }
}

/// Says that the wallet has three, and lists others' tokens, one of them twice.
contract Liar {
    function balanceOf(address) external pure returns (uint256) {
        return 3;
    }

    function tokensOfOwner(address) external pure returns (uint256[] memory ids) {
        ids = new uint256[](3);
        ids[0] = 7;
        ids[1] = 7;
        ids[2] = 9;
    }

    function tokenOfOwnerByIndex(address, uint256) external pure returns (uint256) {
        return 7;
    }

    function ownerOf(uint256) external pure returns (address) {
        return address(0xdead);
    }
}

/// Reverts whatever it is asked.
contract Refuser {
    fallback() external {
        revert("not for you");
    }
}

/// Never ends.
contract Endless {
    fallback() external {
        while (true) {}
    }
}

/// A token whose URI is a megabyte of text.
contract Verbose is Bare721 {
    function tokenURI(uint256) external pure override returns (string memory) {
        bytes memory text = new bytes(1 << 20);
        text[0] = "h";
        return string(text);
    }
}

/// Says that there is much to find, and never tells what: each further question takes all gas.
contract Greedy {
    function balanceOf(address) external pure returns (uint256) {
        return 150;
    }

    function totalSupply() external pure returns (uint256) {
        return 9_000;
    }

    fallback() external {
        while (true) {}
    }
}
