"""Liquidation at risk: USD that are liquidated if price goes somewhere within the next hours.

It is conditional: it does not say that price gets there. The law (``risk_law``) was measured on crypto's perpetual
contracts. It is wrong where leverage is another (metals and other markets beside crypto), and moves beyond 8 % are
understated even so.

The law holds for hourly candles. Shorter ones are added up to hours; a row then tells what was known at the last full
hour. Without a feed of one's own the scale is the prior's. With one, b stays the prior's and a moves by g times the
median residual of the trailing 30 days, the band by g towards their 10 % and 90 % quantiles, g = n / (n + 20), n the
moves beyond 0.4 % that the feed covers. A feed whose median is more than 20 times off is not of these dollars: the
prior stands, and that is told.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from liquidator_core import Params, new_state
from liquidator_core.calls import average_true_ranges
from liquidator_core.exposure import exposure, exposures
from liquidator_core.layout import LONG, SHORT
from liquidator_core.timeframes import known_from, step_ms, to_timeframe
from liquidator_core.windows import trailing_means

from ..market.candles import Candles, OnBad, bars_from_frame, number_values
from ..market.coins import coin_of
from .observed import HOUR, Feed, read_feed, symbol_of
from .risk_law import FLOOR_USD, HORIZONS, Law, expected_usd, prior_of
from .risk_scale import SIDES, SOURCES, TAUGHT, Scale, learn, moves_ahead, prior

__all__ = ["liquidation_at_risk", "risk_columns", "risk_memory"]

WEEK = 168  # hours whose mean turnover divides
MOVES = tuple(step / 200 for step in range(-10, 11) if step)  # -5 % to 5 %
LEAST, MOST = 5e-324, np.inf  # prices by which every long, every short is reached

_LOG = logging.getLogger("liquidator")
_SIDE = pd.CategoricalDtype(list(SIDES))
_SOURCE = pd.CategoricalDtype(list(SOURCES))


def risk_memory(params: Params | None = None, observed: Any = None) -> int:
    """Hours that a row of ``risk_columns`` depends on: ``params.memory`` and a week, with a feed 720 more.

    observed   the feed, or whether there is one

    >>> risk_memory(), risk_memory(observed=True)
    (648, 1368)
    """
    return (params or Params()).memory + WEEK + TAUGHT * (observed is not None and observed is not False)


def risk_columns(
    candles: Candles,
    observed: Any = None,
    horizon: str = "4h",
    reached: Any = None,
    params: Params | None = None,
    feed: str = "binance",
    market: str = "perpetual",
    on_bad: OnBad = "raise",
) -> pd.DataFrame:
    """The scale of liquidation at risk and the ledger near price, of every candle; nothing in a row is from later.

    candles    as for ``bars_from_frame``, of an hour or less that fits into one
    observed   liquidated USD a row: ``time``, ``long_usd``, ``short_usd``, taken to be dollars of ``feed``; a row of
               zeros is a zero, a missing row is no data (see ``read_feed``)
    horizon    "1h" or "4h", in which price is supposed to go so far
    reached    a frame of ``low`` and ``high``, quote, a row a candle: how far price is supposed to go; NaN: not asked
    feed       whose dollars: "binance" (throttled, as vendors report it) or "three_venues"
    market     what the candles are of: "perpetual" or "spot"
    on_bad     as for ``bars_from_frame``

    Returns a new frame of the candles' length and index: ``scale_*`` (a, as in use), ``weight_*`` (g), ``source_*``
    ("prior", "mixed", from 60 moves on "learned"; "none" while cold), ``ledger_*_usd_1pct`` and ``ledger_*_usd_2atr``
    (USD of the ledger between the close and 1 %, or two ATR, below it for longs, above for shorts; of the ledger, not
    of open positions), and with ``reached`` ``expected_*_usd``, ``expected_*_usd_low`` and ``expected_*_usd_high``, an
    80 % band. ``attrs``: what ``liquidation_at_risk`` says of its evidence. The first ``risk_memory(params, observed) -
    1`` hours are NaN; a row depends on so many hours up to it.

    Raises ValueError for candles longer than an hour, a cell of the table that was not measured (naming those that
    were), a feed whose rows do not add up to the horizon or that is in coins, and as ``bars_from_frame``. Cost: at most
    three folds, with ``observed`` four.

    >>> from liquidator_integrations import sample_bars
    >>> frame = risk_columns(sample_bars(), market="spot")
    >>> frame["source_long"].iloc[-1], float(frame["scale_long"].iloc[-1])
    ('prior', -4.26)
    """
    hours = _hours(candles, horizon, params, feed, market, on_bad)
    asked = None if reached is None else _reached_of(reached, hours.candles)
    scale, usd, _ = _folded(hours, _feed(observed, candles), asked if hours.of_candle is None else None, near=True)
    columns: dict[str, Any] = {}
    for name, values in (("scale", scale.a), ("weight", scale.weight)):
        columns |= {f"{name}_{side}": hours.spread(values[:, which]) for which, side in enumerate(SIDES)}
    for which, side in enumerate(SIDES):
        codes = np.nan_to_num(hours.spread(scale.source[:, which].astype(np.float64)))
        columns[f"source_{side}"] = pd.Categorical.from_codes(codes.astype(np.int64), dtype=_SOURCE)
    cold = np.isnan(scale.a[:, 0])
    usd[cold] = np.nan
    for which, side in enumerate(SIDES):
        for place, name in enumerate(("1pct", "2atr")):
            columns[f"ledger_{side}_usd_{name}"] = hours.spread(usd[:, which, place])
    if asked is not None:
        until = usd[:, :, -1] if hours.of_candle is None else hours.until(asked)
        columns |= _expected(hours, scale, asked, until)
    frame = pd.DataFrame(columns, index=candles.index if isinstance(candles, pd.DataFrame) else None)
    frame.attrs = {"remarks": scale.remarks, **scale.evidence}
    return frame


def _expected(hours: _Hours, scale: Scale, asked: np.ndarray, until: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of what is liquidated until the prices asked, (n, 2), between which and the close the ledger holds
    ``until``, (n, 2) USD.
    """
    columns: dict[str, np.ndarray] = {}
    turnover, close = hours.spread(hours.turnover), hours.spread(hours.bars["close"])
    for which, side in enumerate(SIDES):
        given = turnover, until[:, which], asked[:, which] / close - 1.0
        a, b = hours.spread(scale.a[:, which]), hours.laws[which].b
        low, high = (hours.spread(ends) for ends in scale.band[:, which].T)
        usd = expected_usd(*given, np.stack([a, a + low, a + high]), b)
        columns |= dict(zip((f"expected_{side}_usd{end}" for end in ("", "_low", "_high")), usd, strict=True))
    return columns


