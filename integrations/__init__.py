"""Adapters between the core and the tools of traders; each third-party library is imported in exactly one of them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if __name__ != "liquidator_integrations":  # from a checkout: a second copy of every class would not be the first
    raise ImportError("import liquidator_integrations, not integrations")

if TYPE_CHECKING:
    from .frames import compute_atr, compute_vwap
    from .liquidator import Liquidator
    from .tables.risk import liquidation_at_risk, risk_columns, risk_memory

__all__ = ["Liquidator", "compute_atr", "compute_vwap", "liquidation_at_risk", "risk_columns", "risk_memory"]

_PLACES = {"Liquidator": "liquidator", "compute_atr": "frames", "compute_vwap": "frames"}
_PLACES |= dict.fromkeys(("liquidation_at_risk", "risk_columns", "risk_memory"), "tables.risk")


def __getattr__(name: str) -> Any:
    """Load on first use, so that importing the package costs nothing."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
