"""Zones in a freqtrade strategy: columns, plots, stops, entries, hyperopt parameters and FreqAI features.

>>> class Strategy(IStrategy):  # doctest: +SKIP
...     startup_candle_count = startup_candle_count()
...
...     def populate_indicators(self, dataframe, metadata):
...         return add_zones(dataframe, metadata=metadata)

Every function takes the frame as freqtrade hands it over (``date`` a column, candles closed) and never changes it. A
column's value on a row depends on the last ``params.memory`` rows alone, so that backtest, hyperopt, dry run and live
agree; ``startup_candle_count`` makes freqtrade load these rows.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from liquidator_core import BAR, SIGNAL, Params
from liquidator_core.timeframes import TIMEFRAMES, alignment, timeframe_ms

from .frames import OnBad, column_ms, outcome_column, pd, signal_columns

try:
    from freqtrade.persistence import Trade
    from freqtrade.strategy import (
        CategoricalParameter,
        DecimalParameter,
        IntParameter,
        IStrategy,
        stoploss_from_absolute,
    )
    from freqtrade.strategy.parameters import BaseParameter
except ImportError as error:
    raise ImportError('the freqtrade helpers need freqtrade: pip install "liquidator-core[freqtrade]"') from error

Frame: TypeAlias = "pd.DataFrame"
Metadata: TypeAlias = Mapping[str, Any] | None
Edge: TypeAlias = Literal["fade", "join", "nearest"]

_LOG = logging.getLogger("liquidator")
_FARTHEST_ATR = 10.0
_SIGNAL_CANDLES = 12  # before an entry; a bot on Binance futures has 19 rows that are known
_SUPPORT = "38, 166, 154"
_RESISTANCE = "239, 83, 80"
_ABOVE = ("resistance", "resistance_low", "resistance_high", "level_above")
_PLACES = ("support", "resistance", "level_below", "level_above")
_KINDS = ("support", "resistance")
_EDGES = ("fade", "join", "nearest")
_COLUMNS = ("date", *(BAR.names or ())[1:])


# Columns ----------------------------------------------------------------------------------------------------------


def startup_candle_count(params: Params | None = None, extra: int = 0) -> int:
    """Candles that freqtrade must load before the first one to trade on: ``params.memory + extra``.

    extra   look-back of indicators that are computed from zone columns; those computed from candles need none unless
            they look back further than ``params.memory``

    One call to Binance futures gives 499 candles, to its spot market 1000: below 499 a bot starts with one call a pair.
    """
    return (Params() if params is None else params).memory + extra


def add_zones(
    dataframe: Frame,
    params: Params | None = None,
    prefix: str = "lz_",
    on_bad: OnBad = "skip",
    metadata: Metadata = None,
) -> Frame:
    """The frame with every field of SIGNAL as a column: ``lz_support``, ``lz_fade``, ``lz_atr`` and so on.

    dataframe  candles as freqtrade hands them over; open interest, funding rate, taker buy volume and observed
               liquidations are used where ``freqtrade_feeds`` added them, other columns are not looked at
    params     defaults if None; ``startup_candle_count(params)`` belongs to them
    on_bad     "skip": a candle with a bad value is a skipped row, NaN and 0, and logged, and a frame of fewer candles
               than ``params.memory``, on which every row is unknown, is logged; "raise": both raise ValueError
    metadata   freqtrade's; its pair and the candles' timeframe are named by errors and log lines

    Returns a new frame: the columns given, then float64 (NaN = unknown or none) and int64 ones, joined at once. Raises
    ValueError for missing columns, a volume without a single value, dates that go back or repeat, and where a column of
    that name is there already. Cost: that of ``signal_columns``.
    """
    params = Params() if params is None else params
    columns = _signals(dataframe, params, on_bad, metadata).add_prefix(prefix)
    return _joined(dataframe, columns, metadata)


def add_informative_zones(
    dataframe: Frame,
    params: Params | None = None,
    prefix: str = "lz_",
    on_bad: OnBad = "skip",
    metadata: Metadata = None,
) -> Frame:
    """``add_zones`` for a method under ``@informative``: after warm-up no value is NaN.

    freqtrade fills a NaN of a larger timeframe with what stood there before, so that a zone that is gone would stay for
    ever. Here a price above the close that does not exist is infinite, and everything else that does not exist is 0,
    the ATR of a skipped candle too.
    """
    params = Params() if params is None else params
    frame = add_zones(dataframe, params, prefix, on_bad, metadata)
    names = [prefix + name for name in SIGNAL.names or ()]
    absent = {prefix + name: np.inf if name in _ABOVE else 0.0 for name in SIGNAL.names or ()}
    warm = np.arange(len(frame)) >= params.memory - 1
    frame[names] = frame[names].mask(frame[names].isna() & warm[:, None], pd.Series(absent), axis=1)
    return frame


def add_alignment(dataframe: Frame, timeframes: list[str], prefix: str = "lz_") -> Frame:
    """The frame with ``lz_support_alignment`` and ``lz_resistance_alignment``, 0 to 100.

    The share of ``timeframes`` with a zone that overlaps this timeframe's nearest support (or resistance). A frame
    knows each timeframe's nearest support and resistance alone, so that this is at most what
    ``frames.alignment_columns``, which knows all zones, would say. ``dataframe`` holds the columns of ``add_zones``
    and, for each timeframe, those of ``add_informative_zones`` as ``@informative`` names them (``lz_support_low_4h``).
    NaN without a zone of its own, and where one of the timeframes is not warm.
    """
    others = []
    for timeframe in timeframes:
        columns = {edge: [f"{prefix}{kind}_{edge}_{timeframe}" for kind in _KINDS] for edge in ("low", "high")}
        others.append({edge: dataframe[names].to_numpy() for edge, names in columns.items()})
    aligned = {}
    for kind in _KINDS:
        low, high = (dataframe[f"{prefix}{kind}_{edge}"].to_numpy() for edge in ("low", "high"))
        aligned[f"{prefix}{kind}_alignment"] = alignment(low, high, others)
    return _joined(dataframe, pd.DataFrame(aligned, index=dataframe.index), None)


def market_of(dataframe: Frame, metadata: Metadata) -> str:
    """``BTC/USDT 5m``: the pair of freqtrade's metadata, and the shortest step between the first thousand candles."""
    pair = str((metadata or {}).get("pair", "candles"))
    if "date" not in getattr(dataframe, "columns", ()) or len(dataframe) < 2:
        return pair
    try:
        steps = np.abs(np.diff(column_ms(dataframe["date"].iloc[:1000])))
    except (ValueError, TypeError):  # which is told where the dates are needed
        return pair
    step = min(steps[steps > 0].tolist(), default=0)
    return " ".join([pair, *(name for name in TIMEFRAMES if timeframe_ms(name) == step)])


