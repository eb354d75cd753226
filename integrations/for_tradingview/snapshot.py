"""A Pine script that draws zones and levels worked out elsewhere."""

from __future__ import annotations

from string import Template
from typing import Any

import numpy as np

from liquidator_core import Params
from liquidator_core.layout import LONG, SHORT

from .inputs import display_inputs
from .text import (
    MOST_BOXES,
    MOST_LINES,
    constants,
    declaration,
    joined_lines,
    number_text,
    script_header,
    template_text,
    text_literal,
)


def snapshot_script(params: Params, title: str, zones: dict[str, Any], levels: dict[str, Any], as_of: str) -> str:
    found = {"zones": len(zones["low"]), "levels": len(levels["price"])}
    zones = _strongest(zones, zones["quality"], MOST_BOXES)
    levels = _strongest(levels, levels["usd"], MOST_LINES)
    drawn = {"zones": len(zones["low"]), "levels": len(levels["price"])}
    notes = [f"As of: {as_of or 'not said'}"]
    for kind, measure in (("zones", "quality"), ("levels", "USD")):
        cut = f", those of the highest {measure} of {found[kind]}" if drawn[kind] < found[kind] else ""
        notes.append(f"{kind.capitalize()}: {drawn[kind]}{cut}")
    parts = [
        script_header(params, "snapshot", title, notes),
        declaration("snapshot", title),
        constants(params, title) + f"string AS_OF = {text_literal(as_of or 'not said')}\n",
        joined_lines("// Inputs " + "-" * 107, "", *display_inputs()),
        template_text("common"),
        Template(template_text("snapshot")).substitute(
            births=_array("int", zones["birth"]),
            lows=_array("float", zones["low"]),
            highs=_array("float", zones["high"]),
            amounts=_array("float", zones["usd"]),
            qualities=_array("float", zones["quality"]),
            touches=_array("int", zones["touches"]),
            prices=_array("float", zones["price"]),
            level_prices=_array("float", levels["price"]),
            level_amounts=_array("float", levels["usd"]),
            level_sides=_array("int", levels["side"]),
        ),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def zone_columns(zones: Any) -> dict[str, Any]:
    columns = {}
    if zones is not None:
        columns = {name: _column(zones, "zones", name) for name in ("low", "high", "price", "usd", "quality")}
        columns |= {name: _whole_numbers(zones, "zones", name) for name in ("touches", "zone_id")}
    if not columns or len(columns["low"]) == 0:
        raise ValueError("a snapshot needs zones, found none: pass zones_of(state, params) or zones_frame(candles)")
    columns["birth"] = columns["zone_id"] // 2
    price, low, high = columns["price"], columns["low"], columns["high"]
    _check("zones", "low", low, (low > 0.0) & (low < np.inf), "a finite number above 0")
    _check("zones", "high", high, (high >= low) & (high < np.inf), "a finite number, at least the low")
    _check("zones", "price", price, (price >= 0.0) & (price < np.inf), "a finite number, not below 0")
    columns["price"] = np.clip(price, low, high)
    _check("zones", "usd", columns["usd"], (columns["usd"] >= 0.0) & (columns["usd"] < np.inf), "finite, not below 0")
    quality = columns["quality"]
    _check("zones", "quality", quality, (quality >= 0.0) & (quality <= 100.0), "from 0 to 100")
    return columns


def level_columns(levels: Any) -> dict[str, Any]:
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
    return f"array.from({', '.join(number_text(int(x) if kind == 'int' else float(x)) for x in values)})"
