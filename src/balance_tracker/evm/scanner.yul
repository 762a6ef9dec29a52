// Reads balances of many wallets in many tokens, and any other views, in one eth_call.
//
// The same code runs in two ways. Placed at an address by a state override it finds its
// question in the call data. Sent as init code it finds it behind itself, and what it
// returns is taken for the code of a new contract: never over 24,576 bytes, 200 gas each.
//
// The question and the answer are described in scanner.py, byte by byte.
object "Scanner" {
    code {
        {
            let start := gas()
            let size := calldatasize()
            // What the node will charge for each byte of the answer.
            let byteGas := 0
            switch size
            case 0 {
                size := sub(codesize(), datasize("Scanner"))
                codecopy(0x100, datasize("Scanner"), size)
                byteGas := 200
            }
            default { calldatacopy(0x100, 0, size) }
            mstore(0xc0, byteGas)

            let base := and(add(size, 0x13f), not(31))
            let head := mload(0x100)
            if iszero(eq(byte(0, head), 1)) { revert(0, 0) }
            plan(base, start, head)
            tellBlock(base, start, byte(12, head))

            let tokens := 0x115
            let tokensEnd := add(tokens, mul(20, and(shr(136, head), 0xffff)))
            let owner := tokensEnd
            let ownersEnd := add(owner, mul(20, and(shr(120, head), 0xffff)))
            let out := add(base, 87)

            // Other calls come first: they are few, and what remains of the gas is for balances.
            {
                let count := and(shr(88, head), 0xffff)
                let at := ownersEnd
                let done := 0
                for { } lt(done, count) { done := add(done, 1) } {
                    let next := other(at, out)
                    if iszero(next) { break }
                    out := next
                    at := add(add(at, 23), and(shr(72, mload(at)), 0xffff))
                }
                mstore8(add(base, 81), shr(8, done))
                mstore8(add(base, 82), done)
                if lt(done, count) { ownersEnd := owner }
            }

            let skip := and(shr(104, head), 0xffff)
            let native := and(shr(1, byte(12, head)), 1)
            let zeros := 0
            let cells := 0
            mstore(0, shl(224, 0x70a08231))
            for { } lt(owner, ownersEnd) { owner := add(owner, 20) } {
                let who := shr(96, mload(owner))
                mstore(4, who)
                let token := tokens
                switch skip
                case 0 {
                    if native {
                        if isFull(out) { break }
                        out, zeros := put(out, zeros, balance(who))
                        cells := add(cells, 1)
                    }
                }
                default {
                    token := add(tokens, mul(20, sub(skip, native)))
                    skip := 0
                }
                for { } lt(token, tokensEnd) { token := add(token, 20) } {
                    if isFull(out) { break }
                    let target := shr(96, mload(token))
                    let before := gas()
                    let ok := staticcall(mload(0x80), target, 0, 36, 0x40, 32)
                    let used := sub(before, gas())
                    switch and(and(ok, eq(returndatasize(), 32)), lt(used, mload(0xa0)))
                    case 1 { out, zeros := put(out, zeros, mload(0x40)) }
                    default {
                        if zeros {
                            mstore8(out, add(0x7f, zeros))
                            out := add(out, 1)
                            zeros := 0
                        }
                        out := mark(out, ok, used, mload(0xa0), target)
                    }
                    cells := add(cells, 1)
                }
                if lt(token, tokensEnd) { break }
            }
            if zeros {
                mstore8(out, add(0x7f, zeros))
                out := add(out, 1)
            }
            mcopy4(add(base, 83), cells)
            mcopy8(add(base, 73), gas())
            return(base, sub(out, base))
        }

        // How much may be spent: kept in memory, where the loops find it.
        //   0x60 the gas at which to stop     0x80 gas for one call    0xa0 gas that is suspect
        //   0xc0 gas per byte of the answer   0xe0 where the answer must end
        function plan(base, start, head) {
            let cap := and(shr(184, head), 0xffffffff)
            if gt(cap, shr(2, start)) { cap := shr(2, start) }
            let floor := add(add(cap, shr(5, cap)), 40000)
            let work := and(shr(216, head), 0xffffffff)
            if work {
                if gt(start, work) {
                    let end := sub(start, work)
                    if gt(end, floor) { floor := end }
                }
            }
            mstore(0x60, sub(floor, mul(mload(0xc0), base)))
            mstore(0x80, cap)
            mstore(0xa0, sub(cap, shr(4, cap)))
            mstore(0xe0, sub(add(base, and(shr(160, head), 0xffffff)), 300))
        }

        function isFull(out) -> yes {
            yes := or(lt(gas(), add(mload(0x60), mul(mload(0xc0), out))), gt(out, mload(0xe0)))
        }

        function tellBlock(base, start, flags) {
            mstore8(base, 1)
            mcopy8(add(base, 1), number())
            mcopy8(add(base, 9), timestamp())
            mcopy8(add(base, 17), chainid())
            mstore(add(base, 25), blockhash(sub(number(), 1)))
            let own := 0
            if and(flags, 1) {
                // Arbitrum: block.number is the parent chain's, ArbSys knows its own.
                mstore(0, shl(224, 0xa3b1b31d))
                if staticcall(gas(), 0x64, 0, 4, 0x40, 32) {
                    if eq(returndatasize(), 32) { own := mload(0x40) }
                }
            }
            mcopy8(add(base, 57), own)
            mcopy8(add(base, 65), start)
        }

        // One view other than a balance: what it returned, or a mark; 0 if there is no room for it.
        function other(at, out) -> next {
            let head := mload(at)
            let target := shr(96, head)
            let cap := shl(16, byte(20, head))
            switch cap
            case 0 { cap := mload(0x80) }
            default {
                if lt(gas(), add(add(cap, shr(5, cap)), 60000)) { leave }
            }
            if isFull(out) { leave }
            let before := gas()
            let ok := staticcall(cap, target, add(at, 23), and(shr(72, head), 0xffff), 0, 0)
            let used := sub(before, gas())
            let most := sub(cap, shr(4, cap))
            let n := returndatasize()
            if iszero(and(ok, and(lt(sub(n, 1), 0xffff), lt(used, most)))) {
                next := mark(out, and(ok, iszero(n)), used, most, target)
                leave
            }
            if gt(add(out, n), mload(0xe0)) { leave }
            if lt(gas(), add(mload(0x60), mul(mload(0xc0), add(out, n)))) { leave }
            mstore8(out, 1)
            mstore(add(out, 1), shl(232, n))
            returndatacopy(add(out, 4), 0, n)
            next := add(out, add(n, 4))
        }

        // A balance: zeros are counted, other values go out as their length and their bytes.
        function put(out, zeros, value) -> next, run {
            next := out
            run := zeros
            switch value
            case 0 {
                run := add(run, 1)
                if eq(run, 64) {
                    mstore8(next, 0xbf)
                    next := add(next, 1)
                    run := 0
                }
            }
            default {
                if run {
                    mstore8(next, add(0x7f, run))
                    next := add(next, 1)
                    run := 0
                }
                let n := shl(4, gt(value, 0xffffffffffffffffffffffffffffffff))
                let x := shr(shl(3, n), value)
                let step := shl(3, gt(x, 0xffffffffffffffff))
                n := add(n, step)
                x := shr(shl(3, step), x)
                step := shl(2, gt(x, 0xffffffff))
                n := add(n, step)
                x := shr(shl(3, step), x)
                step := shl(1, gt(x, 0xffff))
                n := add(n, step)
                x := shr(shl(3, step), x)
                n := add(n, add(1, gt(x, 0xff)))
                mstore8(next, n)
                mstore(add(next, 1), shl(sub(256, shl(3, n)), value))
                next := add(next, add(n, 1))
            }
        }

        // Why there is no value.
        function mark(out, ok, used, most, target) -> next {
            let n := returndatasize()
            next := add(out, 1)
            if or(iszero(lt(used, most)), and(iszero(ok), gt(n, 255))) {
                mstore8(out, 0xc4)
                leave
            }
            if iszero(ok) {
                mstore8(out, 0xc0)
                mstore8(next, n)
                returndatacopy(add(out, 2), 0, n)
                next := add(add(out, 2), n)
                leave
            }
            if n {
                mstore8(out, 0xc3)
                mstore(next, shl(224, n))
                next := add(next, 4)
                leave
            }
            mstore8(out, 0xc2)
            if iszero(extcodesize(target)) { mstore8(out, 0xc1) }
        }

        function mcopy8(at, value) {
            mstore(at, or(shl(192, value), shr(64, mload(add(at, 8)))))
        }

        function mcopy4(at, value) {
            mstore(at, or(shl(224, value), shr(32, mload(add(at, 4)))))
        }
    }
}
