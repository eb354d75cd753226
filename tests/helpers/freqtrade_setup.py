"""A folder of user data, configs and runs of the genuine freqtrade, for the tests and scripts about it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from freqtrade_client import FtRestClient
from loopback_exchange import COINS, LoopbackExchange, coin_bars, funding_rates, open_interest
from places import ROOT

from liquidator_core.timeframes import to_timeframe

STRATEGIES = ROOT / "strategies" / "for_freqtrade"
NAMES = ("LiquidatorFade", "LiquidatorJoin", "LiquidatorScale", "LiquidatorExit")
MODEL = "LiquidatorModel"
TIMERANGE = "20200401-20201231"
PATIENCE_S = 120.0
INTERRUPTED = 130  # with what freqtrade ends when told to
T = TypeVar("T")
MODES = ("spot", "futures")


def candle_frame(bars: np.ndarray) -> pd.DataFrame:
    """(n,) BAR as freqtrade's frame: ``date`` a column of datetime64[us, UTC], the prices and the volume."""
    frame = pd.DataFrame({name: bars[name] for name in ("open", "high", "low", "close", "volume")})
    frame.insert(0, "date", pd.to_datetime(bars["time"], unit="ms", utc=True).as_unit("us"))
    return frame


def pairs(mode: str) -> list[str]:
    return [f"{coin}/USDT" + (":USDT" if mode == "futures" else "") for coin in COINS]


def write_data(userdir: Path) -> None:
    """Candles of the sample, marks, funding and open interest, by freqtrade's own data handler."""
    from freqtrade.data.history import get_datahandler
    from freqtrade.enums import CandleType

    folder = userdir / "data" / "binance"
    (folder / "futures").mkdir(parents=True)
    (userdir / "strategies").mkdir()
    handler = get_datahandler(folder, "feather")
    for coin, spot, futures in zip(COINS, pairs("spot"), pairs("futures"), strict=True):
        hours = coin_bars(coin)
        for timeframe in ("1h", "4h"):
            candles = candle_frame(hours if timeframe == "1h" else to_timeframe(hours, timeframe))
            handler.ohlcv_store(spot, timeframe, candles, CandleType.SPOT)
            handler.ohlcv_store(futures, timeframe, candles, CandleType.FUTURES)
        candles = candle_frame(hours)
        handler.ohlcv_store(futures, "1h", candles, CandleType.MARK)
        amount = open_interest(hours)
        interest = {"open_interest_amount": amount, "open_interest_value": amount * hours["close"]}
        handler.ohlcv_store(
            futures, "1h", pd.DataFrame({"date": candles["date"], **interest}), CandleType.OPEN_INTEREST
        )
        paid = candles["date"].dt.hour % 8 == 0
        funding = pd.DataFrame({"date": candles["date"][paid], "funding_rate": funding_rates(hours[paid.to_numpy()])})
        handler.ohlcv_store(futures, "1h", funding, CandleType.FUNDING_RATE)


def config(mode: str, exchange: LoopbackExchange, userdir: Path, **changes: Any) -> Path:
    """A config for one trading mode on the loopback exchange; returns its path."""
    pricing = {"price_side": "other", "use_order_book": True, "order_book_top": 1}
    values = {
        "trading_mode": mode,
        "margin_mode": "isolated" if mode == "futures" else "",
        "max_open_trades": 2,
        "stake_currency": "USDT",
        "stake_amount": 100,
        "dry_run": True,
        "dry_run_wallet": 1000,
        "db_url": "sqlite://",
        "entry_pricing": pricing,
        "exit_pricing": pricing,
        "exchange": {
            "name": "binance",
            "enable_ws": False,
            "only_from_ccxt": True,
            "ccxt_config": exchange.ccxt_config(),
            "pair_whitelist": pairs(mode),
            "_ft_has_params": {"ohlcv_max_poll_interval_secs": 0},  # an exchange that lags is asked again at once
        },
        "pairlists": [{"method": "StaticPairList"}],
        "internals": {"process_throttle_secs": 1},
    }
    path = userdir / f"config-{mode}.json"
    path.write_text(json.dumps(values | changes))
    return path


