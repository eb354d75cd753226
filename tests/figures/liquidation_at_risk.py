"""How many dollars are liquidated, given how far price went? Prints what the law says, beside the move alone.

For each series that is there: the share of moves beyond 0.4 % whose liquidated USD lay inside the 80 % band that stood
before, and the gain over the move alone (one minus the ratio of mean squared errors of logs, on the later half of the
moves; the rival is a line in the logarithm of the move that was fitted on the earlier half, of that very series). With
the prior alone, and with what the feed taught. Intervals: 95 %, from resampled days. Then what the law says of large
moves without its term for these, and with it. Last, of the prior alone, the band's share by the size of the move, and
at one hour by month, with what a band would hold that is fitted on the other half of these very moves.

    python tests/figures liquidation_at_risk
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from places import SHARED

from liquidator_integrations import risk_columns
from liquidator_integrations.tables.risk_law import LARGE_MOVE

HOUR = 3_600_000
DAY = 24 * HOUR
SIDES = ("long", "short")
LEAST_MOVE = 0.004
PERPETUAL = SHARED / "perp_1h_4_coins_2025_2026.parquet"
SPOT = SHARED / "truth_btcusdt_spot_1h_to_2026-02.parquet"
HOURLY = SHARED / "truth_btc_liquidation_usd_1h_to_2026-02.parquet"
FOUR_HOURS = SHARED / "truth_sol_liquidation_usd_4h.parquet"


@dataclass(frozen=True)
class Series:
    """Candles, what was liquidated, and the cell of the prior that speaks of these."""

    name: str
    candles: pd.DataFrame
    observed: pd.DataFrame  # time, long_usd, short_usd
    feed: str
    market: str
    horizon: str

    @property
    def hours(self) -> int:
        return int(self.horizon[:-1])


@dataclass(frozen=True)
class Side:
    """A side's moves: what was liquidated, and what was expected, low and high, of logs with 10,000 USD more."""

    time: np.ndarray
    away: np.ndarray
    answer: np.ndarray
    expected: np.ndarray
    inside: np.ndarray


def series() -> Iterator[Series]:
    """Every series whose data are there."""
    perpetual = pd.read_parquet(PERPETUAL) if PERPETUAL.exists() else None
    if HOURLY.exists():
        hourly = pd.read_parquet(HOURLY)
        hourly = hourly[(hourly["longUsd"] + hourly["shortUsd"]) > 0]  # zeros before and after are no data
        candles = [("spot", pd.read_parquet(SPOT))] if SPOT.exists() else []
        candles += [] if perpetual is None else [("perpetual", of_coin(perpetual, "BTC"))]
        for market, frame in candles:
            for horizon in ("1h", "4h"):
                yield Series("BTC", frame, hourly, "three_venues", market, horizon)
    if FOUR_HOURS.exists() and perpetual is not None:
        observed = pd.read_parquet(FOUR_HOURS)
        yield Series("SOL", of_coin(perpetual, "SOL"), observed, "binance", "perpetual", "4h")


def of_coin(frame: pd.DataFrame, coin: str) -> pd.DataFrame:
    return frame[frame["coin"] == coin].reset_index(drop=True)


def reached(candles: pd.DataFrame, hours: int) -> pd.DataFrame:
    """How far price went in the hours after each candle."""
    ahead = [candles[["low", "high"]].shift(-hour) for hour in range(1, hours + 1)]
    low = np.minimum.reduce([part["low"] for part in ahead])
    high = np.maximum.reduce([part["high"] for part in ahead])
    return pd.DataFrame({"low": low, "high": high})


def liquidated(one: Series) -> np.ndarray:
    """(n, 2) USD in the hours after each candle; NaN where the feed does not cover them."""
    time = one.observed["ts"].to_numpy()
    names = [name for name in one.observed if name.lower().endswith("usd")]
    usd = dict(zip(time.tolist(), one.observed[names].to_numpy(), strict=True))
    step = int(np.diff(time).min())
    nothing = np.full(2, np.nan)
    ends = one.candles["ts"].to_numpy() + HOUR
    parts = range(0, one.hours * HOUR, step)
    return np.array([sum(usd.get(int(end) + part, nothing) for part in parts) for end in ends])


def measured(one: Series, with_feed: bool) -> dict[str, Side]:
    """What the columns said before each move, beside what happened."""
    prices, usd = reached(one.candles, one.hours), liquidated(one)
    observed = one.observed.rename(columns={"ts": "time"}) if with_feed else None
    frame = risk_columns(one.candles, observed, one.horizon, prices, None, one.feed, one.market)
    close, time = one.candles["close"].to_numpy(), one.candles["ts"].to_numpy()
    found = {}
    for which, side in enumerate(SIDES):
        away = np.abs(prices.iloc[:, which].to_numpy() / close - 1)
        expected, low, high = (frame[f"expected_{side}_usd{end}"].to_numpy() for end in ("", "_low", "_high"))
        used = (away > LEAST_MOVE) & np.isfinite(usd[:, which]) & np.isfinite(expected) & (expected > 0)
        answer = np.log(usd[:, which] + 1e4)
        inside = (usd[:, which] >= low) & (usd[:, which] <= high)
        found[side] = Side(*(values[used] for values in (time, away, answer, np.log(expected + 1e4), inside)))
    return found