def _signals(dataframe: Frame, params: Params, on_bad: OnBad, metadata: Metadata) -> Frame:
    """The SIGNAL of every candle."""
    market = market_of(dataframe, metadata)
    columns = signal_columns(_candles(dataframe, market), params, on_bad=on_bad, market=market)
    _check_length(dataframe, params, on_bad, market)
    return columns


def _candles(dataframe: Frame, market: str) -> Frame:
    """What of a strategy's frame are candles and feeds, by BAR's own names: others may mean anything."""
    candles = dataframe[[name for name in _COLUMNS if name in dataframe.columns]]
    if len(candles) and "volume" in candles and "liq_long_usd" not in candles and candles["volume"].isna().all():
        raise ValueError(f"{market}: volume: found no value in all {len(candles)} rows, without it there are no zones")
    return candles


def _check_length(dataframe: Frame, params: Params, on_bad: OnBad, market: str) -> None:
    """Raise for a frame that is too short, or log it."""
    if len(dataframe) < params.memory:
        text = f"{market}: {len(dataframe)} candles are too few: a row depends on {params.memory}, so all are unknown"
        if on_bad == "raise":
            raise ValueError(f"{text}; set startup_candle_count = startup_candle_count(params) and load more candles")
        _LOG.warning(text)


def _joined(dataframe: Frame, columns: Frame, metadata: Metadata) -> Frame:
    twice = [name for name in columns if name in dataframe.columns]
    if twice:
        market = market_of(dataframe, metadata)
        raise ValueError(f"{market}: column {twice[0]!r} is there already: choose another prefix")
    return pd.concat([dataframe, columns], axis=1)


