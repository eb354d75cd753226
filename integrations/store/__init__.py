"""Market data kept as parquet: ``Store``; where it lies (``layout``) and how it is read and added to (``parquet``)."""

from .store import Store

__all__ = ["Store"]
