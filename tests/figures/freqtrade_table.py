"""Backtests every ready freqtrade strategy on the embedded sample, beside placebo marks, and prints the table.

``python tests/figures freqtrade_table``: futures at twice the stake, shorts, funding of about 0.01 % every eight hours,
fees as freqtrade knows them; April to December 2020, BTC and the sample shifted as ETH. Takes some minutes.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import tempfile
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from freqtrade_setup import MODEL, NAMES, STRATEGIES, TIMERANGE, backtest, config, write_data
from loopback_exchange import running

import liquidator_integrations.for_freqtrade as helpers

SEEDS = range(3)


def placebo_columns(seed: int, candles: Any, params: Any = None, **options: Any) -> Any:
    """``signal_columns`` of placebo marks in place of the candles' own."""
    from liquidator_integrations.frames import placebo_marks, signal_columns

    marks = placebo_marks(candles, params, seed) if len(candles) > 1 else None
    return signal_columns(candles, params, marks, **options)


def result(path: Path, name: str, **more: Any) -> dict[str, Any]:
    """freqtrade's statistics, without what it prints."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return backtest(path, name, STRATEGIES, **more)


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
                with mock.patch.object(helpers, "signal_columns", partial(placebo_columns, seed)):
                    print(line(f"  placebo, seed {seed}", result(path, name, timerange=TIMERANGE)), flush=True)
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