# Plots ------------------------------------------------------------------------------------------------------------


def plot_config(prefix: str = "lz_") -> dict[str, Any]:
    """A ``plot_config``: the nearest zones as bands, levels as lines, forced flow and quality below."""
    main: dict[str, Any] = {}
    for kind, colour in (("support", _SUPPORT), ("resistance", _RESISTANCE)):
        main[f"{prefix}{kind}_low"] = {
            "color": f"rgba({colour}, 0.5)",
            "fill_to": f"{prefix}{kind}_high",
            "fill_label": kind,
            "fill_color": f"rgba({colour}, 0.2)",
        }
        main[f"{prefix}{kind}_high"] = {"color": f"rgba({colour}, 0.5)"}
    main[f"{prefix}level_below"] = {"color": f"rgb({_SUPPORT})"}
    main[f"{prefix}level_above"] = {"color": f"rgb({_RESISTANCE})"}
    flow = {
        f"{prefix}long_flow_usd": {"color": f"rgb({_RESISTANCE})", "type": "bar"},
        f"{prefix}short_flow_usd": {"color": f"rgb({_SUPPORT})", "type": "bar"},
    }
    quality = {
        f"{prefix}support_quality": {"color": f"rgb({_SUPPORT})"},
        f"{prefix}resistance_quality": {"color": f"rgb({_RESISTANCE})"},
    }
    return {"main_plot": main, "subplots": {"forced flow": flow, "quality": quality}}


def plot_annotations(
    dataframe: Frame, start_date: datetime, end_date: datetime, prefix: str = "lz_"
) -> list[dict[str, Any]]:
    """Boxes and lines for FreqUI's ``plot_annotations``, from the columns of ``add_zones``.

    A box wherever the nearest support or resistance stayed the same from candle to candle, as it was known then: a box
    is never redrawn. A dashed line for each nearest level as of the last candle. Cost: a few us a box.
    """
    dates = pd.to_datetime(dataframe["date"], utc=True)
    inside = ((dates >= pd.Timestamp(start_date)) & (dates <= pd.Timestamp(end_date))).to_numpy()
    frame, times = dataframe[inside], dates[inside].tolist()
    if len(frame) == 0:
        return []
    found: list[dict[str, Any]] = []
    for kind, colour in (("support", _SUPPORT), ("resistance", _RESISTANCE)):
        low, high = (frame[f"{prefix}{kind}_{edge}"].to_numpy() for edge in ("low", "high"))
        first = np.flatnonzero(np.r_[True, (low[1:] != low[:-1]) | (high[1:] != high[:-1])])
        last = np.r_[first[1:], len(low)] - 1
        for begin, end in zip(first.tolist(), last.tolist(), strict=True):
            if low[begin] == low[begin]:
                found.append(
                    {
                        "type": "area",
                        "label": kind,
                        "start": times[begin],
                        "end": times[min(end + 1, len(times) - 1)],
                        "y_start": float(low[begin]),
                        "y_end": float(high[begin]),
                        "color": f"rgba({colour}, 0.2)",
                    }
                )
    for name, colour in (("level_below", _SUPPORT), ("level_above", _RESISTANCE)):
        price = float(frame[prefix + name].iloc[-1])
        if price == price:
            found.append(
                {
                    "type": "line",
                    "label": name.replace("_", " "),
                    "start": times[0],
                    "end": times[-1],
                    "y_start": price,
                    "y_end": price,
                    "color": f"rgb({colour})",
                    "line_style": "dashed",
                }
            )
    return found


# Stops and entries ------------------------------------------------------------------------------------------------


