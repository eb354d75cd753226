"""One measurement of one package, in an environment of its own; prints JSON. See test_older_package.py."""

from __future__ import annotations

import argparse
import importlib
import json
import re
import statistics
import time
from pathlib import Path

MILLION = 1_000_000
CASES = {
    "sides": "seconds for ingest and zones of 1,000,000 trades, with sides of three types",
    "stream": "seconds for one trade pushed onto 1,000,000, and for that with the frame of zones",
    "timeframes": "seconds for the zones of 15 timeframes at 200,000 trades",
    "memory": "peak MB of the process before and after ingest and zones of 1,000,000 trades",
    "import": "seconds to import the Liquidator",
}


def trades_of(count: int, sides: str = "str"):
    """A day of trades up to now, since the older package forgets what is older."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    now = int(time.time() * 1000)
    frame = pd.DataFrame(
        {
            "time": now - 86_400_000 + (np.arange(count) * (86_000_000 / count)).astype(np.int64),
            "px": 50_000 * np.exp(np.cumsum(rng.normal(0, 0.04 / count**0.5, count))),
            "sz": rng.lognormal(-4, 2, count),
            "side": rng.choice(["A", "B"], count),
            "coin": "BTC",
        }
    )
    return frame.astype({"side": sides, "coin": sides})


def next_trades(frame, count: int) -> list[dict]:
    """Trades that go on where the frame ends, four a second."""
    last = frame.iloc[-1]
    return [
        {"time": int(last["time"]) + 250 * (i + 1), "px": float(last["px"]), "sz": 0.01, "side": "A", "coin": "BTC"}
        for i in range(count)
    ]


def timed(run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def peak_mb() -> float:
    """Of this process alone: ``ru_maxrss`` begins with what the process that started it had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024


def ingest_and_zones(make, frame):
    made = make("BTC")
    made.ingest_trades(frame)
    made.compute_zones(window_minutes=1440)
    return made


def stream(make, ours: bool, rounds: int) -> dict[str, float]:
    frame = trades_of(MILLION)
    made = make("BTC", mode="streaming")
    made.ingest_trades(frame)
    made.update_incremental(next_trades(frame, 1))
    more = next_trades(frame, 2 * rounds + 1)[1:]
    updates = more[:rounds]
    update = timed(lambda: [made.update_incremental([trade]) for trade in updates]) / rounds
    if not ours:
        return {"push": update, "update": update}  # it has no other way
    pushes = more[rounds:]
    return {"push": timed(lambda: [made.push(trade) for trade in pushes]) / rounds, "update": update}


def measure(package: str, case: str, rounds: int) -> dict[str, float]:
    start = time.perf_counter()
    make = importlib.import_module(package).Liquidator
    if case == "import":
        return {"import": time.perf_counter() - start}
    ingest_and_zones(make, trades_of(3000))  # compile, or load what was compiled
    if case == "stream":
        return stream(make, package == "liquidator_integrations", rounds)
    if case == "timeframes":
        frame = trades_of(200_000)
        seconds = []
        for _ in range(rounds):
            made = make("BTC")
            made.ingest_trades(frame)
            seconds.append(timed(made.compute_multi_timeframe_zones))
        return {"timeframes": statistics.median(seconds)}
    if case == "memory":
        frame = trades_of(MILLION)
        before = peak_mb()
        ingest_and_zones(make, frame)
        return {"peak": peak_mb(), "before": before}
    result = {}
    for sides in ("str", "category", "object"):
        frame = trades_of(MILLION, sides)
        result[sides] = statistics.median(timed(lambda: ingest_and_zones(make, frame)) for _ in range(rounds))  # noqa: B023
    return result


if __name__ == "__main__":
    cases = "\n".join(f"  {name:12}{what}" for name, what in CASES.items())
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f"cases:\n{cases}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("package", choices=("liquidator_integrations", "liquidator_indicator"))
    parser.add_argument("case", choices=CASES)
    parser.add_argument("rounds", type=int)
    asked = parser.parse_args()
    print(json.dumps(measure(asked.package, asked.case, asked.rounds)))
