"""The Liquidator: one coin's trades and feeds in; zones, levels and events out.

The API of the package liquidator-indicator on this engine; docs/migrating.md maps its names.
Time is event time alone: the same data gives the same answer on any day, in any chunks, from sources in any order.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np

from liquidator_core import BAR, Params, levels_of, zones_of
from liquidator_core._atomic import replacing
from liquidator_core.alignment import alignment
from liquidator_core.layout import BINS_PER_LOG, CELL_BINS, SCHEMA, SIZES
from liquidator_core.levels import cells_of
from liquidator_core.timeframes import TIMEFRAMES, bar_spans, timeframe_ms
from liquidator_core.zones import QUALITY_EDGES, QUALITY_LABELS, marks_of

from ..market.candles import Candles, bars_from_frame
from ..market.columns import Events, held
from ..market.liquidations import read_liquidations, read_rates
from ..market.messages import moment
from ..market.times import ms_of
from ..market.trades import One, Reader, read_trades, reader_of, rows_of
from ..market.venues import ENVELOPES, coin_of
from ..tables import risk
from ..tables.observed import feed_of_bars
from ..tables.zone_schema import SIDES, Context, ending_of, zone_rows
from ..tables.zones import check_zones, grid_frame, levels_to_frame, zone_dicts, zone_rows_to_frame
from . import cascade
from .history import History
from .rows import Rows
from .settings import SETTINGS, above, finite, not_yet, one_of
from .timeframes import Engine, Higher

if TYPE_CHECKING:
    import pandas as pd

    from ..charts.html import Figure

_LOG = logging.getLogger("liquidator")
Zone = dict[str, Any]  # a row of ``zone_table.COLUMNS``
Callback = Callable[..., object]
_QUALITIES = dict(zip(QUALITY_LABELS, (-math.inf, *QUALITY_EDGES), strict=True))
_EVENTS = ("zone_formed", "zone_updated", "zone_broken", "zone_touched", "zone_held", "liquidation")
_LONGEST = TIMEFRAMES[:12]  # of bars made from trades: up to a day
_CATCH_UP = 10_000  # base bars after which streaming brings every higher timeframe up to date
_MOST_ENGINES = 24


class Liquidator:
    """Liquidation zones and levels of one coin from its public data.

    coin                its name; a column ``coin`` must agree
    pct_merge           widest zone of several events, as a share of its price; None: ``params.max_width_atr`` decides
    zone_vol_mult       half-width of an event's band in ATR; None: ``params.zone_atr``
    window_minutes      how long an event counts; None: ``params.zone_bars`` bars
    liq_size_threshold  USD that a trade must have to count as large, beside the relative rule; None: any
    mode                ``batch``: bars are made anew when older data arrive. ``streaming``: a closed bar never changes,
                        callbacks fire, memory is bounded
    cutoff_hours        batch: for how long trades are kept beside the bars they made, in event time; None: for ever
    enable_ml, ml_enabled  not in this version: True raises NotImplementedError
    bar                 length of the bars made from trades, 1m to 1d
    timeframe           whose zones ``compute_zones`` and the callbacks give; None: ``bar``
    timeframes          of ``compute_multi_timeframe_zones``; None: all that bars of ``bar`` fit into
    params              of the engine, beneath what the arguments above set
    lateness_ms         streaming: a bar closes when event time passes its end by this
    on_bad              ``raise``, or ``skip``: a trade with a bad value is left out, counted and logged

    Raises ValueError or TypeError for a value that is not allowed. Memory: batch 32 bytes a trade kept, 32 more if it
    has an id, and 136 a bar; streaming some tens of MB, however long it runs, and the trades of the open bar.
    """

    def __init__(
        self,
        coin: str = "BTC",
        pct_merge: float | None = None,
        zone_vol_mult: float | None = None,
        window_minutes: float | None = None,
        liq_size_threshold: float | None = None,
        mode: Literal["batch", "streaming"] = "batch",
        cutoff_hours: float | None = 48,
        enable_ml: bool = False,
        *,
        bar: str = "1m",
        timeframe: str | None = None,
        timeframes: Sequence[str] | None = None,
        params: Params | None = None,
        lateness_ms: int = 2000,
        on_bad: Literal["raise", "skip"] = "raise",
        ml_enabled: bool = False,
    ) -> None:
        if enable_ml or ml_enabled:
            not_yet("hold and break probabilities", "zones carry quality_score, touches, holds and breaks")
        one_of("mode", mode, ("batch", "streaming"))
        one_of("on_bad", on_bad, ("raise", "skip"))
        one_of("bar", bar, _LONGEST)
        if isinstance(lateness_ms, bool) or not isinstance(lateness_ms, int) or not 0 <= lateness_ms <= 3_600_000:
            raise ValueError(f"lateness_ms must be a whole number from 0 to 3,600,000, got {lateness_ms!r}")
        if not isinstance(params, Params | None):
            raise TypeError(f"params must be Params or None, got {type(params).__name__}")
        if not isinstance(coin, str) or not coin:
            raise ValueError(f"coin must be a name, got {coin!r}")
        self.coin = coin
        self.mode = mode
        self.bar = bar
        self.pct_merge = above("pct_merge", pct_merge)
        self.window_minutes = above("window_minutes", window_minutes)
        self.cutoff_hours = above("cutoff_hours", cutoff_hours)
        self.lateness_ms = lateness_ms
        self.on_bad = on_bad
        self.timeframe = self._timeframe(timeframe or bar)
        self.timeframes = self._timeframes(timeframes)
        changes: dict[str, Any] = {"tape_ms": timeframe_ms(bar)}
        if zone_vol_mult is not None:
            changes["zone_atr"] = zone_vol_mult
        if liq_size_threshold is not None:
            changes["large_usd"] = liq_size_threshold
        self.params = dataclasses.replace(params or Params(), **changes)
        keep_ms = None if self.cutoff_hours is None else max(1, int(self.cutoff_hours * 3_600_000))
        self._params_for(self.timeframe, window_minutes)
        self._history = History(self.params, mode == "streaming", lateness_ms, keep_ms)
        self._higher: dict[str, Higher] = {}
        self._engines: dict[tuple[str, str], Engine] = {}
        self._readers: dict[tuple[str, ...], Reader] = {}
        self._callbacks: dict[str, list[Callback]] = {name: [] for name in _EVENTS}
        self._told = 0  # position of the row from which on callbacks are to be told
        self._advancing = False
        self._caught_up = 0
        self._last: tuple[Any, pd.DataFrame] | None = None  # the last frame and what it was made from
        self.skipped = 0
        self.callback_errors = 0

    def __repr__(self) -> str:
        bars = self._history.rows
        last = f", last {moment(int(bars.rows['time'][-1]))}" if len(bars.rows) else ""
        return f"<Liquidator {self.coin} {self.mode}, {bars.end} bars of {self.bar}{last}>"

    @classmethod
    def from_exchange(cls, symbol: str, exchange: str, raw_data: Events | None = None, **kwargs: Any) -> Liquidator:
        """A Liquidator of a venue's trades as its API returned them (``raw_data``); ``kwargs`` as for the class.

        Fetching them is not in this version: without ``raw_data`` it raises NotImplementedError.
        """
        if raw_data is None:
            not_yet(
                "fetching from an exchange", "fetch the trades yourself (ccxt's fetch_trades) and pass them as raw_data"
            )
        made = cls(coin_of(symbol), **kwargs)
        made.ingest_trades(raw_data, venue=exchange)
        return made

    # Data in ---------------------------------------------------------------------------------------------------------

    def ingest_trades(self, data: Events, venue: str = "") -> None:
        """Take public trades: all of them or, if one is bad, none.

        data    rows with names (a list or a generator of dicts), columns, a frame, an Arrow table, a structured array,
                or what a venue's API returned; see ``ingest.NAMES`` for names and ``ingest.VENUES`` for venues
        venue   whose they are, where no column says it; some venues name sides and sizes in their own way

        Sizes are base units. Those of inverse contracts that count the quote currency (on Bybit, Deribit, Kraken) are
        divided by the price; those of contracts whose size no trade says (swaps of OKX, KuCoin, Gate and others) are
        refused unless a field ``base_size`` gives them in base units. Trades with an id that this venue already gave
        are known and left out; without ids every trade counts. Trades of one time count in order of venue, id and
        arrival, so name the venues. Raises ValueError or TypeError naming row, field, what was found and what is
        allowed. Cost: that of the trades given.
        """
        data = held(data)
        if isinstance(data, list) and len(data) == 1 and _is_trade(data[0]):
            self._push_row(data[0], venue)
            return
        try:
            parts = read_trades(data, self.coin, venue)
        except (ValueError, TypeError):
            if self.on_bad == "raise":
                raise
            rows, skipped = rows_of(data, venue), self.skipped
            for trade in rows:
                self.push(trade, venue)
            if self.skipped - skipped == len(rows):  # it is not the rows that are bad
                raise
            return
        self._history.add_trades(parts)
        if self.mode == "streaming":
            self._advance()

    def _push_row(self, trade: Mapping[str, Any], venue: str) -> None:
        """``push`` for a table of one row, with errors that name the row."""
        try:
            self.push(trade, venue)
        except (ValueError, TypeError) as error:
            if str(error).startswith(("missing column", "columns ")):
                raise
            raise (TypeError if isinstance(error, TypeError) else ValueError)(f"row 0, {error}") from None

    def push(self, trade: Mapping[str, Any], venue: str = "") -> None:
        """Take one trade, as ``ingest_trades`` takes many; no frame is made. Cost: a few microseconds, and where a bar
        closes some 100 more.
        """
        try:
            one, venue = self._read_one(trade, venue)
        except (ValueError, TypeError) as error:
            if self.on_bad == "raise":
                raise
            if self.skipped == 0:
                _LOG.warning("trades are skipped, the first: %s", error)
            self.skipped += 1
            return
        self._history.push(one, venue)
        if self.mode == "streaming" and self._history.clock >= self._history.due:
            self._advance()

    def update_incremental(self, new_trades: Events, venue: str = "") -> pd.DataFrame:
        """``ingest_trades``, then ``compute_zones``."""
        self.ingest_trades(new_trades, venue)
        return self.compute_zones()

    def ingest_liquidations(self, data: Events, venue: str = "") -> None:
        """Take observed liquidations, given like trades: time, price, side, USD or size, and where known id and venue.

        side    "long" or "short": who was liquidated; "buy" or "sell": the closing order, but see
                ``ingest.read_liquidations``

        The bars from a feed's first liquidation on, until ``params.flow_bars`` bars after its last, have what it
        observed in place of what the engine estimates. All venues' are added up. Errors as for ``ingest_trades``.
        """
        data = held(data)
        some = self._history.add_liquidations(read_liquidations(data, self.coin, self._history.code_of, venue))
        if self._callbacks["liquidation"]:
            for one in some:
                event = {name: one[name].item() for name in ("price", "usd")}
                event |= {"time": np.datetime64(int(one["time"]), "ms"), "side": SIDES[one["side"]]}
                self._tell("liquidation", {**event, "venue": self._history.venues[one["venue"]]})
        if self.mode == "streaming":
            self._advance()

    ingest_liqs = ingest_liquidations

    def ingest_funding_rates(self, data: Events) -> None:
        """Take readings of the funding rate and of open interest (base units), as time series: ``ingest.read_rates``.

        A bar has the last funding rate up to its end, and the last open interest read in it, its end included. Errors
        as for ``ingest_trades``.
        """
        self._history.add_rates(read_rates(data, self.coin))

    ingest_open_interest = ingest_funding_rates

    def update_candles(self, candles: Candles) -> None:
        """Take closed candles of ``bar``, given as to ``frames.bars_from_frame``.

        A candle's prices and volumes stand in for those of its bar's trades; of one time the last given counts. Raises
        as ``bars_from_frame``, and for candles of another timeframe.
        """
        bars = bars_from_frame(candles, self.on_bad)
        step = timeframe_ms(self.bar)
        found = int(np.diff(bars["time"]).min()) if len(bars) > 1 else step
        if found < step or (found > step and len(bars) > 2):  # two may have a hole between them
            known = next((name for name in _LONGEST if timeframe_ms(name) == found), None)
            hint = f": make it Liquidator(bar={known!r})" if known else ""
            raise ValueError(f"candles must be of {self.bar}, got steps of {found} ms{hint}")
        astray = bars["time"] % step != 0
        if astray.any():
            row = int(astray.argmax())
            raise ValueError(
                f"row {row}, time: found {moment(bars['time'][row])}, allowed the opening of a {self.bar} bar"
            )
        self._history.add_candles(bars)
        if self.mode == "streaming":
            self._advance()

    @property
    def counts(self) -> dict[str, int]:
        """What was left out, and why: late events, repeated ids, bad trades skipped; and callbacks that raised."""
        late = {f"late_{name}": count for name, count in self._history.late.items()}
        return {
            **late,
            "repeated": self._history.repeated,
            "skipped": self.skipped,
            "callback_errors": self.callback_errors,
        }

    def bars(self, timeframe: str | None = None) -> np.ndarray:
        """The closed bars of a timeframe: (n,) BAR, a copy, for ``frames.signal_columns`` and every other adapter."""
        return self._rows(self._timeframe(timeframe or self.bar)).rows.copy()

    # Zones -----------------------------------------------------------------------------------------------------------

    def compute_zones(
        self,
        window_minutes: float | None = None,
        pct_merge: float | None = None,
        use_atr: bool = True,
        min_quality: str | None = None,
        as_of: Any = None,
    ) -> pd.DataFrame:
        """The zones as of the last event, or of ``as_of``, strongest first: a new frame of ``zone_table.COLUMNS``.

        window_minutes, pct_merge  as for the class, for this call
        use_atr      False: bands are those of the events' prices alone, without their widths in ATR
        min_quality  "weak", "medium" or "strong": leave out what is weaker
        as_of        a time (ms, datetime, ISO text): only bars that had closed by then

        Columns and types are the same for no zones. ``attrs``: bars_seen, warm, and as_of, the end of the last bar,
        as ISO text or None.
        Cost: that of the bars since the last call; with other arguments than the last time that of ``memory`` bars.
        """
        least = self._least_quality(min_quality)
        window = self.window_minutes if window_minutes is None else window_minutes
        merge = self.pct_merge if pct_merge is None else above("pct_merge", pct_merge)
        params = self._params_for(self.timeframe, window)
        rows = self._rows(self.timeframe)
        key = (params.digest, merge, use_atr, least, as_of, rows.epoch, rows.end, len(self._history.liquidations.rows))
        if self._last is None or self._last[0] != key:
            context = self._context(self.timeframe, params, merge, as_of)
            told = [zone for zone in zone_rows(context, use_atr) if zone["quality_score"] >= least]
            told.sort(key=lambda zone: (-zone["quality_score"], zone["price_mean"]))
            frame = zone_rows_to_frame(told)
            frame.attrs = _attrs(context)
            self._last = key, frame
        return self._last[1].copy()

    def compute_multi_timeframe_zones(
        self,
        timeframes: Sequence[str] | None = None,
        pct_merge: float | None = None,
        use_atr: bool = True,
        min_quality: str | None = None,
        as_of: Any = None,
    ) -> pd.DataFrame:
        """The zones of several timeframes, best aligned first: the columns of ``compute_zones`` and two more.

        ``timeframe``, categorical; ``alignment_score``, 0 to 100: the share of the other timeframes with a zone of any
        quality that overlaps this one (NaN if there is no other). Timeframes with fewer bars than ``memory`` have zones
        with ``warm`` False.
        """
        least = self._least_quality(min_quality)
        merge = self.pct_merge if pct_merge is None else above("pct_merge", pct_merge)
        names = self.timeframes if timeframes is None else self._timeframes(timeframes)
        contexts = {
            name: self._context(name, self._params_for(name, self.window_minutes), merge, as_of) for name in names
        }
        told = []
        for name, context in contexts.items():
            others = [other.zones for other_name, other in contexts.items() if other_name != name]
            scores = np.broadcast_to(alignment(context.zones["low"], context.zones["high"], others), len(context.zones))
            for zone, score in zip(zone_rows(context, use_atr), scores.tolist(), strict=True):
                if zone["quality_score"] >= least:
                    told.append({**zone, "timeframe": name, "alignment_score": score})
        told.sort(key=lambda zone: (-np.nan_to_num(zone["alignment_score"]), -zone["quality_score"], zone["zone_id"]))
        more = {"timeframe": (TIMEFRAMES, "of its bars"), "alignment_score": ("float", "0 to 100")}
        return zone_rows_to_frame(told, more)

    def get_nearest_zone(self, price: float, zones: pd.DataFrame | None = None) -> Zone | None:
        """The zone whose ``price_mean`` is nearest, with ``dist``, its distance as a share of it; None without one."""
        above("price", price)
        zones = self.compute_zones() if zones is None else check_zones(zones)
        found = [{**zone, "dist": abs(zone["price_mean"] - price) / zone["price_mean"]} for zone in zone_dicts(zones)]
        return min(found, key=lambda zone: zone["dist"], default=None)

    def add_cascade_analysis(
        self,
        zones: pd.DataFrame,
        current_price: float,
        funding_rate: float = 0.0,
        cascade_window_pct: float = 0.05,
        chain_gap_pct: float = 0.01,
    ) -> pd.DataFrame:
        """These zones with what a sweep of each would set off; see ``cascade`` for the formulas.

        Adds ``cascade_probability`` (0 to 100, a score), ``cascade_chain_length``, ``cascade_target_price`` (where the
        chain ends), ``reproduction`` (the ledger's R at the zone) and ``sweep_end`` (where a sweep of the ledger that
        reaches the zone ends); the last two NaN as long as the price impact is unknown.
        """
        above("current_price", current_price)
        finite("funding_rate", funding_rate)
        above("cascade_window_pct", cascade_window_pct)
        above("chain_gap_pct", chain_gap_pct)
        price, usd = _columns_of(zones)
        length, target = cascade.chains(price, current_price, chain_gap_pct)
        ends = list(self._sweeps(price, current_price)) if len(price) else []
        return zones.assign(
            cascade_probability=cascade.cascade_scores(
                price, usd, length, current_price, funding_rate, cascade_window_pct
            ),
            cascade_chain_length=length,
            cascade_target_price=target,
            reproduction=np.array([number for number, _ in ends], np.float64),
            sweep_end=np.array([end for _, end in ends], np.float64),
        )

    def _sweeps(self, price: np.ndarray, current: float) -> Iterator[tuple[float, float]]:
        engine = self._engine(self.timeframe).advance(rows := self._rows(self.timeframe))
        close = float(engine.state["close"][0])
        impact = cascade.price_impact(rows.rows[-engine.params.memory :])
        cells = cells_of(engine.state, engine.record)
        for at, side in zip(price, cascade.sides_of(price, current), strict=True):
            yield cascade.sweep(cells, close, int(side), float(at), impact if close > 0.0 else math.nan)

    def add_gravity_scores(
        self, zones: pd.DataFrame, current_price: float, min_distance_pct: float = 0.0001
    ) -> pd.DataFrame:
        """These zones with ``gravity``, USD / squared distance (share of the price), and ``gravity_rank``, 1 first."""
        above("current_price", current_price)
        above("min_distance_pct", min_distance_pct)
        price, usd = _columns_of(zones)
        pull = cascade.gravity(price, usd, current_price, min_distance_pct)
        return zones.assign(gravity=pull, gravity_rank=np.searchsorted(np.sort(-pull), -pull) + 1)

    def get_gravity_target(self, zones: pd.DataFrame, current_price: float) -> Zone | None:
        """The zone of ``gravity_rank`` 1, or None."""
        return max(
            zone_dicts(self.add_gravity_scores(zones, current_price)),
            key=lambda zone: zone["gravity"],
            default=None,
        )

    # Levels ----------------------------------------------------------------------------------------------------------

    def levels(self) -> pd.DataFrame:
        """Where forced closes lie ahead, as of the last bar, upwards by price; see ``frames.levels_to_frame``."""
        engine = self._engine(self.timeframe).advance(self._rows(self.timeframe))
        return levels_to_frame(levels_of(engine.state, engine.record), float(engine.state["close"][0]))

    def at_risk(self, **asked: Any) -> pd.DataFrame:
        """USD that are liquidated if price goes somewhere, as of the last hour: ``tables.risk.liquidation_at_risk``.

        asked   ``horizon``, ``moves``, ``feed``, ``market``; what was observed of liquidations is the feed, if anything
        """
        bars = self._rows("1h").rows
        return risk.liquidation_at_risk(bars, observed=feed_of_bars(bars), params=self.params, **asked)

    def levels_grid(self, bars: int = 240) -> pd.DataFrame:
        """The ledger ahead of price as a grid for heatmaps: USD by price (index) and bar (columns, their opening).

        bars   the last so many closed bars; each column is what was known when its bar closed

        Prices rise by one cell of the ledger, 0.4 %. Cost: some 50 us a bar.
        """
        if isinstance(bars, bool) or not isinstance(bars, int) or bars < 1:
            raise ValueError(f"bars must be a whole number, 1 or more, got {bars!r}")
        rows = self._rows(self.timeframe)
        engine = Engine(self._params_for(self.timeframe, self.window_minutes))
        columns = []
        for end in range(max(rows.first, rows.end - bars), rows.end):
            engine.advance(rows, end + 1)
            columns.append(cells_of(engine.state, engine.record))
        width = CELL_BINS / BINS_PER_LOG
        cells = [np.floor(np.log(column["price"]) / width).astype(np.int64) for column in columns]
        filled = [part for part in cells if len(part)]
        low = min((int(part.min()) for part in filled), default=0)
        high = max((int(part.max()) + 1 for part in filled), default=0)
        usd = np.zeros((high - low, len(columns)))
        for place, (cell, column) in enumerate(zip(cells, columns, strict=True)):
            np.add.at(usd[:, place], cell - low, column["usd"])
        time = rows.rows["time"][len(rows.rows) - len(columns) :]
        return grid_frame(usd, np.exp((np.arange(low, high) + 0.5) * width), time)

    # Events ----------------------------------------------------------------------------------------------------------

    def on_zone_formed(self, callback: Callback) -> None:
        """Streaming: call ``callback(zone)`` for every zone id that appears; ``on_zone_broken`` says what all share."""
        self._register("zone_formed", callback)

    def on_zone_updated(self, callback: Callback) -> None:
        """Streaming: call ``callback(zone, old_zone)`` when a zone's price, edges, USD or number of events changed."""
        self._register("zone_updated", callback)

    def on_zone_broken(self, callback: Callback) -> None:
        """Streaming: call ``callback(zone)`` for every zone id that ends; ``reason`` is "break", "expiry" or "merge".

        Callbacks are called as a bar closes, each event once, a bar's in the order touched, held, broken, formed,
        updated. A zone is a mapping of ``zone_table.COLUMNS`` and ``event_time``, the end of that bar. A callback that
        raises is logged and counted (``callback_errors``), and the others run.
        """
        self._register("zone_broken", callback)

    def on_zone_touched(self, callback: Callback) -> None:
        """Streaming: call ``callback(zone)`` when a zone is touched."""
        self._register("zone_touched", callback)

    def on_zone_held(self, callback: Callback) -> None:
        """Streaming: call ``callback(zone)`` when a touched zone held."""
        self._register("zone_held", callback)

    def on_liquidation(self, callback: Callback) -> None:
        """Call ``callback(event)`` for every observed liquidation that counts: time, price, usd, side, venue."""
        self._register("liquidation", callback)

    def _register(self, event: str, callback: Callback) -> None:
        if not callable(callback):
            raise TypeError(f"callback must be callable, got {type(callback).__name__}")
        if self.mode != "streaming" and event != "liquidation":
            raise ValueError(f"on_{event} needs Liquidator(mode='streaming'): in batch mode bars may still change")
        if not self._tells_zones:
            self._told = self._rows(self.timeframe).end
        self._callbacks[event].append(callback)

    @property
    def _tells_zones(self) -> bool:
        return any(some for name, some in self._callbacks.items() if name != "liquidation")

    def _tell(self, event: str, *what: Any) -> None:
        for callback in self._callbacks[event]:
            try:
                callback(*what)
            except Exception:
                self.callback_errors += 1
                _LOG.exception("a callback of on_%s raised", event)

    def _advance(self) -> None:
        """Close what is due, tell callbacks of it, and let go of what is too old."""
        self._history.settle()
        if self._advancing:  # a callback feeds this object: the loop that called it goes on to what it brought
            return
        self._advancing = True
        try:
            if self._tells_zones:
                self._tell_bars()
            self._catch_up()
        finally:
            self._advancing = False

    def _tell_bars(self) -> None:
        params = self._params_for(self.timeframe, self.window_minutes)
        rows = self._rows(self.timeframe)
        if self._told == rows.end:
            return
        before = self._context(self.timeframe, params, self.pct_merge, end=self._told)
        while self._told < self._rows(self.timeframe).end:
            self._told += 1
            after = self._context(self.timeframe, params, self.pct_merge, end=self._told)
            self._tell_changes(before, after)
            before = after

    def _catch_up(self) -> None:
        """Now and then, make higher bars of the base bars that are about to go."""
        end = self._history.rows.end
        if end - self._caught_up < _CATCH_UP:
            return
        self._caught_up = end
        longest_memory = self.params.memory - self.params.zone_bars + SIZES[-1]  # of whatever window_minutes
        for name in self.timeframes:
            if name != self.bar:
                self._rows(name).drop(longest_memory)
        self._history.drop_rows()

    def _tell_changes(self, before: Context, after: Context) -> None:
        old = {int(zone["zone_id"]): zone for zone in before.zones}
        new = {int(zone["zone_id"]): zone for zone in after.zones}
        if old.keys() == new.keys() and all(_counts(old[key]) == _counts(new[key]) for key in old):
            return
        time = {"event_time": np.datetime64(_end_of(after), "ms")}
        old_rows = {zone["zone_id"]: {**zone, **time} for zone in zone_rows(before)}
        new_rows = {zone["zone_id"]: {**zone, **time} for zone in zone_rows(after)}
        leads = {2 * int(mark["birth"]) + int(mark["side"]): mark for mark in after.marks}
        for name, event in (("touches", "zone_touched"), ("holds", "zone_held")):
            for key in old:
                if key in leads and leads[key][name] > old[key][name]:
                    self._tell(event, {**(new_rows.get(key) or old_rows[key]), name: int(leads[key][name])})
        for key in sorted(old.keys() - new.keys()):
            self._tell("zone_broken", {**old_rows[key], "reason": ending_of(old[key], after.marks)})
        for key in sorted(new.keys() - old.keys()):
            self._tell("zone_formed", new_rows[key])
        for key in sorted(old.keys() & new.keys()):
            if _shape(old[key]) != _shape(new[key]):
                self._tell("zone_updated", new_rows[key], old_rows[key])

    # Charts ----------------------------------------------------------------------------------------------------------

    def plot(
        self,
        zones: pd.DataFrame | None = None,
        candles: Candles | None = None,
        show: bool = True,
        save_path: str | os.PathLike[str] | None = None,
        export: str | None = None,
    ) -> Figure | str:
        """Candles with these zones (``compute_zones()`` if None) as a plotly figure.

        candles    to draw; None: the bars of ``timeframe``
        show       open it in a browser or notebook if there is one; nothing waits for it
        save_path  write it there as one HTML file that needs no network
        export     "tradingview": return a Pine script of these zones and the levels rather than the figure, or, if
                   there is no zone, one that finds its own on the chart

        Figures need plotly: pip install "liquidator-core[charts]".
        """
        if export is not None:
            one_of("export", export, ("tradingview",))
        zones = self.compute_zones() if zones is None else check_zones(zones)
        script = self._pine(zones) if export else None
        if script is not None and not show and save_path is None:
            return script
        from ..charts.html import show as show_chart
        from ..charts.html import write_html, zones_figure

        bars = self.bars(self.timeframe) if candles is None else bars_from_frame(candles, self.on_bad)
        made = zones_figure(bars, zones, self.levels(), f"{self.coin} {self.timeframe}: liquidation zones")
        if save_path is not None:
            write_html(made, save_path)
        if show:
            show_chart(made)
        return made if script is None else script

    def _pine(self, zones: pd.DataFrame) -> str:
        from ..for_tradingview.scripts import to_pine

        params = self._params_for(self.timeframe, self.window_minutes)
        if len(zones) == 0:
            return to_pine(params, symbol=self.coin)
        names = {"entry_low": "low", "entry_high": "high", "total_usd": "usd", "quality_score": "quality"}
        as_of = f"{zones.attrs['as_of']} UTC" if zones.attrs.get("as_of") is not None else ""
        return to_pine(params, "snapshot", zones.rename(columns=names), self.levels(), symbol=self.coin, as_of=as_of)

    # Later -----------------------------------------------------------------------------------------------------------

    def start_stream(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not in this version."""
        not_yet("streaming from an exchange", "connect with ccxt.pro and pass what arrives to push(trade, venue=...)")

    def _no_machine_learning(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not in this version."""
        not_yet("hold and break probabilities", "zones carry quality_score, touches, holds and breaks")

    enable_ml_predictions = train_ml_predictor = compute_zones_with_prediction = _no_machine_learning
    record_zone_outcome = update_zone_touches = get_ml_metrics = _no_machine_learning
    save_ml_model = load_ml_model = _no_machine_learning

    # Save and load ---------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything but callbacks to one file, whole or not at all; ``load`` goes on to the same results."""
        settings = {name: getattr(self, name) for name in SETTINGS}
        about: dict[str, Any] = {
            "schema": SCHEMA,
            "settings": settings,
            "params": self.params.to_dict(),
            "skipped": self.skipped,
            "history": self._history.numbers(),
            "higher": {},
        }
        arrays = dict(self._history.arrays())
        for name, higher in self._higher.items():
            arrays[f"higher {name}"] = higher.update(self._history.rows).rows
            about["higher"][name] = higher.rows.first
        about["arrays"] = sorted(arrays)
        with replacing(path) as file:
            np.savez(file, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Liquidator:
        """Read what ``save`` wrote; callbacks are to be registered anew. Nothing in the file is run.

        Raises ValueError for a file that is damaged, of another kind or of another schema.
        """
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as saved:
                about = json.loads(saved["about"].tobytes())
                arrays = {name: saved[name] for name in saved.files if name != "about"}
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            raise ValueError(f"{path}: not a file that Liquidator.save wrote, or damaged") from None
        if about.get("schema") != SCHEMA or about.get("arrays") != sorted(arrays):
            raise ValueError(f"{path}: of schema {about.get('schema')}, allowed {SCHEMA}, or incomplete")
        made = cls(**about["settings"], params=Params.from_dict(about["params"]))
        made._history.restore(about["history"], arrays)
        made.skipped = about["skipped"]
        for name, first in about["higher"].items():
            made._higher[name] = Higher(name, timeframe_ms(made.bar))
            made._higher[name].restore(arrays[f"higher {name}"].view(BAR), first, made._history.rows)
        return made

    # Inside ----------------------------------------------------------------------------------------------------------

    def _read_one(self, trade: Mapping[str, Any], venue: str) -> tuple[One, str]:
        if type(trade) is not dict and not isinstance(trade, Mapping):
            raise TypeError(f"a trade must be a mapping of names to values, got {type(trade).__name__}")
        names = (venue, *trade)
        reader = self._readers.get(names)
        if reader is None:
            if len(self._readers) > 1000:
                self._readers.clear()
            reader = self._readers[names] = reader_of(names[1:], venue)
        if reader.coin_name and str(trade[reader.coin_name]).upper() != self.coin.upper():
            raise ValueError(f"coin: found {trade[reader.coin_name]!r}, allowed {self.coin!r}: one Liquidator a coin")
        if reader.venue_name and not venue and trade[reader.venue_name]:
            return self._read_one(trade, str(trade[reader.venue_name]))
        return reader.read(trade), venue.lower()

    def _timeframe(self, name: str) -> str:
        step, length = timeframe_ms(self.bar), timeframe_ms(name)
        if length % step or (name == "1M" and 86_400_000 % step):
            raise ValueError(f"timeframe {name} cannot be made of bars of {self.bar}")
        return name

    def _timeframes(self, names: Sequence[str] | None) -> tuple[str, ...]:
        if names is None:
            step = timeframe_ms(self.bar)
            return tuple(name for name in TIMEFRAMES if timeframe_ms(name) % step == 0)
        if isinstance(names, str) or len(names) == 0:
            raise ValueError(f"timeframes must be at least one of {', '.join(TIMEFRAMES)} in a list, got {names!r}")
        return tuple(dict.fromkeys(self._timeframe(name) for name in names))

    def _params_for(self, timeframe: str, window_minutes: float | None) -> Params:
        window = above("window_minutes", window_minutes)
        if window is None:
            return self.params
        bars = math.ceil(window * 60_000 / timeframe_ms(timeframe))
        if bars > SIZES[-1]:
            raise ValueError(
                f"window_minutes must make at most {SIZES[-1]} bars of {timeframe}, got {window_minutes!r}: "
                "for more choose a longer timeframe"
            )
        return dataclasses.replace(self.params, zone_bars=bars)

    def _least_quality(self, name: str | None) -> float:
        if name is None:
            return -math.inf
        return _QUALITIES[one_of("min_quality", name.lower() if isinstance(name, str) else name, tuple(_QUALITIES))]

    def _rows(self, timeframe: str) -> Rows:
        """The closed bars of a timeframe, up to date."""
        self._history.settle()
        if timeframe == self.bar:
            return self._history.rows
        if timeframe not in self._higher:
            self._higher[timeframe] = Higher(timeframe, timeframe_ms(self.bar))
        return self._higher[timeframe].update(self._history.rows)

    def _engine(self, timeframe: str, params: Params | None = None) -> Engine:
        params = params or self._params_for(timeframe, self.window_minutes)
        key = timeframe, params.digest
        if key not in self._engines:
            if len(self._engines) >= _MOST_ENGINES:
                self._engines.clear()
            self._engines[key] = Engine(params)
        return self._engines[key]

    def _context(
        self, timeframe: str, params: Params, pct_merge: float | None, as_of: Any = None, end: int | None = None
    ) -> Context:
        """What zones are told from: as of the last row, of a time, or of the row before a position."""
        rows = self._rows(timeframe)
        if as_of is not None:
            closed_by = bar_spans(rows.rows["time"], timeframe)[1]
            end = rows.first + int(np.searchsorted(closed_by, ms_of(as_of), side="right"))
            if rows.first and end - rows.first < params.memory:
                raise ValueError(
                    f"as_of {as_of!r} lies before what streaming keeps, from {moment(rows.rows['time'][0])} on"
                )
        engine = (self._engine(timeframe, params) if as_of is None else Engine(params)).advance(rows, end)
        end = rows.end if end is None else end
        marks = marks_of(engine.state, engine.record)
        whole = marks[marks["broken"] == 0]
        if pct_merge is not None and len(whole):
            widest = float((pct_merge * whole["price"] / whole["atr"]).min())  # so that no zone is wider than its share
            merged = dataclasses.replace(params, max_width_atr=min(widest, 1000.0))
            engine = Engine(merged).advance(rows, end)
            marks = marks_of(engine.state, engine.record)
        return Context(
            zones_of(engine.state, engine.record),
            marks,
            rows.rows[: end - rows.first],
            timeframe,
            self._history.liquidations.rows,
            self._history.venues,
            float(engine.state["close"][0]),
            end,
            end >= params.memory,
        )


def _is_trade(value: Any) -> bool:
    return isinstance(value, Mapping) and value.keys().isdisjoint(ENVELOPES)


def _columns_of(zones: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    check_zones(zones)
    return zones["price_mean"].to_numpy(np.float64), zones["total_usd"].to_numpy(np.float64)


def _end_of(context: Context) -> int:
    """End of the last bar, ms."""
    return int(bar_spans(context.bars["time"][-1:], context.timeframe)[1][0])


def _attrs(context: Context) -> dict[str, Any]:
    as_of = str(np.datetime64(_end_of(context), "ms")) if len(context.bars) else None
    return {"bars_seen": context.bars_seen, "warm": context.warm, "as_of": as_of}


def _shape(zone: np.void) -> tuple[float, ...]:
    return tuple(zone[name] for name in ("price", "low", "high", "usd", "marks"))


def _counts(zone: np.void) -> tuple[float, ...]:
    return (*_shape(zone), zone["touches"], zone["holds"])
