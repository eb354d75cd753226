"""An analyzer that says what became of each zone, and what the strategy makes of fake ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from liquidator_core import Params, new_signals, new_state, step, zones_of
from liquidator_core.bars import good_rows
from liquidator_core.layout import SHORT
from liquidator_core.zones import marks_of

from ..evidence.placebo import Placebos
from ..evidence.result import FLIPPED_RUNS, ordinal, too_few
from .engine import ZONE_PARAMS, Follower, faded_zone, ms_of, params_of, refuse_unknown
from .feeds import lean_feed
from .library import bt

__all__ = ["ZoneReport"]

ACCOUNT_SETTINGS = ("entry_bars", "allow_short", "stop_atr", "risk_share", "max_leverage")
_COUNTS = ("touches", "holds", "broken", "trades", "profit")


class ZoneReport(bt.Analyzer):
    """The fate of each zone and what the strategy earned there, beside the same strategy on placebo marks.

    A placebo run gives the strategy ``flipped`` marks (``frames.placebo_marks``): each stays or is mirrored at the
    close of its bar by a fair coin. The real run's rank among them says whether the sides of the zones matter.

    Params:

      - ``placebo_runs`` (default: ``20``): runs of the strategy on flipped marks, of seeds 0, 1, 2 and so on; each
        takes as long as the run itself, or a fraction of it where the strategy has an ``account``, as ZoneFade does,
        and the broker's settings are plain ones
      - ``zone_params`` (default: ``None``): a ``liquidator_core.Params``; ``None`` means the strategy's, or else the
        defaults

    ``get_analysis()`` holds, when the run has ended:

      - ``zones``: one dict a zone, in the order in which they were first seen: ``zone_id``, ``birth_ms``, ``side`` (who
        was liquidated), ``low``, ``high``, ``usd``, ``touches``, ``holds`` (as last known while it was a zone, on the
        bar that broke it too), ``broken`` (1 if that ended it; 0 if it merged into another, grew too old, or is left),
        ``trades`` and ``profit`` (after commission) of the closed trades whose first order was placed on a bar whose
        ``fade`` or ``join`` speaks of this zone
      - ``elsewhere``: ``trades`` and ``profit`` of the others
      - ``real`` and, one a run, ``placebo``: ``zones``, sums of the above, ``total_return`` of the account as a share

    Bars are those of the strategy's first feed as it saw them. Placebo runs need a strategy that takes ``zone_params``,
    one feed that is not replayed, and backtrader's own broker. The settings of cerebro, the feed (with its name), the
    broker and the sizer are taken over; timers, writers and analyzers that were added to cerebro are not. Raises
    TypeError and ValueError where this is not so, and for ``exactbars=1``, which keeps too few bars. Warns as
    ``LiquidationIndicator`` does. Cost: for each run a step and a list of zones a bar.

    >>> cerebro = bt.Cerebro()
    >>> feed = cerebro.adddata(CandleFeed(dataname=bars))
    >>> _ = cerebro.addstrategy(bt.Strategy)
    >>> cerebro.addanalyzer(ZoneReport, placebo_runs=0)
    >>> analysis = cerebro.run()[0].analyzers.zonereport.get_analysis()
    >>> len(analysis["zones"]) == analysis["real"]["zones"]
    True
    """

    params = (("placebo_runs", FLIPPED_RUNS), ("zone_params", None))

    def __init__(self, **unknown: Any) -> None:
        refuse_unknown(self, unknown)
        super().__init__()
        self._trades: list[tuple[int, float]] = []  # (time of the bar that placed the first order, profit)
        self._placed: dict[tuple[float, bool], float] = {}  # (time of a fill, whether it bought): when it was ordered

    def start(self) -> None:
        strategy = self.strategy
        name = type(strategy).__name__
        if int(strategy.env.p.exactbars) == 1:
            raise ValueError("ZoneReport needs every bar when the run ends: exactbars=1 keeps too few, use -1 or -2")
        if not self.p.placebo_runs:
            return
        if "zone_params" not in strategy.p._getkeys():
            raise TypeError(f"placebo_runs need a strategy that takes zone_params, {name} does not: set placebo_runs=0")
        if len(strategy.datas) > 1:
            raise ValueError(f"placebo_runs need one feed, {name} has {len(strategy.datas)}: set placebo_runs=0")
        if strategy.data.replaying:
            raise ValueError("placebo_runs need closed bars, a replayed feed shows unfinished ones: use resampledata")
        if not isinstance(strategy.broker, bt.brokers.BackBroker):
            raise TypeError(f"placebo_runs need backtrader's broker, got {type(strategy.broker).__name__}")

    def notify_order(self, order: bt.Order) -> None:
        if order.status in (order.Partial, order.Completed) and order.data is self.strategy.data:
            self._placed.setdefault((order.executed.dt, order.isbuy()), order.created.dt)

    def notify_trade(self, trade: bt.Trade) -> None:
        if trade.isclosed and trade.data is self.strategy.data:
            placed = self._placed.get((trade.dtopen, trade.long), np.nan)
            self._trades.append((ms_of(placed), trade.pnlcomm))

    def stop(self) -> None:
        strategy = self.strategy
        params = params_of(strategy.p if self.p.zone_params is None and hasattr(strategy.p, "zone_params") else self.p)
        follower = Follower(strategy.data, params, "ZoneReport")
        bars = follower.read(0, len(strategy.data))
        zones, elsewhere = _fates(params, follower.engine.state, bars, self._trades)
        follower.finish()
        broker = strategy.broker
        placebos: list[dict[str, Any]] = []
        if self.p.placebo_runs:
            rerun = _rerun if _has_account(strategy, bars, params) else _placebo
            run = partial(rerun, strategy, Placebos(bars, params, mode="flipped"))
            # in a thread: backtrader takes what is made for a part of the strategy that it finds up the stack
            with ThreadPoolExecutor(max_workers=1) as apart:
                placebos += apart.map(run, range(self.p.placebo_runs))
        self.rets: dict[str, Any] = {
            "zones": zones,
            "elsewhere": elsewhere,
            "real": _sums(zones, broker.getvalue() / broker.startingcash - 1.0),
            "placebo": placebos,
        }
        self._placed, self._trades = {}, []

    def get_analysis(self) -> dict[str, Any]:
        return self.rets

    def summary(self) -> str:
        """The sums of the real zones and of each placebo run, as a table of text, and the rank of the real one.

        Under some 30 trades there is no rank.
        """
        names = ("zones", "touches", "holds", "broken", "trades", "return")
        rows: list[tuple[str, ...]] = [("", *names)]
        runs = {"real": self.rets["real"]}
        runs |= {f"flipped, seed {seed}": run for seed, run in enumerate(self.rets["placebo"])}
        for label, run in runs.items():
            rows.append((label, *(str(run[name]) for name in names[:-1]), f"{run['total_return']:+.1%}"))
        table = [f"{label:<16}" + "".join(f"{cell:>9}" for cell in cells) for label, *cells in rows]
        why = too_few(self.rets["real"]["trades"])
        if why:
            table.append(why)
        elif fakes := self.rets["placebo"]:
            rank = 1 + sum(run["total_return"] >= self.rets["real"]["total_return"] for run in fakes)
            table.append(f"the real run is {ordinal(rank)} of {len(fakes) + 1} by return")
        return "\n".join(table)


def _placebo(strategy: bt.Strategy, placebos: Placebos, seed: int) -> dict[str, Any]:
    """The sums of a run of the same strategy, in the same settings, on fake marks."""
    fakes, params = placebos.bars_of(seed), placebos.params
    cerebro = bt.Cerebro(**strategy.env.p._getkwargs() | {"stdstats": False, "writer": False})
    data = strategy.data
    shown = {"timeframe": data._timeframe, "compression": data._compression, "tz": data._tz, "calendar": data._calendar}
    session = {"sessionstart": data.p.sessionstart, "sessionend": data.p.sessionend}
    cerebro.adddata(lean_feed(fakes, data.getlinealiases(), **shown, **session), name=data._name)
    broker = type(strategy.broker)(**strategy.broker.p._getkwargs())
    broker.comminfo.update(strategy.broker.comminfo)
    cerebro.setbroker(broker)
    sizer = strategy.getsizer()
    cerebro.addsizer(type(sizer), **_with_params(sizer.p, params))
    cerebro.addstrategy(type(strategy), **_with_params(strategy.p, params))
    cerebro.addanalyzer(ZoneReport, _name="report", placebo_runs=0, zone_params=params)
    sums: dict[str, Any] = cerebro.run()[0].analyzers.report.rets["real"]
    return sums


def _has_account(strategy: bt.Strategy, bars: np.ndarray, params: Params) -> bool:
    """Whether the strategy can be run without cerebro: it has its own ``account``, and the broker is as that takes it.

    That is: backtrader's, nothing set but cash, percentages as commission, and leverage.
    """
    broker, comminfo = strategy.broker, strategy.broker.getcommissioninfo(strategy.data)
    usual = dict(bt.brokers.BackBroker.params._getitems()) | {"cash": broker.p.cash}
    return (
        "account" in vars(type(strategy))
        and type(broker) is bt.brokers.BackBroker
        and broker.p._getkwargs() == usual
        and type(comminfo) in (bt.CommInfoBase, bt.comminfo.CommissionInfo)
        and comminfo.stocklike
        and comminfo._commtype == comminfo.COMM_PERC
        and (comminfo.p.mult, comminfo.p.interest) == (1.0, 0.0)
        and len(bars) > params.memory
        and bool(good_rows(bars).all())
    )


def _rerun(strategy: bt.Strategy, placebos: Placebos, seed: int) -> dict[str, Any]:
    """What ``_placebo`` gives, of a strategy that has an account."""
    fakes, params = placebos.bars_of(seed), placebos.params
    broker, comminfo = strategy.broker, strategy.broker.getcommissioninfo(strategy.data)
    given = {name: getattr(strategy.p, name) for name in ACCOUNT_SETTINGS}
    equity, trades = type(strategy).account(
        fakes, params, broker.p.cash, comminfo.p.commission, comminfo.get_leverage(), **given
    )
    placed = zip(fakes["time"][trades["placed_row"]].tolist(), trades["pnl"].tolist(), strict=True)
    zones, _ = _fates(params, new_state(params.to_record()), fakes, list(placed))
    return _sums(zones, float(equity[-1]) / broker.p.cash - 1.0)


def _with_params(given: Any, params: Params) -> dict[str, Any]:
    """An object's parameters as keyword arguments, those of zones replaced by ``params``."""
    values = dict(given._getkwargs())
    if "zone_params" in values:
        values |= {name: None for name, _ in ZONE_PARAMS if name in values}
        values["zone_params"] = params
    return values


