"""The one import of freqtrade."""

try:
    from freqtrade.data.dataprovider import DataProvider
    from freqtrade.enums import CandleType, RunMode, TradingMode
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
    "CandleType",
    "CategoricalParameter",
    "DataProvider",
    "DecimalParameter",
    "IStrategy",
    "IntParameter",
    "RunMode",
    "Trade",
    "TradingMode",
    "stoploss_from_absolute",
]
