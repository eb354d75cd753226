"""The text of a Pine script: literals, header, declaration, constants, templates."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Literal, TypeAlias

from liquidator_core import Params
from liquidator_core.layout import LONG, MAX_LEVELS, SCHEMA, SHORT, VERSION
from liquidator_core.levels import LEVEL_REACH
from liquidator_core.zones import QUALITY_EDGES

Form: TypeAlias = Literal["live", "snapshot", "strategy"]
FORMS = ("live", "snapshot", "strategy")
HISTORY = 5000  # bars a script calculates: what the smallest plan of TradingView loads
MOST_BOXES = 300  # TradingView keeps 500 boxes, and 500 labels for zones and levels together
MOST_LINES = 2 * MAX_LEVELS
MOST_TEXT = 60  # characters of a name
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # Unicode categories
HIDDEN = "display = display.none"  # TradingView writes inputs of numbers and texts beside the script's name otherwise


def declaration(form: Form, title: str) -> str:
    limits = f"max_boxes_count = {MOST_BOXES}, max_lines_count = {MOST_LINES}"
    limits += f", max_labels_count = {MOST_BOXES + MOST_LINES}"
    start = f'({text_literal(title)}, shorttitle = "LiqZones", overlay = true, {limits}'
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


def constants(params: Params, title: str) -> str:
    return joined_lines(
        f"string NAME = {text_literal(title)}",
        f'string VERSION = "{VERSION}"',
        f'string DIGEST = "{params.digest}"',
        f"int LONG = {LONG}",
        f"int SHORT = {SHORT}",
        f"float MEDIUM = {number_text(QUALITY_EDGES[0])}",
        f"float STRONG = {number_text(QUALITY_EDGES[1])}",
        f"float LEVEL_REACH = {number_text(LEVEL_REACH)}",
    )


def script_header(params: Params, form: Form, title: str, notes: Sequence[str]) -> str:
    values = json.dumps(params.to_dict(), sort_keys=True)
    return joined_lines(
        "//@version=6",
        f"// {title}: {form} form, written by liquidator-core {VERSION}, schema {SCHEMA}.",
        f"// Params {params.digest}: {values}",
        *(f"// {note}" for note in notes),
    )


def joined_lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def number_text(value: float) -> str:
    """The shortest decimal that reads back as the same number, without an exponent; a float has a point."""
    text = f"{Decimal(repr(value)):f}"
    return text if isinstance(value, int) or "." in text else text + ".0"


def one_line(what: str, text: str) -> str:
    """A text without what would end a line or turn the writing direction."""
    if not isinstance(text, str):
        raise TypeError(f"{what} must be text, got {text!r}")
    clean = "".join(" " if unicodedata.category(c) in _UNSEEN and c != "\u200d" else c for c in text).strip()
    if len(clean) > MOST_TEXT:
        raise ValueError(f"{what} must have at most {MOST_TEXT} characters, got {len(clean)}")
    return clean


def text_literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def template_text(name: str) -> str:
    return _texts()[name]


@cache
def _texts() -> dict[str, str]:
    folder = resources.files(__package__) / "templates"
    names = ("checks", "common", "engine", "alignment", "chart", "strategy", "snapshot")
    return {name: (folder / f"{name}.pine").read_text(encoding="utf-8") for name in names}
