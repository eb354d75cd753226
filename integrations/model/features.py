"""What is known of a zone at the close before it is touched: one function for batch, stream, backtrader and FreqAI.

A bar that fades a zone speaks of that zone, with the features of the close before; every other bar of the zone whose
near edge lies nearest, with those of its own close. A row is a function of the ``params.memory + 1`` bars that end with
it: the law suite holds it to that.

"Toward" is the way from the close to the zone, down to a support, and the side whose positions are liquidated on it is
the zone's own. ``short`` is a sixteenth of ``flow_bars``, ``medium`` a quarter, each at least one bar. What no feed
says is 0, the middle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from liquidator_core import Params, fold, new_signals, new_state, zones_of
from liquidator_core._jit import kernel, kernel_views, rare_kernel
from liquidator_core.advance import advance_apart
from liquidator_core.bars import average_true_range, is_good
from liquidator_core.layout import BINS, BINS_PER_LOG, LONG, SHORT, Record
from liquidator_core.levels import nearest_bin
from liquidator_core.zones import is_clear, quality

FEATURES = {
    "width": "of the zone, ATR",
    "quality": "of the zone, 0 to 1",
    "touches": "of its largest mark, count",
    "holds": "of its largest mark, count",
    "age": "of its largest mark / zone_bars",
    "marks": "count",
    "usd_share": "of the USD of all zones",
    "usd": "log of its USD / the mean turnover of flow_bars",
    "own_side": "1 it is of the side that is liquidated on the way toward it, 0 not",
    "resistance": "1 it is reached from below, 0 from above",
    "distance": "from the close to its near edge, ATR, below 0 inside",
    "neighbours": "other zones within 2 ATR of its price, count",
    "new_ground": "how far its far edge lies beyond the extreme of flow_bars, ATR, below 0 on ground that was cleared",
    "mass_before": "share of its own side's ledger between close and near edge, up to some 20 %",
    "mass_behind": "share of its own side's ledger within 2 ATR behind its far edge",
    "mass_against": "share of the other side's ledger within hold_atr on the other side of the close",
    "regime": "ATR / the mean range of flow_bars",
    "move": "of the close in short, ATR, toward the zone",
    "path": "that move / the sum of its moves, 0 to 1",
    "volume": "log of the bar's / the mean of flow_bars",
    "taker": "net taker flow / volume of short, toward the zone, -1 to 1",
    "open_interest": "change over medium, share",
    "funding": "rate that the zone's own side pays",
    "swept_toward": "forced flow of its own side in short / turnover",
    "swept_away": "forced flow of the other side in short / turnover",
}
NAMES = tuple(FEATURES)
FEATURE = np.dtype([(name, "f8") for name in NAMES])
#: A zone that a bar reaches, with its features.
MET = np.dtype([("low", "f8"), ("high", "f8"), ("usd", "f8"), ("features", FEATURE)])
#: What a close says that belongs to no zone.
MARKET = np.dtype(
    [
        (name, "f8")
        for name in (
            *("atr", "lowest", "highest", "turnover", "regime", "move", "path", "volume", "taker"),
            *("open_interest", "funding", "longs", "shorts"),
        )
    ]
)
_REACH = 400  # bins, some 20 %
_RING = BINS - 1
_ROOM = 32  # zones that one bar reaches


@dataclass(frozen=True)
class Approaches:
    """What each of n bars says of the zone that it speaks of; NaN and 0 where there is none or the bar is not warm."""

    features: np.ndarray  # (n, len(FEATURES)) float64
    side: np.ndarray  # (n,) int64, +1 a support, reached from above, -1 a resistance
    low: np.ndarray  # (n,) quote
    high: np.ndarray  # (n,) quote
    touched: np.ndarray  # (n,) bool: the bar fades it
    geometric: np.ndarray  # (n,) the odds that it holds, from the two barrier distances at the bar's close
    before: np.ndarray  # (n,) those at the near edge, as known at the close before a touch; else ``geometric``
    signals: np.ndarray  # (n,) SIGNAL
    clear: np.ndarray  # (n,) bool: of a fake's touch, that no zone of the real marks stood across its band


@kernel
def _share_between(s: Record, side: int, near: float, far: float) -> float:
    """Share of a side's open lots whose price lies between two prices, the nearer first, to a bin."""
    if s.open_lots[side] == 0 or not near > 0.0 or not far > 0.0:
        return 0.0
    sign = 1.0 if side == LONG else -1.0
    first = math.floor(sign * math.log(near) * BINS_PER_LOG)
    last = max(math.floor(sign * math.log(far) * BINS_PER_LOG), first - _REACH)
    nearest = nearest_bin(side, math.log(s.close) * BINS_PER_LOG)
    total = 0
    for at in range(last, min(first, nearest) + 1):
        total += s.lots[side][at & _RING]
    return float(total / s.open_lots[side])


