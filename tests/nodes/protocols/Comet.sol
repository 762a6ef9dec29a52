// SPDX-License-Identifier: MIT
pragma solidity ^0.8.0;

// Models: only the documented views of Comet and CometRewards, and what it takes to set them.

contract CometModel {
    struct UserBasic {
        int104 principal;
        uint64 baseTrackingIndex;
        uint64 baseTrackingAccrued;
        uint16 assetsIn;
        uint8 _reserved;
    }

    struct UserCollateral {
        uint128 balance;
        uint128 _reserved;
    }

    struct AssetInfo {
        uint8 offset;
        address asset;
        address priceFeed;
        uint64 scale;
        uint64 borrowCollateralFactor;
        uint64 liquidateCollateralFactor;
        uint64 liquidationFactor;
        uint128 supplyCap;
    }

    mapping(address => UserBasic) public userBasic;
    mapping(address => mapping(address => UserCollateral)) public userCollateral;
    mapping(address => uint256) public getPrice;
    AssetInfo[] private infos;
    address public immutable baseToken;
    address public immutable baseTokenPriceFeed;
    uint256 public immutable baseScale;
    uint256 public supplyIndex = 1e15;
    uint256 public borrowIndex = 1e15;
    uint256 public accruals;

    constructor(address token, address feed, uint256 scale) {
        baseToken = token;
        baseTokenPriceFeed = feed;
        baseScale = scale;
    }

    function addAsset(address asset, address feed, uint64 scale, uint64 borrow, uint64 liquidate) external {
        uint8 offset = uint8(infos.length);
        infos.push(AssetInfo(offset, asset, feed, scale, borrow, liquidate, 0.95e18, type(uint128).max));
    }

    function setPrice(address feed, uint256 price) external {
        getPrice[feed] = price;
    }

    function setIndices(uint256 supply, uint256 borrow) external {
        supplyIndex = supply;
        borrowIndex = borrow;
    }

    function setPrincipal(address owner, int104 principal, uint64 accrued) external {
        userBasic[owner].principal = principal;
        userBasic[owner].baseTrackingAccrued = accrued;
    }

    /// As Comet does it, also with the bits of a sixteenth asset and more.
    function setCollateral(address owner, uint8 offset, uint128 balance) external {
        userCollateral[owner][infos[offset].asset].balance = balance;
        UserBasic storage basic = userBasic[owner];
        if (offset < 16) {
            uint16 bit = uint16(1) << offset;
            basic.assetsIn = balance > 0 ? basic.assetsIn | bit : basic.assetsIn & ~bit;
        } else {
            uint8 bit = uint8(1) << (offset - 16);
            basic._reserved = balance > 0 ? basic._reserved | bit : basic._reserved & ~bit;
        }
    }

    function accrueAccount(address) external {
        accruals++;
    }

    function getAssetInfo(uint8 i) external view returns (AssetInfo memory) {
        return infos[i];
    }

    function balanceOf(address owner) external view returns (uint256) {
        int104 principal = userBasic[owner].principal;
        return principal > 0 ? (uint256(int256(principal)) * supplyIndex) / 1e15 : 0;
    }

    function borrowBalanceOf(address owner) public view returns (uint256) {
        int104 principal = userBasic[owner].principal;
        return principal < 0 ? (uint256(-int256(principal)) * borrowIndex) / 1e15 : 0;
    }

    function isLiquidatable(address owner) external view returns (bool) {
        if (userBasic[owner].principal >= 0) return false;
        int256 liquidity = (-int256(borrowBalanceOf(owner)) * int256(getPrice[baseTokenPriceFeed])) / int256(baseScale);
        for (uint256 i = 0; i < infos.length; i++) {
            AssetInfo storage info = infos[i];
            uint256 amount = (userCollateral[owner][info.asset].balance * getPrice[info.priceFeed]) / info.scale;
            liquidity += int256((amount * info.liquidateCollateralFactor) / 1e18);
        }
        return liquidity < 0;
    }
}

contract CometRewardsModel {
    struct RewardOwed {
        address token;
        uint256 owed;
    }

    address public token;
    mapping(address => uint256) public claimed;

    error NotSupported(address comet);

    function setToken(address token_) external {
        token = token_;
    }

    function setClaimed(address owner, uint256 amount) external {
        claimed[owner] = amount;
    }

    /// It accrues first, which writes; a million-th of a token is 1e12 of its smallest units.
    function getRewardOwed(address comet, address owner) external returns (RewardOwed memory) {
        if (token == address(0)) revert NotSupported(comet);
        CometModel(comet).accrueAccount(owner);
        (, , uint64 tracked, , ) = CometModel(comet).userBasic(owner);
        uint256 accrued = uint256(tracked) * 1e12;
        return RewardOwed(token, accrued > claimed[owner] ? accrued - claimed[owner] : 0);
    }
}
