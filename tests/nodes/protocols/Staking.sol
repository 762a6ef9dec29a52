// SPDX-License-Identifier: MIT
pragma solidity ^0.8.0;

// Models: only the documented views of contracts that are not to be had, and what it takes to set them.

/// A pool whose shares are worth what is in it: stETH's balances, and every receipt's rate function.
contract PoolModel {
    mapping(address => uint256) public shares;
    uint256 public total;
    uint256 public pooled;

    function setPool(uint256 pooled_) external {
        pooled = pooled_;
    }

    function give(address owner, uint256 amount) external {
        shares[owner] += amount;
        total += amount;
    }

    function worth(uint256 amount) public view returns (uint256) {
        return total == 0 ? amount : (amount * pooled) / total;
    }
}

/// stETH: the balance is what the shares are worth.
contract StEthModel is PoolModel {
    function balanceOf(address owner) external view returns (uint256) {
        return worth(shares[owner]);
    }
}

/// wstETH: a balance of shares, worth what they are worth in the pool.
contract WstEthModel {
    mapping(address => uint256) public balanceOf;
    StEthModel private immutable STETH;

    constructor(StEthModel steth) {
        STETH = steth;
    }

    function give(address owner, uint256 amount) external {
        balanceOf[owner] += amount;
    }

    function getStETHByWstETH(uint256 amount) external view returns (uint256) {
        return STETH.worth(amount);
    }
}

/// Any other receipt: each protocol's name for the same rate.
contract ReceiptModel is PoolModel {
    function balanceOf(address owner) external view returns (uint256) {
        return shares[owner];
    }

    function exchangeRate() external view returns (uint256) {
        return worth(1e18);
    }

    function getExchangeRate() external view returns (uint256) {
        return worth(1e18);
    }

    function rsETHPrice() external view returns (uint256) {
        return worth(1e18);
    }

    function getEthValue(uint256 amount) external view returns (uint256) {
        return worth(amount);
    }

    function getEETHByWeETH(uint256 amount) external view returns (uint256) {
        return worth(amount);
    }

    function convertToAssets(uint256 amount) external view returns (uint256) {
        return worth(amount);
    }
}

/// Lido's queue: requests wait, a batch of them is made final at most at a rate, claimed ones leave.
contract QueueModel {
    struct Status {
        uint256 amountOfStETH;
        uint256 amountOfShares;
        address owner;
        uint256 timestamp;
        bool isFinalized;
        bool isClaimed;
    }

    struct Checkpoint {
        uint256 from;
        uint256 maxShareRate;
    }

    Status[] private statuses;
    Checkpoint[] private checkpoints;
    mapping(address => uint256[]) private owned;
    uint256 private lastFinal;

    error RequestIdsNotSorted();

    function ask(address owner, uint256 amount, uint256 shares) external {
        statuses.push(Status(amount, shares, owner, block.timestamp, false, false));
        owned[owner].push(statuses.length);
    }

    function finalize(uint256 upTo, uint256 maxShareRate) external {
        checkpoints.push(Checkpoint(lastFinal + 1, maxShareRate));
        for (uint256 id = lastFinal + 1; id <= upTo; id++) statuses[id - 1].isFinalized = true;
        lastFinal = upTo;
    }

    /// As with the real set, what is taken out is replaced by the last: the order is lost.
    function claim(uint256 id) external {
        Status storage status = statuses[id - 1];
        require(status.isFinalized && !status.isClaimed);
        status.isClaimed = true;
        uint256[] storage ids = owned[status.owner];
        for (uint256 at = 0; at < ids.length; at++) {
            if (ids[at] == id) {
                ids[at] = ids[ids.length - 1];
                ids.pop();
                return;
            }
        }
    }

    function getWithdrawalRequests(address owner) external view returns (uint256[] memory) {
        return owned[owner];
    }

    function getWithdrawalStatus(uint256[] calldata ids) external view returns (Status[] memory found) {
        found = new Status[](ids.length);
        for (uint256 at = 0; at < ids.length; at++) found[at] = statuses[ids[at] - 1];
    }

    function getLastCheckpointIndex() external view returns (uint256) {
        return checkpoints.length;
    }

    function findCheckpointHints(
        uint256[] calldata ids,
        uint256 first,
        uint256 last
    ) external view returns (uint256[] memory hints) {
        hints = new uint256[](ids.length);
        for (uint256 at = 0; at < ids.length; at++) {
            if (at > 0 && ids[at] < ids[at - 1]) revert RequestIdsNotSorted();
            for (uint256 hint = first; hint <= last; hint++) {
                if (ids[at] <= lastFinal && checkpoints[hint - 1].from <= ids[at]) hints[at] = hint;
            }
        }
    }

    function getClaimableEther(
        uint256[] calldata ids,
        uint256[] calldata hints
    ) external view returns (uint256[] memory ether_) {
        ether_ = new uint256[](ids.length);
        for (uint256 at = 0; at < ids.length; at++) {
            Status storage status = statuses[ids[at] - 1];
            Checkpoint storage checkpoint = checkpoints[hints[at] - 1];
            require(checkpoint.from <= ids[at], "bad hint");
            require(hints[at] == checkpoints.length || checkpoints[hints[at]].from > ids[at], "bad hint");
            if (!status.isFinalized || status.isClaimed) continue;
            uint256 most = (status.amountOfShares * checkpoint.maxShareRate) / 1e27;
            ether_[at] = status.amountOfStETH < most ? status.amountOfStETH : most;
        }
    }
}
