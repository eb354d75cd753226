"""The golden vectors are what the twin says, and the engine passes them as any port should."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import golden_vectors
import naive
import numpy as np
import pytest

from liquidator_core import BAR, LEVEL, SIGNAL, TRADE, ZONE, fold, levels_of, new_signals, new_state, zones_of
from liquidator_core.layout import SCHEMA
from liquidator_core.tape import bars_from_trades

NAMES = sorted(path.parent.name for path in golden_vectors.FOLDER.glob("*/rows.csv"))
TAPE = golden_vectors.FOLDER / "trades"
TOLERANCE = 1e-9
OF_LEVELS = 1e-6  # counted in lots


def agree(got: np.ndarray, wanted: np.ndarray) -> None:
    assert got.dtype == wanted.dtype
    assert len(got) == len(wanted)
    for name in wanted.dtype.names:
        tolerance = OF_LEVELS if "level" in name or wanted.dtype == LEVEL else TOLERANCE
        np.testing.assert_allclose(got[name], wanted[name], rtol=tolerance, atol=0.0, err_msg=name)


@pytest.mark.parametrize("name", NAMES)
def test_the_engine_passes(name):
    folder = golden_vectors.FOLDER / name
    params = golden_vectors.read_params(folder)
    record, bars = params.to_record(), golden_vectors.read(folder / "bars.csv", BAR)
    state, out = new_state(record), new_signals(len(bars))
    fold(state, record, bars, out)
    agree(out, golden_vectors.read(folder / "rows.csv", SIGNAL))
    agree(zones_of(state, record), golden_vectors.read(folder / "zones.csv", ZONE))
    agree(levels_of(state, record), golden_vectors.read(folder / "levels.csv", LEVEL))


def test_the_tape_passes():
    trades = golden_vectors.read(TAPE / "trades.csv", TRADE)
    agree(bars_from_trades(trades, golden_vectors.read_params(TAPE)), golden_vectors.read(TAPE / "bars.csv", BAR))


def test_the_vectors_speak_of_everything():
    """Every field of a signal takes a value somewhere, every flag both signs it can have."""
    rows = np.concatenate([golden_vectors.read(golden_vectors.FOLDER / name / "rows.csv", SIGNAL) for name in NAMES])
    assert SCHEMA == 3
    for name in SIGNAL.names:
        if SIGNAL[name].kind == "f":
            assert np.isfinite(rows[name]).sum() > 20, name
        else:
            assert set(rows[name]) == ({0, 1} if name.startswith("exit") else {-1, 0, 1}), name


# What a port may get wrong: (case that shows it, what stands in the twin, what would be wrong there).
SKIPS = "params.ledger_bars + params.flow_bars - params.atr_bars"
WRONG = {
    "maintenance amount, linear": ("far_cascades", "(1 - 1 / leverage - c) / (1 - m)", "(1 - 1 / leverage) / (1 - m)"),
    "maintenance amount, linear short": (
        "far_cascades",
        "1 + 1 / leverage + c) / (1 + m)",
        "1 + 1 / leverage) / (1 + m)",
    ),
    "maintenance amount, inverse": ("inverse", "(1 + m) / (1 + 1 / leverage + c)", "(1 + m) / (1 + 1 / leverage)"),
    "maintenance amount, inverse short": (
        "inverse",
        "(1 - m) / (1 - 1 / leverage - c)",
        "(1 - m) / (1 - 1 / leverage)",
    ),
    "share of turnover": ("far_cascades", "flow >= params.event_share * mean(turnovers[-n:]) and", ""),
    "tightness of lone marks": ("far_cascades", "if allowed > 0 else 0.0", "if allowed > 0 else 1.0"),
    "how far cascades look": ("far_cascades", "turnovers[-params.flow_bars :]", "turnovers[-params.ledger_bars :]"),
    "memory with cascades": (
        "far_cascades",
        "< params.memory:",
        "< params.memory - params.flow_bars + params.ledger_bars:",
    ),
    "cascades after silence": ("ties", "usual > 0 and beyond > 0", "beyond > 0"),
    "previous close, too long": ("story", f"> {SKIPS}", f"> {SKIPS} + 1"),
    "previous close, too short": ("story", f"> {SKIPS}", f"> {SKIPS} - 1"),
    "exits without previous close": (
        "story",
        "resistance_of(state.zones, before)",
        "resistance_of(state.zones, state.last_close)",
    ),
    "infinite volume": ("ties", "if 0 <= volume < math.inf", "if 0 <= volume"),
    "negative volume": ("ties", "if 0 <= volume < math.inf", "if volume < math.inf"),
    "open interest of 0": ("ties", "if 0 < open_interest < math.inf", "if 0 <= open_interest < math.inf"),
    "drop against what is left": (
        "story",
        "params.open_interest_drop * before <=",
        "params.open_interest_drop * (before - drop) <=",
    ),
    "infinite observed flow": ("ties", "if not 0 <= usd < math.inf", "if not 0 <= usd"),
    "negative observed flow": ("ties", "if not 0 <= usd < math.inf", "if not usd < math.inf"),
    "infinite observed price": (
        "ties",
        "price if 0 < price < math.inf else estimated_price",
        "price if 0 < price else estimated_price",
    ),
    "negative observed price": (
        "ties",
        "if 0 < price < math.inf else estimated_price",
        "if price < math.inf else estimated_price",
    ),
    "unpriced and nothing estimated": (
        "ties",
        'estimated_price = bar["low"] if side == LONG else bar["high"]',
        'estimated_price = bar["close"]',
    ),
    "left behind, longs": ("ties", "cohort.entry * 3.3 <= close", "cohort.entry * 3.4 <= close"),
    "left behind, shorts": ("ties", "cohort.entry >= close * 3.3", "cohort.entry >= close * 3.4"),
    "a price just reached": ("ties", "return position.price >= low if", "return position.price > low if"),
    "a touch on the edge": ("story", 'bar["low"] <= mark.high if armed == 1', 'bar["low"] < mark.high if armed == 1'),
    "a gap keeps it armed": (
        "story",
        "    mark.armed = 0\n    return 0 if gapped else armed",
        "    mark.armed = armed if gapped else 0\n    return 0 if gapped else armed",
    ),
    "a hold just reached": ("story", 'bar["high"] >= mark.high + hold', 'bar["high"] > mark.high + hold'),
    "ambiguous is a hold": ("story", "if has_held and has_broken:", "if False:"),
    "touched from the near side": (
        "story",
        "        mark.over = True\n",
        "        mark.over = touched == mark.broken\n",
    ),
    "joined from any side": ("ties", "return mark.broken if touched == mark.broken else 0", "return mark.broken"),
    "join of the least USD": (
        "ties",
        "key=lambda speaker: speaker[0].usd, default",
        "key=lambda speaker: -speaker[0].usd, default",
    ),
    "of equal joins the later break": (
        "story",
        "(mark.broken_row, mark.price, mark.row, mark.side)",
        "(-mark.broken_row, mark.price, mark.row, mark.side)",
    ),
    "of equal joins the higher mark": (
        "ties",
        "(mark.broken_row, mark.price, mark.row, mark.side)",
        "(mark.broken_row, -mark.price, mark.row, mark.side)",
    ),
    "equal widths": ("open_interest", " + 1e-12 * high", ""),
    "bands that just meet": ("ties", "overlaps = mark.low <= max(", "overlaps = mark.low < max("),
    "newer marks lead": ("ties", "(-mark.usd, mark.birth, mark.side)", "(-mark.usd, -mark.birth, mark.side)"),
    "shorts lead": ("ties", "(-mark.usd, mark.birth, mark.side)", "(-mark.usd, mark.birth, -mark.side)"),
    "observed flow enters all the same": ("every_kind_of_row", 'if observed == "beside":', "if False:"),
    "observed flow as it is": ("observed_flow", "        usd /= ratio\n", ""),
    "a scale of both sides together": (
        "observed_flow",
        "        observed += sum(rows[t].observed[side] for t in mine)\n",
        "        observed += sum(sum(v for v in rows[t].observed if v == v) for t in mine)\n",
    ),
    "a scale with the day itself": ("observed_flow", "range(day - 30, day)", "range(day - 30, day + 1)"),
    "a scale of 29 days": ("observed_flow", "range(day - 30, day)", "range(day - 29, day)"),
    "a scale of 31 days": ("observed_flow", "range(day - 30, day)", "range(day - 31, day)"),
    "a scale of six days": ("observed_flow", "if known < 7", "if known < 6"),
    "a scale of eight days": ("observed_flow", "if known < 7", "if known < 8"),
    "days that begin too far back": (
        "observed_flow",
        "len(rows) - covered[0] > params.observed_bars",
        "len(rows) - covered[-1] > params.observed_bars",
    ),
    "a scale of rows that nobody covered": (
        "observed_flow",
        "mine = [t for t in covered if not math.isnan(rows[t].observed[side])]",
        "mine = [t for t, row in enumerate(rows) if row.day == one]",
    ),
    "of zones at one price the first supports": (
        "story",
        "max(reversed([zone for zone in zones if zone.price <= close])",
        "max(([zone for zone in zones if zone.price <= close])",
    ),
}
WRONG_ON_TAPE = {
    "the trade itself counts": ("mean(usd[:-1])", "mean(usd)"),
    "no threshold in USD": (" and usd[-1] >= params.large_usd", ""),
    "unknown aggressors": ('{1: trades[i]["size"], 0: NAN, -1: 0.0}', '{1: trades[i]["size"], 0: 0.0, -1: 0.0}'),
    "sides": ('((1, "buy"), (-1, "sell"))', '((-1, "buy"), (1, "sell"))'),
    "price of large trades": ('bar[f"large_{name}_price"] = sum(', 'bar[f"large_{name}_price"] = 0 * sum('),
}


def twin_with(folder: Path, right: str, wrong: str) -> ModuleType:
    """The naive twin with a rule changed, by way of a file in this folder."""
    source = Path(naive.__file__).read_text(encoding="utf-8")
    assert source.count(right) == 1, right
    path = folder / "wrong_twin.py"
    path.write_text(source.replace(right, wrong), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    twin = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = twin  # where dataclasses look for their module
    spec.loader.exec_module(twin)
    return twin


@pytest.mark.parametrize("mistake", WRONG)
def test_a_port_that_is_wrong_fails(mistake, tmp_path):
    name, right, wrong = WRONG[mistake]
    case = golden_vectors.cases()[name]
    try:
        rows, state = twin_with(tmp_path, right, wrong).fold(case.bars, case.params)
    except ZeroDivisionError:
        return  # it fails at once
    written = golden_vectors.read(golden_vectors.FOLDER / name / "rows.csv", SIGNAL)
    zones = golden_vectors.read(golden_vectors.FOLDER / name / "zones.csv", ZONE)
    told = [[row[name] for row in rows] for name in SIGNAL.names]
    same = all(np.allclose(told, written[name], 1e-9, 0.0, True) for told, name in zip(told, SIGNAL.names, strict=True))
    counts = ("touches", "holds", "ambiguous", "unresolved")
    leads = [[getattr(zone.lead, count) for count in counts] for zone in state.zones]
    assert not same or leads != [[zone[count] for count in counts] for zone in zones]


@pytest.mark.parametrize("mistake", WRONG_ON_TAPE)
def test_a_port_of_the_tape_that_is_wrong_fails(mistake, tmp_path):
    twin = twin_with(tmp_path, *WRONG_ON_TAPE[mistake])
    written = golden_vectors.read(TAPE / "bars.csv", BAR)
    made = twin.bars_from_trades(naive.as_dicts(golden_vectors.trades()), golden_vectors.TAPE)
    assert len(made) == len(written)
    assert not all(np.allclose([bar[name] for bar in made], written[name], 1e-9, 0.0, True) for name in made[0])


def assert_alike(written: np.ndarray, made: np.ndarray) -> None:
    """Equal but for the last digits, in which processors' exponentials differ."""
    assert written.dtype == made.dtype
    for name in written.dtype.names or ():
        np.testing.assert_allclose(written[name], made[name], rtol=1e-12, atol=0.0)


