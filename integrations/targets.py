"""``audit``: whose indicator it is, and how it is run. Indicators of other libraries are run by these libraries."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .evidence.audit import Tell, audit_subject, candle_frame
from .evidence.replay import Subject, columns_of_frame
from .evidence.verdict import Audit

__all__ = ["audit", "load_target"]


def audit(
    target: Any,
    candles: Any,
    cuts: int = 60,
    seed: int = 0,
    startup_candle_count: int | None = None,
    *,
    pairs: Mapping[str, Any] | None = None,
    tell: Tell | None = None,
) -> Audit:
    """Whether an indicator looks ahead, repaints, depends on where it began or is unstable, as far as runs of it show.

    target    a function frame -> frame or Series, a freqtrade IStrategy class, or a backtrader Indicator class. Its
              code is run, in processes of their own
    candles   a frame, oldest row first: for a function with the columns it reads; for the others ``date``, open, high,
              low, close and volume. A DatetimeIndex becomes the column ``date``. Not changed
    cuts      places at which rows are cut off; more are made where something looks suspicious
    seed      of what is left to chance
    startup_candle_count   rows of warm-up; default: what a strategy states
    pairs     for a strategy: pair -> file or frame of candles of other pairs that it reads
    tell      called with what is done, how many runs of it are done, and of how many

    Kinds of findings:

    - ``look-ahead``: a value changes when later rows arrive, and settles once a bounded number of them is there;
    - ``repaint``: nothing short of the last row settles it;
    - ``history``: the last value of a run that begins at half the frame (or at the stated warm-up, where that is
      longer) differs from that of a run that begins earlier, and does not fade;
    - ``unstable``: two runs on the same rows differ, or values of the given columns are changed.

    The same are two unknowns, equal values, and numbers within 1e-11 of the largest of both and the column's median
    magnitude. A difference due to history counts from 1e-6.

    Warns (UserWarning) where the stated warm-up is shorter than what was measured. Raises ValueError for too few rows,
    a run that raises (of 100 rows or more, and of the warm-up), takes more than a minute, or returns other rows than it
    was given; TypeError for a target or candles of another kind.
    Cost: about 130 runs, and some 0.2 s for the processes.

    >>> import numpy as np, pandas as pd
    >>> candles = pd.DataFrame({"close": np.random.default_rng(1).normal(size=600).cumsum() + 100.0})
    >>> print(audit(lambda frame: frame["close"].rolling(20).mean(), candles))
    <lambda>: none found on 600 rows and 60 cuts
    >>> audit(lambda frame: frame["close"].shift(-3), candles).findings[["column", "kind", "ahead"]]
      column        kind  ahead
    0  value  look-ahead    3.0
    """
    frame = candle_frame(candles)
    subject = subject_of(target, frame, startup_candle_count, pairs)
    return audit_subject(subject, frame, cuts, seed, tell)


def subject_of(
    target: Any, candles: Any, startup: int | None = None, pairs: Mapping[str, Any] | None = None
) -> Subject:
    """How a target is run on frames like ``candles``."""
    kind = kind_of(target)
    name = getattr(target, "__name__", type(target).__name__)
    if kind == "strategy":
        from .for_freqtrade.audited import strategy_columns

        stated = getattr(target, "startup_candle_count", 0) or None
        return Subject(name, target, strategy_columns(target, candles, pairs), stated if startup is None else startup)
    if pairs:
        raise TypeError(f"pairs are for a freqtrade strategy, got them for {name}")
    if kind == "indicator":
        from .for_backtrader.audited import check_candles, indicator_lines

        check_candles(candles)
        return Subject(name, target, indicator_lines, startup)
    return Subject(name, target, columns_of_frame, startup)


def kind_of(target: Any) -> str:
    """ "strategy", "indicator" or "function"."""
    if inspect.isclass(target):
        for base in target.__mro__[1:]:
            library = base.__module__.partition(".")[0]
            if (library, base.__name__) == ("freqtrade", "IStrategy"):
                return "strategy"
            if (library, base.__name__) == ("backtrader", "Indicator"):
                return "indicator"
    elif callable(target):
        return "function"
    raise TypeError(
        "target must be a function frame -> frame or Series, a freqtrade IStrategy class or a backtrader Indicator "
        f"class, got {target!r}"
    )


def load_target(place: str) -> Any:
    """What ``PATH.py:NAME`` names. The file is run, as an import would.

    Without NAME it is the one function, strategy or indicator that the file defines. Raises ValueError for a file with
    several, with none, or without that name.
    """
    text, colon, name = place.rpartition(":")
    if not colon or not text.endswith(".py"):
        text, name = place, ""
    path = Path(text)
    if path.suffix != ".py" or not path.is_file():
        raise ValueError(f"{place}: expected PATH.py:NAME, and no file {text} was found")
    found = candidates(_module_of(path))
    if name:
        if name in found:
            return found[name]
        raise ValueError(f"{text} has no {name}: found {', '.join(found) or 'nothing to audit'}{_like(name, found)}")
    if len(found) != 1:
        which = (
            f"found {', '.join(found)}: say which, {text}:NAME" if found else "found no function, strategy or indicator"
        )
        raise ValueError(f"{text}: {which}")
    return next(iter(found.values()))


def candidates(module: Any) -> dict[str, Any]:
    """Public functions, strategies and indicators that a module itself defines, by name."""
    found = {}
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            try:
                kind_of(value)
            except TypeError:
                continue
            found[name] = value
        elif callable(value):
            found[name] = value
    return found


def _module_of(path: Path) -> Any:
    name = path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, os.fspath(path.resolve().parent))  # its neighbours, as if it were run
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _like(name: str, found: Mapping[str, Any]) -> str:
    import difflib

    close = difflib.get_close_matches(name, found, 1)
    return f"; did you mean {close[0]}?" if close else ""
