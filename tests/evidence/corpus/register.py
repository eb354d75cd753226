"""The decorators that enter an indicator into the corpus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Case(NamedTuple):
    """``kind`` is empty for an honest one; ``ahead`` is None where candles decide it."""

    target: Any
    kind: str
    column: str
    ahead: int | None

    @property
    def name(self) -> str:
        return self.target.__name__


CASES: dict[str, Case] = {}


def lies(kind: str, column: str = "value", ahead: int | None = None) -> Callable[[T], T]:
    def enter(target: T) -> T:
        CASES[target.__name__] = Case(target, kind, column, ahead)
        return target

    return enter


def honest(target: T) -> T:
    CASES[target.__name__] = Case(target, "", "", None)
    return target