@pytest.mark.slow
def test_the_twin_makes_the_tape():
    trades = golden_vectors.read(TAPE / "trades.csv", TRADE)
    assert_alike(trades, golden_vectors.trades())
    made = naive.bars_from_trades(naive.as_dicts(trades), golden_vectors.TAPE)
    assert golden_vectors.read_params(TAPE) == golden_vectors.TAPE
    written = golden_vectors.read(TAPE / "bars.csv", BAR)
    for name in made[0]:
        np.testing.assert_allclose(written[name], [bar[name] for bar in made], rtol=1e-12, atol=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_twin_says_so(name):
    folder = golden_vectors.FOLDER / name
    made = golden_vectors.cases()[name]
    assert golden_vectors.read_params(folder) == made.params
    bars = golden_vectors.read(folder / "bars.csv", BAR)
    assert_alike(bars, made.bars)
    case = dataclasses.replace(made, bars=bars)
    for file, dtype, told in zip(
        ("rows.csv", "zones.csv", "levels.csv"), (SIGNAL, ZONE, LEVEL), golden_vectors.expected(case), strict=True
    ):
        written = golden_vectors.read(folder / file, dtype)
        assert len(written) == len(told)
        for field in dtype.names:
            np.testing.assert_allclose(written[field], [row[field] for row in told], rtol=1e-12, atol=0.0)