def arguments(path: Path, strategy: str, folder: Path = STRATEGIES, **more: Any) -> dict[str, Any]:
    """What freqtrade's command line would make of its words."""
    return {
        "config": [str(path)],
        "user_data_dir": str(path.parent),
        "strategy": strategy,
        "strategy_path": str(folder),
        "timerange": TIMERANGE,
        "export": "none",
        "backtest_cache": "none",
    } | more


def backtest(path: Path, strategy: str, folder: Path = STRATEGIES, **more: Any) -> dict[str, Any]:
    """Run freqtrade's backtesting in this process; returns the strategy's statistics."""
    from freqtrade.commands.optimize_commands import setup_optimize_configuration
    from freqtrade.enums import RunMode
    from freqtrade.optimize.backtesting import Backtesting

    testing = Backtesting(setup_optimize_configuration(arguments(path, strategy, folder, **more), RunMode.BACKTEST))
    try:
        testing.start()
        results: dict[str, Any] = testing.results["strategy"][strategy]
        return results
    finally:
        testing.exchange.close()
        Backtesting.cleanup()


@contextlib.contextmanager
def dry_run(path: Path, strategy: str, iterations: int = 2, folder: Path = STRATEGIES, **more: Any) -> Iterator[Any]:
    """A freqtrade bot in dry run in this process, after so many rounds of its loop."""
    from freqtrade.configuration import Configuration
    from freqtrade.enums import RunMode, State
    from freqtrade.freqtradebot import FreqtradeBot

    words = arguments(path, strategy, folder, **more)
    del words["timerange"]
    bot = FreqtradeBot(Configuration(words, RunMode.DRY_RUN).get_config())
    try:
        bot.startup()
        bot.state = State.RUNNING
        for _ in range(iterations):
            bot.process()
        yield bot
    finally:
        bot.cleanup()


def awaited(what: Callable[[], T | None], deadline_s: float = PATIENCE_S) -> T:
    """What a function returns once that is something; AssertionError if it has not by the deadline."""
    end = time.monotonic() + deadline_s
    while (found := what()) is None:
        assert time.monotonic() < end, f"waited {deadline_s:g} s in vain"
        time.sleep(0.1)
    return found


def _command(*words: str, userdir: Path) -> tuple[list[str], dict[str, str]]:
    command = [sys.executable, "-m", "freqtrade", *words, "--userdir", str(userdir)]
    return command, {**os.environ, "COLUMNS": "200"}


def freqtrade(*words: str, userdir: Path) -> subprocess.CompletedProcess[str]:
    """Run freqtrade's command line in a process of its own."""
    command, environment = _command(*words, userdir=userdir)
    done = subprocess.run(command, cwd=userdir, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@contextlib.contextmanager
def trading(*configs: Path, strategy: str, userdir: Path) -> Iterator[tuple[FtRestClient, Callable[[], str]]]:
    """``freqtrade trade --dry-run`` in a process of its own: (a client of its REST API, its log so far).

    It is told to terminate, which freqtrade takes like Ctrl-C (but a shell may have it ignore that), and must then end.
    """
    with socket.socket() as reserved:  # to the end: no other process is given the port, and the bot may listen there
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        server = {"enabled": True, "listen_ip_address": "127.0.0.1", "listen_port": port, "username": "me"}
        server |= {"password": "loopback", "jwt_secret_key": "x" * 32, "ws_token": "x" * 32}
        (userdir / "server.json").write_text(json.dumps({"api_server": server}))
        words = [word for path in (*configs, userdir / "server.json") for word in ("-c", str(path))]
        command, environment = _command("trade", "--dry-run", "--strategy", strategy, *words, userdir=userdir)
        log = userdir / "trade.log"
        with (
            log.open("wb") as output,
            subprocess.Popen(command, cwd=userdir, env=environment, stdout=output, stderr=subprocess.STDOUT) as bot,
        ):
            try:
                yield FtRestClient(f"http://127.0.0.1:{port}", "me", "loopback"), lambda: log.read_text("utf-8")
                bot.terminate()
                assert bot.wait(PATIENCE_S) == INTERRUPTED
            except Exception as error:
                error.add_note(log.read_text("utf-8"))
                raise
            finally:
                bot.kill()
