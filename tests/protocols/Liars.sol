// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// Says that it is an aToken of a real pool, a vault and a staking receipt, of which everybody has 2**255.
contract Pretender {
    string public constant name = "Aave Ethereum WETH";
    string public constant symbol = "aEthWETH";
    uint8 public constant decimals = 18;

    address public UNDERLYING_ASSET_ADDRESS;
    address public POOL;

    function pose(address underlying, address pool) external {
        UNDERLYING_ASSET_ADDRESS = underlying;
        POOL = pool;
    }

    function asset() external view returns (address) {
        return UNDERLYING_ASSET_ADDRESS;
    }

    function totalSupply() external pure returns (uint256) {
        return type(uint256).max;
    }

    function totalAssets() external pure returns (uint256) {
        return type(uint256).max;
    }

    function balanceOf(address) external pure returns (uint256) {
        return 1 << 255;
    }

    function scaledBalanceOf(address) external pure returns (uint256) {
        return 1 << 255;
    }

    function convertToAssets(uint256 shares) external pure returns (uint256) {
        return shares;
    }

    function getStETHByWstETH(uint256 amount) external pure returns (uint256) {
        return amount;
    }
}
