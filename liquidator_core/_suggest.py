"""The name that somebody may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggestion(name: object, known: Iterable[str]) -> str:
    """``: did you mean 'zone_bars'?`` for the known name that is nearest to one; empty if none is near."""
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f": did you mean {near[0]!r}?" if near else ""