@rare_kernel
def _describe(s: Record, p: Record, slot: int, side: int, market: Record, out: Record) -> None:
    """Every feature of the zone that a mark leads, as of the last bar."""
    m = s.marks[slot]
    row = s.rows - 1
    atr = market.atr
    own = LONG if side > 0 else SHORT
    near = m.zone_high if side > 0 else m.zone_low
    far = m.zone_low if side > 0 else m.zone_high
    out.width = (m.zone_high - m.zone_low) / atr
    out.quality = quality(m, p, row, s.zone_usd) / 100.0
    out.touches = m.touches
    out.holds = m.holds
    out.age = (row - m.birth_row) / p.zone_bars
    out.marks = m.zone_marks
    out.usd_share = m.zone_usd / s.zone_usd
    out.usd = math.log(m.zone_usd / market.turnover) if market.turnover > 0.0 else 0.0
    out.own_side = 1.0 if m.side == own else 0.0
    out.resistance = 0.0 if side > 0 else 1.0
    out.distance = side * (s.close - near) / atr
    out.neighbours = -1.0
    for index in range(s.zone_count):
        if abs(s.marks[s.zones[index]].zone_price - m.zone_price) <= 2.0 * atr:
            out.neighbours += 1.0
    out.new_ground = side * ((market.lowest if side > 0 else market.highest) - far) / atr
    out.mass_before = _share_between(s, own, s.close, near)
    out.mass_behind = _share_between(s, own, far, far - side * 2.0 * atr)
    out.mass_against = _share_between(s, 1 - own, s.close, s.close + side * p.hold_atr * atr)
    out.regime = market.regime
    out.move = -side * market.move
    out.path = market.path
    out.volume = market.volume
    out.taker = -side * market.taker
    out.open_interest = market.open_interest
    out.funding = side * market.funding
    out.swept_toward = market.longs if side > 0 else market.shorts
    out.swept_away = market.shorts if side > 0 else market.longs


