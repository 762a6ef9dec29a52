"""All benchmarks in one table: ``python -m benchmarks.bench [--json]``.

Times of two runs differ with the machine; ratios within a run are what counts. Balances are checked
in every read, so nothing is fast by being wrong.
"""

import argparse
import json
import logging
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict

from balance_tracker import __version__
from benchmarks.contenders import LIMIT, MULTICALL, OURS, WEB3
from benchmarks.service import ServiceResult, measure_service
from benchmarks.wallet import ROUNDS, Result, measure_wallet


def main() -> None:
    """Measure, and print one table or one JSON document."""
    parser = argparse.ArgumentParser(description="Benchmarks on local nodes.")
    parser.add_argument("--json", action="store_true", help="one document instead of a table")
    arguments = parser.parse_args()
    # A peer leaves a session open and the loop complains; the output is the table.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    wallet = measure_wallet()
    service = measure_service()
    print(as_json(wallet, service) if arguments.json else as_table(wallet, service))


def as_table(wallet: Sequence[Result], service: ServiceResult) -> str:
    """Plain text, narrow enough for a terminal."""
    times = {result.name: result.milliseconds for result in wallet}
    lines = [
        f"W1: 1 wallet, 60 tokens and the native coin, one node, warm, median of {ROUNDS}",
        "",
        f"  {'':28} {'ms':>8} {'to ours':>8} {'requests':>9} {'bytes up':>9} {'bytes down':>11}",
    ]
    lines += [
        f"  {result.name:28} {result.milliseconds:8.2f} {result.milliseconds / times[OURS]:7.2f}x"
        f" {result.requests:9.1f} {result.bytes_up:9,} {result.bytes_down:11,}"
        for result in wallet
    ]
    lines += [
        "",
        f"  {times[WEB3] / times[OURS]:.2f}x as fast as {WEB3}, {times[MULTICALL] / times[OURS]:.2f}x as fast"
        f" as {MULTICALL}, {times[OURS] / times[LIMIT]:.2f} times the limit",
        "",
        f"GET /balances, {service.networks} networks of the demo, {service.holdings} holdings,"
        f" {service.answer_bytes:,} bytes",
        "",
        f"  {'first after the start':28} {service.first_ms:8.2f} ms  {service.requests} requests",
        f"  {'cold, p50':28} {service.cold_p50_ms:8.2f} ms",
        f"  {'cached, p50':28} {service.cached_p50_ms:8.2f} ms",
        "",
        f"balance-tracker {__version__}, Python {platform.python_version()}, {os.cpu_count()} cores",
    ]
    return "\n".join(lines)


def as_json(wallet: Sequence[Result], service: ServiceResult) -> str:
    """The same for a program."""
    times = {result.name: result.milliseconds for result in wallet}
    document = {
        "version": __version__,
        "wallet": [asdict(result) for result in wallet],
        "ratios": {
            "web3": times[WEB3] / times[OURS],
            "multicall": times[MULTICALL] / times[OURS],
            "limit": times[OURS] / times[LIMIT],
        },
        "service": asdict(service),
    }
    return json.dumps(document, indent=2)


if __name__ == "__main__":
    main()
