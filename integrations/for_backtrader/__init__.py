"""backtrader: feeds, indicators, an observer, a sizer, an analyzer and a backtest in one call.

class BuySupport(bt.Strategy):
    def __init__(self):
        self.zones = LiquidationZones(self.data)

    def next(self):
        if self.zones.fade[0] > 0 and not self.position:
            self.buy()

cerebro = bt.Cerebro()
cerebro.adddata(CandleFeed(dataname="candles.parquet"))
cerebro.addstrategy(BuySupport)

The same classes for another library that works like backtrader: ``for_module(backtrader_next).LiquidationZones``.
"""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

from ..evidence.result import ClosedTrade, Result, buy_and_hold
from .analyzers import ZoneReport
from .backtest import backtest
from .engine import ZONE_PARAMS, params_of, refuse_unknown
from .feeds import CandleFeed, lean_feed
from .hold import HoldSizer
from .indicators import (
    ForcedFlow,
    LiquidationIndicator,
    LiquidationLevels,
    LiquidationSignal,
    LiquidationZones,
    ZoneAlignment,
    ZoneDiagnostics,
)
from .library import bt
from .observers import ZoneMap
from .risk import LiquidationRisk, RiskSizer
from .sizers import QualitySizer

__all__ = [
    "ZONE_PARAMS",
    "CandleFeed",
    "ClosedTrade",
    "ForcedFlow",
    "HoldSizer",
    "LiquidationIndicator",
    "LiquidationLevels",
    "LiquidationRisk",
    "LiquidationSignal",
    "LiquidationZones",
    "QualitySizer",
    "Result",
    "RiskSizer",
    "ZoneAlignment",
    "ZoneDiagnostics",
    "ZoneMap",
    "ZoneReport",
    "backtest",
    "bt",
    "buy_and_hold",
    "for_module",
    "lean_feed",
    "params_of",
    "refuse_unknown",
    "remake",
]


def for_module(library: ModuleType) -> ModuleType:
    """This package with another library in backtrader's place, such as backtrader_next; of backtrader itself, as it is.

    The classes are made from the same source, and once: a second call returns the same module, which is called
    ``liquidator_integrations.for_<library>``. A process that unpickles them has to call this first.

    >>> import backtrader
    >>> for_module(backtrader).__name__
    'liquidator_integrations.for_backtrader'
    """
    if not isinstance(library, ModuleType) or not all(hasattr(library, name) for name in ("Indicator", "Strategy")):
        raise TypeError(f"library must be backtrader or a module that works like it, got {library!r}")
    return remake(sys.modules[__name__], library.__name__, bt=library)


def remake(package: ModuleType, library: str, **names: object) -> ModuleType:
    """A package of this kind executed anew beside it, as ``for_<library>``, its ``library`` made of ``names``.

    The modules of such a package take whatever depends on backtrader from their module ``library`` alone.

    >>> import backtrader, sys
    >>> package = sys.modules["liquidator_integrations.for_backtrader"]
    >>> remake(package, "backtrader", bt=backtrader) is package
    True
    """
    name = f"{package.__name__.rpartition('.')[0]}.for_{library}"
    if name not in sys.modules:
        spec = spec_from_file_location(name, package.__file__, submodule_search_locations=list(package.__path__))
        if spec is None or spec.loader is None:
            raise ImportError(f"{package.__file__} cannot be executed anew", name=name)
        remade = module_from_spec(spec)
        taken = ModuleType(f"{name}.library")
        vars(taken).update(names)
        sys.modules |= {name: remade, taken.__name__: taken}
        try:
            spec.loader.exec_module(remade)
        except BaseException:
            for module in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
                del sys.modules[module]
            raise
    return sys.modules[name]
