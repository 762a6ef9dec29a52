"""The benchmarks run, check what they time, and show one request for a wallet."""

import json
import os
import subprocess
import sys

import pytest
from tests.house.tree import ROOT

SCRIPT = (
    "import json, dataclasses; from benchmarks.wallet import measure_wallet;"
    "print(json.dumps([dataclasses.asdict(result) for result in measure_wallet(rounds=2)]))"
)


@pytest.mark.integration
def test_one_wallet_and_its_list_is_one_request_and_less_work_than_with_web3() -> None:
    """In a process of its own: a peer leaves connections open, which is an error here."""
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    results = {entry["name"]: entry for entry in json.loads(result.stdout)}
    ours = results["balance-tracker"]
    assert ours["requests"] == 1
    assert ours["milliseconds"] < results["web3.py + Multicall3"]["milliseconds"]