@kernel
def _swept(s: Record, p: Record, side: int) -> float:
    """Forced flow of a side in the last ``short`` bars / their turnover."""
    short = max(1, p.flow_bars // 16)
    flow = turnover = 0.0
    newest = s.flow_at + p.flow_bars
    for at in range(newest - short + 1, newest + 1):
        flow += s.flow[side][at]
        turnover += s.turnover[at]
    return flow / turnover if turnover > 0.0 else 0.0


@rare_kernel
def _look_around(p: Record, bars: np.ndarray, row: int, atr: float, market: Record) -> None:
    """What the last bar and those before it say of the market, and the extremes of flow_bars; windows summed anew."""
    short = max(1, p.flow_bars // 16)
    medium = max(1, p.flow_bars // 4)
    first = max(0, row - p.flow_bars + 1)
    ranges = volumes = turnover = taker = traded = way = 0.0
    count = 0
    lowest = math.inf
    highest = -math.inf
    start = before = math.nan  # closes: of the first bar of ``short``, of the bar before
    for at in range(first, row + 1):
        b = bars[at]
        if not is_good(b):
            continue
        count += 1
        ranges += b.high - b.low
        lowest = min(lowest, b.low)
        highest = max(highest, b.high)
        if 0.0 <= b.volume < math.inf:
            volumes += b.volume
            turnover += b.close * b.volume
        if at >= row - short:
            if start != start:
                start = b.close
            else:
                way += abs(b.close - before)
            before = b.close
        if at > row - short and 0.0 <= b.taker_buy <= b.volume < math.inf:
            taker += 2.0 * b.taker_buy - b.volume
            traded += b.volume
    last = bars[row]
    market.atr = atr
    market.lowest = lowest
    market.highest = highest
    market.regime = atr / (ranges / count) if ranges > 0.0 else 1.0
    market.move = (last.close - start) / atr
    market.path = abs(last.close - start) / way if way > 0.0 else 0.0
    market.volume = math.log(last.volume / (volumes / count)) if 0.0 < last.volume < math.inf else 0.0
    market.taker = taker / traded if traded > 0.0 else 0.0
    then = bars[max(first, row - medium)].open_interest
    known = 0.0 < then < math.inf and 0.0 < last.open_interest < math.inf
    market.open_interest = last.open_interest / then - 1.0 if known else 0.0
    market.funding = last.funding_rate if abs(last.funding_rate) < math.inf else 0.0
    market.turnover = turnover / count


@kernel
def _nearest(s: Record) -> int:
    """Place among the zones of the one whose near edge lies nearest to the close; -1 if there is none."""
    best = -1
    nearest = math.inf
    for index in range(s.zone_count):
        m = s.marks[s.zones[index]]
        distance = s.close - m.zone_high if m.zone_price <= s.close else m.zone_low - s.close
        if distance < nearest:
            nearest = distance
            best = index
    return best


@kernel
def _is_met(m: Record, bar: Record) -> bool:
    return bool(m.armed != 0 and bar.low <= m.zone_high and bar.high >= m.zone_low)


@kernel
def _meant(met: np.ndarray, count: int, low: float, high: float) -> int:
    """Place of the zone with a fade's edges, else, marks having expired, of the largest that lies across; -1: none."""
    best = -1
    for index in range(count):
        zone = met[index]
        if zone.low == low and zone.high == high:
            return index
        if zone.low <= high and zone.high >= low and (best < 0 or zone.usd > met[best].usd):
            best = index
    return best


@kernel
def _approaches(
    is_fake: bool,
    side: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    clear: np.ndarray,
    state: np.ndarray,
    params: np.ndarray,
    bars: np.ndarray,
    signals: np.ndarray,
    real_state: np.ndarray,
    real_params: np.ndarray,
    real_bars: np.ndarray,
    real_signal: np.ndarray,
    met: np.ndarray,
    markets: np.ndarray,
    features: np.ndarray,
) -> None:
    s = state[0]
    p = params[0]
    real = real_state[0]
    market = markets[0]
    known = False  # whether ``market`` is of the bar before
    for row in range(len(bars)):
        bar = bars[row]
        o = signals[row]
        count = 0
        if known:
            for index in range(s.zone_count):
                slot = s.zones[index]
                m = s.marks[slot]
                if count < len(met) and _is_met(m, bar):
                    zone = met[count]
                    zone.low = m.zone_low
                    zone.high = m.zone_high
                    zone.usd = m.zone_usd
                    _describe(s, p, slot, m.armed, market, zone.features)
                    count += 1
        advance_apart(s, p, bar, o)
        if is_fake:
            clear[row] = o.fade != 0 and is_clear(real, o.fade_low, o.fade_high)
            advance_apart(real, real_params[0], real_bars[row], real_signal[0])
        known = is_good(bar) and o.atr > 0.0
        if known:
            _look_around(p, bars, row, o.atr, market)
            market.longs = _swept(real, p, LONG)
            market.shorts = _swept(real, p, SHORT)
        if o.fade != 0:
            side[row] = o.fade
            low[row] = o.fade_low
            high[row] = o.fade_high
            best = _meant(met, count, o.fade_low, o.fade_high)
            if best >= 0:
                features[row] = met[best].features
        elif known:
            index = _nearest(s)
            if index >= 0:
                m = s.marks[s.zones[index]]
                side[row] = 1 if m.zone_price <= s.close else -1
                low[row] = m.zone_low
                high[row] = m.zone_high
                _describe(s, p, s.zones[index], side[row], market, features[row])


@kernel
def _every_zone(
    state: np.ndarray, params: np.ndarray, bars: np.ndarray, markets: np.ndarray, features: np.ndarray
) -> float:
    s = state[0]
    p = params[0]
    market = markets[0]
    row = len(bars) - 1
    atr = average_true_range(s, p, s.rows - 1)
    if not is_good(bars[row]) or not atr > 0.0:
        return float(atr)
    _look_around(p, bars, row, atr, market)
    market.longs = _swept(s, p, LONG)
    market.shorts = _swept(s, p, SHORT)
    for index in range(s.zone_count):
        slot = s.zones[index]
        side = 1 if s.marks[slot].zone_price <= s.close else -1
        _describe(s, p, slot, side, market, features[index])
    return float(atr)


def approaches_of(bars: np.ndarray, params: Params, real: tuple[np.ndarray, Params] | None = None) -> Approaches:
    """What each of (n,) BAR says of the zone that it speaks of.

    real   the bars and Params of the market itself, where the flow of ``bars`` is that of marks put there
           (``bars_with_marks``): forced flow is told from these, and ``clear`` is of their zones

    Nothing is changed. Cost: that of ``fold`` and some 1 us a bar; twice that with ``real``.
    """
    bars, count, record = _plain(bars), len(bars), params.to_record()
    state, signals = new_state(record), new_signals(count)
    features = np.full((count, len(FEATURES)), np.nan)
    side, edges, clear = np.zeros(count, np.int64), np.full((2, count), np.nan), np.zeros(count, np.bool_)
    theirs = (state, record, bars)
    if real is not None:
        theirs = new_state(real[1]), real[1].to_record(), _plain(real[0])
    arrays = (state, record, bars, signals, *theirs, new_signals(1))
    scratch = (np.zeros(_ROOM, MET), np.zeros(1, MARKET), features.view(FEATURE)[:, 0])
    _approaches(real is not None, side, edges[0], edges[1], clear, *kernel_views(*arrays, *scratch))
    touched = signals["fade"] != 0
    atr = signals["atr"]
    earlier = np.r_[np.nan, atr[:-1]]
    near = near_edge_rate(edges[1] - edges[0], np.where(touched, earlier, atr), params)
    at = close_rate(bars["close"], edges[0], edges[1], side, atr, params)
    return Approaches(features, side, edges[0], edges[1], touched, np.where(touched, at, near), near, signals, clear)


def zone_features(bars: np.ndarray, params: Params) -> tuple[np.ndarray, np.ndarray, float]:
    """``describe_zones`` as of the last of (n,) BAR. Cost: that of a fold."""
    bars, record = _plain(bars), params.to_record()
    state, signals = new_state(record), new_signals(len(bars))
    fold(state, record, bars, signals)
    return describe_zones(state, record, bars)


def describe_zones(state: np.ndarray, record: np.ndarray, bars: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """(features, zones, ATR) of a state as of the last of the (n,) BAR that it saw: (z, len(FEATURES)), ``zones_of``,
    quote.

    The zone that the bar itself fades has the features of this close here. Nothing is changed. Cost: O(zones).
    """
    zones = zones_of(state, record)
    features = np.full((len(zones), len(FEATURES)), np.nan)
    rows = features.view(FEATURE)[:, 0]
    atr = _every_zone(*kernel_views(state, record, bars, np.zeros(1, MARKET), rows))
    return features, zones, atr


def _plain(bars: np.ndarray) -> np.ndarray:
    """The bars, or a copy, as the arrays that kernels are compiled for once."""
    return np.require(bars, requirements=["C", "W"])


def near_edge_rate(width: np.ndarray, atr: np.ndarray | float, params: Params) -> np.ndarray:
    """The odds that a driftless price at a zone's near edge leaves it before it breaks it: (width + break) / all."""
    lost = width + params.break_atr * atr
    return np.asarray(lost / (lost + params.hold_atr * atr))


def close_rate(
    close: np.ndarray | float, low: np.ndarray, high: np.ndarray, side: np.ndarray, atr: np.ndarray, params: Params
) -> np.ndarray:
    """The same from a close: its distance to the barrier that breaks / the distance between both; 0 to 1."""
    lost = np.where(side > 0, close - low, high - close) + params.break_atr * atr
    return np.asarray(np.clip(lost / (high - low + (params.break_atr + params.hold_atr) * atr), 0.0, 1.0))
