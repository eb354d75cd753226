"""Backtests every ready freqtrade strategy on the embedded sample, beside flipped marks, and prints the table.

``python tests/figures freqtrade_table``: futures at twice the stake, shorts, funding of about 0.01 % every eight hours,
fees as freqtrade knows them; April to December 2020, BTC and the sample shifted as ETH. Takes some minutes.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import tempfile
from pathlib import Path
from typing import Any

from freqtrade_setup import MODEL, NAMES, STRATEGIES, TIMERANGE, backtest, config, write_data
from loopback_exchange import running

SEEDS = range(3)
PLACEBO = """
from liquidator_integrations.frames import placebo_marks
from liquidator_strategies.for_freqtrade.{module} import {name}


class {name}{seed}({name}):
    def zone_marks(self, dataframe, params=None):
        return placebo_marks(dataframe, params, {seed}, mode="flipped")
"""


def write_placebo(folder: Path, name: str, seed: int) -> str:
    """A file of the strategy on placebo marks of a seed, written to a folder; returns the name of its class."""
    module = name.removeprefix("Liquidator").lower()
    placebo = f"{name}{seed}"
    (folder / f"{placebo}.py").write_text(PLACEBO.format(module=module, name=name, seed=seed))
    return placebo


def result(path: Path, name: str, folder: Path = STRATEGIES, **more: Any) -> dict[str, Any]:
    """freqtrade's statistics, without what it prints."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return backtest(path, name, folder, **more)


def line(label: str, found: dict[str, Any]) -> str:
    trades = found["total_trades"]
    profit = sum(trade["profit_ratio"] for trade in found["trades"]) / max(trades, 1)
    return (
        f"{label:28} {trades:6d} {found['winrate']:6.1%} {profit:+9.3%} {found['profit_total']:+8.2%} "
        f"{found['max_drawdown_account']:8.2%}"
    )


def main() -> None:
    logging.disable(logging.CRITICAL)
    print(f"{'':28} {'trades':>6} {'won':>6} {'a trade':>9} {'account':>8} {'drawdown':>8}")
    with tempfile.TemporaryDirectory() as folder, running() as exchange:
        userdir = Path(folder)
        write_data(userdir)
        path = config("futures", exchange, userdir)
        for name in NAMES:
            print(line(name, result(path, name, timerange=TIMERANGE)), flush=True)
            for seed in SEEDS:
                placebo = write_placebo(userdir / "strategies", name, seed)
                found = result(path, placebo, userdir / "strategies", timerange=TIMERANGE)
                print(line(f"  flipped, seed {seed}", found), flush=True)
        freqai = json.loads((STRATEGIES / "freqai.json").read_text())
        path.write_text(json.dumps(json.loads(path.read_text()) | freqai))
        for model in ("LightGBMRegressor", "LightGBMClassifier"):
            freqai["freqai"]["identifier"] = model
            path.write_text(json.dumps(json.loads(path.read_text()) | freqai))
            found = result(path, MODEL, freqaimodel=model, timerange="20200801-20201231")
            print(line(f"{MODEL}, {model[8:]}", found), flush=True)
        found = result(config("futures", exchange, userdir), NAMES[0], timerange="20200801-20201231")
        print(line(f"{NAMES[0]}, same months", found))


if __name__ == "__main__":
    main()