def gain(side: Side) -> tuple[float, float, float]:
    """(gain over the move alone on the later half, its 95 % interval)."""
    half = len(side.away) // 2
    line = np.column_stack([np.ones(len(side.away)), np.log(side.away)])
    fitted = np.linalg.lstsq(line[:half], side.answer[:half], rcond=None)[0]
    own = ((side.answer - side.expected) ** 2)[half:]
    rival = ((side.answer - line @ fitted) ** 2)[half:]
    return resampled(side.time[half:], lambda rows: 1 - own[rows].mean() / rival[rows].mean())


def coverage(side: Side) -> tuple[float, float, float]:
    """(share of moves inside the band, its 95 % interval)."""
    return resampled(side.time, lambda rows: side.inside[rows].mean())


def resampled(time: np.ndarray, statistic, draws: int = 400) -> tuple[float, float, float]:
    """(statistic of all rows, its 95 % interval from resampled days)."""
    days = time // DAY
    blocks = [np.flatnonzero(days == day) for day in np.unique(days)]
    rng = np.random.default_rng(0)
    drawn = [
        statistic(np.concatenate([blocks[i] for i in rng.integers(0, len(blocks), len(blocks))])) for _ in range(draws)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(statistic(np.arange(len(time)))), float(low), float(high)


def large_moves(one: Series) -> str:
    """Errors beyond 5 % with the term for large moves and without it, as mean squares of logs."""
    parts = []
    for name, side in measured(one, with_feed=True).items():
        large = side.away > LARGE_MOVE
        if large.sum() < 10:
            parts.append(f"{name} {int(large.sum())} moves")
            continue
        errors = (side.answer - side.expected)[large]
        without = errors + np.log(side.away[large] / LARGE_MOVE)
        parts.append(
            f"{name} {int(large.sum())} moves, {np.mean(without**2):.2f} without, {np.mean(errors**2):.2f} with"
        )
    return "; ".join(parts)


def by_size(side: Side) -> str:
    """The share of moves inside the band, by the size of the move."""
    edges = (LEAST_MOVE, 0.006, 0.01, 0.02, np.inf)
    parts = [(side.away > low) & (side.away <= high) for low, high in itertools.pairwise(edges)]
    return ", ".join(f"{side.inside[part].mean():.2f}" for part in parts)


def by_month(side: Side) -> str:
    """The share of moves inside the band, by month."""
    months = side.time.astype("M8[ms]").astype("M8[M]")
    return ", ".join(f"{month} {side.inside[months == month].mean():.2f}" for month in np.unique(months))


def refitted(side: Side) -> str:
    """The share of each half that lies between the tenths that the other half leaves out."""
    error, half = side.answer - side.expected, len(side.answer) // 2
    halves = error[:half], error[half:]
    ends = [np.quantile(part, [0.1, 0.9]) for part in reversed(halves)]
    shares = [((part >= low) & (part <= high)).mean() for part, (low, high) in zip(halves, ends, strict=True)]
    return ", ".join(f"{share:.2f}" for share in shares)


def main() -> int:
    found = list(series())
    if not found:
        print(f"liquidation at risk: skipped, no data in {SHARED}")
        return 0
    print("the 80 % band holds, and gain over the move alone on the later half")
    for one in found:
        print(f"{one.name}, {one.feed}, {one.market} candles, {one.horizon}")
        for with_feed in (False, True):
            for name, side in measured(one, with_feed).items():
                (share, least, most), (better, low, high) = coverage(side), gain(side)
                scale = "feed " if with_feed else "prior"
                print(
                    f"  {scale}  {name:5}  {len(side.away):5} moves  {share:.2f} [{least:.2f}, {most:.2f}]  "
                    f"{better:+.2f} [{low:+.2f}, {high:+.2f}]"
                )
    print("moves beyond 5 %: mean squared error of logs")
    for one in found:
        if one.horizon == "4h":
            print(f"  {one.name}, {one.feed}, {one.market} candles: {large_moves(one)}")
    print("the prior alone: the band's share of moves of 0.4 to 0.6 %, to 1 %, to 2 %, and beyond")
    alone = [(one, name, side) for one in found for name, side in measured(one, with_feed=False).items()]
    for one, name, side in alone:
        print(f"  {one.name}, {one.market}, {one.horizon}  {name:5}  {by_size(side)}")
    print("one hour, the prior alone: the band's share by month; of each half, that of a band fitted on the other half")
    for one, name, side in alone:
        if one.horizon == "1h":
            print(f"  {one.name}, {one.market}  {name:5}  {by_month(side)}; {refitted(side)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
