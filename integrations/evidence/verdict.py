"""What an audit found, and of which kind it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

Kind: TypeAlias = Literal["look-ahead", "repaint", "history", "unstable"]

_LATE = 0.9  # of a frame: a cut behind it that changes rows of the first half shows that nothing settles them
_SHOWN = 20


class Finding(NamedTuple):
    """``row`` by position; ``ahead`` rows, NaN where it has no meaning; ``source`` is ``FILE:LINE: text`` or empty."""

    column: str
    kind: Kind
    row: int
    ahead: float
    source: str


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit found on so many ``rows`` and ``cuts``.

    ``findings``   a frame of column, kind, row, ahead and source; empty where nothing was found
    ``warmup``     column -> rows that a run needs until its last value is within 1e-6 of that of a longer run, of
                   columns for which there is such a number
    ``warnings``   what is worth knowing and no finding
    """

    name: str
    findings: pd.DataFrame
    rows: int
    cuts: int
    warmup: Mapping[str, int]
    warnings: Sequence[str] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return len(self.findings) == 0

    def to_json(self) -> str:
        """Everything as one JSON object; an ``ahead`` without meaning is null."""
        found = [
            finding | {"ahead": None if np.isnan(finding["ahead"]) else int(finding["ahead"])}
            for finding in self.findings.to_dict("records")
        ]
        values = {"name": self.name, "ok": self.ok, "rows": self.rows, "cuts": self.cuts, "findings": found}
        return json.dumps(values | {"warmup": dict(self.warmup), "warnings": list(self.warnings)})

    def __str__(self) -> str:
        """The verdict, a line for each finding and each warning."""
        tried = f"on {self.rows:,} rows and {self.cuts:,} cuts"
        if self.ok:
            return "\n".join([f"{self.name}: none found {tried}", *self.warnings])
        lines = [f"{self.name}: {len(self.findings)} found {tried}"]
        for finding in self.findings.head(_SHOWN).itertuples():
            lines.append(f"  {finding.column}: {_sentence(finding)}")
            if finding.source:
                lines.append(f"    {finding.source}")
        if len(self.findings) > _SHOWN:
            lines.append(f"  and {len(self.findings) - _SHOWN} more")
        return "\n".join([*lines, *self.warnings])


def _sentence(finding: Finding) -> str:
    if finding.kind == "look-ahead":
        return f"look-ahead, row {finding.row:,} first; a value needs up to {finding.ahead:,.0f} rows after its own"
    if finding.kind == "repaint":
        return f"repaint, row {finding.row:,} first; nothing short of the last row settles it"
    if finding.kind == "history":
        return f"history, row {finding.row:,}; the value depends on where the run began, however long ago"
    return f"unstable, row {finding.row:,} first; two runs on the same rows differ, or given values are changed"


def frame_of_findings(findings: Sequence[Finding]) -> pd.DataFrame:
    """A row a finding."""
    frame = pd.DataFrame(findings, columns=list(Finding._fields))
    types = {"column": object, "kind": object, "row": np.int64, "ahead": np.float64, "source": object}
    return frame.astype(types)


@dataclass
class Evidence:
    """Where values of one column changed once later rows were there: cut -> the rows before it, in order.

    ``missing``   of runs that end at the cut
    ``altered``   of runs with another future from the cut on
    """

    missing: dict[int, np.ndarray] = field(default_factory=dict)
    altered: dict[int, np.ndarray] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.missing or self.altered)

    def _firsts(self) -> list[tuple[int, int]]:
        """(cut, the first row before it that changed)."""
        return [(cut, int(rows[0])) for some in (self.missing, self.altered) for cut, rows in some.items()]

    @property
    def row(self) -> int:
        """The first row that changed at any cut."""
        return min(row for _, row in self._firsts())

    @property
    def reach(self) -> int:
        """The most rows after a row that its value was seen to need."""
        return max(cut - row for cut, row in self._firsts())

    def longest(self, count: int) -> list[tuple[int, int]]:
        """(cut, first row that changed) of the cuts with the longest reach."""
        return sorted(set(self._firsts()), key=lambda pair: (pair[1] - pair[0], pair[0]))[:count]

    def repaints(self, rows: int, first_known: int) -> bool:
        """Whether rows of the first half of what is known still change at a cut near the end."""
        return any(cut - row >= (rows - first_known) / 2 for cut, row in self._firsts() if cut >= _LATE * rows)


def add(some: dict[int, np.ndarray], cut: int, rows: np.ndarray) -> None:
    """Add rows that changed at a cut."""
    some[cut] = np.union1d(some[cut], rows) if cut in some else rows
