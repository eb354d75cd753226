"""The inputs of a Pine script, made from Params."""

from __future__ import annotations

import dataclasses

from liquidator_core import Params

from ..charts.palette import RESISTANCE, SUPPORT
from .text import HIDDEN, MOST_BOXES, Form, joined_lines, number_text, template_text

_GROUPS = {
    "Windows, in bars": ("ledger_bars", "flow_bars", "zone_bars", "atr_bars", "outcome_bars"),
    "Positions": ("margin_rate", "margin_amount"),
    "Forced flow": ("use_cascades", "cascade_mult", "use_open_interest_drops", "open_interest_drop"),
    "Events": ("event_mult", "event_share"),
    "Marks and zones": ("zone_atr", "max_width_atr", "rearm_atr", "hold_atr", "break_atr"),
    "Levels": ("level_share",),
}
_COLOURS = {
    "belowWeak": ("Below the close, weak zone", SUPPORT + "73"),
    "belowMedium": ("Below the close, medium zone", SUPPORT + "BF"),
    "belowStrong": ("Below the close, strong zone, levels", SUPPORT),
    "aboveWeak": ("Above the close, weak zone", RESISTANCE + "73"),
    "aboveMedium": ("Above the close, medium zone", RESISTANCE + "BF"),
    "aboveStrong": ("Above the close, strong zone, levels", RESISTANCE),
}
_SWITCHES = {
    "showZones": ("Zones", "Boxes: where traders were forced out"),
    "showLevels": ("Levels", "Lines: where they may be; faint beyond 5 %, stale after 4 to 8 hours"),
    "showLabels": ("Labels", "Quality and touches of zones, ledger USD (relative) of the nearest levels"),
    "showTable": ("Table", "What the script is and what is nearest"),
    "sendJson": ("JSON alerts", "An alert on any function call of this script sends the row as JSON, for webhooks"),
}
_TRADES = {
    "tradeFades": ("Fades", "Enter when a touched zone held the close"),
    "tradeJoins": ("Joins", "Enter when a broken mark is touched from its far side"),
    "allowShort": ("Shorts", "Sell short too"),
}


def script_inputs(params: Params, form: Form) -> str:
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
            same.append(f"{_camel(name)} == {number_text(value)}")
    mix = sorted(zip(params.leverages, params.leverage_weights, strict=True))
    for k, (leverage, weight) in enumerate(mix, 1):
        lines.append(_input(f"leverage{k}", leverage, f"leverage {k}", 2, 1000, "ascending", "Positions"))
        lines.append(_input(f"weight{k}", weight, f"weight {k}", 0, 1, "share of turnover; together 1", "Positions"))
        same += [f"leverage{k} == {number_text(leverage)}", f"weight{k} == {number_text(weight)}"]
    lines.append(
        f'string margin = input.string("{params.margin}", "Margin", options = ["linear", "inverse"], '
        f'tooltip = "Margin currency: linear is quote, inverse is coins", group = "Positions", {HIDDEN})'
    )
    same.append(f'margin == "{params.margin}"')
    for many, one in (("leverages", "leverage"), ("weights", "weight")):
        lines.append(f"var array<float> {many} = array.from({', '.join(f'{one}{k + 1}' for k in range(len(mix)))})")
    lines += display_inputs()
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
    return joined_lines("// Inputs " + "-" * 107, "", *lines) + "\n" + template_text("checks")


def display_inputs() -> list[str]:
    lines = [
        f'color {name} = input.color({colour}, "{title}", tooltip = "Of the border; fainter inside", group = "Colours")'
        for name, (title, colour) in _COLOURS.items()
    ]
    return lines + [_switch(name, words, "Display") for name, words in _SWITCHES.items() if name.startswith("show")]


def _input(name: str, value: float, title: str, low: float, high: float, tooltip: str, group: str) -> str:
    kind = "int" if isinstance(value, int) else "float"
    number = (lambda x: str(int(x))) if kind == "int" else number_text
    return (
        f'{kind} {name} = input.{kind}({number(value)}, "{_sentence(title)}", minval = {number(low)}, '
        f'maxval = {number(high)}, tooltip = "{_sentence(tooltip)}", group = "{group}", {HIDDEN})'
    )


def _switch(name: str, words: tuple[str, str], group: str, value: bool = True) -> str:
    title, tooltip = map(_sentence, words)
    return f'bool {name} = input.bool({str(value).lower()}, "{title}", tooltip = "{tooltip}", group = "{group}")'


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))
