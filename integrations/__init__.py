"""Adapters between the core and the tools of traders: a room for each stage of a bar's journey."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if __name__ != "liquidator_integrations":  # from a checkout: a second copy of every class would not be the first
    raise ImportError("import liquidator_integrations, not integrations")

if TYPE_CHECKING:
    from .liquidator import Liquidator
    from .market.bars import read_bars
    from .market.observed import observed_bars
    from .market.sample import sample_bars
    from .model.columns import hold_columns
    from .tables.indicators import compute_atr, compute_vwap
    from .tables.risk import liquidation_at_risk, risk_columns, risk_memory
    from .targets import audit

__all__ = [
    "Liquidator",
    "audit",
    "compute_atr",
    "compute_vwap",
    "hold_columns",
    "liquidation_at_risk",
    "observed_bars",
    "read_bars",
    "risk_columns",
    "risk_memory",
    "sample_bars",
]

_PLACES = {
    "Liquidator": "liquidator",
    "audit": "targets",
    "compute_atr": "tables.indicators",
    "compute_vwap": "tables.indicators",
    "hold_columns": "model.columns",
    "liquidation_at_risk": "tables.risk",
    "observed_bars": "market.observed",
    "read_bars": "market.bars",
    "risk_columns": "tables.risk",
    "risk_memory": "tables.risk",
    "sample_bars": "market.sample",
}


def __getattr__(name: str) -> Any:
    """Load on first use, so that importing the package costs nothing."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
