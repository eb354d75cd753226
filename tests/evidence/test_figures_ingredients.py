"""What docs/formula.md says of the ingredients is what their script prints, and every signal works on real trades."""

from __future__ import annotations

import re

import ingredients
import pytest
import truth
from places import ROOT

from liquidator_core import Params

PAGE = ROOT / "docs" / "formula.md"
PAIR = r"[+-]\d\.\d{3} \[[+-]\d\.\d{3}, [+-]\d\.\d{3}\]"


def rows_of_page() -> set[tuple[str, str, str]]:
    """(name, long, short) of every row of the page's tables of differences."""
    rows = re.findall(rf"^\| (.+?) \| ({PAIR}) \| ({PAIR}) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {(re.sub(r"\*\*| \(0\.\d{3}, 0\.\d{3}\)$", "", name), *told) for name, *told in rows}


@pytest.mark.slow
@pytest.mark.skipif(not truth.OBSERVED.exists(), reason="observed liquidations are not part of the project")
def test_the_page_shows_what_the_script_prints(capsys):
    assert ingredients.main() == 0
    printed = capsys.readouterr().out
    rows = re.findall(rf"^(\S.*?) +({PAIR})  ({PAIR})(?:  enough)?$", printed, re.MULTILINE)
    assert len(rows) > 30
    assert set(rows) == rows_of_page()
    page = PAGE.read_text(encoding="utf-8")
    for name in ("the ledger alone", "as adopted"):
        told = re.search(rf"^{name} +(0\.\d{{3}}) (0\.\d{{3}})$", printed, re.MULTILINE)
        assert f"({told[1]}, {told[2]})" in page


@pytest.fixture(scope="module")
def minutes():
    if not ingredients.TRADES.exists():
        pytest.skip("real trades are not part of the project")
    return ingredients.real_minutes(Params())[1]


@pytest.mark.parametrize("signal", ingredients.SIGNALS)
def test_every_signal_adds_flow_on_real_trades(signal, minutes):
    """Large trades and cascades at their defaults, the others at thresholds that these three quiet days reach."""
    changed, ratio = ingredients.with_signal(minutes, ingredients.SIGNALS[signal])
    assert changed > 20
    assert ratio > 1.05
