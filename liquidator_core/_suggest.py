"""The name that somebody may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggestion(name: object, known: Iterable[str], alike: float = 0.6) -> str:
    """``: did you mean 'zone_bars'?`` for the known name that is nearest to one; empty if none is as ``alike``."""
    near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=alike)
    return f": did you mean {near[0]!r}?" if near else ""
