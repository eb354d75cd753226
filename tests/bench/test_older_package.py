"""Speed beside liquidator-indicator 0.1.2, which this project sets out to surpass, as ratios within one run.

The older package runs in a virtual environment of its own: the one that OLDER_PACKAGE_VENV names, else one that is made
for the run. Both packages take turns, each measurement in a process of its own (older_worker.py).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import venv
from pathlib import Path

import pytest

WORKER = Path(__file__).with_name("older_worker.py")
TURNS = 3
ROUNDS = {"sides": (3, 1), "stream": (5000, 2), "timeframes": (3, 1), "import": (1, 1)}  # ours and theirs in a turn
SAID = {
    "str": "1M trades with str sides: ingest and zones",
    "category": "1M trades with categorical sides: ingest and zones",
    "object": "1M trades with object sides: ingest and zones",
    "push": "one trade pushed onto 1M, the bars that close included",
    "update": "one trade onto 1M with the frame of zones, the bars that close included",
    "timeframes": "zones of 15 timeframes at 200k trades",
    "import": "import of the Liquidator",
}


@pytest.fixture(scope="module")
def older_python(tmp_path_factory) -> Path:
    if given := os.environ.get("OLDER_PACKAGE_VENV"):
        return Path(given) / "bin" / "python"
    place = tmp_path_factory.mktemp("older")
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "liquidator-indicator==0.1.2"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"liquidator-indicator 0.1.2 cannot be installed: {done.stderr.strip()[-300:]}")
    return python


def measure(python: Path | str, package: str, case: str, rounds: int) -> dict[str, float]:
    command = [python, WORKER, package, case, str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def turns(older_python: Path, case: str, rounds: tuple[int, int]) -> tuple[dict[str, float], dict[str, float]]:
    """Medians of (ours, theirs), measured in turns."""
    ours, theirs = [], []
    for _ in range(TURNS):
        ours.append(measure(sys.executable, "liquidator_integrations", case, rounds[0]))
        theirs.append(measure(older_python, "liquidator_indicator", case, rounds[1]))
    return tuple({name: statistics.median(one[name] for one in some) for name in some[0]} for some in (ours, theirs))


@pytest.mark.parametrize("case", ROUNDS)
def test_beside_the_older_package(benchmark, tell, older_python, case):
    ours, theirs = benchmark.pedantic(turns, (older_python, case, ROUNDS[case]), rounds=1)
    for name, seconds in ours.items():
        ratio = theirs[name] / seconds
        tell(f"{SAID[name]}: {_time(seconds)}, 0.1.2 {_time(theirs[name])}: {ratio:,.1f} times as fast")


def test_memory_beside_the_older_package(benchmark, tell, older_python):
    ours, theirs = benchmark.pedantic(turns, (older_python, "memory", (1, 1)), rounds=1)
    added, theirs_added = (some["peak"] - some["before"] for some in (ours, theirs))
    tell(f"peak memory at 1M trades, added by ingest and zones: {added:.0f} MB, 0.1.2 {theirs_added:.0f} MB")
    tell(
        f"peak memory at 1M trades, of the whole process: {ours['peak']:.0f} MB, libraries and frame "
        f"{ours['before']:.0f} of these; 0.1.2 {theirs['peak']:.0f} MB, {theirs['before']:.0f} of these"
    )


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} us" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"
