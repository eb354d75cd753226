"""Liquidation at risk of what people pass in: feeds and candles that do not fit are told, or refused by name."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from made_bars import HOUR, START, random_bars, small_params

from liquidator_integrations import Liquidator, liquidation_at_risk, risk_columns, risk_memory
from liquidator_integrations.tables.observed import read_feed
from liquidator_integrations.tables.risk_law import PRIOR, Law, expected_usd, prior_of

SMALL = small_params()
LENGTH = SMALL.memory + 168 + 720 + 100


@pytest.fixture(scope="module")
def candles() -> pd.DataFrame:
    bars = random_bars(LENGTH, 4, kinds=("quiet", "up", "down", "wick_up", "wick_down"), volume=5e6)
    frame = pd.DataFrame({name: bars[name] for name in ("open", "high", "low", "close", "volume")})
    frame.insert(0, "time", START + HOUR * np.arange(LENGTH))
    return frame


@pytest.fixture(scope="module")
def feed(candles) -> pd.DataFrame:
    rng = np.random.default_rng(6)
    usd = 4e-4 * float((candles["close"] * candles["volume"]).median())
    sides = {f"{side}_usd": usd * rng.lognormal(0, 1, LENGTH) for side in ("long", "short")}
    return pd.DataFrame({"time": candles["time"], **sides})


def last(candles, feed, **given) -> tuple[pd.Series, pd.DataFrame]:
    columns = risk_columns(candles, feed, params=SMALL, **given)
    return columns.iloc[-1], columns


def dear(candles, factor: float = 1000.0) -> pd.DataFrame:
    """The same market at other prices, of the same turnover."""
    prices = {name: candles[name] * factor for name in ("open", "high", "low", "close")}
    return candles.assign(**prices, volume=candles["volume"] / factor)


def test_a_stretch_of_hours_beside_the_grid_delays_nothing(candles):
    """Binance's spot history of February 2018: until the clock is put right the hours open at 28:14."""
    shifted = candles.assign(
        time=candles["time"].where(~candles.index.isin(range(300, 340)), candles["time"] + 1_694_000)
    )
    usual, found = (risk_columns(frame, params=SMALL) for frame in (candles, shifted))
    pd.testing.assert_frame_equal(found[600:], usual[600:])


# --- the table --------------------------------------------------------------------------------------------------------


def test_the_prior_is_that_of_the_notes():
    assert prior_of("three_venues", "spot", "1h") == (Law(-3.61, 0.92, 0.28, 3.21), Law(-3.74, 0.84, 0.29, 3.17))
    assert len(PRIOR) == 6
    for laws in PRIOR.values():
        for law in laws:
            assert law.low < 1.0 < law.high
            assert 0.0 < law.b < 1.0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"horizon": "1h"}, "no law is known of feed 'binance', market 'perpetual', horizon '1h'; known are binance, "),
        ({"horizon": "8h"}, "horizon must be one of '1h', '4h', got '8h'"),
        ({"horizon": "24h"}, "horizon must be one of '1h', '4h', got '24h'"),
        ({"feed": "binanc"}, "feed must be one of 'binance', 'three_venues', got 'binanc': did you mean 'binance'?"),
        ({"market": "perp"}, "market must be one of 'perpetual', 'spot', got 'perp'"),
    ],
)
def test_a_cell_that_was_not_measured_is_refused_naming_those_that_were(candles, given, said):
    for call in (risk_columns, liquidation_at_risk):
        with pytest.raises(ValueError, match="^" + said.replace("?", r"\?")):
            call(candles, params=SMALL, **given)
    if "known" in said:
        with pytest.raises(ValueError, match=r"three_venues, spot, 4h$"):
            risk_columns(candles, params=SMALL, **given)


def test_expected_usd_is_the_formula_and_never_below_0():
    turnover, ledger = 1e9, np.array([1e6, 1e8, 1e10, 0.0])
    law = PRIOR["binance", "perpetual", "4h"][0]
    expected = np.maximum(0.0, turnover * np.exp(law.a + law.b * np.log(np.maximum(ledger, 1e-300) / turnover)) - 1e4)
    found = expected_usd(turnover, ledger, -0.02, law.a, law.b)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found[-1] == 0.0
    assert np.isnan(expected_usd(np.nan, ledger, -0.02, law.a, law.b)).all()
    beyond = expected_usd(turnover, ledger[:3], -0.08, law.a, law.b) + 1e4
    np.testing.assert_allclose(beyond, (found[:3] + 1e4) * 1.6, rtol=1e-9)


