"""What happens to zones and observed liquidations, told to callbacks as bars close."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from ..tables.zone_schema import SIDES, Context, as_users_see, ending_of, zone_rows
from .instant import context_at, end_of
from .settings import Settings
from .timeframes import Timeframes

_LOG = logging.getLogger("liquidator")
Callback = Callable[..., object]
EVENTS = ("zone_formed", "zone_updated", "zone_broken", "zone_touched", "zone_held", "liquidation")


class Courier(Protocol):
    """Calls callbacks elsewhere, in order, as long as it is open."""

    is_open: bool

    def call(self, callback: Callback, *what: Any) -> None:
        """Have a callback called."""


class EventCallbacks:
    """Callbacks by event, and how far they were called; ``errors`` counts those that raised.

    ``courier`` calls them while a stream runs; None: they are called where they arise.
    """

    def __init__(self, frames: Timeframes, settings: Settings) -> None:
        self.errors = 0
        self.courier: Courier | None = None
        self._frames = frames
        self._settings = settings
        self._callbacks: dict[str, list[Callback]] = {name: [] for name in EVENTS}
        self._next = 0  # position of the first row whose events were not announced yet
        self._advancing = False

    def __getstate__(self) -> dict[str, Any]:
        """Of a copy, which no stream feeds."""
        return {**self.__dict__, "courier": None}

    def register(self, event: str, callback: Callback) -> None:
        """Have a callback called from the next event on."""
        if not callable(callback):
            raise TypeError(f"callback must be callable, got {type(callback).__name__}")
        if not self._settings.streaming and event != "liquidation":
            raise ValueError(f"on_{event} needs Liquidator(mode='streaming'): in batch mode bars may still change")
        if not self._zones_wanted:
            self._next = self._frames.bars(self._settings.timeframe).rows.end
        self._callbacks[event].append(callback)

    def announce(self, event: str, *what: Any) -> None:
        """Call the callbacks of an event."""
        for callback in self._callbacks[event]:
            if self.courier is not None and self.courier.is_open:
                self.courier.call(self._call, event, callback, *what)
            else:
                self._call(event, callback, *what)

    def _call(self, event: str, callback: Callback, *what: Any) -> None:
        try:
            callback(*what)
        except Exception:
            self.errors += 1
            _LOG.exception("a callback of on_%s raised", event)

    def go_on_with(self, frames: Timeframes) -> None:
        """Announce what comes after the last bar of these from now on."""
        self._frames = frames
        self._next = frames.bars(self._settings.timeframe).rows.end

    def announce_liquidations(self, some: np.ndarray) -> None:
        """Call the callbacks of observed liquidations, (n,) LIQUIDATION."""
        if not self._callbacks["liquidation"]:
            return
        for one in some:
            event = {name: one[name].item() for name in ("price", "usd")}
            event |= {"time": np.datetime64(int(one["time"]), "ms"), "side": SIDES[one["side"]]}
            self.announce("liquidation", {**event, "venue": self._frames.history.venues[one["venue"]]})

    def advance(self) -> None:
        """Streaming: close what is due, announce what happened, and let go of what is too old."""
        self._frames.history.settle()
        if self._advancing:  # a callback feeds this object: the loop that called it goes on to what it brought
            return
        self._advancing = True
        try:
            if self._zones_wanted:
                self._announce_bars()
            self._frames.catch_up()
        finally:
            self._advancing = False

    @property
    def _zones_wanted(self) -> bool:
        return any(some for name, some in self._callbacks.items() if name != "liquidation")

    def _announce_bars(self) -> None:
        timeframe = self._settings.timeframe
        if self._next == self._frames.bars(timeframe).rows.end:
            return
        before = self._context(self._next)
        while self._next < self._frames.bars(timeframe).rows.end:
            self._next += 1
            after = self._context(self._next)
            for event, *what in changes(before, after):
                self.announce(event, *what)
            before = after

    def _context(self, end: int) -> Context:
        settings = self._settings
        params = settings.params_of(settings.timeframe, settings.window_minutes)
        return context_at(self._frames, settings.timeframe, params, settings.pct_merge, end=end)


def changes(before: Context, after: Context) -> Iterator[tuple[Any, ...]]:
    """The events between two bars, in the order touched, held, broken, formed, updated: (event, zone, ...)."""
    old = {int(zone["zone_id"]): zone for zone in before.zones}
    new = {int(zone["zone_id"]): zone for zone in after.zones}
    if old.keys() == new.keys() and all(_counts(old[key]) == _counts(new[key]) for key in old):
        return
    time = {"event_time": np.datetime64(end_of(after), "ms")}
    old_rows = {zone["zone_id"]: {**as_users_see(zone), **time} for zone in zone_rows(before)}
    new_rows = {zone["zone_id"]: {**as_users_see(zone), **time} for zone in zone_rows(after)}
    leads = {2 * int(mark["birth"]) + int(mark["side"]): mark for mark in after.marks}
    for name, event in (("touches", "zone_touched"), ("holds", "zone_held")):
        for key in old:
            if key in leads and leads[key][name] > old[key][name]:
                yield event, {**(new_rows.get(key) or old_rows[key]), name: int(leads[key][name])}
    for key in sorted(old.keys() - new.keys()):
        yield "zone_broken", {**old_rows[key], "reason": ending_of(old[key], after.marks)}
    for key in sorted(new.keys() - old.keys()):
        yield "zone_formed", new_rows[key]
    for key in sorted(old.keys() & new.keys()):
        if _shape(old[key]) != _shape(new[key]):
            yield "zone_updated", new_rows[key], old_rows[key]


def _shape(zone: np.void) -> tuple[float, ...]:
    return tuple(zone[name] for name in ("price", "low", "high", "usd", "marks"))


def _counts(zone: np.void) -> tuple[float, ...]:
    return (*_shape(zone), zone["touches"], zone["holds"])
