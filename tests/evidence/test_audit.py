"""What an audit promises: the verdict, the tolerance, the frames it gives, and what it says of what can't be run."""

from __future__ import annotations

import json
import os
import sys
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from audited_corpus import candles

from liquidator_integrations import audit
from liquidator_integrations.evidence.replay import Runner, Subject, columns_of_frame

FEW = {"cuts": 12}
ROWS = candles(600)


def kinds(found):
    return {(finding.column, finding.kind) for finding in found.findings.itertuples()}


# The verdict ------------------------------------------------------------------------------------------------------


def test_none_found_is_said_with_rows_and_cuts_and_never_as_a_proof():
    found = audit(lambda frame: frame["close"].rolling(20).mean(), candles(300))
    assert found.ok
    assert (found.rows, found.cuts) == (300, 60)
    assert str(found) == "<lambda>: none found on 300 rows and 60 cuts"
    assert found.findings.columns.tolist() == ["column", "kind", "row", "ahead", "source"]
    assert found.warmup == {"value": 20}


def test_json_holds_everything():
    found = audit(lambda frame: frame.assign(peek=frame["close"].shift(-2), sum=frame["volume"].cumsum()), ROWS, **FEW)
    read = json.loads(found.to_json())
    assert (read["ok"], read["rows"], read["cuts"], read["name"]) == (False, 600, found.cuts, "<lambda>")
    first, second = read["findings"]
    assert (first["column"], first["kind"], first["ahead"]) == ("peek", "look-ahead", 2)
    assert (second["column"], second["kind"], second["ahead"]) == ("sum", "history", None)
    assert read["warmup"] == {"peek": 1}
    assert read["warnings"] == []


@pytest.mark.slow
def test_the_same_seed_gives_the_same_verdict():
    def liar(frame):
        return frame["close"].where(frame["volume"] < 2000.0, frame["close"].shift(-1))

    one, other = audit(liar, ROWS, seed=4, **FEW), audit(liar, ROWS, seed=4, **FEW)
    assert one.to_json() == other.to_json()


def test_the_line_is_pointed_at_and_a_suspicious_one_is_no_finding():
    def liar(frame):
        frame["late"] = frame["close"].shift(-3).shift(3)
        frame["next"] = frame["close"].shift(-1)
        return frame

    (found,) = audit(liar, ROWS, **FEW).findings.itertuples()
    line = liar.__code__.co_firstlineno + 2
    assert found.source == f'{__file__}:{line}: frame["next"] = frame["close"].shift(-1)'


def test_a_lie_without_a_suspicious_line_has_no_source():
    def sly(frame):
        return pd.Series([*frame["close"].tolist()[1:], 0.0])

    assert audit(sly, ROWS, **FEW).findings["source"].tolist() == [""]


# What counts as the same ------------------------------------------------------------------------------------------


def test_numbers_are_the_same_within_1e_11_of_their_size():
    def liar(frame):
        later = np.r_[np.ones(len(frame) - 1), 0.0]  # the last row's is known once there is another
        return pd.DataFrame({str(share): 100.0 * (1.0 + share * later) for share in (1e-9, 2e-11, 5e-12, 1e-15)})

    found = audit(liar, ROWS, **FEW).findings
    assert found["column"].tolist() == ["1e-09", "2e-11"]


def test_small_numbers_are_measured_by_the_columns_median():
    def liar(frame):
        small = np.arange(len(frame)) % 3 == 0
        later = np.r_[np.ones(len(frame) - 1), 0.0]
        return pd.DataFrame({str(share): np.where(small, 50.0 * share * later, 50.0) for share in (1e-9, 1e-12)})

    found = kinds(audit(liar, ROWS, **FEW))
    assert ("1e-09", "look-ahead") in found
    assert {kind for column, kind in found if column == "1e-12"} <= {"history"}  # the rows it counts from the first


def test_unknowns_are_the_same():
    def honest(frame):
        columns = {}
        for name, unknown in {"none": None, "nan": np.nan, "na": pd.NA, "nat": pd.NaT}.items():
            other = None if len(frame) % 2 else unknown
            columns[name] = pd.Series([other if row % 3 else "x" for row in range(len(frame))], dtype=object)
        return pd.DataFrame(columns)

    assert {kind for _, kind in kinds(audit(honest, ROWS, **FEW))} <= {"history"}  # the rows it counts from the first


def test_infinities_are_themselves():
    def liar(frame):
        signs = np.where(frame["close"].diff(-1) > 0, np.inf, -np.inf)
        return pd.DataFrame({"honest": frame["close"] / 0.0, "lying": signs})

    assert kinds(audit(liar, ROWS, **FEW)) == {("lying", "look-ahead")}


