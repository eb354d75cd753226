"""Run a Pine script on bars, without TradingView: compiled by pine2pyne, executed by PyneCore, in a process of its own.

PyneCore keeps its state in modules, so each run is a process: ``run_pine`` writes a job to a folder and tells its name
to one process that has imported PyneCore and forks for each. Nothing is downloaded; prices and volumes are passed on as
they are.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import io
import json
import logging
import math
import os
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from datetime import time as time_of_day
from pathlib import Path
from typing import Any

import numpy as np

ALERT = "ALERT: "  # what PyneCore prints before an alert's text


@dataclass
class Ran:
    """What a script left: plots by title, (n,) floats with NaN for na; drawings; the table's rows; alerts; trades."""

    plots: dict[str, np.ndarray]
    boxes: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    labels: list[dict[str, Any]]
    table: list[list[str]]
    alerts: list[str]
    trades: list[dict[str, Any]]
    error: str
    seconds: float


def run_pine(
    source: str,
    bars: np.ndarray,
    period: str = "60",
    security: dict[str, np.ndarray] | None = None,
    live: int = 0,
    tick: float = 1e-12,
) -> Ran:
    """Run a script on (n,) BAR.

    period    the chart's timeframe, as TradingView writes it
    security  what request.security finds: a timeframe of the chart's symbol, or another symbol, and its (n,) BAR
    tick      of prices as text
    live      so many of the last bars come live: each as two unfinished updates, then closed
    """
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder)
        (job / "script.pine").write_text(source, encoding="utf-8")
        np.save(job / "bars.npy", bars)
        feeds = {}
        for i, (name, feed) in enumerate((security or {}).items()):
            np.save(job / f"feed{i}.npy", feed)
            feeds[name] = f"feed{i}"
        (job / "job.json").write_text(json.dumps({"period": period, "feeds": feeds, "live": live, "tick": tick}))
        server = _server()
        print(folder, file=server.stdin, flush=True)
        status = server.stdout.readline().strip()
        if status != "0":
            raise RuntimeError(f"the run ended with {status}: {(job / 'stderr').read_text()[-2000:]}")
        found = json.loads((job / "out.json").read_text(encoding="utf-8"))
        with np.load(job / "out.npz") as arrays:
            plots = dict(arrays)
    return Ran(plots=plots, **found)


@functools.cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.communicate)  # closes its input, which ends it
    return server


# In the processes of its own ----------------------------------------------------------------------------------------


def _serve() -> None:
    """Fork for each folder that is named on standard input, and say how that ended."""
    import pine2pyne  # noqa: F401
    import pynecore.core.script_runner  # noqa: F401

    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            with (Path(line.strip()) / "stderr").open("w") as told:
                os.dup2(told.fileno(), 2)
                os.chdir(line.strip())
                try:
                    _run(Path(line.strip()))
                    os._exit(0)
                finally:
                    traceback.print_exc()
                    told.flush()
                    os._exit(1)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _run(job: Path) -> None:
    import time

    from pine2pyne import transpile
    from pynecore.core.script_runner import LIVE_TRANSITION, ScriptRunner

    logging.disable(logging.CRITICAL)
    what = json.loads((job / "job.json").read_text())
    bars = np.load(job / "bars.npy")
    (job / "script.py").write_text(transpile((job / "script.pine").read_text(encoding="utf-8")), encoding="utf-8")
    symbol = _symbol(what["period"], what["tick"])
    feeds = {name: _write_feed(job, file, name, what) for name, file in what["feeds"].items()}
    candles = _candles(bars)
    if what["live"]:
        history, coming = candles[: -what["live"]], candles[-what["live"] :]
        candles = [*history, LIVE_TRANSITION, *(update for candle in coming for update in _updates(candle))]
    rows: list[dict[str, Any]] = []
    trades: list[Any] = []
    error = ""
    printed = io.StringIO()
    started = time.perf_counter()
    with contextlib.redirect_stdout(printed):
        runner = ScriptRunner(
            job / "script.py",
            iter(candles),
            symbol,
            last_bar_index=len(bars) - 1 - what["live"],
            last_bar_time=int(bars["time"][-1 - what["live"]]),
            security_data=feeds or None,
            lossless_volume=True,
            lossless_prices=True,
            live=bool(what["live"]),
        )
        try:
            for row in runner.run_iter():
                rows.append(row[1])
                trades += row[2] if len(row) > 2 else []
        except Exception as problem:  # a script's own runtime.error, too
            error = f"{type(problem).__name__}: {problem}"
    seconds = time.perf_counter() - started
    titles = list(dict.fromkeys(title for row in rows for title in row))
    np.savez(job / "out.npz", **{title: np.array([_number(row.get(title)) for row in rows]) for title in titles})
    alerts = [line.partition(ALERT)[2] for line in printed.getvalue().splitlines() if ALERT in line]
    found = _drawings() | {"alerts": alerts, "trades": [_plain(trade) for trade in trades]}
    (job / "out.json").write_text(json.dumps(found | {"error": error, "seconds": seconds}), encoding="utf-8")


