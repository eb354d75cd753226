"""A naive twin of liquidation at risk, written from its docstrings alone: lists, and every row worked out anew."""

from __future__ import annotations

import math
import statistics

import naive
from naive import LONG, SHORT

HOUR = 3_600_000
NAN = math.nan
PRIOR = {  # (feed, market, horizon) -> (a, b, low, high) of longs and of shorts
    ("binance", "perpetual", "4h"): ((-6.10, 0.63, 0.41, 2.46), (-6.47, 0.54, 0.39, 2.61)),
    ("binance", "spot", "4h"): ((-4.26, 0.64, 0.37, 2.70), (-4.64, 0.55, 0.34, 2.90)),
    ("three_venues", "perpetual", "1h"): ((-5.78, 0.90, 0.26, 3.26), (-5.93, 0.83, 0.30, 3.23)),
    ("three_venues", "perpetual", "4h"): ((-5.13, 0.77, 0.43, 2.29), (-5.20, 0.68, 0.41, 2.51)),
    ("three_venues", "spot", "1h"): ((-3.61, 0.92, 0.28, 3.21), (-3.74, 0.84, 0.29, 3.17)),
    ("three_venues", "spot", "4h"): ((-2.96, 0.78, 0.45, 2.36), (-3.02, 0.68, 0.39, 2.48)),
}


class Twin:
    """Rows of ``risk_columns`` of hourly bars and, where there is one, a feed: time -> (long USD, short USD)."""

    def __init__(self, bars, params, feed=None, cell=("binance", "perpetual", "4h")):
        self.bars = naive.as_dicts(bars)
        self.params = params
        self.feed = feed
        self.laws = PRIOR[cell]
        self.horizon = int(cell[2][:-1])
        state = naive.State()
        self.positions, self.atr = [], []
        for bar in self.bars:
            naive.step(state, params, bar)
            self.positions.append([
                (position.side, position.price, cohort.mass * position.weight * position.price)
                for cohort in state.cohorts for position in cohort.positions
            ])  # fmt: skip
            self.atr.append(
                naive.average_true_range([row.true_range for row in state.rows], params.atr_bars)
                if len(state.rows) >= params.atr_bars else NAN
            )  # fmt: skip
        self.known = {}  # (row, side) -> residual
        self.memory = params.memory + 168 + (720 if feed else 0)

    def ledger(self, row, side, price):
        if not price > 0 or not any(naive.is_good(bar) for bar in self.bars[: row + 1]):
            return NAN
        reached = (lambda at: at >= price) if side == LONG else (lambda at: at <= price)
        return sum(usd for whose, at, usd in self.positions[row] if whose == side and reached(at))

    def turnover(self, row):
        week = self.bars[row - 167 : row + 1]
        return sum(b["close"] * naive.usable_volume(b["volume"]) for b in week if naive.is_good(b)) / 168

    def move(self, row, side):
        """(how far price went within the horizon, what was liquidated meanwhile), or None."""
        ahead = self.bars[row + 1 : row + 1 + self.horizon]
        here = self.bars[row]
        times = [here["time"] + (1 + hour) * HOUR for hour in range(self.horizon)]
        if [b["time"] for b in ahead] != times or not all(naive.is_good(b) for b in (here, *ahead)):
            return None
        if not all(time in self.feed for time in times):
            return None
        price = min(b["low"] for b in ahead) if side == LONG else max(b["high"] for b in ahead)
        away = 1 - price / here["close"] if side == LONG else price / here["close"] - 1
        return (price, sum(self.feed[time][side] for time in times)) if away > 0.004 else None

    def shape(self, row, side, price):
        b = self.laws[side][1]
        large = max(1.0, abs(price / self.bars[row]["close"] - 1) / 0.05)
        usd = self.ledger(row, side, price)
        return b * math.log(usd / self.turnover(row)) + math.log(large) if usd > 0 else -math.inf

    def residuals(self, row, side):
        found = [self.residual(u, side) for u in range(row - 720, row - self.horizon + 1)]
        return [value for value in found if value is not None]

    def residual(self, row, side):
        if (row, side) not in self.known:
            happened = self.move(row, side)
            taught = happened is not None and self.shape(row, side, happened[0]) > -math.inf
            self.known[row, side] = None
            if taught:
                answer = math.log((happened[1] + 10_000) / self.turnover(row))
                self.known[row, side] = answer - self.laws[side][0] - self.shape(row, side, happened[0])
        return self.known[row, side]

    def scale(self, row, side):
        """(a, ln of the band's ends around it, g, n)."""
        a, _, low, high = self.laws[side]
        found = self.residuals(row, side) if self.feed else []
        n = len(found)
        if n == 0 or (n >= 20 and abs(statistics.median(found)) > math.log(20)):
            return a, math.log(low), math.log(high), 0.0, n
        g = n / (n + 20)
        tenth, ninth = quantile(found, 0.1), quantile(found, 0.9)
        median = statistics.median(found)
        a_used = a + g * median
        return (
            a_used,
            (1 - g) * math.log(low) + g * (tenth - median),
            (1 - g) * math.log(high) + g * (ninth - median),
            g,
            n,
        )

    def row(self, row, low=NAN, high=NAN):
        """Every column of a row that is warm."""
        close = self.bars[row]["close"] if naive.is_good(self.bars[row]) else NAN
        out = {}
        for side, name in ((LONG, "long"), (SHORT, "short")):
            sign = -1 if side == LONG else 1
            a, below, above, g, n = self.scale(row, side)
            out[f"scale_{name}"], out[f"weight_{name}"] = a, g
            out[f"source_{name}"] = "prior" if g == 0 else "mixed" if n < 60 else "learned"
            out[f"ledger_{name}_usd_1pct"] = self.ledger(row, side, close * (1 + sign / 100))
            out[f"ledger_{name}_usd_2atr"] = self.ledger(row, side, close + sign * 2 * self.atr[row])
            price = low if side == LONG else high
            for moved, end in ((0, ""), (below, "_low"), (above, "_high")):
                out[f"expected_{name}_usd{end}"] = self.expected(row, side, price, a + moved)
        return out

    def expected(self, row, side, price, a):
        usd = self.ledger(row, side, price)
        if math.isnan(usd) or not naive.is_good(self.bars[row]):
            return NAN
        if usd == 0:
            return 0.0
        return max(0.0, self.turnover(row) * math.exp(a + self.shape(row, side, price)) - 10_000)


def quantile(values, share):
    """Interpolated between the two nearest."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
