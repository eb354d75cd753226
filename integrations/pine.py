"""Pine Script v6: the same zones, levels and entries on a TradingView chart.

``to_pine`` writes a script in one of three forms. ``live`` is an indicator that works the whole formula of
docs/formula.md out from the chart's own candles, with the given Params as defaults of its inputs; it does not repaint.
``strategy`` is the same with fade and join entries for TradingView's tester. ``snapshot`` draws zones and levels that
were worked out elsewhere. The scripts' text lies in ``data/*.pine``; what depends on Params is filled in here.
"""

from __future__ import annotations

import dataclasses
import json
import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from importlib import resources
from string import Template
from typing import Any, Literal, TypeAlias

import numpy as np

from liquidator_core import Params
from liquidator_core.layout import (
    BINS,
    BINS_PER_LOG,
    BUCKETS,
    LEFT_BEHIND,
    LONG,
    MAX_FACTOR,
    MAX_LEVELS,
    SCHEMA,
    SHORT,
    SIGNAL,
    UNITS,
    VERSION,
)
from liquidator_core.zones import QUALITY_EDGES

Form: TypeAlias = Literal["live", "snapshot", "strategy"]

FORMS = ("live", "snapshot", "strategy")
HISTORY = 5000  # bars a script calculates: what the smallest plan of TradingView loads
MOST_BOXES = 300  # TradingView keeps 500 boxes, and 500 labels for zones and levels together
MOST_LINES = 2 * MAX_LEVELS
MOST_TEXT = 60  # characters of a name

# Switches that need what TradingView's charts do not have.
_NEEDS = {"use_large_trades": "a tape of trades", "use_funding": "funding rates"}

_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # Unicode categories

