"""What freqtrade knows beside candles, as columns that ``add_zones`` reads.

One rule for all, in backtest and live alike: a value goes into a candle only if it was known when that candle closed.
A row of freqtrade's other candle types is known at the end of its own candle, as ``merge_informative_pair`` has it; a
liquidation at its time in the file.

>>> def populate_indicators(self, dataframe, metadata):  # doctest: +SKIP
...     pair = metadata["pair"]
...     interest = self.dp.get_pair_dataframe(pair, self.timeframe, candle_type="open_interest")
...     dataframe = add_open_interest(dataframe, interest, metadata)
...     return add_zones(dataframe, metadata=metadata)

Every function returns a new frame and raises ValueError or TypeError, naming pair and timeframe, for a feed that is
empty, without a single value, or out of order. A feed that has nothing for the last candle, as it ended before or comes
late, is logged as a warning, and so are values that are infinite, which count as unknown. Files say of which pair they
are; another one is refused.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from pathlib import Path

import numpy as np

from liquidator_core import BAR, TRADE, Params
from liquidator_core.tape import fold_trades, new_tape
from liquidator_core.timeframes import step_ms, timeframe_ms

from ..market.candles import column_ms
from ..market.files import market_in_table, read_candles_or_trades, read_table
from ..market.funding import UNIT_HOURS, intervals, per_unit
from ..market.messages import moment, naming
from ..market.times import check_order
from ..market.trades import trades_from_table
from .columns import Frame, Metadata, check_frame, market_of

_LOG = logging.getLogger("liquidator")
_DAY = 86_400_000


def add_open_interest(dataframe: Frame, interest: Frame, metadata: Metadata = None) -> Frame:
    """The frame with ``open_interest``, in base units, as of the close of each candle; NaN where none was new.

    interest  freqtrade's candle type "open_interest", of the candles' timeframe or a smaller one: the ledger compares
              each row with the row before, so one that stays for several candles would claim that nothing was opened

    >>> interest = pd.DataFrame({"date": candles["date"], "open_interest_amount": 5.0})
    >>> add_open_interest(candles, interest)["open_interest"].tail(1).tolist()
    [5.0]
    """
    name = f"{market_of(dataframe, metadata)}: open interest"
    with naming(name):
        _, end = _spans(dataframe)
        length = _length(dataframe)
        check_frame(interest, "the feed")
        step = _length(interest) or length
        if step > length:
            raise ValueError(
                f"found candles of {step // 60_000} min, allowed are at most those of the frame, {length // 60_000} min"
            )
        known, values = _known(interest, "open_interest_amount", step, name)
        return dataframe.assign(open_interest=_last(end, known, values, length - 1, name))


def add_funding_rate(dataframe: Frame, funding: Frame, metadata: Metadata = None, timeframe: str = "1h") -> Frame:
    """The frame with ``funding_rate`` of eight hours, the last known one, up to a day old.

    funding    freqtrade's candle type "funding_rate": a rate is of 1, 2, 4 or 8 hours, as those near by lie apart
    timeframe  of that candle type at the exchange, ``self.dp.get_funding_rate_timeframe()``

    >>> funding = pd.DataFrame({"date": candles["date"][::8], "funding_rate": 0.0001})
    >>> add_funding_rate(candles, funding)["funding_rate"].tail(1).tolist()
    [0.0001]
    """
    name = f"{market_of(dataframe, metadata)}: funding rate"
    with naming(name):
        _, end = _spans(dataframe)
        check_frame(funding, "the feed")
        known, values = _known(funding, "funding_rate", timeframe_ms(timeframe), name)
        hours = intervals(known, np.full(len(known), np.nan), UNIT_HOURS)
        return dataframe.assign(funding_rate=_last(end, known, per_unit(values, hours), _DAY, name))


def add_mark_price(dataframe: Frame, mark: Frame, metadata: Metadata = None) -> Frame:
    """The frame with ``mark_price``, the last known close of freqtrade's candle type "mark", up to a day old.

    >>> mark = candles.assign(close=9000.0)
    >>> add_mark_price(candles, mark)["mark_price"].tail(1).tolist()
    [9000.0]
    """
    name = f"{market_of(dataframe, metadata)}: mark price"
    with naming(name):
        _, end = _spans(dataframe)
        check_frame(mark, "the feed")
        known, values = _known(mark, "close", _length(mark) or _length(dataframe), name)
        return dataframe.assign(mark_price=_last(end, known, values, _DAY, name))


def add_order_flow(dataframe: Frame, params: Params | None = None, metadata: Metadata = None) -> Frame:
    """The frame with ``taker_buy`` and the flow of large trades, from freqtrade's ``use_public_trades``.

    NaN on candles without trades: freqtrade fills the last ``max_candles`` of a frame only, in a backtest too. NaN also
    on the first candle that has trades, as a bot may have loaded a part of them, and large ones wherever fewer than
    ``large_trades`` trades came before the candle. A row of ``add_zones`` that is to be the same live and in a backtest
    needs ``max_candles`` of ``params.memory + 2`` or more. Cost: some us a trade.

    >>> time = 1_600_000_200_000
    >>> trades = [{"timestamp": time + at, "price": 100.0, "amount": 1.0, "side": "buy"} for at in range(3)]
    >>> dates = pd.date_range("2020-09-13 12:00", periods=3, freq="h", tz="UTC")
    >>> later = [trade | {"timestamp": trade["timestamp"] + 3_600_000} for trade in trades]
    >>> add_order_flow(pd.DataFrame({"date": dates, "trades": [trades, later, None]}))["taker_buy"].tolist()
    [nan, 3.0, nan]
    """
    names = [name for name in BAR.names or () if name == "taker_buy" or name.startswith("large_")]
    columns = {name: np.full(len(dataframe), np.nan) for name in names}
    with naming(f"{market_of(dataframe, metadata)}: order flow"):
        if "trades" not in dataframe.columns:
            raise ValueError("missing column 'trades': set exchange.use_public_trades and orderflow in the config")
        start, _ = _spans(dataframe)
        filled = [row for row, trades in enumerate(dataframe["trades"]) if isinstance(trades, list) and trades]
        if filled:
            rows = [trade for row in filled for trade in dataframe["trades"].iloc[row]]
            trades = trades_from_table([{name: row[name] for name in _TRADE} for row in rows])
            params = dataclasses.replace(params or Params(), tape_ms=_length(dataframe))
            bars = _bars_of_trades(trades, params)
            places = np.searchsorted(bars["time"], start[filled])
            before = np.searchsorted(trades["time"], start[filled])  # trades earlier than each candle
            for name in names:
                enough = before >= (1 if name == "taker_buy" else params.large_trades)
                columns[name][filled] = np.where(enough, bars[name][places], np.nan)
    return dataframe.assign(**columns)


_TRADE = ("timestamp", "price", "amount", "side")


def _bars_of_trades(trades: np.ndarray, params: Params) -> np.ndarray:
    """Every bar of these trades; the last is whole, as freqtrade's candles are closed."""
    tape = new_tape()
    length = params.tape_ms
    bars = np.zeros(int(trades["time"][-1]) // length - int(trades["time"][0]) // length, BAR)
    fold_trades(tape, params.to_record(), trades, bars)
    return np.append(bars, tape["bar"])


def add_liquidations(dataframe: Frame, orders: np.ndarray, metadata: Metadata = None) -> Frame:
    """The frame with ``liq_long_usd``, ``liq_long_price`` and those of shorts: liquidations observed on each candle.

    orders  (n,) TRADE as from ``read_forced_orders``: each with the time at which you came to know it, in order

    A candle without one is 0 while the last one known is at most a day old: the feed was heard and said nothing.
    Before the first, and when it has been silent for longer, it is NaN: not observed. ``add_risk`` learns its scale
    from them; zones stay those of the estimate, unless ``Params(observed="flow")``.

    >>> orders = np.zeros(1, TRADE)
    >>> orders["time"], orders["side"], orders["price"], orders["size"] = bars["time"][-1] + 1, -1, 9000.0, 2.0
    >>> add_liquidations(candles, orders)["liq_long_usd"].tail(1).tolist()
    [18000.0]
    """
    name = f"{market_of(dataframe, metadata)}: liquidations"
    with naming(name):
        if not isinstance(orders, np.ndarray) or orders.dtype != TRADE:
            raise TypeError(f"must be a (n,) TRADE array, as from read_forced_orders, got {type(orders).__name__}")
        check_order(orders["time"], repeats=True)
        start, end = _spans(dataframe)
    heard = ~np.isnan(_last(end, orders["time"], np.ones(len(orders)), _DAY, name))
    rows = np.searchsorted(end, orders["time"], side="left")  # the first candle that closed no earlier
    inside = (rows < len(end)) & (orders["time"] > start[0])
    columns: dict[str, np.ndarray] = {}
    for side, sign in (("long", -1), ("short", 1)):
        mine = inside & (orders["side"] == sign)
        usd = np.where(heard, 0.0, np.nan)
        size = np.zeros(len(end))
        np.add.at(usd, rows[mine], orders["price"][mine] * orders["size"][mine])
        np.add.at(size, rows[mine], orders["size"][mine])
        columns[f"liq_{side}_usd"] = usd
        columns[f"liq_{side}_price"] = np.divide(usd, size, out=np.full(len(end), np.nan), where=size > 0.0)
    return dataframe.assign(**columns)


def read_forced_orders(path: str | os.PathLike[str], pair: str) -> np.ndarray:
    """A file of forced orders of one pair as (n,) TRADE in order of time.

    Parquet, feather or CSV with the columns of a file of trades: time (at which you came to know the order), price,
    size (base units) and side, that of the order: a sell closes a long. ``read_feed`` says how its pair is known.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "BTC_USDT.csv"
    ...     order = {"time": [1_600_000_000_000], "price": [9000.0], "size": [2.0], "side": ["sell"]}
    ...     pd.DataFrame(order).to_csv(path, index=False)
    ...     read_forced_orders(path, "BTC/USDT")["size"].tolist()
    [2.0]
    """
    with naming(pair):
        kind, table = read_candles_or_trades(path)
        if kind != "trades":
            raise ValueError(f"{path}: holds candles, allowed are forced orders (time, price, size, side)")
        _check_pair(Path(path), market_in_table(table), pair)
        with naming(str(path)):
            return trades_from_table(table, sort=True)


def read_feed(path: str | os.PathLike[str], pair: str) -> Frame:
    """A parquet or feather file of funding rates, open interest or mark prices of one pair, as freqtrade stores them.

    The pair is that of a column pair, symbol or coin, or else of the file's name (``BTC_USDT_USDT-1h-funding_rate``). A
    file of another pair, or one that does not say of which it is, raises ValueError.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "BTC_USDT_USDT-1h-funding_rate.feather"
    ...     pd.DataFrame({"date": candles["date"][:2], "funding_rate": [0.0001, 0.0002]}).to_feather(path)
    ...     read_feed(path, "BTC/USDT:USDT")["funding_rate"].tolist()
    [0.0001, 0.0002]
    """
    table = read_table(path)
    frame = table.to_pandas()
    with naming(market_of(frame, {"pair": pair})):
        _check_pair(Path(path), market_in_table(table), pair)
    return frame


def _check_pair(path: Path, market: str | None, pair: str) -> None:
    """A market such as BTCUSDT or BTC is that of the pair BTC/USDT:USDT; a file's name holds all of the pair."""
    whole = _letters(pair)
    if market is None:
        found, allowed = path.name.split("-")[0].split(".")[0], {whole}
    else:
        found, allowed = market, {whole, _letters(pair.split(":")[0]), _letters(pair.split("/")[0])}
    if _letters(found) not in allowed:
        raise ValueError(f"{path}: found a file of {found}, allowed one of {pair}")


def _letters(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", name.upper())


def _known(feed: Frame, column: str, length_ms: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(when each value was known in ms, the values) of one of freqtrade's candle types; unknown ones left out."""
    if len(feed) == 0:
        raise ValueError("found no rows: list it in informative_pairs, and for a backtest download it first")
    missing = [name for name in ("date", column) if name not in feed.columns]
    if missing:
        raise ValueError(f"missing column {missing[0]!r}: found {', '.join(map(repr, feed.columns))}")
    time = column_ms(feed["date"])
    check_order(time, repeats=False)
    values = feed[column].to_numpy(np.float64, na_value=np.nan)
    if infinite := int(np.isinf(values).sum()):
        _LOG.warning("%s: %d of %d values are infinite and count as unknown", name, infinite, len(values))
    there = np.isfinite(values)
    if not there.any():
        raise ValueError(f"found {column!r} without a value in all {len(feed)} rows: this venue does not report it")
    return time[there] + length_ms, values[there]


def _length(frame: Frame) -> int:
    """Length of the candles of a frame in ms: the usual step between two rows; 0 if there are not two."""
    return step_ms(column_ms(frame["date"])) if len(frame) > 1 and "date" in frame.columns else 0


def _spans(dataframe: Frame) -> tuple[np.ndarray, np.ndarray]:
    """(open, close) of the candles in ms."""
    start = column_ms(dataframe["date"])
    check_order(start, repeats=False)
    if len(start) < 2:
        raise ValueError(f"found {len(start)} candles, allowed are 2 or more, as their length is the step between them")
    return start, start + step_ms(start)


def _last(end: np.ndarray, known: np.ndarray, values: np.ndarray, age_ms: int, name: str) -> np.ndarray:
    """The last value known at the close of each candle, no older than ``age_ms``; NaN if there is none."""
    if len(known) == 0:
        return np.full(len(end), np.nan)
    rows = np.searchsorted(known, end, side="right") - 1
    fresh = (rows >= 0) & (end - known[np.maximum(rows, 0)] <= age_ms)
    if not fresh[-1]:
        then = f"the last before it was known at {moment(known[rows[-1]])}" if rows[-1] >= 0 else "all are later"
        _LOG.warning("%s: nothing for the last candle, which closed at %s: %s", name, moment(end[-1]), then)
    return np.where(fresh, values[np.maximum(rows, 0)], np.nan)
