"""docs/files.md names every column and every kind of file that is read."""

from __future__ import annotations

import re

import pytest
from places import ROOT

from liquidator_integrations.market import names
from liquidator_integrations.market.flags import CLOSED_NAMES

PAGE = (ROOT / "docs" / "files.md").read_text()
IN_DOCS = {names.normal_name(name) for name in re.findall(r"`([^`]+)`", PAGE)}
TABLES = {
    "times": (*names.CANDLE_TIMES, *names.OPEN_TIMES, *names.OTHER_TIMES),
    "candles": [name for accepted in names.CANDLE_NAMES.values() for name in accepted],
    "volumes": (*names.BASE_VOLUMES, *names.QUOTE_VOLUMES, *names.TICK_VOLUMES, *names.VOLUMES),
    "letters": [letter for letters in names.CANDLE_LETTERS for letter in letters],
    "closed": CLOSED_NAMES,
    "trades": [name for accepted in names.TRADE_NAMES.values() for name in accepted],
    "sizes": names.BASE_SIZES,
    "liquidations": [name for accepted in names.LIQUIDATION_NAMES.values() for name in accepted],
    "rates": [name for accepted in names.RATE_NAMES.values() for name in accepted],
}


@pytest.mark.parametrize("table", TABLES)
def test_every_name_that_is_read_stands_in_the_docs(table):
    assert [name for name in TABLES[table] if names.normal_name(name) not in IN_DOCS] == []


def test_every_kind_of_file_stands_in_the_docs(tmp_path):
    from liquidator_integrations import read_bars

    (tmp_path / "a.xyz").write_text("a")
    with pytest.raises(ValueError, match="its name must end with one of") as caught:
        read_bars(tmp_path / "a.xyz")
    kinds = re.findall(r"(?:\.\w+)+(?=,|$)", str(caught.value).split("one of ")[1])
    assert {".csv", ".json.gz", ".h5", ".zip"} <= set(kinds)
    assert [kind for kind in kinds if kind not in IN_DOCS] == []