_HIDDEN = "display = display.none"  # TradingView writes inputs of numbers and texts beside the script's name otherwise

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
    timeframes     live forms: up to two higher ones, such as "4h" and "1d", whose zones give ``support_alignment`` and
                   ``resistance_alignment``; each works the engine out once more

    What a live script plots equals the engine's rows for the same candles without the columns that a chart lacks (taker
    volume, observed liquidations, and open interest unless it is read).

    The same arguments give the same text. Its header names version, schema, parameters and their digest. Raises
    ValueError or TypeError for Params that a chart cannot serve (they are named), for a snapshot without zones or with
    numbers that cannot be drawn, and for arguments that do not belong to the form. Cost: a few ms.
    """
    params = params or Params()
    if not isinstance(params, Params):
        raise TypeError(f"params must be Params, got {type(params).__name__}: Params.from_dict makes them of a mapping")
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, got {form!r}")
    title = f"Liquidation zones {_one_line('symbol', symbol)}".rstrip()
    if form == "snapshot":
        if open_interest or timeframes:
            raise ValueError("open_interest and timeframes belong to the live forms: a snapshot works nothing out")
        return _snapshot(params, title, _zone_columns(zones), _level_columns(levels), _one_line("as_of", as_of))
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


# The live forms ---------------------------------------------------------------------------------------------------


def _check_served(params: Params, open_interest: bool) -> None:
    for name, what in _NEEDS.items():
        if getattr(params, name):
            raise ValueError(
                f"{name} needs {what}, which TradingView does not have: leave it off, or export form='snapshot'"
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
    for timeframe in timeframes:
        if timeframe not in _TIMEFRAMES:
            raise ValueError(f"timeframes must be of {', '.join(_TIMEFRAMES)}, got {timeframe!r}")
    if len(timeframes) > 2 or len(set(timeframes)) < len(timeframes):
        raise ValueError(f"timeframes must be at most two different ones, got {', '.join(timeframes)}")
    return tuple(timeframes)


def _live(params: Params, form: Form, title: str, open_interest: bool, timeframes: tuple[str, ...]) -> str:
    fields = _signal_fields()
    plotted = {name: f"signal.{name}" for name in fields}
    aligned = _alignment(timeframes)
    if timeframes:
        plotted |= {"support_alignment": "supportAlignment", "resistance_alignment": "resistanceAlignment"}
    parts = [
        _header(params, form, title, [f"loop steps a bar at most: {loop_steps(params)}"]),
        _declaration(form, title),
        _constants(params, title),
        _engine_constants(),
        _inputs(params, form),
        _text("common"),
        Template(_text("engine")).substitute(
            signal_fields="\n".join(f"    {kind} {name} = {empty}" for name, (kind, empty) in fields.items()),
            unscaled="\n".join(f"    o.{name} := o.{name} / {unit}" for name, unit in _signal_units().items()),
        ),
        aligned[0],
        _open_interest(open_interest),
        Template(_text("chart")).substitute(
            alignment_use=aligned[1],
            signal_plots="\n".join(map(_plot, plotted.items())),
            signal_json="\n".join(
                f'    message += ",\\"{name}\\":" + jsonNumber({value})' for name, value in plotted.items()
            ),
            alert_conditions=_alert_conditions() if form == "live" else "",
        ),
        _text("strategy") if form == "strategy" else "",
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
    requests = [_text("alignment")]
    for i, timeframe in enumerate(timeframes, 1):
        tooltip = "Above the chart's; its zones as of its last closed bar"
        words = f'"Higher timeframe {i}", tooltip = "{tooltip}", group = "Alignment", {_HIDDEN}'
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
    return _lines(*requests), _lines(*used)


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


def _declaration(form: Form, title: str) -> str:
    limits = f"max_boxes_count = {MOST_BOXES}, max_lines_count = {MOST_LINES}"
    limits += f", max_labels_count = {MOST_BOXES + MOST_LINES}"
    start = f'({_text_literal(title)}, shorttitle = "LiqZones", overlay = true, {limits}'
    if form == "snapshot":
        return f"indicator{start})\n"
    if form == "live":
        return f"indicator{start}, calc_bars_count = {HISTORY})\n"
    money = "default_qty_type = strategy.percent_of_equity, default_qty_value = 10"
    costs = "commission_type = strategy.commission.percent, commission_value = 0.04"
    return (
        f"strategy{start}, calc_bars_count = {HISTORY}, initial_capital = 10000, {money}, {costs}, pyramiding = 0, "
        "process_orders_on_close = false)\n"
    )


def _constants(params: Params, title: str) -> str:
    return _lines(
        f"string NAME = {_text_literal(title)}",
        f'string VERSION = "{VERSION}"',
        f'string DIGEST = "{params.digest}"',
        f"int LONG = {LONG}",
        f"int SHORT = {SHORT}",
        f"float MEDIUM = {_number(QUALITY_EDGES[0])}",
        f"float STRONG = {_number(QUALITY_EDGES[1])}",
    )


def _engine_constants() -> str:
    return _lines(
        f"int SCHEMA = {SCHEMA}",
        f"int BINS = {BINS}",
        f"int BUCKETS = {BUCKETS}",
        f"float BINS_PER_LOG = {_number(BINS_PER_LOG)}",
        f"float LEFT_BEHIND = {_number(LEFT_BEHIND)}",
        f"float MAX_FACTOR = {_number(MAX_FACTOR)}",
        f"int HISTORY = {HISTORY}",
        "float UNIT = math.pow(2.0, 104)",  # a whole number of buckets of mass, of eight powers each
        "float NEVER = -1e300",
    )


# The snapshot -----------------------------------------------------------------------------------------------------


def _snapshot(params: Params, title: str, zones: dict[str, Any], levels: dict[str, Any], as_of: str) -> str:
    found = {"zones": len(zones["low"]), "levels": len(levels["price"])}
    zones = _strongest(zones, zones["quality"], MOST_BOXES)
    levels = _strongest(levels, levels["usd"], MOST_LINES)
    drawn = {"zones": len(zones["low"]), "levels": len(levels["price"])}
    notes = [f"As of: {as_of or 'not said'}"]
    for kind, measure in (("zones", "quality"), ("levels", "USD")):
        cut = f", those of the highest {measure} of {found[kind]}" if drawn[kind] < found[kind] else ""
        notes.append(f"{kind.capitalize()}: {drawn[kind]}{cut}")
    parts = [
        _header(params, "snapshot", title, notes),
        _declaration("snapshot", title),
        _constants(params, title) + f"string AS_OF = {_text_literal(as_of or 'not said')}\n",
        _lines("// Inputs " + "-" * 107, "", *_display_inputs()),
        _text("common"),
        Template(_text("snapshot")).substitute(
            births=_array("int", zones["birth"]),
            lows=_array("float", zones["low"]),
            highs=_array("float", zones["high"]),
            amounts=_array("float", zones["usd"]),
            qualities=_array("float", zones["quality"]),
            touches=_array("int", zones["touches"]),
            sides=_array("int", zones["side"]),
            level_prices=_array("float", levels["price"]),
            level_amounts=_array("float", levels["usd"]),
            level_sides=_array("int", levels["side"]),
        ),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _zone_columns(zones: Any) -> dict[str, Any]:
    columns = {}
    if zones is not None:
        columns = {name: _column(zones, "zones", name) for name in ("low", "high", "usd", "quality")}
        columns |= {name: _whole_numbers(zones, "zones", name) for name in ("touches", "zone_id")}
    if not columns or len(columns["low"]) == 0:
        raise ValueError("a snapshot needs zones, found none: pass zones_of(state, params) or zones_frame(candles)")
    columns["birth"], columns["side"] = np.divmod(columns["zone_id"], 2)
    low, high = columns["low"], columns["high"]
    _check("zones", "low", low, (low > 0.0) & (low < np.inf), "a finite number above 0")
    _check("zones", "high", high, (high >= low) & (high < np.inf), "a finite number, at least the low")
    _check("zones", "usd", columns["usd"], (columns["usd"] >= 0.0) & (columns["usd"] < np.inf), "finite, not below 0")
    quality = columns["quality"]
    _check("zones", "quality", quality, (quality >= 0.0) & (quality <= 100.0), "from 0 to 100")
    return columns


def _level_columns(levels: Any) -> dict[str, Any]:
    if levels is None:
        return dict.fromkeys(("price", "usd", "side"), np.zeros(0))
    columns = {name: _column(levels, "levels", name) for name in ("price", "usd")}
    sides = _column(levels, "levels", "side", object)
    known = np.array([side in ("long", "short", LONG, SHORT) for side in sides], bool)
    _check("levels", "side", sides, known, f"long ({LONG}) or short ({SHORT})")
    columns["side"] = np.array([{"long": LONG, "short": SHORT}.get(side, side) for side in sides], np.int64)
    for name in ("price", "usd"):
        values = columns[name]
        _check("levels", name, values, (values > 0.0) & (values < np.inf), "a finite number above 0")
    return columns


def _column(table: Any, what: str, name: str, kind: type = np.float64) -> np.ndarray:
    try:
        return np.asarray(table[name], kind)
    except (KeyError, ValueError, IndexError, TypeError):
        raise ValueError(f"{what} must have a column {name!r} as zones_frame and levels_frame make it") from None


def _whole_numbers(table: Any, what: str, name: str) -> np.ndarray:
    values = _column(table, what, name)
    _check(what, name, values, (values >= 0.0) & (values < 2.0**53) & (values % 1.0 == 0.0), "a whole number from 0 on")
    return values.astype(np.int64)


def _check(what: str, name: str, values: np.ndarray, right: np.ndarray, allowed: str) -> None:
    if not right.all():
        row = int((~right).argmax())
        raise ValueError(f"{what}, row {row}, {name}: found {values[row]!r}, allowed {allowed}")


def _strongest(columns: dict[str, Any], strength: np.ndarray, most: int) -> dict[str, Any]:
    kept = np.sort(np.argsort(-strength, kind="stable")[:most])
    return {name: values[kept] for name, values in columns.items()}


def _array(kind: str, values: np.ndarray) -> str:
    if len(values) == 0:
        return f"array.new<{kind}>()"
    return f"array.from({', '.join(_number(int(x) if kind == 'int' else float(x)) for x in values)})"


# Inputs -----------------------------------------------------------------------------------------------------------

_GROUPS = {
    "Windows, in bars": ("ledger_bars", "flow_bars", "zone_bars", "atr_bars", "outcome_bars"),
    "Positions": ("margin_rate", "margin_amount"),
    "Forced flow": ("use_cascades", "cascade_mult", "use_open_interest_drops", "open_interest_drop"),
    "Events": ("event_mult", "event_share"),
    "Marks and zones": ("zone_atr", "max_width_atr", "rearm_atr", "hold_atr", "break_atr"),
    "Levels": ("level_share",),
}
_COLOURS = {
    "longWeak": ("Longs liquidated, weak zone", "#26a69a73"),
    "longMedium": ("Longs liquidated, medium zone", "#26a69abf"),
    "longStrong": ("Longs liquidated, strong zone", "#26a69a"),
    "shortWeak": ("Shorts liquidated, weak zone", "#ef535073"),
    "shortMedium": ("Shorts liquidated, medium zone", "#ef5350bf"),
    "shortStrong": ("Shorts liquidated, strong zone", "#ef5350"),
}
_SWITCHES = {
    "showZones": ("Zones", "Boxes: where traders were forced out"),
    "showLevels": ("Levels", "Lines: where they will be"),
    "showLabels": ("Labels", "Quality and touches of zones, USD of the nearest levels"),
    "showTable": ("Table", "What the script is and what is nearest"),
    "sendJson": ("JSON alerts", "An alert on any function call of this script sends the row as JSON, for webhooks"),
}
_TRADES = {
    "tradeFades": ("Fades", "Enter when a touched zone held the close"),
    "tradeJoins": ("Joins", "Enter when a broken mark is touched from its far side"),
    "allowShort": ("Shorts", "Sell short too"),
}


def _inputs(params: Params, form: Form) -> str:
    lines = []
    same = []
    specs = {spec.name: spec for spec in dataclasses.fields(params)}
    for group, names in _GROUPS.items():
        for name in names:
            value = getattr(params, name)
            title, tooltip = name.replace("_", " ").replace("atr", "ATR"), specs[name].metadata["doc"]
            if isinstance(value, bool):
                lines.append(_switch(_camel(name), (title, tooltip), group, value))
                same.append(_camel(name) if value else f"not {_camel(name)}")
                continue
            low, high = specs[name].metadata["range"]
            lines.append(_input(_camel(name), value, title, low, high, tooltip, group))
            same.append(f"{_camel(name)} == {_number(value)}")
    mix = sorted(zip(params.leverages, params.leverage_weights, strict=True))
    for k, (leverage, weight) in enumerate(mix, 1):
        lines.append(_input(f"leverage{k}", leverage, f"leverage {k}", 2, 1000, "ascending", "Positions"))
        lines.append(_input(f"weight{k}", weight, f"weight {k}", 0, 1, "share of turnover; together 1", "Positions"))
        same += [f"leverage{k} == {_number(leverage)}", f"weight{k} == {_number(weight)}"]
    lines.append(
        f'string margin = input.string("{params.margin}", "Margin", options = ["linear", "inverse"], '
        f'tooltip = "Margin currency: linear is quote, inverse is coins", group = "Positions", {_HIDDEN})'
    )
    same.append(f'margin == "{params.margin}"')
    for many, one in (("leverages", "leverage"), ("weights", "weight")):
        lines.append(f"var array<float> {many} = array.from({', '.join(f'{one}{k + 1}' for k in range(len(mix)))})")
    lines += _display_inputs()
    lines.append(_input("zonesDrawn", 100, "zones drawn", 1, MOST_BOXES, "The strongest are drawn", "Display"))
    lines.append(_switch("sendJson", _SWITCHES["sendJson"], "Alerts"))
    if form == "strategy":
        lines += [_switch(name, words, "Trades") for name, words in _TRADES.items()]
        lines.append(
            _input("stopWidths", 1.0, "stop widths", 0, 100, "Stop, in zone widths beyond the far edge", "Trades")
        )
    lines.append("int beforeFlow = useCascades ? math.max(ledgerBars, flowBars) : ledgerBars")
    lines.append("int memory = 1 + beforeFlow + flowBars + zoneBars")
    lines.append(f"bool asExported = {' and '.join(same)}")
    return _lines("// Inputs " + "-" * 107, "", *lines) + "\n" + _text("checks")


def _display_inputs() -> list[str]:
    lines = [
        f'color {name} = input.color({colour}, "{title}", tooltip = "Of the border; fainter inside", group = "Colours")'
        for name, (title, colour) in _COLOURS.items()
    ]
    return lines + [_switch(name, words, "Display") for name, words in _SWITCHES.items() if name.startswith("show")]


def _input(name: str, value: float, title: str, low: float, high: float, tooltip: str, group: str) -> str:
    kind = "int" if isinstance(value, int) else "float"
    number = (lambda x: str(int(x))) if kind == "int" else _number
    return (
        f'{kind} {name} = input.{kind}({number(value)}, "{_sentence(title)}", minval = {number(low)}, '
        f'maxval = {number(high)}, tooltip = "{_sentence(tooltip)}", group = "{group}", {_HIDDEN})'
    )


def _switch(name: str, words: tuple[str, str], group: str, value: bool = True) -> str:
    title, tooltip = map(_sentence, words)
    return f'bool {name} = input.bool({str(value).lower()}, "{title}", tooltip = "{tooltip}", group = "{group}")'


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))


# Text -------------------------------------------------------------------------------------------------------------


def _header(params: Params, form: Form, title: str, notes: Sequence[str]) -> str:
    values = json.dumps(params.to_dict(), sort_keys=True)
    return _lines(
        "//@version=6",
        f"// {title}: {form} form, written by liquidator-core {VERSION}, schema {SCHEMA}.",
        f"// Params {params.digest}: {values}",
        *(f"// {note}" for note in notes),
    )


def _lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    """The shortest decimal that reads back as the same number, without an exponent; a float has a point."""
    text = f"{Decimal(repr(value)):f}"
    return text if isinstance(value, int) or "." in text else text + ".0"


def _one_line(what: str, text: str) -> str:
    """A text without what would end a line or turn the writing direction."""
    if not isinstance(text, str):
        raise TypeError(f"{what} must be text, got {text!r}")
    clean = "".join(" " if unicodedata.category(c) in _UNSEEN and c != "\u200d" else c for c in text).strip()
    if len(clean) > MOST_TEXT:
        raise ValueError(f"{what} must have at most {MOST_TEXT} characters, got {len(clean)}")
    return clean


def _text_literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text(name: str) -> str:
    return _texts()[name]


@cache
def _texts() -> dict[str, str]:
    folder = resources.files(__package__) / "data"
    names = ("checks", "common", "engine", "alignment", "chart", "strategy", "snapshot")
    return {name: (folder / f"{name}.pine").read_text(encoding="utf-8") for name in names}
