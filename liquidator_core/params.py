"""Params: every number the engine can be told, checked once, and the record that kernels read."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._suggest import suggestion
from .layout import BESIDE, BINS_PER_LOG, LONG, MAX_FACTOR, MAX_LEVELS, MAX_LEVERAGES, OBSERVED, PARAMS, SHORT, SIZES
from .margin import liquidation_factor

SWITCHES = ("use_large_trades", "use_cascades", "use_open_interest_drops", "use_funding")


def _suggesting(cls: Any) -> Any:
    """Make the constructor answer an unknown name with the nearest known one."""
    build = cls.__init__
    known = [spec.name for spec in dataclasses.fields(cls)]

    @functools.wraps(build)
    def construct(self: Any, **values: Any) -> None:
        for name in values:
            if name not in known:
                hint = suggestion(name, known) or f"; known are {', '.join(known)}"
                raise TypeError(f"unknown parameter {name!r}{hint}")
        build(self, **values)

    cls.__init__ = construct
    return cls


def _switch(doc: str) -> Any:
    return field(default=False, metadata={"choices": (False, True), "doc": doc})


def _ranged(default: Any, low: float, high: float, doc: str, search: tuple[float, float] | None = None) -> Any:
    """A field of numbers: what is allowed, and between what a search tries values with all others at their defaults."""
    return field(default=default, metadata={"range": (low, high), "doc": doc, "search": search})


@_suggesting
@dataclass(frozen=True, kw_only=True)
class Params:
    """What the engine is told. Every field is checked on construction; ``memory`` follows from the windows.

    ``leverages`` and ``leverage_weights`` are the mix in which turnover is assumed to be opened, ``margin_rate`` the
    maintenance margin rate, ``margin_amount`` a tier's maintenance amount as a share of the notional (``cum / N``),
    ``margin`` how contracts are margined: ``linear`` (in quote currency) or ``inverse`` (in coins). The default mix and
    rate were learned from observed liquidations of BTC; docs/formula.md says from which, and what they give on others.
    ``margin_rate`` must be below ``1 / leverage + margin_amount`` for each leverage.

    ``observed`` says what becomes of liquidations that a feed reports (``liq_*`` of a bar): ``beside`` (they enter no
    flow: zones come from the estimate alone), ``flow`` (on the bars that the feed covers they take the estimate's
    place, divided by the ratio of observed to estimated USD of the 30 whole days before, from seven days on:
    ``liquidator_core.observed``) or ``unscaled`` (they take its place as they are, as marks do that are put there by
    ``bars_with_marks``). ``observed_bars`` are the bars of 31 days, 744 of an hour, which ``memory`` then counts too;
    fewer shorten the 30 days to those that lie in them whole.

    On a dense tape, where most trades are small, ``large_mult`` 10 calls much of it large and should be higher: 4.3 %
    of the trades and a third of the turnover on three days of one venue, 0.4 % and 4 % at 100
    (tests/figures/ingredients.py).

    >>> Params().memory
    480
    >>> Params(zone_bars=96).memory
    384
    """

    leverages: tuple[float, ...] = _ranged((10.0, 25.0, 50.0, 100.0, 150.0), 2, 1000, "position / margin")
    leverage_weights: tuple[float, ...] = _ranged((0.29, 0.28, 0.16, 0.16, 0.11), 0, 1, "share of turnover")
    margin_rate: float = _ranged(0.004, 0, 0.5, "maintenance margin / notional", (0.001, 0.006))
    margin_amount: float = _ranged(0.0, 0, 0.5, "maintenance amount / notional")
    margin: str = field(default="linear", metadata={"choices": ("linear", "inverse"), "doc": "margin currency"})
    ledger_bars: int = _ranged(191, 1, SIZES[-1] - 1, "bars a cohort of positions stays open", (48, 191))
    flow_bars: int = _ranged(96, 1, SIZES[-1], "bars before an event that its flow is compared with", (24, 96))
    zone_bars: int = _ranged(192, 1, SIZES[-1], "bars a mark lives", (48, 192))
    atr_bars: int = _ranged(14, 1, SIZES[-1], "bars of the average true range", (5, 50))
    outcome_bars: int = _ranged(
        24, 1, SIZES[-1], "bars in which a touch holds or breaks, and a break is joined", (6, 96)
    )
    event_mult: float = _ranged(6.0, 0, 1e6, "an event's flow / the mean flow before it, more than", (2, 12))
    event_share: float = _ranged(0.1, 0, 1e6, "an event's flow / the mean turnover before it, at least", (0.02, 0.5))
    zone_atr: float = _ranged(0.25, 1e-6, 100, "half-width of a mark, in ATR at its birth", (0.1, 1))
    max_width_atr: float = _ranged(
        1.5, 0, 1000, "widest zone of several marks, in ATR at the birth of its lowest", (0.5, 4)
    )
    rearm_atr: float = _ranged(
        0.5, 0, 100, "a mark arms when a close lies this far beyond its edge, in ATR at birth", (0, 2)
    )
    hold_atr: float = _ranged(1.0, 0, 100, "a touch holds when price leaves by this, in ATR at the touch", (0.25, 3))
    break_atr: float = _ranged(
        1.0, 0, 100, "a touch breaks on a close this far beyond the far edge, in ATR at the touch", (0.25, 3)
    )
    level_share: float = _ranged(
        0.05, 1 / MAX_LEVELS, 1, "share of a side's open positions that makes a level", (0.02, 0.2)
    )
    tape_ms: int = _ranged(60_000, 1, 31 * 86_400_000, "length of a bar made from trades, in ms")
    large_trades: int = _ranged(20, 1, SIZES[0], "trades before a large one that it is compared with", (5, 100))
    large_mult: float = _ranged(10.0, 0, 1e9, "a large trade's USD / their mean, at least", (3, 50))
    large_usd: float = _ranged(0.0, 0, 1e15, "a large trade's USD, at least")
    use_large_trades: bool = _switch("add large aggressor trades to forced flow")
    use_cascades: bool = _switch("add the turnover of bursts to forced flow")
    cascade_mult: float = _ranged(3.0, 0, 1e6, "a burst's turnover / the mean turnover before it, more than", (1.5, 10))
    use_open_interest_drops: bool = _switch("add what left open interest at once to forced flow")
    open_interest_drop: float = _ranged(0.01, 1e-9, 1, "a drop / the open interest before it, at least", (0.002, 0.05))
    use_funding: bool = _switch("raise the forced flow of the side that pays extreme funding")
    funding_extreme: float = _ranged(
        0.0005, 0, 1, "funding rate of eight hours, from which it is extreme", (0.0001, 0.002)
    )
    funding_raise: float = _ranged(0.5, 0, 100, "by how much flow is raised then, as a share of it", (0.1, 2))
    observed: str = field(default=OBSERVED[0], metadata={"choices": OBSERVED, "doc": "what observed flow is used for"})
    observed_bars: int = _ranged(
        744, 0, 44_640, "bars of 31 days, in whose whole days the scale of observed flow is learned"
    )

    def __post_init__(self) -> None:
        for spec in dataclasses.fields(self):
            self._check(spec)
        for name in ("leverages", "leverage_weights"):
            object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))
        if not 1 <= len(self.leverages) <= MAX_LEVERAGES:
            raise ValueError(f"leverages must hold 1 to {MAX_LEVERAGES} numbers, got {len(self.leverages)}")
        if len(self.leverage_weights) != len(self.leverages):
            raise ValueError(
                f"leverage_weights must hold one number for each of the {len(self.leverages)} leverages, "
                f"got {len(self.leverage_weights)}"
            )
        if abs(sum(self.leverage_weights) - 1.0) > 1e-6:
            raise ValueError(f"leverage_weights must add up to 1, got {sum(self.leverage_weights):.9g}")
        highest = max(self.leverages)
        most = 1.0 / highest + self.margin_amount
        if self.margin_rate >= most:
            raise ValueError(
                f"margin_rate must be below 1 / leverage + margin_amount = {most:.6g} at {highest:g}x, got "
                f"{self.margin_rate:g}: such a position would be liquidated as it is opened"
            )
        for leverage in self.leverages:
            for side in (LONG, SHORT):
                factor = self._factor(leverage, side)
                if not 1.0 / MAX_FACTOR <= factor <= MAX_FACTOR:
                    raise ValueError(
                        f"leverages, margin_rate and margin_amount must keep a liquidation price within a factor of "
                        f"{MAX_FACTOR:g} of its entry, got {factor:.4g} at {leverage:g}x"
                    )
        if self.atr_bars >= self.ledger_bars + self.flow_bars:
            raise ValueError(
                f"atr_bars must be below ledger_bars + flow_bars = {self.ledger_bars + self.flow_bars}, "
                f"got {self.atr_bars}: a row would depend on more than its memory"
            )

    def _check(self, spec: dataclasses.Field[Any]) -> None:
        value = getattr(self, spec.name)
        if choices := spec.metadata.get("choices"):
            if type(value) is not type(choices[0]) or value not in choices:
                raise ValueError(f"{spec.name} must be one of {', '.join(map(str, choices))}, got {value!r}")
            return
        low, high = spec.metadata["range"]
        many = isinstance(spec.default, tuple)
        if many:
            if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__") or getattr(value, "shape", None) == ():
                raise TypeError(f"{spec.name} must be a sequence of numbers, got {value!r}")
            value = tuple(itertools.islice(value, MAX_LEVERAGES + 1))  # which a generator gives but once
            object.__setattr__(self, spec.name, value)
        whole = isinstance(spec.default, int)
        for number in value if many else (value,):
            if isinstance(number, (bool, np.bool_)) or not isinstance(number, (int, float, np.integer, np.floating)):
                raise TypeError(f"{spec.name} must be {'whole ' if whole else ''}numbers, got {number!r}")
            if not low <= number <= high:
                raise ValueError(
                    f"{spec.name} must lie in [{low:g}, {high:g}] ({spec.metadata['doc']}), got {number!r}"
                )
            if whole and number != int(number):
                raise TypeError(f"{spec.name} must be a whole number, got {number!r}")
        if not many:
            object.__setattr__(self, spec.name, int(value) if whole else float(value))

    def _factor(self, leverage: float, side: int) -> float:
        try:
            return liquidation_factor(leverage, side, self.margin_rate, self.margin_amount, self.margin == "inverse")
        except ZeroDivisionError:
            return math.inf

    @property
    def memory(self) -> int:
        """Rows that a signal depends on: windows add up, and the one more is the previous close."""
        before_flow = max(self.ledger_bars, self.flow_bars) if self.use_cascades else self.ledger_bars
        learned = 0 if self.observed == OBSERVED[BESIDE] else self.observed_bars
        return 1 + before_flow + learned + self.flow_bars + self.zone_bars

    @property
    def digest(self) -> str:
        """Sixteen hex digits that name these values; stamped on saved states and exported scripts."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, complete."""
        return {
            spec.name: list(value) if isinstance(value := getattr(self, spec.name), tuple) else value
            for spec in dataclasses.fields(self)
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Params:
        """The inverse of ``to_dict``; names left out keep their defaults, unknown ones raise with a suggestion.

        ``scale``, which ``liquidator fit`` writes beside them, is passed over.
        """
        return cls(**{name: value for name, value in values.items() if name != "scale"})

    def to_record(self) -> np.ndarray:
        """The (1,) PARAMS array that kernels read."""
        record = np.zeros(1, PARAMS)
        shared = set(PARAMS.names or ()) & {spec.name for spec in dataclasses.fields(self)} - {"leverages", "observed"}
        for name in shared:
            record[name] = getattr(self, name)
        record["leverages"] = len(self.leverages)
        record["memory"] = self.memory
        record["observed"] = OBSERVED.index(self.observed)
        record["use_extra_sources"] = any(getattr(self, name) for name in SWITCHES)
        record["digest"] = int(self.digest, 16)
        for k, (leverage, weight) in enumerate(sorted(zip(self.leverages, self.leverage_weights, strict=True))):
            record["weight"][0, k] = weight
            for side in (LONG, SHORT):
                factor = self._factor(leverage, side)
                record["factor"][0, side, k] = factor
                record["offset"][0, side, k] = math.log(factor) * BINS_PER_LOG
                record["entries_swept"][0, side, k] = weight / factor
        return record
