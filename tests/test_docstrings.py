"""Public functions and classes have an example in their docstring, and it runs.

An example finds ready what its module has, NumPy, pandas and the public names of the core, of ``frames`` and, for a
host, of its room; ``bars`` are the first 1,500 of the sample, ``candles`` the same as freqtrade hands them over.
"""

from __future__ import annotations

import doctest
import inspect
import sys
import warnings
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from freqtrade_setup import candle_frame

import liquidator_core
from liquidator_integrations import frames, sample_bars

PACKAGES = (
    "liquidator_core",
    "liquidator_integrations",
    "liquidator_integrations.charts",
    "liquidator_integrations.evidence.leverage_mix",
    "liquidator_integrations.for_backtrader",
    "liquidator_integrations.for_freqtrade",
    "liquidator_integrations.for_tradingview",
    "liquidator_integrations.exchanges",
    "liquidator_integrations.frames",
    "liquidator_integrations.live",
    "liquidator_integrations.liquidator",
    "liquidator_integrations.model",
    "liquidator_integrations.store",
    "liquidator_strategies.for_backtrader",
)
BARS = sample_bars()[:1500]


def public() -> dict[str, Any]:
    """Every function and class in a package's ``__all__``, each once, by the name of its module and its own."""
    found = [getattr(module, name) for module in map(import_module, PACKAGES) for name in module.__all__]
    ours = [one for one in found if (inspect.isfunction(one) or inspect.isclass(one)) and one is not Any]
    return {f"{one.__module__.removeprefix('liquidator_')}.{one.__qualname__}": one for one in ours}


PUBLIC = public()


def names_of(*modules: ModuleType) -> dict[str, Any]:
    return {name: getattr(module, name) for module in modules for name in module.__all__}


def globals_of(found: Any) -> dict[str, Any]:
    """What an example may use without an import."""
    module = sys.modules[found.__module__]
    rooms = [liquidator_core, frames]
    if "for_backtrader" in module.__name__:
        rooms.append(import_module("liquidator_integrations.for_backtrader"))
    if module.__name__.startswith("liquidator_integrations.for_freqtrade"):
        rooms.append(import_module("liquidator_integrations.for_freqtrade"))
    ready = {"np": np, "pd": pd, "bars": BARS.copy(), "candles": candle_frame(BARS), "__name__": "__main__"}
    return ready | names_of(*rooms) | {name: value for name, value in vars(module).items() if name[:2] != "__"}


@pytest.mark.parametrize("found", list(PUBLIC.values()), ids=list(PUBLIC))
def test_has_an_example_that_runs(found):
    text = inspect.cleandoc(found.__doc__ or "")
    assert not text.startswith(">>>"), "an example needs a sentence before it"
    example = doctest.DocTestParser().get_doctest(text, globals_of(found), found.__name__, None, None)
    assert example.examples, f"{found.__module__}.{found.__name__} has no example"
    said: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        failed, _ = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS).run(example, out=said.append)
    assert not failed, "".join(said)


def test_there_are_as_many_as_there_should_be():
    assert len(PUBLIC) > 80