def _symbol(period: str, tick: float) -> Any:
    from pynecore.core.syminfo import SymInfo, SymInfoInterval, SymInfoSession

    start, end = time_of_day(0, 0), time_of_day(23, 59, 59)
    return SymInfo(
        prefix="TEST",
        description="test",
        ticker="COINUSDT",
        currency="USDT",
        basecurrency="COIN",
        period=period,
        type="crypto",
        mintick=tick,
        pricescale=round(1 / tick),
        minmove=1,
        pointvalue=1,
        mincontract=1e-12,
        timezone="UTC",
        opening_hours=[SymInfoInterval(day=day, start=start, end=end) for day in range(7)],
        session_starts=[SymInfoSession(day=day, time=start) for day in range(7)],
        session_ends=[SymInfoSession(day=day, time=end) for day in range(7)],
    )


def _candles(bars: np.ndarray) -> list[Any]:
    from pynecore.types.ohlcv import OHLCV

    names = ("open", "high", "low", "close", "volume")
    return [OHLCV(int(bar["time"]), *(float(bar[name]) for name in names)) for bar in bars]


def _updates(candle: Any) -> list[Any]:
    """A bar as it comes live: its open alone, its whole range, then closed."""
    opened = candle.open
    first = candle._replace(high=opened, low=opened, close=opened, volume=candle.volume / 3, is_closed=False)
    return [first, candle._replace(is_closed=False), candle]


def _write_feed(job: Path, file: str, name: str, what: dict[str, Any]) -> str:
    from pynecore.core.ohlcv import OHLCVWriter

    period = what["period"] if ":" in name else name
    path = job / f"{file}.ohlcv"
    with OHLCVWriter(path, period, truncate=True) as writer:
        for candle in _candles(np.load(job / f"{file}.npy")):
            writer.write(candle)
    _symbol(period, what["tick"]).save_toml(path.with_suffix(".toml"))
    return str(path)


def _drawings() -> dict[str, Any]:
    from pynecore.lib import box, label, line, table

    found = {
        f"{kind}s": [_plain(one) for one in module._registry]
        for kind, module in (("boxe", box), ("line", line), ("label", label))
    }
    rows: dict[int, list[str]] = {}
    for one in table._registry:
        for (_, row), cell in sorted(one.cells.items(), key=lambda item: item[0][::-1]):
            rows.setdefault(row, []).append(cell.text)
    return found | {"table": list(rows.values())}


def _plain(thing: Any) -> dict[str, Any]:
    names = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    values = {name: getattr(thing, name, None) for name in names}
    return {name: value if isinstance(value, (int, float)) else str(value) for name, value in values.items()}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float, np.number)) else math.nan


if __name__ == "__main__":
    _serve()