def zone_stoploss(
    dataframe: Frame,
    trade: Trade,
    current_rate: float,
    stop_widths: float = 1.0,
    edge: Edge = "fade",
    prefix: str = "lz_",
) -> float | None:
    """What ``custom_stoploss`` returns for a stop beyond a zone; None leaves the stop where it is.

    dataframe    the analyzed frame, ``self.dp.get_analyzed_dataframe(pair, self.timeframe)[0]``
    trade        freqtrade's Trade
    stop_widths  distance from the zone's far edge, in widths of the zone
    edge         "fade" or "join": the zone that the last such signal of the trade's side spoke of, on one of the 12
                 candles that closed before the trade was opened: the stop stays there; "nearest": the nearest support
                 (of a short: resistance) as of the last candle, so that the stop follows, as freqtrade never moves one
                 back

    A price that has passed the stop already gets the closest stop there is. The stoploss of the strategy stays the
    outer limit.
    """
    _check_edge(edge)
    side = -1 if trade.is_short else 1
    if edge == "nearest":
        kind, row = _KINDS[side < 0], len(dataframe) - 1
    else:
        kind, row = edge, _signal_row(dataframe, trade, side, prefix + edge)
    if row < 0:
        return None
    low, high = (float(dataframe[f"{prefix}{kind}_{end}"].iloc[row]) for end in ("low", "high"))
    stop = low - stop_widths * (high - low) if side > 0 else high + stop_widths * (high - low)
    if not 0.0 < stop < np.inf:
        return None
    distance: float = stoploss_from_absolute(stop, current_rate, is_short=trade.is_short, leverage=trade.leverage)
    return max(distance, 1e-6)  # freqtrade takes 0 for no answer


def _signal_row(dataframe: Frame, trade: Trade, side: int, column: str) -> int:
    """The last row with that signal among the candles before the trade was opened; -1 if there is none."""
    length = pd.Timedelta(minutes=trade.timeframe)
    known = int(dataframe["date"].searchsorted(pd.Timestamp(trade.open_date_utc) - length, side="right"))
    first = max(0, known - _SIGNAL_CANDLES)
    rows = np.flatnonzero(dataframe[column].to_numpy()[first:known] == side)
    return first + int(rows[-1]) if len(rows) else -1


def _check_edge(edge: str) -> None:
    if edge not in _EDGES:
        raise ValueError(f"edge must be 'fade', 'join' or 'nearest', got {edge!r}")


def entry_price(
    dataframe: Frame, side: str, proposed_rate: float, edge: Edge = "nearest", prefix: str = "lz_"
) -> float:
    """What ``custom_entry_price`` returns to wait at the near edge of a zone rather than to buy at once.

    side    "long" or "short", as freqtrade says it
    edge    which zone of the last candle: that of its "fade" or "join", or the "nearest" support (short: resistance)

    For a long the lower of the zone's high and ``proposed_rate``, for a short the higher of its low and that;
    ``proposed_rate`` where there is no such zone.
    """
    if side not in ("long", "short"):
        raise ValueError(f"side must be 'long' or 'short', got {side!r}")
    _check_edge(edge)
    kind = _KINDS[side == "short"] if edge == "nearest" else edge
    price = float(dataframe[f"{prefix}{kind}_{'high' if side == 'long' else 'low'}"].iloc[-1])
    if not 0.0 < price < np.inf:
        return proposed_rate
    return min(price, proposed_rate) if side == "long" else max(price, proposed_rate)


# Hyperopt ---------------------------------------------------------------------------------------------------------