def liquidation_at_risk(
    candles: Candles,
    observed: Any = None,
    horizon: str = "4h",
    moves: Iterable[float] | None = None,
    params: Params | None = None,
    feed: str = "binance",
    market: str = "perpetual",
    on_bad: OnBad = "raise",
) -> pd.DataFrame:
    """USD that are liquidated if price goes so far within the horizon, as of the last full hour: a row a move.

    moves      shares of the close, below 0 for a fall; -5 % to 5 % if None
    others     as for ``risk_columns``

    Returns ``move``, ``price``, ``side`` (who is liquidated), ``ledger_usd`` (what the ledger holds until there),
    ``expected_usd`` with its 80 % band ``low_usd`` to ``high_usd``, and ``share_of_ledger`` (of the side's open
    positions in the ledger; no share of the market's). NaN while there are fewer hours than ``risk_memory``. It does
    not say that price gets there.

    ``attrs``: ``as_of`` (ISO text), ``close``, ``turnover_usd``, ``horizon``, ``feed``, ``market``, ``remarks`` (what
    did not go as asked), and for ``long`` and ``short`` a mapping: ``source``, ``weight``, ``n`` (moves of the trailing
    30 days), ``moves`` (all that the feed covers), ``coverage`` (share of them inside the band that stood before), and
    the ``gain`` over a rival that knows the move alone (a line in logarithms, ``rival``, fitted on the first half of
    the moves; one minus the ratio of mean squared errors on the second half; NaN below 40 moves). ``rival_usd``: what
    that says of each move.

    Raises as ``risk_columns``, and ValueError for a move that is 0, not finite or not above -1. Cost: the fold of
    ``risk_memory`` hours, with a feed of all; then less than a millisecond.

    >>> from liquidator_integrations import sample_bars
    >>> frame = liquidation_at_risk(sample_bars(), market="spot", moves=(-0.02, 0.02))
    >>> frame[["side", "expected_usd", "low_usd", "high_usd"]].round(-5).values.tolist()
    [['long', 1500000.0, 500000.0, 4000000.0], ['short', 3300000.0, 1100000.0, 9700000.0]]
    """
    hours = _hours(candles, horizon, params, feed, market, on_bad)
    wanted = _checked_moves(moves)
    if observed is None:
        hours = hours.last(risk_memory(params))
    scale, _, state = _folded(hours, _feed(observed, candles), None, near=False)
    return _curve(hours, scale, state, wanted)


