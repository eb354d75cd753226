"""The one import of backtrader. ``for_module`` puts another library that works alike in its place."""

try:
    import backtrader as bt
except ImportError as error:
    raise ImportError('this needs backtrader: pip install "liquidator-core[backtrader]"') from error

__all__ = ["bt"]
