// SPDX-License-Identifier: MIT
pragma solidity ^0.8.0;

import "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";

/// OpenZeppelin's vault as it is: what it holds of its asset is what its shares stand for.
contract PlainVault is ERC4626 {
    constructor(IERC20 asset_) ERC20("Plain vault", "PLAIN") ERC4626(asset_) {}
}

/// The same with a fee on the way out, as the standard has it: previews know it, conversions don't.
contract FeeVault is ERC4626 {
    uint256 private constant FEE_BPS = 150;

    constructor(IERC20 asset_) ERC20("Fee vault", "FEE") ERC4626(asset_) {}

    function previewRedeem(uint256 shares) public view override returns (uint256) {
        uint256 assets = super.previewRedeem(shares);
        return assets - (assets * FEE_BPS) / 10_000;
    }

    function previewWithdraw(uint256 assets) public view override returns (uint256) {
        return super.previewWithdraw((assets * 10_000 + 9_999 - FEE_BPS) / (10_000 - FEE_BPS));
    }
}

/// A vault from which one leaves by asking first (ERC-7540): its preview has to revert.
contract AskFirstVault is ERC4626 {
    constructor(IERC20 asset_) ERC20("Ask first", "ASK") ERC4626(asset_) {}

    function previewRedeem(uint256) public pure override returns (uint256) {
        revert("ask first");
    }
}
