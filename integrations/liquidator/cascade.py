"""Cascades: chains of zones, their pull on price, and whether a sweep of the ledger would feed itself.

Reproduction number of a sweep at price p: ``R(p) = price impact per USD * ledger USD per unit of price``. What a sweep
closes by force moves price on; where R is at least 1 it moves price over more than it has just swept, and the sweep
sustains itself. Both factors are taken relative to price, so that R has no unit.

None of these is a probability that was ever checked against what happened; ``cascade_probability`` has its name from
the older package and is a score from 0 to 100.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from liquidator_core.layout import BINS_PER_LOG, CELL_BINS, LONG, SHORT
from liquidator_core.levels import cells_of, nearest_bin

from ..tables.zones import by_core_names, check_zones
from .timeframes import Engine

_CELL_LOG = CELL_BINS / BINS_PER_LOG  # width of a cell, in log price


def chains(price: np.ndarray, current: float, gap: float) -> tuple[np.ndarray, np.ndarray]:
    """(zones swept, price of the last) if the sweep of each zone goes on to the next one away from ``current``.

    price    (n,) prices of zones, in any order
    current  zones at or below it are swept downwards, those above upwards
    gap      the chain ends where the next zone is further away than this share of the price
    """
    length, target = np.ones(len(price), np.int64), price.astype(np.float64)
    below = np.flatnonzero(price <= current)
    above = np.flatnonzero(price > current)
    for away in (below[np.argsort(price[below], kind="stable")], above[np.argsort(-price[above], kind="stable")]):
        for before, place in itertools.pairwise(away):  # from the far end of the chain inwards
            if abs(price[place] - price[before]) <= gap * price[place]:
                length[place] = length[before] + 1
                target[place] = target[before]
    return length, target


def cascade_scores(
    price: np.ndarray, usd: np.ndarray, length: np.ndarray, current: float, funding_rate: float, window: float
) -> np.ndarray:
    """0 to 100: ``100 * exp(-distance / window) * usd / largest usd * n / (n + 1) * (1 + tilt)``, at most 100.

    Distance is a share of ``current``, n the length of the chain. Tilt, at most 0.5, is 50 times the part of the
    funding rate beyond 0.1 % that the swept side pays.
    """
    distance = np.abs(price - current) / current
    paying = np.where(price <= current, funding_rate, -funding_rate)
    tilt = np.clip(50.0 * (paying - 0.001), 0.0, 0.5)
    share = usd / usd.max() if len(usd) else usd
    scores: np.ndarray = np.minimum(
        100.0, 100.0 * np.exp(-distance / window) * share * length / (length + 1.0) * (1.0 + tilt)
    )
    return scores


def gravity(price: np.ndarray, usd: np.ndarray, current: float, least_distance: float) -> np.ndarray:
    """``usd / distance ** 2``, the distance a share of ``current`` and at least ``least_distance``."""
    pull: np.ndarray = usd / np.maximum(np.abs(price - current) / current, least_distance) ** 2
    return pull


def price_impact(bars: np.ndarray) -> float:
    """Relative price move per USD; nan if it cannot be told.

    Where every bar has taker volume: Kyle's lambda (Kyle 1985), the least-squares slope, through the origin, of log
    returns on net taker USD; else, or if that is not above 0, Amihud's ratio (Amihud 2002): mean absolute log return /
    mean turnover.
    """
    bars = bars[bars["low"] > 0.0]
    if len(bars) < 2:
        return math.nan
    close, volume = bars["close"], np.nan_to_num(bars["volume"])
    moves = np.diff(np.log(close))
    net = ((2.0 * bars["taker_buy"] - volume) * close)[1:]
    if (
        not np.isnan(net).any()
        and (squares := float((net**2).sum())) > 0.0
        and (slope := float((net * moves).sum())) > 0
    ):
        return slope / squares
    turnover = float((volume * close)[1:].mean())
    return float(np.abs(moves).mean()) / turnover if turnover > 0.0 else math.nan


def sweep(cells: np.ndarray, close: float, side: int, price: float, impact: float) -> tuple[float, float]:
    """(reproduction number at ``price``, where a sweep that reaches it ends).

    cells   (n,) CELL, the ledger of ``levels.cells_of``, made at ``close``
    side    LONG (swept downwards) or SHORT (upwards)
    impact  as from ``price_impact``

    Within a cell mass is taken to be spread evenly. With F(x) the USD between ``price`` and the distance x beyond it,
    the sweep ends at the first x with ``impact * F(x) <= x``, distances in log price. (nan, nan) without an impact.
    """
    if not impact > 0.0:
        return math.nan, math.nan
    away = -1.0 if side == LONG else 1.0
    mine = cells[cells["side"] == side]  # the nearest first
    nearest_edge = (nearest_bin(side, math.log(close) * BINS_PER_LOG) + 1) / BINS_PER_LOG  # of the first cell
    start = nearest_edge + away * math.log(price)  # log distance of ``price`` from it, away from the close
    swept = number = 0.0
    for cell in mine:
        low = cell["distance"] * _CELL_LOG - start
        high = low + _CELL_LOG
        if high <= 0.0:
            continue
        density = float(cell["usd"]) * impact / _CELL_LOG  # R within the cell
        if low <= 0.0:
            low, number = 0.0, density
        if swept < low:
            break  # the sweep ends in front of the cell
        if density < 1.0 and (end := (swept - density * low) / (1.0 - density)) < high:
            swept = end
            break
        swept += density * (high - low)
    return number, price * math.exp(away * swept)


def sides_of(price: np.ndarray, current: float) -> np.ndarray:
    """Who is liquidated as price goes from ``current`` to each price: LONG below, SHORT above."""
    return np.where(price <= current, LONG, SHORT)


def zones_with_cascades(
    zones: pd.DataFrame,
    current: float,
    funding_rate: float,
    window: float,
    gap: float,
    engine: Engine,
    bars: np.ndarray,
) -> pd.DataFrame:
    """Zones with the columns that ``Liquidator.add_cascade_analysis`` adds.

    engine   whose ledger is swept, as of the last of the bars
    bars     (n,) BAR, from which the price impact is told
    """
    price, usd = _prices_and_usd(zones)
    length, target = chains(price, current, gap)
    ends = list(_sweeps(price, current, engine, bars)) if len(price) else []
    return zones.assign(
        cascade_probability=cascade_scores(price, usd, length, current, funding_rate, window),
        cascade_chain_length=length,
        cascade_target_price=target,
        reproduction=np.array([number for number, _ in ends], np.float64),
        sweep_end=np.array([end for _, end in ends], np.float64),
    )


def zones_with_gravity(zones: pd.DataFrame, current: float, least_distance: float) -> pd.DataFrame:
    """Zones with ``gravity`` and ``gravity_rank``, 1 first."""
    price, usd = _prices_and_usd(zones)
    pull = gravity(price, usd, current, least_distance)
    return zones.assign(gravity=pull, gravity_rank=np.searchsorted(np.sort(-pull), -pull) + 1)


def _prices_and_usd(zones: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    zones = by_core_names(check_zones(zones))
    return zones["price"].to_numpy(np.float64), zones["usd"].to_numpy(np.float64)


def _sweeps(price: np.ndarray, current: float, engine: Engine, bars: np.ndarray) -> Iterator[tuple[float, float]]:
    close = float(engine.state["close"][0])
    impact = price_impact(bars) if close > 0.0 else math.nan
    cells = cells_of(engine.state, engine.record)
    for at, side in zip(price, sides_of(price, current), strict=True):
        yield sweep(cells, close, int(side), float(at), impact)
