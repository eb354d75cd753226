"""The one import of freqtrade."""

try:
    from freqtrade.persistence import Trade
    from freqtrade.strategy import (
        CategoricalParameter,
        DecimalParameter,
        IntParameter,
        IStrategy,
        stoploss_from_absolute,
    )
    from freqtrade.strategy.parameters import BaseParameter
except ImportError as error:
    raise ImportError('the freqtrade helpers need freqtrade: pip install "liquidator-core[freqtrade]"') from error

__all__ = [
    "BaseParameter",
    "CategoricalParameter",
    "DecimalParameter",
    "IStrategy",
    "IntParameter",
    "Trade",
    "stoploss_from_absolute",
]
