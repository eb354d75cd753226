"""Pine Script v6: the same zones, levels and entries on a TradingView chart.

``to_pine`` writes a script in one of three forms. ``live`` is an indicator that works the whole formula of
docs/formula.md out from the chart's own candles, with the given Params as defaults of its inputs; it does not repaint.
``strategy`` is the same with fade and join entries for TradingView's tester. ``snapshot`` draws zones and levels that
were worked out elsewhere. The scripts' text lies in ``data/*.pine``; what depends on Params is filled in here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import Template
from typing import Any

from liquidator_core import Params
from liquidator_core.bars import PRICE_NOISE
from liquidator_core.layout import BINS, BINS_PER_LOG, BUCKETS, LEFT_BEHIND, MAX_FACTOR, SCHEMA, SIGNAL, UNITS
from liquidator_core.timeframes import check_timeframe, timeframe_meant

from .inputs import script_inputs
from .snapshot import level_columns, snapshot_script, zone_columns
from .text import (
    FORMS,
    HIDDEN,
    HISTORY,
    Form,
    constants,
    declaration,
    joined_lines,
    number_text,
    one_line,
    script_header,
    template_text,
)

# Switches that need what TradingView's charts do not have.
_NEEDS = {"use_large_trades": "a tape of trades", "use_funding": "funding rates"}


# TradingView's names of our timeframes
_TIMEFRAMES = {"1m": "1", "3m": "3", "5m": "5", "15m": "15", "30m": "30", "1h": "60", "2h": "120", "4h": "240"}


_TIMEFRAMES |= {"6h": "360", "8h": "480", "12h": "720", "1d": "1D", "3d": "3D", "1w": "1W", "1M": "1M"}


def to_pine(
    params: Params | None = None,
    form: Form = "live",
    zones: Any = None,
    levels: Any = None,
    *,
    symbol: str = "",
    as_of: str = "",
    open_interest: bool = False,
    timeframes: Sequence[str] = (),
) -> str:
    """A Pine v6 script, to be pasted into TradingView's editor.

    params         None means the defaults
    form           "live", "strategy" or "snapshot"
    zones, levels  snapshot only: (n,) ZONE and (m,) LEVEL, or frames of the same columns (``zones_frame``,
                   ``levels_frame``); of more than 300 zones those of the highest quality are drawn
    symbol         a name for the title; the live forms follow whatever chart they are put on
    as_of          snapshot only: what the header and the table say of when, as text
    open_interest  live forms: read the chart symbol's ``_OI`` feed, which perpetuals have
    timeframes     live forms: up to two higher ones, such as "4h" and "1d" (TradingView's "240" and "D"), whose zones
                   give ``support_alignment`` and ``resistance_alignment``; each works the engine out once more

    What a live script plots equals the engine's rows for the same candles without the columns that a chart lacks (taker
    volume, observed liquidations, and open interest unless it is read).

    The same arguments give the same text. Its header names version, schema, parameters and their digest. Raises
    ValueError or TypeError for Params that a chart cannot serve (they are named), for a snapshot without zones or with
    numbers that cannot be drawn, and for arguments that do not belong to the form. Cost: a few ms.

    >>> to_pine(Params(zone_bars=96)).splitlines()[0]
    '//@version=6'
    """
    params = params or Params()
    if not isinstance(params, Params):
        raise TypeError(f"params must be Params, got {type(params).__name__}: Params.from_dict makes them of a mapping")
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, got {form!r}")
    title = f"Liquidation zones {one_line('symbol', symbol)}".rstrip()
    if form == "snapshot":
        if open_interest or timeframes:
            raise ValueError("open_interest and timeframes belong to the live forms: a snapshot works nothing out")
        return snapshot_script(params, title, zone_columns(zones), level_columns(levels), one_line("as_of", as_of))
    if zones is not None or levels is not None or as_of:
        raise ValueError(f"zones, levels and as_of belong to the form 'snapshot': {form!r} finds its own on the chart")
    _check_served(params, open_interest)
    return _live(params, form, title, open_interest, _checked_timeframes(timeframes))


def loop_steps(params: Params) -> int:
    """Passes through the loops of a live script on one bar at the very most, without drawing, which it does once.

    A function that is built in counts as none; each higher timeframe takes as many on each bar of its own.
    """
    leverages = len(params.leverages)
    cohorts = params.ledger_bars + 1
    positions = 2 * cohorts * leverages
    swept = 2 * 2 * cohorts + positions + 4 * leverages  # cohorts and where each ends, positions, those of the bar
    counted = BUCKETS + 2 + 2 * cohorts + positions  # the unit of mass is chosen anew
    survived = 2 * cohorts + counted
    levels = 2 * BINS
    marks = 13 * 2 * params.zone_bars  # aged, met, left, and twice each clustered and looked for
    return swept + cohorts + survived + leverages + counted + levels + params.atr_bars + marks


def _check_served(params: Params, open_interest: bool) -> None:
    for name, what in _NEEDS.items():
        if getattr(params, name):
            raise ValueError(
                f"{name} needs {what}, which TradingView does not have: leave it off, or export form='snapshot'"
            )
    if params.observed != "beside":
        raise ValueError(
            f"observed={params.observed!r} needs observed liquidations, which TradingView does not have: leave it "
            "'beside', or export form='snapshot'"
        )
    if params.use_open_interest_drops and not open_interest:
        raise ValueError("use_open_interest_drops needs open interest: export with open_interest=True, or leave it off")
    if params.memory > HISTORY:
        raise ValueError(
            f"ledger_bars, flow_bars and zone_bars make a memory of {params.memory} bars, and a script sees {HISTORY}: "
            "it would never be warm; shorten them, or export form='snapshot'"
        )


def _checked_timeframes(timeframes: Sequence[str]) -> tuple[str, ...]:
    if isinstance(timeframes, str):
        raise TypeError(f"timeframes must be a sequence of names, got the text {timeframes!r}")
    meant = tuple(name if name in _TIMEFRAMES else timeframe_meant(name) or name for name in timeframes)
    for name in meant:
        check_timeframe(name, tuple(_TIMEFRAMES), "timeframes")
    if len(meant) > 2 or len(set(meant)) < len(meant):
        raise ValueError(f"timeframes must be at most two different ones, got {', '.join(timeframes)}")
    return meant


def _live(params: Params, form: Form, title: str, open_interest: bool, timeframes: tuple[str, ...]) -> str:
    fields = _signal_fields()
    plotted = {name: f"signal.{name}" for name in fields}
    aligned = _alignment(timeframes)
    if timeframes:
        plotted |= {"support_alignment": "supportAlignment", "resistance_alignment": "resistanceAlignment"}
    parts = [
        script_header(params, form, title, [f"loop steps a bar at most: {loop_steps(params)}"]),
        declaration(form, title),
        constants(params, title),
        _engine_constants(),
        script_inputs(params, form),
        template_text("common"),
        Template(template_text("engine")).substitute(
            signal_fields="\n".join(f"    {kind} {name} = {empty}" for name, (kind, empty) in fields.items()),
            unscaled="\n".join(f"    o.{name} := o.{name} / {unit}" for name, unit in _signal_units().items()),
        ),
        aligned[0],
        _open_interest(open_interest),
        Template(template_text("chart")).substitute(
            alignment_use=aligned[1],
            signal_plots="\n".join(map(_plot, plotted.items())),
            signal_json="\n".join(
                f'    message += ",\\"{name}\\":" + jsonNumber({value})' for name, value in plotted.items()
            ),
            alert_conditions=_alert_conditions() if form == "live" else "",
        ),
        template_text("strategy") if form == "strategy" else "",
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts if part)


def _open_interest(wanted: bool) -> str:
    if not wanted:
        return "float openInterest = na\n"
    return (
        'string interestId = ticker.standard(syminfo.tickerid) + "_OI"\n'
        "float openInterest = request.security(interestId, timeframe.period, close, ignore_invalid_symbol = true)\n"
    )


def _alignment(timeframes: tuple[str, ...]) -> tuple[str, str]:
    """(the requests, what is made of them on each bar)."""
    if not timeframes:
        return "", ""
    requests = [template_text("alignment")]
    for i, timeframe in enumerate(timeframes, 1):
        tooltip = "Above the chart's; its zones as of its last closed bar"
        words = f'"Higher timeframe {i}", tooltip = "{tooltip}", group = "Alignment", {HIDDEN}'
        requests.append(f'string timeframe{i} = input.timeframe("{_TIMEFRAMES[timeframe]}", {words})')
        requests.append(f"if timeframe.in_seconds(timeframe{i}) <= timeframe.in_seconds()")
        requests.append(f'    runtime.error("Higher timeframe {i} must be above that of the chart")')
        requests.append(
            f"array<float> bands{i} = request.security(syminfo.tickerid, timeframe{i}, bandsBefore(), "
            "lookahead = barmerge.lookahead_on)"
        )
    used = []
    for kind in ("support", "resistance"):
        overlaps = " + ".join(
            f"overlap(bands{i}, signal.{kind}_low, signal.{kind}_high)" for i in range(1, len(timeframes) + 1)
        )
        used.append(f"float {kind}Alignment = 100.0 * ({overlaps}) / {len(timeframes)}")
    return joined_lines(*requests), joined_lines(*used)


def _signal_fields() -> dict[str, tuple[str, str]]:
    """Type and value of an unknown of every SIGNAL field."""
    kinds = {"f": ("float", "na"), "i": ("int", "0")}
    return {name: kinds[SIGNAL[name].kind] for name in SIGNAL.names or ()}


def _signal_units() -> dict[str, str]:
    """What a field is kept as a multiple of, for those in quote currency."""
    units = {"quote": "UNIT", "usd": "UNIT / UNIT"}
    first_words = {name: re.split(r"[, ]", meaning)[0] for name, meaning in UNITS["SIGNAL"].items()}
    return {name: units[word] for name, word in first_words.items() if word in units}


def _plot(named: tuple[str, str]) -> str:
    name, value = named
    return f'plot(shown ? {value} : na, "{name}", display = display.data_window)'


def _alert_conditions() -> str:
    words = {
        "Zone formed": ("signal.formed", "a liquidation event left a mark"),
        "Zone touched": ("signal.touch != 0", "a liquidation zone was touched"),
        "Zone broken": ("signal.broke != 0", "a liquidation zone was broken"),
        "Fade": ("signal.fade != 0", "fade"),
        "Join": ("signal.join != 0", "join"),
    }
    return "\n".join(
        f'alertcondition({when}, "{name}", "{{{{ticker}}}}: {what}, close {{{{close}}}}")'
        for name, (when, what) in words.items()
    )


def _engine_constants() -> str:
    return joined_lines(
        f"int SCHEMA = {SCHEMA}",
        f"int BINS = {BINS}",
        f"int BUCKETS = {BUCKETS}",
        f"float BINS_PER_LOG = {number_text(BINS_PER_LOG)}",
        f"float LEFT_BEHIND = {number_text(LEFT_BEHIND)}",
        f"float MAX_FACTOR = {number_text(MAX_FACTOR)}",
        f"int HISTORY = {HISTORY}",
        "float UNIT = math.pow(2.0, 104)",  # a whole number of buckets of mass, of eight powers each
        "float NEVER = -1e300",
        f"float PRICE_NOISE = {number_text(PRICE_NOISE)}",
    )