# --- candles ----------------------------------------------------------------------------------------------------------


def test_candles_longer_than_an_hour_are_refused(candles):
    with pytest.raises(ValueError, match="candles are 4 hours apart, allowed are hours or less"):
        risk_columns(candles.iloc[::4], params=SMALL)


def test_candles_that_do_not_fit_into_hours_are_refused(candles):
    odd = candles.iloc[:500].assign(time=START + 45 * 60_000 * np.arange(500))
    with pytest.raises(ValueError, match="bars of 2700000 ms cannot be made into bars of 1h"):
        risk_columns(odd, params=SMALL)


@pytest.mark.parametrize(
    ("given", "market", "said"),
    [
        (
            {"open_interest": 5e6},
            "spot",
            "row 0: found open_interest 5e[+]06 on candles of market 'spot', which has none",
        ),
        ({"funding_rate": 1e-4}, "spot", "row 0: found funding_rate 0.0001 on candles of market 'spot'"),
        ({"symbol": "BTC/USDT:USDT"}, "spot", "found 'spot', but BTC/USDT:USDT is a perpetual market"),
        ({"pair": "BTC/USDT"}, "perpetual", "found 'perpetual', but BTC/USDT is a spot market: pass market='spot'"),
    ],
)
def test_a_market_that_contradicts_the_candles_is_refused(candles, given, market, said):
    with pytest.raises(ValueError, match=said):
        risk_columns(candles.assign(**given), params=SMALL, market=market)


def test_a_market_that_agrees_is_taken(candles):
    plain = risk_columns(candles, params=SMALL)
    for more in ({"symbol": "BTC/USDT:USDT"}, {"symbol": "BTCUSDT"}):
        pd.testing.assert_frame_equal(risk_columns(candles.assign(**more), params=SMALL), plain)


def test_bad_rows_are_refused_or_skipped(candles):
    bad = candles.copy()
    bad.loc[LENGTH - 3, "close"] = np.nan
    with pytest.raises(ValueError, match=f"row {LENGTH - 3} .*, close: found nan"):
        risk_columns(bad, params=SMALL)
    skipped = risk_columns(bad, params=SMALL, on_bad="skip").tail(3)
    assert skipped["ledger_long_usd_1pct"].isna().tolist() == [True, False, False]
    assert skipped["scale_long"].notna().all()


def test_a_history_too_short_is_unknown_throughout(candles):
    few = candles.iloc[: risk_memory(SMALL) - 1]
    columns = risk_columns(few, params=SMALL)
    assert columns.drop(columns=["source_long", "source_short"]).isna().all(axis=None)
    assert (columns[["source_long", "source_short"]] == "none").all(axis=None)
    curve = liquidation_at_risk(few, params=SMALL)
    assert curve.drop(columns=["move", "side"]).isna().all(axis=None)
    assert curve.attrs["long"]["source"] == "none"
    quarter = candles.iloc[:3].assign(time=START + 900_000 * np.arange(3))  # not one full hour
    assert liquidation_at_risk(quarter, params=SMALL)["expected_usd"].isna().all()
    assert risk_columns(quarter, params=SMALL)["scale_long"].isna().all()


@pytest.mark.parametrize("moves", [(0.0,), (-1.0,), (np.nan,), (np.inf,), ()])
def test_moves_that_no_price_makes_are_refused(candles, moves):
    with pytest.raises(ValueError, match="moves must be shares of the close above -1 and not 0"):
        liquidation_at_risk(candles, params=SMALL, moves=moves)


@pytest.mark.parametrize(
    ("reached", "error", "said"),
    [
        (pd.DataFrame({"low": [1.0]}), TypeError, "reached must be a frame with columns low and high, got 'low'"),
        ([1.0], TypeError, "reached must be a frame with columns low and high, got list"),
        (pd.DataFrame({"low": [1.0], "high": [2.0]}), ValueError, f"found 1 rows, {LENGTH} candles"),
    ],
)
def test_reached_that_does_not_fit_is_refused(candles, reached, error, said):
    with pytest.raises(error, match=said):
        risk_columns(candles, params=SMALL, reached=reached)