@pytest.mark.slow
def test_every_type_of_column_is_judged():
    def liar(frame):
        rises = frame["close"].shift(-1) > frame["close"]
        return pd.DataFrame(
            {
                "text": np.where(rises, "up", "down"),
                "object": [None if up else 1 if row else "x" for row, up in enumerate(rises)],
                "category": pd.Categorical(np.where(rises, "up", "down"), ["down", "up"], ordered=True),
                "boolean": rises,
                "nullable": rises.astype("boolean"),
                "whole": pd.array(np.where(rises, 1, 0), "Int64"),
                "time": frame["date"].where(rises),
                "span": frame["date"].diff().where(rises),
                "period": frame["date"].dt.tz_localize(None).dt.to_period("D").where(rises),
                "honest": frame["close"] > frame["open"],
            }
        )

    found = audit(liar, candles(300), **FEW)
    assert {column for column, _ in kinds(found)} == set(liar(ROWS)) - {"honest"}
    assert set(found.findings["kind"]) == {"look-ahead"}
    assert set(found.findings["ahead"]) == {1.0}


# Warm-up ----------------------------------------------------------------------------------------------------------


def test_what_fades_is_measured_and_not_accused():
    found = audit(
        lambda frame: pd.DataFrame(
            {
                "mean": frame["close"].rolling(50).mean(),
                "slow": frame["close"].ewm(span=40, adjust=False).mean(),
                "slower": frame["close"].ewm(span=150, adjust=False).mean(),
            }
        ),
        candles(1000),
        **FEW,
    )
    assert found.ok
    assert found.warmup["mean"] == 50
    assert 180 <= found.warmup["slow"] <= 290  # (1 - 2 / 41) ** 230 is 1e-5, of some hundredths of a price
    assert 600 <= found.warmup["slower"] <= 1000  # more than half of the rows: it is seen to fall


def test_a_stated_warm_up_that_is_too_short_is_a_warning():
    def slow(frame):
        return frame["close"].ewm(span=40).mean()

    with pytest.warns(UserWarning, match=r"slow: startup_candle_count 30 is shorter than measured: value \d+ rows"):
        found = audit(slow, ROWS, startup_candle_count=30, **FEW)
    assert found.ok
    assert "shorter than measured" in found.warnings[0]
    assert found.warnings[0] in str(found)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert audit(slow, ROWS, startup_candle_count=300, **FEW).warnings == []


def test_what_never_fades_is_accused_whatever_is_stated():
    found = audit(lambda frame: frame["volume"].cumsum(), ROWS, startup_candle_count=400, **FEW)
    assert kinds(found) == {("value", "history")}
    assert found.findings["row"][0] >= 400
    assert np.isnan(found.findings["ahead"][0])
    assert found.warmup == {}


def test_no_run_is_cut_before_the_stated_warm_up():
    def needs_250(frame):
        if len(frame) < 250:
            raise RuntimeError("too short")
        return frame["close"].rolling(250).mean()

    assert audit(needs_250, ROWS, startup_candle_count=250, **FEW).ok
    with pytest.raises(ValueError, match=r"needs_250 raised RuntimeError: too short at .*_audit\.py:\d+, on the first"):
        audit(needs_250, ROWS, **FEW)


# Frames and processes ---------------------------------------------------------------------------------------------


def test_each_run_has_a_frame_of_its_own():
    given = ROWS.set_index(np.arange(7, 607)).astype({"volume": "float32"}).assign(label=pd.Categorical(["a"] * 600))
    given.attrs["from"] = "before"
    kept = given.copy(deep=True)

    def looks(frame):
        good = frame.index.equals(pd.RangeIndex(len(frame))) and not frame.attrs
        good &= frame.dtypes.equals(given.dtypes) and frame.columns.tolist() == given.columns.tolist()
        frame.attrs["mine"] = 1
        frame["new"] = 1.0
        frame.loc[frame.index[-1], "new"] = 2.0
        assert good
        return frame[["close"]].rename(columns={"close": "same"})

    assert audit(looks, given, **FEW).ok
    pd.testing.assert_frame_equal(given, kept)
    assert given.attrs == {"from": "before"}


def test_an_index_of_times_becomes_the_date():
    by_time = ROWS.set_index("date")
    assert audit(lambda frame: frame["date"].dt.hour.astype(float), by_time, **FEW).ok


SEEN = {}


def remembers_the_first(frame):
    mean = SEEN.setdefault("mean", frame["close"].mean())
    return frame["close"] / mean


