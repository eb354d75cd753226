"""``liquidator audit`` as a user calls it: exit codes, what it prints, and which target it takes."""

from __future__ import annotations

import json
import sys
import warnings

import pytest
from audited_corpus import candles
from command import liquidator_alone

from liquidator_integrations.cli.audit import read_frame
from liquidator_integrations.cli.main import main
from liquidator_integrations.targets import load_target

FILE = """
import os
import pandas as pd
from math import log

_NOT_ME = lambda frame: frame


def honest(frame):
    return frame["close"].rolling(20).mean()


def liar(frame):
    frame["peek"] = frame["close"].shift(-2)
    return frame


class Other:
    pass
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine.py").write_text(FILE)
    candles(200).to_csv(tmp_path / "candles.csv", index=False)
    candles(200).to_feather(tmp_path / "candles.feather")
    (tmp_path / "broken.py").write_text("def f(frame):\n    return frame\n\n1 / 0\n")
    return tmp_path


def here(monkeypatch, folder, *words):
    """The exit code of a command that is run in this process."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["liquidator", *words])
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    for name in ("mine", "broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with pytest.raises(SystemExit) as ended:
            main()
    return ended.value.code


def test_an_honest_one_exits_with_0(folder, monkeypatch, capsys):
    assert here(monkeypatch, folder, "audit", "mine.py:honest", "--data", "candles.csv") == 0
    assert capsys.readouterr() == ("honest: none found on 200 rows and 60 cuts\n", "")


def test_a_liar_exits_with_1_and_its_line_is_shown(folder):
    done = liquidator_alone("audit", "mine.py:liar", "--data", "candles.feather", cwd=folder, code=1)
    assert "peek: look-ahead, row " in done.stdout
    assert 'mine.py:14: frame["peek"] = frame["close"].shift(-2)' in done.stdout


def test_json_and_a_warm_up(folder, monkeypatch, capsys):
    words = ("audit", "mine.py:honest", "--data", "candles.csv", "--startup", "5", "--json")
    assert here(monkeypatch, folder, *words) == 0
    done = capsys.readouterr()
    found = json.loads(done.out)
    assert (found["ok"], found["findings"], found["warmup"]) == (True, [], {"value": 20})
    assert "honest: startup_candle_count 5 is shorter than measured: value 20 rows" in done.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("mine.py", "candles.csv"), "mine.py: found honest, liar: say which, mine.py:NAME"),
        (("mine.py:lair", "candles.csv"), "mine.py has no lair: found honest, liar; did you mean liar?"),
        (("none.py:honest", "candles.csv"), "none.py:honest: expected PATH.py:NAME, and no file none.py was found"),
        (("mine.py:honest", "none.csv"), "none.csv"),
        (("mine.py:honest", "mine.py"), "mine.py"),
        (("broken.py:f", "candles.csv"), "broken.py:f: reading it raised ZeroDivisionError: division by zero"),
    ],
)
def test_what_cannot_be_run_exits_with_2_and_one_line(folder, words, text, monkeypatch, capsys):
    assert here(monkeypatch, folder, "audit", words[0], "--data", words[1]) == 2
    done = capsys.readouterr()
    assert done.out == ""
    assert done.err.count("\n") == 1
    assert text in done.err


def test_a_target_is_its_files_own(folder):
    (folder / "one.py").write_text("from mine import honest\n\ndef only(frame):\n    return frame\n")
    assert load_target(f"{folder / 'one.py'}").__name__ == "only"
    assert load_target(f"{folder / 'mine.py'}:liar").__name__ == "liar"
    with pytest.raises(ValueError, match=r"one\.py has no honest: found only"):
        load_target(f"{folder / 'one.py'}:honest")


def test_a_file_becomes_freqtrades_frame_and_keeps_what_else_it_has(folder):
    frame = candles(200).rename(columns={"date": "Open time", "open": "Open", "close": "CLOSE"})
    frame.assign(mine="a", oi=1.5).to_feather(folder / "other.feather")
    read = read_frame(folder / "other.feather")
    assert read.columns.tolist() == ["date", "open", "high", "low", "close", "volume", "mine", "oi"]
    assert str(read["date"].dtype).endswith("UTC]")
    assert (read["date"] == candles(200)["date"]).all()
    assert (read["close"] == candles(200)["close"]).all()
