"""Funding rates in one unit: the share of a position that is paid in eight hours, whatever a venue's interval.

Venues tell the rate of an interval, of 1, 2, 4 or 8 hours, a symbol each; the engine takes it per eight hours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from statistics import multimode
from typing import Any, TypeVar

import numpy as np

from .names import RATE_NAMES, normal_name

UNIT_HOURS = 8
_INTERVALS = (1, 2, 4, 8)
_HOURLY = ("hyperliquid",)
_HOUR_MS = 3_600_000
_JITTER_MS = 600_000
_NEAR = 2  # distances of rates on each side
_HOURS = re.compile(r"\s*(\d+(?:\.\d+)?)\s*h?\s*|2000-01-01T(\d\d):00:00(?:\.000)?Z", re.IGNORECASE)
_MINUTES = ("fundinginterval", "funding_interval")

Rate = TypeVar("Rate", float, np.ndarray)


def per_unit(rate: Rate, hours: Rate | float) -> Rate:
    """A rate of so many hours as that of eight.

    >>> per_unit(0.0001, 1)
    0.0008
    """
    return rate * (UNIT_HOURS / hours)


def usual_hours(venue: str) -> float:
    """The interval that a venue's rates are taken to be for where nothing tells it."""
    return 1.0 if venue in _HOURLY else float(UNIT_HOURS)


def hours_between(one: float, other: float) -> float | None:
    """The interval that two times of funding, ms, are apart; None for what is none."""
    near = (float(hours) for hours in _INTERVALS if abs(other - one - hours * _HOUR_MS) <= _JITTER_MS)
    return next(near, None)


def hours_of(value: Any, name: str = "") -> float:
    """Hours as a venue or ccxt says them, a number or text such as ``8h``, or BitMEX' time of day; NaN for what is
    none, or beyond a day.

    name   under which it stands: a ``fundingInterval`` of more than a day are Bybit's minutes

    >>> hours_of("4h"), hours_of(8), hours_of(240, "fundingInterval"), hours_of("2000-01-01T08:00:00.000Z")
    (4.0, 8.0, 4.0, 8.0)
    """
    said = _HOURS.fullmatch(str(value))
    hours = float(said[1] or said[2]) if said else np.nan
    if hours > 24.0 and normal_name(name) in _MINUTES:
        hours /= 60.0
    return hours if 0.0 < hours <= 24.0 else np.nan


def told_hours(info: Mapping[str, Any]) -> float | None:
    """The interval that a message or a market's description tells; None: it does not."""
    for name, value in info.items():
        if normal_name(name) in RATE_NAMES["interval_hours"] and not np.isnan(hours := hours_of(value, name)):
            return hours
    return None


def intervals(time: np.ndarray, told: np.ndarray, usual: float) -> np.ndarray:
    """The hours that each of (n,) rates is for: as told, else as far as rates lie apart near by.

    That is the most frequent of five distances, from the one before the rate and two on each side, of several the
    shortest: a rate that is missing is no change of interval.

    time   ms, rising: when it was paid, or read
    told   (n,) hours, NaN where nothing tells them; only rates without are held against each other
    usual  for a rate that no other lies at a known interval from
    """
    out = told.copy()
    untold = np.flatnonzero(np.isnan(told))
    if len(untold) == 0:
        return out
    apart = [hours_between(one, other) for one, other in pairwise(time[untold])]
    for place, row in enumerate(untold):
        before = max(place - 1, 0)
        near = [hours for hours in apart[max(before - _NEAR, 0) : before + _NEAR + 1] if hours]
        out[row] = min(multimode(near), default=usual)
    return out
