"""The laws of prefix and window for anybody's indicator: does it look ahead, repaint, depend on where it began?

What is looked for, and how. Nothing is inferred from source: each finding is two runs that disagree.

- **Cuts.** A run on the rows before a cut must say of them what the run on all rows says.
- **Other worlds.** So must a run on candles with another future from a cut on, and cuts of candles that are full of
  jumps, spikes and flat bars (``worlds``). A dozen runs on candles shaken by a ten-millionth tell which rows move with
  rows to come; these are cut at.
- **Windows.** A run that begins later must come to say the same.
- **Reruns**, and runs in processes in which the indicator has not run before.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .history import Histories, windows_of
from .places import cuts_of, leads
from .replay import RunError, Runner, Subject, refuse_nesting
from .sources import Sources
from .values import SAME, Values, differs, part, scale_of
from .verdict import Audit, Evidence, Finding, add, frame_of_findings
from .worlds import shocked_rows

SHORT = 100  # runs on fewer rows may raise
LEAST = 20  # rows beyond the first cut
_APART = 2  # cuts in processes of their own
_SHAKEN = 12
_EARLY = (3, 8, 25, 60)
_FACTORS = (1.5, 0.6)
_EXTREME = (40.0, 0.025)
_REFINED = 2  # cuts of a column that are followed up

Tell = Callable[[str, int, int], object]


def audit_subject(
    subject: Subject, candles: pd.DataFrame, cuts: int = 60, seed: int = 0, tell: Tell | None = None
) -> Audit:
    """Audit a subject on candles; see ``liquidator_integrations.audit``.

    candles   a frame with a RangeIndex from 0; not changed
    tell      called with what is done, how many runs of it are done, and of how many
    """
    refuse_nesting()
    _check(subject, candles, cuts)
    return _Case(subject, candles, cuts, np.random.default_rng(seed), tell).verdict()


def candle_frame(candles: Any) -> pd.DataFrame:
    """Candles as a frame of their own with a RangeIndex; an index of times becomes the column ``date``."""
    if not isinstance(candles, pd.DataFrame):
        raise TypeError(f"candles must be a pandas frame, got {type(candles).__name__}")
    if not candles.columns.is_unique:
        raise ValueError(f"candles: found two columns named {candles.columns[candles.columns.duplicated()][0]!r}")
    frame = candles.copy()
    if isinstance(candles.index, pd.DatetimeIndex) and "date" not in candles.columns:
        frame = frame.rename_axis(index="date").reset_index()
    frame = frame.reset_index(drop=True)
    frame.attrs = {}
    return frame


def _check(subject: Subject, candles: pd.DataFrame, cuts: int) -> None:
    if isinstance(cuts, bool) or not isinstance(cuts, (int, np.integer)) or cuts < 1:
        raise ValueError(f"cuts must be a whole number, 1 or more, got {cuts!r}")
    startup = subject.startup
    if startup is not None and (isinstance(startup, bool) or not isinstance(startup, (int, np.integer)) or startup < 0):
        raise ValueError(f"startup_candle_count must be a whole number of rows, 0 or more, got {startup!r}")
    needed = max(SHORT, startup or 0) + LEAST
    if len(candles) < needed:
        why = f"startup_candle_count {startup}" if startup and startup > SHORT else f"the first {SHORT}"
        raise ValueError(f"candles: found {len(candles):,} rows, allowed {needed:,} or more: {why} and {LEAST} to cut")


class _Case:
    """One subject on one frame: what was run, and what came of it."""

    def __init__(
        self, subject: Subject, candles: pd.DataFrame, cuts: int, rng: np.random.Generator, tell: Tell | None
    ) -> None:
        self.subject, self.candles, self.count, self.rng = subject, candles, int(cuts), rng
        self.rows = len(candles)
        self.startup = subject.startup or 0
        self.first_cut = max(SHORT, self.startup)
        self.seed = int(rng.integers(2**31))
        self.tell = tell
        self.done = 0
        self.expected = self.count + self.count // 2 + _SHAKEN + 30
        self.cuts: set[int] = set()

    def verdict(self) -> Audit:
        with Runner(self.subject, self.candles) as here, Runner(self.subject, self.candles, apart=True) as apart:
            self.whole = self._run(here, "on all rows", 0, self.rows)
            self.scale = scale_of(self.whole)
            self.evidence = {name: Evidence() for name in self.whole.names}
            self.unstable = dict(self.whole.changed)
            for cut in cuts_of(self.candles, self.whole, self.count, self.first_cut, self.rng):
                self._cut(here, cut)
            windows, suspects = self._other_worlds()
            shocked = self._shocked_world()
            for row in suspects:
                for cut in (row + 1, row + 2):
                    self._cut(here, cut)
            self._rerun(here)
            self._rerun_wrong(here)
            self._what_was_remembered(apart)
            self._follow_up(here, apart)
            for name, found in shocked.items():  # of rows that are not the candles' own: if nothing else is known
                if not self.evidence[name] and name not in self.unstable:
                    self.evidence[name] = found
        return self._judge(Histories(self.whole, self.scale, windows, self.rows, self.startup))

    # Runs

    def _run(self, runner: Runner, what: str, first: int, end: int, world: Sequence[Any] = ("real",)) -> Values:
        found = runner.run(first, end, world)
        self.done += 1
        self.expected = max(self.expected, self.done)
        if self.tell:
            self.tell(what, self.done, self.expected)
        return found

    def _try(self, runner: Runner, what: str, first: int, end: int, world: Sequence[Any] = ("real",)) -> Values | None:
        """None for a run that gave nothing: too short, or in a world that the indicator was not made for."""
        try:
            return self._run(runner, what, first, end, world)
        except RunError:
            return None

    def _wrong(self, found: Values, reference: Values, end: int) -> np.ndarray:
        """(columns, end) bool: where a run says something else of the first rows."""
        return differs(part(found, 0, end), part(reference, 0, end), SAME, self.scale)

    def _note(self, evidence: dict[str, Evidence], cut: int, wrong: np.ndarray, altered: bool = False) -> None:
        for place in np.flatnonzero(wrong.any(axis=1)):
            found = evidence[self.whole.names[place]]
            add(found.altered if altered else found.missing, cut, np.flatnonzero(wrong[place]))

    def _cut(self, runner: Runner, cut: int) -> None:
        """One replay of the rows before a cut, once."""
        if cut in self.cuts or not self.first_cut <= cut < self.rows:
            return
        found = self._run(runner, "cuts", 0, cut)
        self.cuts.add(cut)
        for name, row in found.changed.items():
            self.unstable.setdefault(name, row)
        self._note(self.evidence, cut, self._wrong(found, self.whole, cut))

    def _rerun(self, runner: Runner) -> None:
        """All rows once more: what differs is unstable."""
        wrong = self._wrong(self._run(runner, "again", 0, self.rows), self.whole, self.rows)
        for place in np.flatnonzero(wrong.any(axis=1)):
            self.unstable.setdefault(self.whole.names[place], int(wrong[place].argmax()))

    def _rerun_wrong(self, runner: Runner) -> None:
        """Cuts that convict are made once more: a value that is thrown like dice looks as if it repainted."""
        deciding = {pair[0] for found in self.evidence.values() for pair in found.longest(1)}
        for cut in sorted(deciding & self.cuts)[: self.count]:
            first = self._run(runner, "once more", 0, cut)
            wrong = self._wrong(self._run(runner, "once more", 0, cut), first, cut)
            names = dict(zip(self.whole.names, wrong, strict=True)) if first.names == self.whole.names else {}
            for name, rows in names.items():
                if rows.any():
                    self.unstable.setdefault(name, int(rows.argmax()))

    # Other worlds

    def _other_worlds(self) -> tuple[list[tuple[int, Values]], list[int]]:
        """(runs that begin later, rows that seem to know a later one); other futures are noted as evidence.

        In this order, and each with an end of its own, so that an indicator that keeps what it has worked out for a
        time of day or a length never takes it for another world's.
        """
        windows: list[tuple[int, Values]] = []
        with Runner(self.subject, self.candles) as runner:
            for first, end in windows_of(self.rows, max(self.startup, SHORT), self.startup):
                found = self._try(runner, "later starts", first, end)
                if found is not None:
                    windows.append((first, found))
            end = self.rows
            for cut, factor in self._futures():
                end = max(cut + 1, end - 1)
                found = self._try(runner, "other futures", 0, end, ("altered", cut, factor))
                if found is not None:
                    self._note(self.evidence, cut, self._wrong(found, self.whole, cut), altered=True)
            shaken = []
            for seed in range(min(_SHAKEN, self.count)):
                end = max(self.first_cut, end - 1)
                found = self._try(runner, "shaken candles", 0, end, ("shaken", self.seed + seed))
                if found is not None and found.names == self.whole.names:
                    shaken.append((self.seed + seed, found.numbers))
        return windows, leads(shaken, self.whole.numbers) if len(shaken) == _SHAKEN else []

    def _futures(self) -> list[tuple[int, float]]:
        """(cut, factor of prices) from the last cut to the first."""
        last = self.rows - 1
        cuts = {last: _EXTREME[0], last - 1: _EXTREME[1], self.rows - self.rows // 20: _EXTREME[0]}
        cuts[self.rows - self.rows // 20 - 1] = _EXTREME[1]
        even = np.linspace(self.first_cut, last - 2, max(1, self.count // 10)).astype(int)
        some = [int(cut) for cut in even] + [int(c) for c in self.rng.integers(self.first_cut, last, self.count // 12)]
        for place, cut in enumerate([*some, *(cut for cut in _EARLY if cut >= self.startup)]):
            cuts.setdefault(cut, _FACTORS[place % 2])
        return sorted(((cut, factor) for cut, factor in cuts.items() if cut >= max(1, self.startup)), reverse=True)

    def _shocked_world(self) -> dict[str, Evidence]:
        """Cuts just after the shocks of a shocked world, as evidence. In a process of its own, like its candles."""
        world = ("shocked", self.seed)
        evidence = {name: Evidence() for name in self.whole.names}
        with Runner(self.subject, self.candles) as runner:
            whole = self._try(runner, "shocked candles", 0, self.rows, world)
            if whole is None or whole.names != self.whole.names:
                return evidence
            struck = shocked_rows(self.rows, self.seed)
            struck = self.rng.permutation(struck[(struck >= self.first_cut) & (struck < self.rows - 1)])
            for row in sorted(struck[: max(1, self.count // 5)].tolist()):
                found = self._try(runner, "shocked candles", 0, row + 1, world)
                if found is not None:
                    self._note(evidence, row + 1, self._wrong(found, whole, row + 1))
        return evidence

    # What is found out about those that are found

    def _what_was_remembered(self, apart: Runner) -> None:
        """The same in processes that have not run it before: what shows there alone was hidden by a memory.

        What another run in this process made unstable is judged by these alone, if they agree with each other.
        """
        whole = self._try(apart, "apart", 0, self.rows)
        if whole is None or whole.names != self.whole.names:
            return
        suspected = [name for name in self.unstable if name not in self.whole.changed]
        if suspected:
            wrong = self._wrong(self._run(apart, "apart", 0, self.rows), whole, self.rows)
            suspected = [name for name in suspected if not wrong[whole.names.index(name)].any()]
        evidence = {name: Evidence() for name in whole.names}
        some = sorted(self.cuts)
        self._apart(apart, whole, (some[len(some) // 3], some[2 * len(some) // 3]), evidence)
        hidden = [
            name
            for name, found in evidence.items()
            if (found.missing.keys() - self.evidence[name].missing.keys() and name not in self.unstable)
            or (found and name in suspected)
        ]
        if hidden:
            self._apart(apart, whole, some, evidence)
        for name in hidden:
            self.evidence[name] = evidence[name]
            self.unstable.pop(name, None)
        for name in self.unstable.keys() - self.whole.changed.keys():
            self.evidence[name] = Evidence()

    def _apart(self, apart: Runner, whole: Values, cuts: Iterable[int], evidence: dict[str, Evidence]) -> None:
        for cut in cuts:
            self._note(evidence, cut, self._wrong(self._run(apart, "apart", 0, cut), whole, cut))

    def _follow_up(self, here: Runner, apart: Runner) -> None:
        """How far ahead: from the cuts with the longest reach on, until their first wrong row settles."""
        left = 2 * self.count
        for name, found in self.evidence.items():
            if not found or found.repaints(self.rows, self._first_known(name)):
                continue
            for cut, row in found.longest(_REFINED):
                if left <= 0:
                    return
                left -= self._settle(here, apart, found, cut, row)

    def _settle(self, here: Runner, apart: Runner, found: Evidence, cut: int, row: int) -> int:
        """Cut where between ``cut`` and the end the row comes to stay; returns the runs it took."""
        before = self.done
        altered = row not in found.missing.get(cut, ())
        wrong, right, step = cut, self.rows, max(1, cut - row)
        while wrong + 1 < right:
            probe = min(wrong + step if right == self.rows else (wrong + right) // 2, right - 1)
            if altered:
                self._alter(apart, probe)
            else:
                self._cut(here, probe)
            if row in (found.altered if altered else found.missing).get(probe, ()):
                wrong, step = probe, 2 * step
            else:
                right = probe
        return self.done - before

    def _alter(self, apart: Runner, cut: int) -> None:
        """Two other futures from a cut on."""
        for factor in _FACTORS:
            run = self._try(apart, "other futures", 0, self.rows, ("altered", cut, factor))
            if run is not None:
                self._note(self.evidence, cut, self._wrong(run, self.whole, cut), altered=True)

    # The verdict

    def _first_known(self, name: str) -> int:
        known = self.whole.known(self.whole.names.index(name))
        return int(known.argmax()) if known.any() else self.rows

    def _judge(self, histories: Histories) -> Audit:
        findings: list[Finding] = []

        def find(name: str, kind: Any, row: int, ahead: float) -> None:
            findings.append(Finding(name, kind, row, ahead, ""))

        warmup: dict[str, int] = {}
        for name in dict.fromkeys([*self.whole.names, *self.unstable]):
            if name in self.unstable:
                find(name, "unstable", self.unstable[name], np.nan)
            found = self.evidence.get(name, Evidence())
            repaints = found.repaints(self.rows, self._first_known(name)) if found else False
            if found:
                ahead = self.rows - 1 - found.row if repaints else found.reach
                find(name, "repaint" if repaints else "look-ahead", found.row, ahead)
            if name in self.unstable or repaints or name not in self.whole.names:
                continue
            needed, row = histories.of(name, found.reach if found else 0)
            if row is not None:
                find(name, "history", row, np.nan)
            elif needed is not None:
                warmup[name] = needed
        remarks = self._short(warmup)
        for text in remarks:
            warnings.warn(text, stacklevel=5)
        if findings:
            sources = Sources(self.subject.target)
            findings = [one._replace(source=sources.line(one.column, one.kind)) for one in findings]
        return Audit(self.subject.name, frame_of_findings(findings), self.rows, len(self.cuts), warmup, remarks)

    def _short(self, warmup: dict[str, int]) -> list[str]:
        stated = self.subject.startup
        short = {name: rows for name, rows in warmup.items() if stated is not None and rows > stated}
        if not short:
            return []
        most = sorted(short, key=lambda name: -short[name])[:3]
        needs = ", ".join(f"{name} {short[name]:,}" for name in most) + (" ..." if len(short) > len(most) else "")
        return [f"{self.subject.name}: startup_candle_count {stated} is shorter than measured: {needs} rows"]