def _sums(zones: list[dict[str, Any]], total_return: float) -> dict[str, Any]:
    sums: dict[str, Any] = {name: sum(zone[name] for zone in zones) for name in _COUNTS}
    return {"zones": len(zones), **sums, "total_return": total_return}


def _fates(
    params: Params, state: np.ndarray, bars: np.ndarray, trades: list[tuple[int, float]]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """(what became of each zone once ``memory`` rows were seen, the trades that belong to none).

    state    (1,) STATE, which has seen nothing yet; advanced to that after ``bars``
    trades   (time of the bar whose close placed the first order, profit)
    """
    record, out = params.to_record(), new_signals(1)
    profits: dict[int, list[float]] = {}
    for time, profit in trades:
        profits.setdefault(time, []).append(profit)
    traded: list[tuple[int, float]] = []  # (id of the zone, profit)
    zones, ids = zones_of(state, record), set[int]()
    seen, broken = [zones], list[np.ndarray]()
    for row in range(len(bars)):
        before, ids_before = zones, ids
        step(state, record, bars[row : row + 1], out)
        if row + 2 < params.memory:  # the first signal may speak of a zone of the row before
            continue
        zones = zones_of(state, record)
        seen.append(zones)
        ids = set(zones["zone_id"].tolist())
        if gone := ids_before - ids:  # broken, or merged, or too old
            marks = marks_of(state, record)
            broken += [mark for mark in marks[marks["broken"] != 0] if _id(mark) in gone]
        if found := profits.pop(int(bars["time"][row]), None):
            zone_id = _traded(out[0], before, marks_of(state, record))
            traded += [(zone_id, profit) for profit in found]
    traded += [(-1, profit) for left in profits.values() for profit in left]
    return _written(np.concatenate(seen), broken, traded)


def _written(
    seen: np.ndarray, broken: list[np.ndarray], traded: list[tuple[int, float]]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What is said of zones, from all that was seen of them, in order, and of the marks whose break ended one."""
    ids, first = np.unique(seen["zone_id"], return_index=True)
    last = len(seen) - 1 - np.unique(seen["zone_id"][::-1], return_index=True)[1]
    fates: dict[int, dict[str, Any]] = {}
    for at in np.argsort(first):
        zone = seen[last[at]]
        fates[int(ids[at])] = {
            "zone_id": int(ids[at]),
            "birth_ms": int(zone["birth"]),
            "side": "short" if zone["side"] == SHORT else "long",
            **{name: float(zone[name]) for name in ("low", "high", "usd")},
            **{name: int(zone[name]) for name in ("touches", "holds")},
            "broken": 0,
            "trades": 0,
            "profit": 0.0,
        }
    for mark in broken:
        fates[_id(mark)] |= {"touches": int(mark["touches"]), "holds": int(mark["holds"]), "broken": 1}
    elsewhere: dict[str, Any] = {"trades": 0, "profit": 0.0}
    for zone_id, profit in traded:
        fate = fates.get(zone_id, elsewhere)
        fate["trades"] += 1
        fate["profit"] += profit
    return list(fates.values()), elsewhere


def _id(mark: np.ndarray) -> int:
    """The id of the zone that a mark leads."""
    return 2 * int(mark["birth"]) + int(mark["side"])


def _traded(signal: np.ndarray, zones: np.ndarray, marks: np.ndarray) -> int:
    """Id of the zone that a bar's fade or join speaks of, given the zones before the bar and the marks after; -1."""
    if signal["fade"]:
        faded = faded_zone(zones, signal)
        return int(faded["zone_id"][0]) if len(faded) else -1
    if signal["join"]:
        low, high = marks["price"] - marks["half_width"], marks["price"] + marks["half_width"]
        joined = marks[(low == signal["join_low"]) & (high == signal["join_high"])]
        return _id(joined[0]) if len(joined) else -1
    return -1