def _curve(hours: _Hours, scale: Scale, state: np.ndarray, moves: np.ndarray) -> pd.DataFrame:
    """``liquidation_at_risk`` as of the last hour, after which ``state`` stands. Cost: some 0.3 ms."""
    warm = len(hours.bars) > 0 and not np.isnan(scale.a[-1, 0])
    close = float(hours.bars["close"][-1]) if warm else np.nan
    turnover = hours.turnover[-1] if warm else np.float64(np.nan)
    sides = np.where(moves < 0.0, LONG, SHORT)
    prices = close * (1.0 + moves)
    reached = exposure(state, hours.record, np.array([[*prices, LEAST], [*prices, MOST]]))
    usd, of_side = reached[sides, np.arange(len(moves))], reached[sides, -1]
    a = scale.a[-1, sides] if warm else np.full(len(moves), np.nan)
    b = np.array([law.b for law in hours.laws])[sides]
    low, high = scale.band[-1, sides].T if warm else (a, a)
    given = np.full(len(moves), turnover), usd, moves
    expected, least, most = expected_usd(*given, np.stack([a, a + low, a + high]), b)
    frame = pd.DataFrame(
        {
            "move": moves,
            "price": prices,
            "side": pd.Categorical.from_codes(sides, dtype=_SIDE),
            "ledger_usd": given[1],
            "expected_usd": expected,
            "low_usd": least,
            "high_usd": most,
            "share_of_ledger": np.divide(given[1], of_side, out=np.full(len(usd), np.nan), where=of_side > 0.0),
        }
    )
    frame.attrs = {
        "as_of": str(np.datetime64(int(hours.bars["time"][-1]) + HOUR, "ms")) if len(hours.bars) else None,
        "close": close,
        "turnover_usd": float(turnover),
        "horizon": hours.horizon,
        "feed": hours.feed,
        "market": hours.market,
        "remarks": scale.remarks,
    }
    for which, side in enumerate(SIDES):
        source = SOURCES[int(scale.source[-1, which])] if warm else "none"
        weight = float(scale.weight[-1, which]) if warm else np.nan
        frame.attrs[side] = {"source": source, "weight": weight, **scale.evidence[side]}
    start, slope = np.array([scale.evidence[side]["rival"] for side in SIDES])[sides].T
    frame.attrs["rival_usd"] = np.maximum(0.0, np.exp(start) * np.abs(moves) ** slope - FLOOR_USD).tolist()
    return frame


def _folded(
    hours: _Hours, feed: Feed | None, asked: np.ndarray | None, near: bool
) -> tuple[Scale, np.ndarray, np.ndarray]:
    """(scale, (h, 2, m) USD of the ledger until some prices, the state after the last hour).

    The prices, of longs and of shorts: if ``near`` 1 % and two ATR from the close, then how far price went where there
    is a feed, then what is ``asked`` of each hour.
    """
    bars, count = hours.bars, len(hours.bars)
    cold = min(count, risk_memory(hours.params, feed) - 1)
    prices = []
    if near:
        reach = 2.0 * average_true_ranges(bars, hours.params)[0]
        close = bars["close"]
        prices += [np.stack([close * 0.99, close * 1.01], 1), np.stack([close - reach, close + reach], 1)]
    if feed is not None:
        ahead, observed_usd = moves_ahead(bars, feed, HORIZONS[hours.horizon])
        prices.append(ahead)
    if asked is not None:
        prices.append(asked)
    state = new_state(hours.record)
    columns = np.stack(prices, axis=2) if prices else np.empty((count, 2, 0))
    usd = exposures(state, hours.record, bars, np.arange(count), columns)
    if feed is None:
        return prior(hours.laws, count, cold), usd, state
    taught = usd[:, :, 2 if near else 0]
    horizon = HORIZONS[hours.horizon]
    scale = learn(hours.laws, bars, hours.turnover, horizon, ahead, observed_usd, taught, cold, hours.market)
    for text in scale.remarks:
        _LOG.warning("liquidation at risk: %s", text)
    return scale, usd, state


def _checked_moves(moves: Iterable[float] | None) -> np.ndarray:
    """(k,) moves, downwards first; ValueError for one that no price makes."""
    wanted = np.asarray(MOVES if moves is None else list(moves), np.float64)
    wrong = ~((wanted > -1.0) & (wanted < np.inf) & (wanted != 0.0))
    if wanted.ndim != 1 or len(wanted) == 0 or wrong.any():
        found = wanted[wrong][0] if wrong.any() else "none"
        raise ValueError(f"moves must be shares of the close above -1 and not 0, such as -0.02, got {found}")
    return wanted


