"""Market data from exchanges through ccxt: ``fetch``, ``afetch`` and ``capabilities``."""

from .history import afetch, fetch
from .venues import capabilities

__all__ = ["afetch", "capabilities", "fetch"]
