"""Auditing the corpus: candles for it, and whether a verdict is the right one."""

from __future__ import annotations

import functools
import warnings
from importlib import import_module
from typing import Any

import pandas as pd
from corpus.register import CASES, Case
from places import ROOT

from liquidator_integrations import audit, sample_bars

__all__ = ["ROOT", "Case", "audited", "candles", "cases", "fault_of"]

ROOMS = ("lying_frames", "honest_frames", "strategies", "backtrader_indicators")


@functools.cache
def candles(rows: int) -> pd.DataFrame:
    """The first hours of the embedded sample, as freqtrade gives them."""
    bars = sample_bars()[:rows]
    frame = pd.DataFrame({name: bars[name] for name in ("open", "high", "low", "close", "volume")})
    frame.insert(0, "date", pd.to_datetime(bars["time"], unit="ms", utc=True).as_unit("us"))
    return frame


def cases(*rooms: str) -> dict[str, Case]:
    """The cases of some files of the corpus, all if none is named."""
    files = [import_module(f"corpus.{room}").__name__ for room in rooms or ROOMS]
    return {name: case for name, case in CASES.items() if case.target.__module__ in files}


def audited(case: Case, rows: int, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return audit(case.target, candles(rows), **options)


def fault_of(case: Case, found: Any) -> str:
    """What is wrong about a verdict; empty if nothing is. Innocent columns must not be named."""
    findings = found.findings
    if not case.kind:
        return "" if found.ok else f"accused: {findings.to_dict('records')}"
    right = findings[(findings["column"] == case.column) & (findings["kind"] == case.kind)]
    others = findings[findings["column"] != case.column]
    if right.empty or len(others):
        return f"expected {case.kind} of {case.column}, found {findings.to_dict('records')}"
    finding = right.iloc[0]
    ahead = found.rows - 1 - finding["row"] if case.kind == "repaint" else case.ahead
    if ahead is not None and case.kind in ("look-ahead", "repaint") and finding["ahead"] != ahead:
        return f"expected {ahead} rows ahead, found {finding['ahead']}"
    return ""