def test_a_price_of_nothing_is_refused(candles):
    reached = candles[["low", "high"]].copy()
    reached.loc[7, "low"] = 0.0
    with pytest.raises(ValueError, match=r"reached: row 7: found .0.0, .* allowed prices above 0, or NaN"):
        risk_columns(candles, params=SMALL, reached=reached)


# --- what a feed is ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda feed: feed.to_numpy(), TypeError, "observed must be a frame with columns time, long_usd and short_usd"),
        (lambda feed: feed.iloc[:0], ValueError, r"observed: the frame is empty \(0 rows\)"),
        (lambda feed: feed[["time", "long_usd"]], ValueError, "observed: missing column for short_usd: found columns"),
        (lambda feed: feed.drop(columns="time"), ValueError, "observed: missing column for time: found columns"),
        (lambda feed: feed.assign(longUsd=1.0), ValueError, "observed: columns 'long_usd' and 'longUsd' both mean"),
        (lambda feed: feed.iloc[::-1], ValueError, "row 1.*time"),
        (lambda feed: feed.iloc[[0, 1, 1]], ValueError, "row 2.*time"),
        (lambda feed: feed.assign(long_usd=-1.0), ValueError, "row 0 .*, observed liq_long_usd: found -1.0"),
        (lambda feed: feed.assign(short_usd=np.inf), ValueError, "row 0 .*, observed liq_short_usd: found inf"),
        (lambda feed: feed.assign(long_usd="much"), TypeError, "row 0, column 'long_usd': found 'much'"),
        (lambda feed: feed.assign(time=feed["time"] + np.arange(LENGTH)), ValueError, "row 1, observed time: found"),
        (lambda feed: feed.iloc[::24], ValueError, "observed has a row every 24 hours, which do not add up to .* 4h"),
        (lambda feed: feed.iloc[::3], ValueError, "observed has a row every 3 hours, which do not add up to .* 4h"),
    ],
)
def test_a_feed_that_cannot_be_read_is_refused(candles, feed, change, error, said):
    with pytest.raises(error, match=said):
        risk_columns(candles, change(feed), params=SMALL)