@dataclass(frozen=True)
class _Hours:
    """Candles as hours."""

    bars: np.ndarray  # (h,) BAR
    of_candle: np.ndarray | None  # (n,) the last hour that had closed when a candle did, -1 none; None: they are hours
    candles: int
    laws: tuple[Law, Law]
    horizon: str
    feed: str
    market: str
    params: Params

    @cached_property
    def record(self) -> np.ndarray:
        """The Params as kernels read them."""
        return self.params.to_record()

    @cached_property
    def turnover(self) -> np.ndarray:
        """(h,) USD an hour, the mean of the trailing week."""
        usd = self.bars["close"] * self.bars["volume"]
        return trailing_means(np.where(np.isfinite(usd), usd, 0.0), WEEK)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """(n,) of every candle what (h,) says of its hour."""
        if self.of_candle is None:
            return values
        spread: np.ndarray = np.r_[values, np.nan][self.of_candle]  # -1 is the last
        return spread

    def until(self, asked: np.ndarray) -> np.ndarray:
        """(n, 2) USD of the ledger at each candle's hour until prices asked, (n, 2): another fold of the hours."""
        assert self.of_candle is not None
        usd = np.full(asked.shape, np.nan)
        known = self.of_candle >= 0
        rows, prices = self.of_candle[known], asked[known][:, :, None]
        usd[known] = exposures(new_state(self.record), self.record, self.bars, rows, prices)[:, :, 0]
        return usd

    def last(self, count: int) -> _Hours:
        """The last hours alone."""
        return replace(self, bars=self.bars[-count:], of_candle=None, candles=count)


def _hours(candles: Candles, horizon: str, params: Params | None, feed: str, market: str, on_bad: OnBad) -> _Hours:
    laws = prior_of(feed, market, horizon)
    params = params or Params()
    bars = bars_from_frame(candles, on_bad)
    _check_market(candles, bars, market)
    step = step_ms(bars["time"]) or HOUR
    if step > HOUR and len(bars) > 2:  # two may have a hole between them
        raise ValueError(f"candles are {step / HOUR:g} hours apart, allowed are hours or less: the law holds for hours")
    if step >= HOUR:
        return _Hours(bars, None, len(bars), laws, horizon, feed, market, params)
    hours = to_timeframe(bars, "1h")
    known = known_from(bars["time"], hours["time"] + HOUR, step)
    of_candle = np.searchsorted(known, np.arange(len(bars)), side="right") - 1
    return _Hours(hours, of_candle, len(bars), laws, horizon, feed, market, params)


def _check_market(candles: Candles, bars: np.ndarray, market: str) -> None:
    """Raise where the candles are known to be of the other market: by ccxt's symbol, by what spot does not have."""
    symbol = symbol_of(candles) or ""
    if "/" in symbol and (":" in symbol) != (market == "perpetual"):
        known = "perpetual" if ":" in symbol else "spot"
        raise ValueError(f"market: found {market!r}, but {symbol} is a {known} market: pass market={known!r}")
    for field in ("open_interest", "funding_rate"):
        rows = np.flatnonzero(~np.isnan(bars[field]))
        if market == "spot" and len(rows):
            raise ValueError(
                f"row {rows[0]}: found {field} {bars[field][rows[0]]:.6g} on candles of market 'spot', which has "
                "none: pass market='perpetual', or candles without it"
            )


def _feed(observed: Any, candles: Candles) -> Feed | None:
    """What was observed, of the coin that the candles are of, where both say it."""
    if observed is None:
        return None
    ours, theirs = symbol_of(candles), symbol_of(observed)
    if ours and theirs and coin_of(ours) != coin_of(theirs):
        raise ValueError(f"observed: found liquidations of {theirs}, allowed those of {ours}, which the candles are of")
    return read_feed(observed)


def _reached_of(reached: Any, candles: int) -> np.ndarray:
    """(n, 2) low and high of each candle, of a frame or a mapping of columns."""
    if isinstance(reached, Mapping):
        reached = pd.DataFrame(reached)
    if not isinstance(reached, pd.DataFrame) or not {"low", "high"} <= {*reached.columns}:
        found = ", ".join(map(repr, reached.columns)) if isinstance(reached, pd.DataFrame) else type(reached).__name__
        raise TypeError(f"reached must be a frame with columns low and high, got {found}")
    if len(reached) != candles:
        raise ValueError(f"reached must have a row a candle: found {len(reached)} rows, {candles} candles")
    asked = np.column_stack([number_values(reached[name], name) for name in ("low", "high")])
    wrong = np.flatnonzero((asked <= 0.0).any(axis=1))
    if len(wrong):
        raise ValueError(f"reached: row {wrong[0]}: found {asked[wrong[0]].tolist()}, allowed prices above 0, or NaN")
    return asked
