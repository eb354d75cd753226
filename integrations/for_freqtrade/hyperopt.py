"""Params as hyperopt parameters."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

from liquidator_core import Params

from .library import BaseParameter, CategoricalParameter, DecimalParameter, IntParameter, IStrategy


def parameter(field: str, low: float | None = None, high: float | None = None, **options: Any) -> BaseParameter:
    """A hyperopt parameter for a field of ``Params``: its type, its default and the range that is worth a search.

    field       such as "event_mult"; assign the parameter to an attribute of the same name
    low, high   other bounds; they must lie within what the field allows and hold its default
    options     ``space``, ``decimals``, ``optimize`` and what else freqtrade's parameters take; without ``decimals`` as
                many as bounds and default need, and at least three

    ``params_of`` collects the values. hyperopt sees them only with ``--analyze-per-epoch``. The ranges of
    ``ledger_bars``, ``flow_bars`` and ``zone_bars`` end at their defaults, so that the default
    ``startup_candle_count`` is enough for all of them. Raises ValueError for other fields, bounds and roundings.

    >>> parameter("event_mult", decimals=1, space="zones").value
    6.0
    """
    spec = {spec.name: spec for spec in dataclasses.fields(Params)}.get(field)
    if spec is None or isinstance(spec.default, tuple):
        raise ValueError(f"field must be a field of Params with one value, got {field!r}")
    default: Any = spec.default
    if choices := spec.metadata.get("choices"):
        return CategoricalParameter(list(choices), default=default, **options)
    worth = spec.metadata["search"]
    if worth is None and (low is None or high is None):
        raise ValueError(f"{field} has no range that suits all: give low and high")
    least, most = spec.metadata["range"]
    low, high = worth[0] if low is None else low, worth[1] if high is None else high
    if not least <= low <= default <= high <= most:
        raise ValueError(
            f"{field} must be searched within [{least:g}, {most:g}] and around its default {default:g}, "
            f"got [{low:g}, {high:g}]"
        )
    if isinstance(default, int):
        return IntParameter(low, high, default=default, **options)
    decimals = options.setdefault("decimals", max(3, *map(_decimals, (low, high, default))))
    for value in (low, high, default):
        if _decimals(value) > decimals:
            raise ValueError(f"{field}: decimals must keep {value:g} as it is, got {decimals}")
    return DecimalParameter(low, high, default=default, **options)


def _decimals(value: float) -> int:
    """How many decimals a number is written with."""
    return max(0, -int(Decimal(repr(float(value))).normalize().as_tuple().exponent))


def params_of(strategy: IStrategy, **fixed: Any) -> Params:
    """``Params`` of the present values of a strategy's parameters named like its fields; ``fixed`` are the others.

    >>> class Searched:
    ...     zone_bars = parameter("zone_bars", space="zones")
    >>> params_of(Searched(), flow_bars=48).memory
    432
    """
    names = [spec.name for spec in dataclasses.fields(Params)]
    found = {name: getattr(strategy, name, None) for name in names}
    return Params(**fixed, **{name: one.value for name, one in found.items() if isinstance(one, BaseParameter)})
