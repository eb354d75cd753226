"""One measurement of one package, in a process and an environment of its own; prints JSON. See test_older_package.py.

python older_worker.py PACKAGE CASE ROUNDS
    PACKAGE  liquidator_integrations or liquidator_indicator
    CASE     str, category, object: seconds for ingest and zones of 1,000,000 trades, with sides of that type
             memory: peak MB of the process after that, and what of it ingest and zones added
             push: seconds for one trade pushed onto 1,000,000; update: the same with the frame of zones
             timeframes: seconds for the zones of 15 timeframes at 200,000 trades
             import: seconds to import the Liquidator
"""

from __future__ import annotations

import importlib
import json
import resource
import statistics
import sys
import time

MILLION = 1_000_000


def trades_of(count: int, sides: str):
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
    if sides != "str":
        frame = frame.astype({"side": sides, "coin": sides})
    return frame


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
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(package: str, case: str, rounds: int) -> dict:
    start = time.perf_counter()
    make = importlib.import_module(package).Liquidator
    if case == "import":
        return {"seconds": time.perf_counter() - start}
    ours = package == "liquidator_integrations"
    small = make("BTC")
    small.ingest_trades(trades_of(3000, "str"))
    small.compute_zones(window_minutes=1440)  # compile, or load what was compiled
    if case in ("push", "update"):
        frame = trades_of(MILLION, "str")
        made = make("BTC", mode="streaming")
        made.ingest_trades(frame)
        made.compute_zones()
        more = next_trades(frame, rounds)
        one_by_one = made.push if ours and case == "push" else lambda trade: made.update_incremental([trade])
        one_by_one(more[0])
        return {"seconds": timed(lambda: [one_by_one(trade) for trade in more[1:]]) / (rounds - 1)}
    if case == "timeframes":
        frame = trades_of(200_000, "str")
        seconds = []
        for _ in range(rounds):
            made = make("BTC")
            made.ingest_trades(frame)
            seconds.append(timed(made.compute_multi_timeframe_zones))
        return {"seconds": statistics.median(seconds)}
    if case == "memory":
        frame = trades_of(MILLION, "str")
        before = peak_mb()
        made = make("BTC")
        made.ingest_trades(frame)
        made.compute_zones(window_minutes=1440)
        return {"peak": peak_mb(), "added": peak_mb() - before}
    frame = trades_of(MILLION, case)
    ingest, zones = [], []
    for _ in range(rounds):
        made = make("BTC")
        ingest.append(timed(lambda: made.ingest_trades(frame)))  # noqa: B023  (called at once)
        zones.append(timed(lambda: made.compute_zones(window_minutes=1440)))  # noqa: B023
    seconds = [one + other for one, other in zip(ingest, zones, strict=True)]
    return {
        name: statistics.median(some) for name, some in (("seconds", seconds), ("ingest", ingest), ("zones", zones))
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