def parameter(field: str, low: float | None = None, high: float | None = None, **options: Any) -> BaseParameter:
    """A hyperopt parameter for a field of ``Params``: its type, its default and the range that is worth a search.

    field       such as "event_mult"; assign the parameter to an attribute of the same name
    low, high   other bounds; they must lie within what the field allows and hold its default
    options     ``space``, ``decimals``, ``optimize`` and what else freqtrade's parameters take; without ``decimals`` as
                many as bounds and default need, and at least three

    ``params_of`` collects the values. hyperopt sees them only with ``--analyze-per-epoch``. The ranges of
    ``ledger_bars``, ``flow_bars`` and ``zone_bars`` end at their defaults, so that the default
    ``startup_candle_count`` is enough for all of them. Raises ValueError for other fields, bounds and roundings.
    """
    spec = {spec.name: spec for spec in dataclasses.fields(Params)}.get(field)
    if spec is None or isinstance(spec.default, tuple):
        raise ValueError(f"field must be a field of Params with one value, got {field!r}")
    if choices := spec.metadata.get("choices"):
        return CategoricalParameter(list(choices), default=spec.default, **options)
    worth = spec.metadata["search"]
    if worth is None and (low is None or high is None):
        raise ValueError(f"{field} has no range that suits all: give low and high")
    least, most = spec.metadata["range"]
    low, high = worth[0] if low is None else low, worth[1] if high is None else high
    if not least <= low <= spec.default <= high <= most:
        raise ValueError(
            f"{field} must be searched within [{least:g}, {most:g}] and around its default {spec.default:g}, "
            f"got [{low:g}, {high:g}]"
        )
    if isinstance(spec.default, int):
        return IntParameter(low, high, default=spec.default, **options)
    decimals = options.setdefault("decimals", max(3, *map(_decimals, (low, high, spec.default))))
    for value in (low, high, spec.default):
        if _decimals(value) > decimals:
            raise ValueError(f"{field}: decimals must keep {value:g} as it is, got {decimals}")
    return DecimalParameter(low, high, default=spec.default, **options)


def _decimals(value: float) -> int:
    """How many decimals a number is written with."""
    return max(0, -int(Decimal(repr(float(value))).normalize().as_tuple().exponent))


def params_of(strategy: IStrategy, **fixed: Any) -> Params:
    """``Params`` of the present values of a strategy's parameters named like its fields; ``fixed`` are the others."""
    names = [spec.name for spec in dataclasses.fields(Params)]
    found = {name: getattr(strategy, name, None) for name in names}
    return Params(**fixed, **{name: one.value for name, one in found.items() if isinstance(one, BaseParameter)})


# FreqAI -----------------------------------------------------------------------------------------------------------


def add_features(
    dataframe: Frame,
    params: Params | None = None,
    prefix: str = "%-lz_",
    on_bad: OnBad = "skip",
    metadata: Metadata = None,
) -> Frame:
    """The frame with features for FreqAI, for ``feature_engineering_expand_basic`` and its relatives.

    ==============================================================  ==================================================
    column (behind the prefix)
    ==============================================================  ==================================================
    support_distance, resistance_distance, level_below_distance,    from the close, in ATR, not below 0, clipped at 10;
    level_above_distance                                            10 if there is none
    has_support, has_resistance, has_level_below, has_level_above   1 or 0
    support_quality, resistance_quality                             0 to 1; 0 if there is none
    support_age, resistance_age                                     bars / zone_bars; 1 if there is none
    long_flow, short_flow                                           forced flow / the candle's turnover, clipped at 10
    touch, broke, fade, join                                        as in SIGNAL
    ==============================================================  ==================================================

    Finite from row ``params.memory - 1`` on, NaN before, so that FreqAI leaves these rows out. Arguments, errors and
    cost as for ``add_zones``.
    """
    params = Params() if params is None else params
    columns = _signals(dataframe, params, on_bad, metadata)
    signal = {name: columns[name].to_numpy() for name in columns}
    close = dataframe["close"].to_numpy(np.float64)
    features: dict[str, np.ndarray] = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for name in _PLACES:
            distance = np.abs(signal[name] - close) / signal["atr"]
            features[f"{name}_distance"] = np.where(distance <= _FARTHEST_ATR, distance, _FARTHEST_ATR)
            features[f"has_{name}"] = ~np.isnan(signal[name]) * 1.0
        for name in _KINDS:
            features[f"{name}_quality"] = np.nan_to_num(signal[f"{name}_quality"]) / 100.0
            features[f"{name}_age"] = np.nan_to_num(signal[f"{name}_age"] / params.zone_bars, nan=1.0)
        turnover = close * dataframe["volume"].to_numpy(np.float64)
        for name in ("long_flow", "short_flow"):
            flow = np.nan_to_num(signal[f"{name}_usd"])
            features[name] = np.where(flow > 0.0, np.fmin(flow / turnover, _FARTHEST_ATR), 0.0)
    for name in ("touch", "broke", "fade", "join"):
        features[name] = signal[name].astype(np.float64)
    cold = np.arange(len(dataframe)) < params.memory - 1
    for values in features.values():
        values[cold] = np.nan
    return _joined(dataframe, pd.DataFrame(features, index=dataframe.index).add_prefix(prefix), metadata)