def test_a_feed_is_read_by_its_other_names_units_and_index(feed):
    plain = read_feed(feed)
    renamed = feed.rename(columns={"time": "ts", "long_usd": "longUsd", "short_usd": "liq_short_usd"})
    indexed = feed.assign(time=pd.to_datetime(feed["time"], unit="ms", utc=True)).set_index("time")
    for other in (renamed, indexed, feed.assign(time=feed["time"] // 1000), feed.to_dict("list")):
        found = read_feed(other)
        assert found.step == HOUR
        assert found.time.tolist() == plain.time.tolist()
        assert found.usd.tolist() == plain.usd.tolist()


def test_a_feed_of_another_coin_is_refused_where_both_say_it(candles, feed):
    btc, eth = candles.assign(symbol="BTC/USDT:USDT"), feed.assign(coin="ETH")
    with pytest.raises(ValueError, match="observed: found liquidations of ETH, allowed those of BTC/USDT:USDT"):
        risk_columns(btc, eth, params=SMALL)
    risk_columns(btc, feed.assign(coin="BTC"), params=SMALL)
    with pytest.raises(ValueError, match="column 'coin' names 2 markets, BTC and ETH: pick one"):
        risk_columns(btc, feed.assign(coin=["BTC"] * 5 + ["ETH"] * (LENGTH - 5)), params=SMALL)


def test_a_feed_in_coins_is_refused_by_price_or_by_turnover(candles, feed):
    price = dear(candles)["close"]
    coins = feed.assign(**{f"{side}_usd": feed[f"{side}_usd"] / price for side in ("long", "short")})
    with pytest.raises(ValueError, match=r"long_usd is .* times what the prior expects, .* it seems to be in coins"):
        risk_columns(dear(candles), coins, params=SMALL)
    cheap = dear(candles, 1e-6)
    coins = feed.assign(**{f"{side}_usd": feed[f"{side}_usd"] / cheap["close"] for side in ("long", "short")})
    with pytest.raises(ValueError, match=r"more than the .* USD that are traded in as many hours"):
        risk_columns(cheap, coins, params=SMALL)


@pytest.mark.parametrize("factor", [1 / 60, 60.0])
def test_dollars_of_another_size_leave_the_prior_and_are_told(candles, feed, factor, caplog):
    other = feed.assign(long_usd=feed["long_usd"] * factor)
    with caplog.at_level(logging.WARNING, "liquidator"):
        row, columns = last(dear(candles), other)
    assert row["source_long"] == "prior"
    assert row["scale_long"] == PRIOR["binance", "perpetual", "4h"][0].a
    assert row["source_short"] == "learned"
    assert any(
        "not of this coin or not in dollars of this feed: the prior is used" in text
        for text in columns.attrs["remarks"]
    )
    assert "the prior is used" in caplog.text


def test_only_one_side_teaches_one_side(candles, feed):
    for missing in (np.nan, 0.0):
        row, columns = last(candles, feed.assign(short_usd=missing))
        assert row["source_long"] == "learned"
        assert row["source_short"] == "prior"
        assert row["scale_short"] == PRIOR["binance", "perpetual", "4h"][1].a
        assert any("short" in text for text in columns.attrs["remarks"])


def test_a_feed_too_short_or_of_another_time_leaves_the_prior(candles, feed):
    few, columns = last(candles, feed.iloc[-3:])  # no window of four hours
    assert few["source_long"] == "prior"
    assert few["weight_long"] == 0.0
    assert columns.attrs["remarks"] == [
        f"observed covers no {side} move of the trailing 30 days: the prior is used" for side in ("long", "short")
    ]
    later, _ = last(candles, feed.assign(time=feed["time"] + 1000 * 24 * HOUR))
    assert later["source_long"] == "prior"


def test_gaps_teach_nothing_and_zeros_do(candles, feed):
    whole = risk_columns(candles, feed, params=SMALL)
    holes = feed.drop(index=range(LENGTH - 200, LENGTH - 100))
    nans = feed.copy()
    nans.loc[LENGTH - 200 : LENGTH - 101, ["long_usd", "short_usd"]] = np.nan
    zeros = nans.fillna(0.0)
    missing = risk_columns(candles, holes, params=SMALL)
    pd.testing.assert_frame_equal(missing, risk_columns(candles, nans, params=SMALL))
    assert missing.attrs["long"]["n"] < whole.attrs["long"]["n"]
    assert risk_columns(candles, zeros, params=SMALL).attrs["long"]["n"] == whole.attrs["long"]["n"]
    assert abs(missing["scale_long"].iloc[-1] - whole["scale_long"].iloc[-1]) < 0.1
    assert risk_columns(candles, zeros, params=SMALL)["scale_long"].iloc[-1] < missing["scale_long"].iloc[-1]


def test_spot_candles_called_perpetual_are_told_by_what_a_feed_teaches(candles, feed):
    _, columns = last(candles, feed.assign(long_usd=feed["long_usd"] * 8))
    assert any("if these are spot candles, say market='spot'" in text for text in columns.attrs["remarks"])


# --- the Liquidator ---------------------------------------------------------------------------------------------------


def test_the_liquidator_tells_it_of_its_hours_with_what_it_observed(candles, feed):
    liquidator = Liquidator(bar="1h", params=SMALL)
    liquidator.update_candles(candles)
    expected = liquidation_at_risk(candles, params=liquidator.params)
    pd.testing.assert_frame_equal(liquidator.at_risk(), expected)
    spot = liquidator.at_risk(horizon="1h", feed="three_venues", market="spot", moves=(-0.01,))
    assert spot.attrs["horizon"] == "1h"
    assert len(spot) == 1
    liquidator.update_candles(
        candles.assign(liq_long_usd=feed["long_usd"], liq_short_usd=feed["short_usd"], liq_long_price=np.nan)
    )
    learned = liquidation_at_risk(candles, feed, params=liquidator.params)
    pd.testing.assert_frame_equal(liquidator.at_risk(), learned)
    assert liquidator.at_risk().attrs["long"]["source"] == "learned"