def test_a_memory_hides_nothing_not_even_one_from_before_the_audit():
    remembers_the_first(ROWS)
    assert kinds(audit(remembers_the_first, ROWS, **FEW)) == {("value", "repaint")}


def test_the_process_that_asks_never_runs_it_and_tells_nothing_that_it_prints(capfd):
    called = []

    def loud(frame):
        called.append(len(frame))
        os.environ["LIQUIDATOR_AUDITED"] = "yes"
        warnings.warn("careful", RuntimeWarning, stacklevel=1)
        print("noise")
        return frame["close"]

    assert audit(loud, ROWS, **FEW).ok
    assert called == []
    assert "LIQUIDATOR_AUDITED" not in os.environ
    assert capfd.readouterr() == ("", "")


# What can't be run ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (lambda frame: frame.dropna().iloc[1:], "returned 599 rows for 600, allowed one for each"),
        (lambda frame: frame.set_index("date"), "returned another index than the given frame's"),
        (lambda frame: frame["close"].to_numpy(), "returned ndarray, allowed a frame or a Series"),
        (lambda frame: None, "returned NoneType, allowed a frame or a Series"),
        (lambda frame: frame["nothing"], "raised KeyError: 'nothing' at .*test_audit.py:"),
        (lambda frame: sys.exit(3), "raised SystemExit: 3"),
        (lambda frame: os._exit(7), r"ended its process \(exit code 7\)"),
        (lambda frame: pd.concat([frame["close"], frame["close"]], axis=1), "returned two columns named 'close'"),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_an_answer_that_is_none_is_an_error(answer, text):
    with pytest.raises(ValueError, match=f"<lambda> {text}.*on all 600 rows"):
        audit(answer, ROWS, **FEW)


def test_a_run_that_takes_too_long_is_stopped(monkeypatch):
    monkeypatch.setattr("liquidator_integrations.evidence.replay.SECONDS", 0.3)
    begun = time.monotonic()
    with pytest.raises(ValueError, match=r"took more than 0.3 s on all 600 rows: stopped"):
        audit(lambda frame: time.sleep(60), ROWS, **FEW)
    assert time.monotonic() - begun < 20.0


def test_a_process_apart_that_ends_is_told_and_the_next_run_works():
    def ends(frame):
        return os._exit(5) if len(frame) < 300 else frame["close"]

    with Runner(Subject("ends", ends, columns_of_frame), ROWS, apart=True) as runner:
        with pytest.raises(ValueError, match=r"ends ended its process \(exit code 5\), on the first 200 of 600 rows"):
            runner.run(0, 200)
        assert runner.run(0, 400).rows == 400


@pytest.mark.parametrize("rows", [0, 1, 60, 119])
def test_too_few_rows(rows):
    with pytest.raises(ValueError, match=f"candles: found {rows} rows, allowed 120 or more"):
        audit(lambda frame: frame["close"], ROWS.iloc[:rows])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"cuts": 0}, "cuts must be a whole number, 1 or more, got 0"),
        ({"cuts": 2.5}, "cuts must be"),
        ({"startup_candle_count": -1}, "startup_candle_count must be a whole number of rows, 0 or more, got -1"),
        ({"startup_candle_count": 590}, "found 600 rows, allowed 610 or more: startup_candle_count 590"),
    ],
)
def test_options_out_of_range(options, text):
    with pytest.raises(ValueError, match=text):
        audit(lambda frame: frame["close"], ROWS, **options)


@pytest.mark.parametrize("target", [3, "file.py:name", dict, int, None])
def test_a_target_of_another_kind(target):
    with pytest.raises(TypeError, match="target must be a function frame -> frame or Series, a freqtrade IStrategy"):
        audit(target, ROWS)


def test_candles_of_another_kind():
    with pytest.raises(TypeError, match="candles must be a pandas frame, got list"):
        audit(lambda frame: frame, [1, 2])
    with pytest.raises(ValueError, match="candles: found two columns named 'close'"):
        audit(lambda frame: frame, pd.concat([ROWS, ROWS["close"]], axis=1))
    with pytest.raises(TypeError, match="pairs are for a freqtrade strategy"):
        audit(lambda frame: frame, ROWS, pairs={"ETH/USDT": ROWS})


def test_a_column_that_comes_and_goes_is_unknown_where_it_is_not():
    def liar(frame):
        always, sometimes = {"same": frame["close"]}, {"unknown": np.nan, "odd": 1.0}
        return pd.DataFrame(always if len(frame) % 5 else always | sometimes)

    assert {column for column, _ in kinds(audit(liar, ROWS, **FEW))} == {"odd"}
