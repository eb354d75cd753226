"""Columns that say what a row is: the maker's leg of a match, a block trade, a liquidation among trades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .columns import coded
from .messages import fail_row
from .names import normal_name

_TRUE = ("true", "1", "1.0", "yes", "t")
_FALSE = ("false", "0", "0.0", "no", "f")
_UNSAID = ("", "none", "nan", "<na>", "null")
#: A row that says this of itself is no public trade of its own: name -> what it says.
NO_TRADE: dict[str, bool] = {
    "crossed": False,  # Hyperliquid's fills: the maker's leg of the same match
    "is_block_trade": True,  # agreed upon outside the book
    "isblocktrade": True,
    "bt": True,  # the same in Bybit's stream
    "is_internal": True,  # Gate: taken over by the insurance fund, at no price of the book
}
#: A candle that says false under one of these is still open.
CLOSED_NAMES = ("closed", "is_closed", "isclosed", "is_final", "isfinal", "confirm", "confirmed", "final", "complete")
#: Where these are, a row of ``ingest_liquidations`` is a liquidation only if it says so.
LIQUIDATION_FLAGS = ("liquidation", "is_liquidation", "isliquidation")


#: Ids that only block trades have.
BLOCK_IDS = ("block_trade_id", "blocktradeid", "block_rfq_id")


def flags_in(names: Sequence[str], meaning: Mapping[str, bool]) -> dict[str, bool]:
    """Of the columns there, those that ``meaning`` knows: name -> the value that leaves a row out."""
    return {name: meaning[normal] for name in names if (normal := normal_name(name)) in meaning}


def ids_in(names: Sequence[str]) -> tuple[str, ...]:
    """Of the columns there, those that only block trades fill."""
    return tuple(name for name in names if normal_name(name) in BLOCK_IDS)


def is_said(value: Any) -> bool:
    """Whether a cell holds anything."""
    return value is not None and str(value).strip().lower() not in _UNSAID


def truth(value: Any, name: str, row: int | None = None) -> bool | None:
    """True, False, or None for what is not said. Raises ValueError for a value that is none of these."""
    if value is None or isinstance(value, (bool, np.bool_)):
        return None if value is None else bool(value)
    text = str(value).strip().lower()
    if text in _TRUE or text in _FALSE or text in _UNSAID:
        return None if text in _UNSAID else text in _TRUE
    if row is not None:
        fail_row(row, None, name, value, "true or false")
    raise ValueError(f"{name}: found {value!r}, allowed true or false")


def left_out(column: Any, name: str, value: bool) -> np.ndarray:
    """(n,) bool: the rows of an Arrow column that hold a value."""
    words, codes = coded(column)
    said = [truth(word, name, int(np.argmax(codes == place))) for place, word in enumerate(words)]
    return np.asarray(np.array([*(one is value for one in said), False])[codes])


def _liquidated(value: Any) -> str:
    """Whose order was a liquidation, of what a trade's flag says: "taker", "maker", or "" if none was."""
    text = str(value).strip().upper()
    if text in ("T", "M", "MT"):  # Deribit
        return "maker" if text == "M" else "taker"
    return "taker" if isinstance(value, Mapping) or truth(value if text != "NONE" else None, "liquidation") else ""


def liquidated(column: Any) -> np.ndarray:
    """(n,) int8 of an Arrow column of flags: 1 the taker's order was a liquidation, -1 the maker's, 0 none."""
    meaning = {"taker": 1, "maker": -1, "": 0}
    words: dict[str, int] = {}
    codes = []
    for value in column.to_pylist():
        key = "{}" if isinstance(value, dict) else str(value)
        if key not in words:
            words[key] = meaning[_liquidated(value)]
        codes.append(words[key])
    return np.array(codes, np.int8)
