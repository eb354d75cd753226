"""The Liquidator: one coin's trades and feeds in; zones, levels and events out.

The API of the package liquidator-indicator on this engine; docs/migrating.md maps its names.
Time is event time alone: the same data gives the same answer on any day, in any chunks, from sources in any order.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from liquidator_core import Params, levels_of

from ..market.candles import Candles, bars_from_frame, completed
from ..market.coins import Identity, coin_of
from ..market.columns import Events
from ..market.liquidations import why_thin
from ..market.messages import moment
from ..market.sources import Convention
from ..market.venues import known_venue
from ..tables import risk
from ..tables.observed import feed_of_bars
from ..tables.zone_schema import NAMES
from ..tables.zones import by_core_names, check_zones, levels_to_frame, zone_dicts
from . import cascade, saving
from .events import Callback, EventCallbacks
from .history import History
from .incoming import Incoming
from .instant import aligned_zones_frame, context_at, ledger_grid, zones_frame
from .plotting import plot_zones
from .predicting import Predicting
from .sealed import write_sealed
from .settings import SETTINGS, Settings, above, finite, least_quality, one_of
from .streaming import Streamed, guarded
from .timeframes import Timeframes

if TYPE_CHECKING:
    import pandas as pd

    from ..charts.html import Figure

_LOG = logging.getLogger("liquidator")
Zone = dict[str, Any]  # a row of ``zone_schema.COLUMNS``
PRICE = NAMES["price"]


@guarded
class Liquidator(Streamed, Predicting, Incoming):
    """Liquidation zones and levels of one coin from its public data.

    coin                its name: all that names another coin or market of one is refused; None: the first market's,
                        which it keeps. So it is with the currency, where all dollars are one
    pct_merge           widest zone of several events, as a share of its price; None: ``params.max_width_atr`` decides
    zone_vol_mult       half-width of an event's band in ATR; None: ``params.zone_atr``
    window_minutes      how long an event counts; None: ``params.zone_bars`` bars
    liq_size_threshold  USD from which a trade that is large beside those before it adds to forced flow
                        (``params.use_large_trades`` and ``large_usd``); None: ``params`` decide
    mode                ``batch``: bars are made anew when older data arrive. ``streaming``: a closed bar never changes,
                        callbacks fire, memory is bounded
    cutoff_hours        batch: for how long trades are kept beside the bars they made, in event time; None: for ever
    enable_ml, ml_enabled  ``compute_zones`` has ``hold_probability``, ``break_probability``, ``prediction`` and
                        ``geometric_rate`` (docs/model.md)
    bar                 length of the bars made from trades, 1m to 1d
    timeframe           whose zones ``compute_zones`` and the callbacks give; None: ``bar``
    timeframes          of ``compute_multi_timeframe_zones``; None: all that bars of ``bar`` fit into
    params              of the engine, beneath what the arguments above set
    lateness_ms         streaming: a bar closes when event time passes its end by this
    on_bad              ``raise``, or ``skip``: a trade with a bad value is left out, counted and logged
    observed            what liquidations that were passed in are used for, ``params.observed`` if None: ``beside``:
                        they enter no flow and no zone, and stand beside them (``real_liq_count``), in ``bars`` and
                        under ``at_risk``; ``flow``: on the bars that their feed covers they take the estimate's place,
                        at its scale, once it is known (``Params``), which takes a month to be warm

    Raises ValueError or TypeError for a value that is not allowed. Memory: batch 32 bytes a trade kept, 32 more if it
    has an id, and 136 a bar; streaming some tens of MB, however long it runs, and the trades of the open bar.

    >>> btc = Liquidator("BTC", bar="1h")
    >>> btc.update_candles(candles)
    >>> btc.compute_zones()["kind"].head(2).tolist()
    ['resistance', 'support']
    """

    def __init__(
        self,
        coin: str | None = None,
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
        observed: Literal["beside", "flow", "unscaled"] | None = None,
        ml_enabled: bool = False,
    ) -> None:
        settings = Settings(
            *(coin, pct_merge, zone_vol_mult, window_minutes, liq_size_threshold, mode, cutoff_hours),
            *(bar, timeframe, timeframes, params, lateness_ms, on_bad, observed),
        )
        history = History(settings.params, bar, settings.streaming, lateness_ms, settings.keep_ms)
        self._frames = Timeframes(history, settings)
        Incoming.__init__(self, settings, history, EventCallbacks(self._frames, settings))
        Predicting.__init__(self, enable_ml or ml_enabled)
        self.mode = mode
        self.bar = bar
        self.pct_merge = settings.pct_merge
        self.window_minutes = settings.window_minutes
        self.cutoff_hours = settings.cutoff_hours
        self.lateness_ms = lateness_ms
        self.on_bad = on_bad
        self.timeframe = settings.timeframe
        self.timeframes = settings.timeframes
        self.params = settings.params
        self._last: tuple[Any, pd.DataFrame] | None = None  # the last frame and what it was made from
        self._told_thin = False
        self.coverage: pd.DataFrame | None = None  # of what ``from_exchange`` fetched
        self.gaps: pd.DataFrame | None = None

    def __repr__(self) -> str:
        bars = self._history.bars
        count = bars.count(bars.rows.end)
        last = f", last {moment(int(bars.last(1)['time'][0]))}" if count else ""
        return f"<Liquidator {self.coin or '(no coin yet)'} {self.mode}, {count} bars of {self.bar}{last}>"

    @classmethod
    def from_exchange(
        cls,
        symbol: str,
        exchange: Any = "binance",
        raw_data: Events | None = None,
        *,
        hours: float = 24,
        data: Literal["candles", "trades"] = "candles",
        until: Any = None,
        market: str | None = None,
        store: str | os.PathLike[str] | None = None,
        progress: Callable[[str, int, int], object] | None = None,
        **settings: Any,
    ) -> Liquidator:
        """A Liquidator of a market's last hours, fetched from its exchange; ``coverage`` and ``gaps`` say what came.

        raw_data   a venue's trades as its API returned them: then nothing is fetched
        hours      before ``until``, which is now if it is None
        data       candles: of ``bar``, with open interest and funding where there are any; trades: all of them, after
                   the number of requests that they take is printed on standard error
        settings   as for the class

        The others, and errors, as for ``exchanges.fetch``. Cost: candles a few requests a day, trades a request a page.
        """
        made = cls(coin_of(symbol), **settings)
        made._identity = made._identity.joined(symbol)
        if raw_data is not None:
            known_venue(exchange)
            made.ingest_trades(raw_data, venue=exchange)
            return made
        from ..exchanges.recent import fetch_recent, give

        wanted = {"hours": hours, "data": data, "until": until, "market": market, "store": store, "progress": progress}
        history = fetch_recent(symbol, exchange, timeframe=made.bar, **wanted)
        made = cls(coin_of(history.symbol), **settings)  # PEPE may be traded a thousand at a time, as 1000PEPE
        give(history, made)
        return made

    # Bars and zones ---------------------------------------------------------------------------------------------------

    def bars(self, timeframe: str | None = None) -> np.ndarray:
        """The closed bars of a timeframe: (n,) BAR, a copy, for ``frames.signal_columns`` and every other adapter."""
        bars = self._frames.bars(self._settings.timeframe_of(timeframe or self.bar))
        return bars.short(self.params.memory)

    def compute_zones(
        self,
        window_minutes: float | None = None,
        pct_merge: float | None = None,
        use_atr: bool = True,
        min_quality: str | None = None,
        as_of: Any = None,
    ) -> pd.DataFrame:
        """The zones as of the last event, or of ``as_of``, strongest first: a new frame of ``zone_schema.COLUMNS``.

        window_minutes, pct_merge  as for the class, for this call
        use_atr      False: bands are those of the events' prices alone, without their widths in ATR
        min_quality  "weak", "medium" or "strong": leave out what is weaker
        as_of        a time (ms, datetime, ISO text): only bars that had closed by then

        With ``ml_enabled`` four columns more, of the next touch of each zone as known at the last close (of the touch,
        where that bar fades it): ``hold_probability`` and ``break_probability``, 0 to 1, ``prediction`` ("HOLD",
        "BREAK", "ABSTAIN") and ``geometric_rate``, which the probability is where it abstains; ``attrs["abstains"]``
        says why.

        Columns and types are the same for no zones. ``attrs``: bars_seen, warm, and as_of, the end of the last bar,
        as ISO text or None.
        Cost: that of the bars since the last call; with other arguments than the last time that of ``memory`` bars.
        """
        least = least_quality(min_quality)
        window = self.window_minutes if window_minutes is None else window_minutes
        merge = self.pct_merge if pct_merge is None else above("pct_merge", pct_merge)
        params = self._settings.params_of(self.timeframe, window)
        rows = self._frames.bars(self.timeframe).rows
        key = (params.digest, merge, use_atr, least, as_of, rows.epoch, rows.end, len(self._history.liquidations.rows))
        if self._last is None or self._last[0] != key:
            context = context_at(self._frames, self.timeframe, params, merge, as_of)
            self._tell_if_thin(context.bars, params.flow_bars)
            zones = zones_frame(context, use_atr, least)
            self._last = key, self._predicted(zones, context, params, merge) if self.ml_enabled else zones
        return self._last[1].copy()

    def _tell_if_thin(self, bars: np.ndarray, flow_bars: int) -> None:
        why = "" if self._told_thin else why_thin(bars["liq_long_usd"], bars["liq_short_usd"], flow_bars)
        if why:
            self._told_thin = True
            _LOG.warning("%s", why)

    def update_incremental(self, new_trades: Events, venue: str = "", *, convention: Convention = None) -> pd.DataFrame:
        """``ingest_trades``, then ``compute_zones``."""
        self.ingest_trades(new_trades, venue, convention=convention)
        return self.compute_zones()

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
        least = least_quality(min_quality)
        merge = self.pct_merge if pct_merge is None else above("pct_merge", pct_merge)
        contexts = {}
        for name in self.timeframes if timeframes is None else self._settings.timeframes_of(timeframes):
            params = self._settings.params_of(name, self.window_minutes)
            contexts[name] = context_at(self._frames, name, params, merge, as_of)
        return aligned_zones_frame(contexts, use_atr, least)

    def get_nearest_zone(self, price: float, zones_df: pd.DataFrame | None = None) -> Zone | None:
        """The zone whose ``price_mean`` is nearest, with ``dist``, its distance as a share of it; None without one."""
        above("price", price)
        zones = self.compute_zones() if zones_df is None else check_zones(zones_df)
        found = [{**zone, "dist": abs(zone[PRICE] - price) / zone[PRICE]} for zone in zone_dicts(zones)]
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
        engine = self._frames.advanced(self.timeframe)
        bars = self._frames.bars(self.timeframe).last(engine.params.memory)
        return cascade.zones_with_cascades(
            zones, current_price, funding_rate, cascade_window_pct, chain_gap_pct, engine, bars
        )

    def add_gravity_scores(
        self, zones: pd.DataFrame, current_price: float, min_distance_pct: float = 0.0001
    ) -> pd.DataFrame:
        """These zones with ``gravity``, USD / squared distance (share of the price), and ``gravity_rank``, 1 first."""
        above("current_price", current_price)
        above("min_distance_pct", min_distance_pct)
        return cascade.zones_with_gravity(zones, current_price, min_distance_pct)

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
        engine = self._frames.advanced(self.timeframe)
        return levels_to_frame(levels_of(engine.state, engine.record), float(engine.state["close"][0]))

    def at_risk(self, **asked: Any) -> pd.DataFrame:
        """USD that are liquidated if price goes somewhere, as of the last hour: ``tables.risk.liquidation_at_risk``.

        asked   ``horizon``, ``moves``, ``feed``, ``market``; what was observed of liquidations is the feed, if anything
        """
        return self._at_risk(self._hours_at_risk(), **asked)

    def _hours_at_risk(self) -> np.ndarray:
        return self._frames.bars("1h").short(risk.risk_memory(self.params, observed=True))

    def _at_risk(self, hours: np.ndarray, **asked: Any) -> pd.DataFrame:
        return risk.liquidation_at_risk(hours, observed=feed_of_bars(hours), params=self.params, **asked)

    def levels_grid(self, bars: int = 240) -> pd.DataFrame:
        """The ledger ahead of price as a grid for heatmaps: USD by price (index) and bar (columns, their opening).

        bars   the last so many closed bars; each column is what was known when its bar closed

        Prices rise by one cell of the ledger, 0.4 %. Cost: that of ``memory`` bars and
        some five folds of the rest.
        """
        params = self._settings.params_of(self.timeframe, self.window_minutes)
        return ledger_grid(self._frames.bars(self.timeframe), params, bars)

    # Events ----------------------------------------------------------------------------------------------------------

    def on_zone_formed(self, callback: Callback) -> None:
        """Streaming: call ``callback(zone)`` for every zone id that appears; ``on_zone_broken`` says what all share."""
        self._events.register("zone_formed", callback)

    def on_zone_updated(self, callback: Callback) -> None:
        """Streaming: call ``callback(zone, old_zone)`` when a zone's price, edges, USD or number of events changed."""
        self._events.register("zone_updated", callback)

    def on_zone_broken(self, callback: Callback) -> None:
        """Streaming: call ``callback(zone)`` for every zone id that ends; ``reason`` is "break", "expiry" or "merge".

        Callbacks are called as a bar closes, each event once, a bar's in the order touched, held, broken, formed,
        updated. A zone is a mapping of ``zone_schema.COLUMNS`` and ``event_time``, the end of that bar. A callback that
        raises is logged and counted (``callback_errors``), and the others run.
        """
        self._events.register("zone_broken", callback)

    def on_zone_touched(self, callback: Callback) -> None:
        """Streaming: call ``callback(zone)`` when a zone is touched."""
        self._events.register("zone_touched", callback)

    def on_zone_held(self, callback: Callback) -> None:
        """Streaming: call ``callback(zone)`` when a touched zone held."""
        self._events.register("zone_held", callback)

    def on_liquidation(self, callback: Callback) -> None:
        """Call ``callback(event)`` for every observed liquidation that counts: time, price, usd, side, venue."""
        self._events.register("liquidation", callback)

    # Charts ----------------------------------------------------------------------------------------------------------

    def plot(
        self,
        zones: pd.DataFrame | None = None,
        candles: Candles | None = None,
        show: bool = True,
        save_path: str | os.PathLike[str] | None = None,
        export: str | None = None,
        *,
        last: int = 500,
        colors: Mapping[str, str] | None = None,
    ) -> Figure:
        """Candles with these zones (``compute_zones()`` if None) as a plotly figure; in browsers and files all of them.

        candles    to draw; None: the bars of ``timeframe``
        show       open the page in a browser, or the figure in a notebook, if there is one; nothing waits for it
        save_path  write all candles there, with the zones of each bar: .html (the page), .png, .svg or .json
        export     "tradingview": ``layout.meta["pine"]`` of the figure is a Pine script of these zones and the levels,
                   or, if there is no zone, one that finds its own; with ``save_path`` also written, as .pine
        last       bars in the figure
        colors     of zones by quality, such as {"weak": "#999999"}

        Figures need plotly: pip install "liquidator-core[charts]".
        """
        if export is not None:
            one_of("export", export, ("tradingview",))
        given = None if candles is None else bars_from_frame(completed(candles), self.on_bad)
        with self._guard.lock:  # for as long as it takes to have all as of one moment
            zones = self.compute_zones() if zones is None else check_zones(zones)
            bars = self.bars(self.timeframe) if given is None else given
            hours = self._hours_at_risk() if given is None and "1h" in self.timeframes else bars[:0]
            script = self._pine(zones) if export else None
        params = self._settings.params_of(self.timeframe, self.window_minutes)
        title = f"{self.coin or ''} {self.timeframe}: liquidation zones".lstrip()
        return plot_zones(
            bars,
            params,
            zones,
            title,
            show=show,
            save_path=save_path,
            script=script,
            last=last,
            colors=colors,
            risk=self._at_risk(hours) if len(hours) else None,
        )

    def _pine(self, zones: pd.DataFrame) -> str:
        from ..for_tradingview.scripts import to_pine

        params = self._settings.params_of(self.timeframe, self.window_minutes)
        if len(zones) == 0:
            return to_pine(params, symbol=self.coin or "")
        as_of = f"{zones.attrs['as_of']} UTC" if zones.attrs.get("as_of") is not None else ""
        return to_pine(params, "snapshot", by_core_names(zones), self.levels(), symbol=self.coin or "", as_of=as_of)

    # Save and load ---------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything but callbacks to one file, whole or not at all; ``load`` goes on to the same results."""
        with self._guard.lock:
            about, arrays = self._saved()
        write_sealed(path, about, arrays)

    def _saved(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        settings = {name: getattr(self, name) for name in SETTINGS}
        about = {"settings": settings, "params": self.params.to_dict(), "skipped": self.skipped}
        about |= {"not_trades": self.not_trades, "quote": self._identity.quote}
        return saving.file_of(about, self._frames)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Liquidator:
        """Read what ``save`` wrote; callbacks are to be registered anew. Nothing in the file is run.

        Raises ValueError, and nothing else, for a file that was changed, is of another kind or of another schema.
        """
        with saving.refusing(path):
            about, arrays = saving.read_file(path)
            made = cls(**about["settings"], params=Params.from_dict(about["params"]))
            made.skipped, made.not_trades = about["skipped"], about["not_trades"]
            made._identity = Identity(made.coin, about["quote"])
            saving.restore(made._frames, made.params.memory, about, arrays)
            return made