def add_targets(
    dataframe: Frame,
    params: Params | None = None,
    classes: bool = False,
    on_bad: OnBad = "skip",
    metadata: Metadata = None,
) -> Frame:
    """The frame with a target for FreqAI, for ``set_freqai_targets``: whether the zone of a fade held or broke.

    classes   False: ``&-lz_hold``, 1.0 held, 0.0 broke, for a regressor; True: ``&s-lz_outcome``, "hold" or "break",
              for a classifier

    Known on rows with a fade, and missing on all others, which FreqAI leaves out of training. The zone is put to trial
    as a mark is, by the core: it held if within ``outcome_bars`` candles price left it on the side it came from by
    ``hold_atr`` times that row's ATR before a close beyond its far edge by ``break_atr`` times that ATR; both on one
    candle and neither are missing. A target looks ahead: never trade on it. Arguments, errors and cost as for
    ``add_zones``.
    """
    params = Params() if params is None else params
    market = market_of(dataframe, metadata)
    held = outcome_column(_candles(dataframe, market), params, on_bad, market)
    _check_length(dataframe, params, on_bad, market)
    if classes:
        outcome = np.full(len(held), None, object)
        outcome[held == 1.0] = "hold"
        outcome[held == 0.0] = "break"
        column = {"&s-lz_outcome": outcome}
    else:
        column = {"&-lz_hold": held}
    return _joined(dataframe, pd.DataFrame(column, index=dataframe.index), metadata)


# What the ready strategies share -----------------------------------------------------------------------------------


class ZoneStrategy(IStrategy):
    """A freqtrade strategy without entries: stop, exits, leverage and plots of zones. Subclass it, or copy from it.

    Runs on spot and, with shorts and at most ``wanted_leverage``, on futures. A subclass adds the zones
    (``populate_indicators``), the entries, and what it wants to be otherwise.
    """

    INTERFACE_VERSION = 3
    timeframe = "1h"
    startup_candle_count = startup_candle_count()
    process_only_new_candles = True
    minimal_roi: ClassVar[dict[str, float]] = {}
    stoploss = -0.3
    use_custom_stoploss = True
    wanted_leverage = 2.0

    stop_edge: Edge = "fade"  # which zone the stop lies behind: see zone_stoploss
    stop_widths = DecimalParameter(0.2, 4, default=1, decimals=1, space="sell")

    plot_config = plot_config()
    protections: ClassVar[list[dict[str, Any]]] = [
        {"method": "CooldownPeriod", "stop_duration_candles": 2},
        {"method": "StoplossGuard", "lookback_period_candles": 48, "trade_limit": 4, "stop_duration_candles": 12},
    ]

    @property
    def can_short(self) -> bool:
        return self.config.get("trading_mode") == "futures"

    def populate_indicators(self, dataframe: Frame, metadata: dict[str, Any]) -> Frame:
        return add_zones(dataframe, metadata=metadata)

    def populate_exit_trend(self, dataframe: Frame, metadata: dict[str, Any]) -> Frame:
        """Leave when the nearest zone ahead was touched."""
        dataframe.loc[dataframe["lz_exit_long"] > 0, ["exit_long", "exit_tag"]] = (1, "zone ahead")
        dataframe.loc[dataframe["lz_exit_short"] > 0, ["exit_short", "exit_tag"]] = (1, "zone ahead")
        return dataframe

    def custom_stoploss(self, pair: str, trade: Trade, *, current_rate: float, **kwargs: Any) -> float | None:
        dataframe, _ = self.dp.get_analyzed_dataframe(pair, self.timeframe)
        return zone_stoploss(dataframe, trade, current_rate, self.stop_widths.value, self.stop_edge)

    def leverage(self, *, max_leverage: float, **kwargs: Any) -> float:
        return min(self.wanted_leverage, max_leverage)

    def plot_annotations(
        self, pair: str, start_date: datetime, end_date: datetime, dataframe: Frame, **kwargs: Any
    ) -> list[dict[str, Any]]:
        return plot_annotations(dataframe, start_date, end_date)
