"""Prices that differ by floating-point noise are one price: the same bar on every road."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from backtrader_runs import MODES, PARAMS, folded, frame_of, kit, series

from liquidator_core.bars import mend_noise
from liquidator_integrations.for_freqtrade import add_zones
from liquidator_integrations.frames import bars_from_frame, signal_columns

PRICES = ("open", "high", "low", "close")
LAST_BIT = 2.0**-53


def candle(**prices: float) -> pd.DataFrame:
    row = {"time": 1_700_000_000_000, "open": 100.0, "high": 110.0, "low": 90.0, "close": 105.0, "volume": 1.0}
    return pd.DataFrame([row | prices])


@pytest.mark.parametrize("scale", [1e-8, 1.0, 22.881311, 1e8])
@pytest.mark.parametrize("noise", [LAST_BIT, 1e-15, 1e-12, 0.9e-9])
@pytest.mark.parametrize(
    ("given", "noisy", "sign", "right"),
    [  # what a candle is made of, the price that noise has moved and whither, what high or low is then
        ({"high": 105.0}, "high", -1, ("high", "close")),
        ({"high": 100.0, "close": 95.0}, "high", -1, ("high", "open")),
        ({"low": 100.0}, "low", 1, ("low", "open")),
        ({"low": 95.0, "close": 95.0}, "low", 1, ("low", "close")),
        ({"high": 105.0}, "close", 1, ("high", "close")),
        ({"low": 100.0}, "open", -1, ("low", "open")),
        ({"open": 100.0, "high": 100.0, "low": 100.0, "close": 100.0}, "low", 1, ("high", "low")),
        ({"open": 100.0, "high": 100.0, "low": 100.0, "close": 100.0}, "high", -1, ("low", "high")),
    ],
)
def test_noise_is_mended(given, noisy, sign, right, noise, scale):
    frame = candle(**given)
    frame[list(PRICES)] *= scale
    frame[noisy] *= 1.0 + sign * noise
    before = frame.copy()
    bar = bars_from_frame(frame)[0]
    assert bar[right[0]] == frame[right[1]][0]
    assert bar["low"] <= min(bar["open"], bar["close"])
    assert max(bar["open"], bar["close"]) <= bar["high"]
    for name in {*PRICES} - {"high", "low"}:
        assert bar[name] == frame[name][0]
    assert bars_from_frame(bars_from_frame(frame, "skip")).tobytes() == bar.tobytes()
    pd.testing.assert_frame_equal(frame, before, check_exact=True)


@pytest.mark.parametrize("field", ["high", "low"])
def test_more_than_noise_is_a_fault(field):
    near = {"high": 105.0 * (1 - 1.1e-9)} if field == "high" else {"low": 100.0 * (1 + 1.1e-9)}
    with pytest.raises(ValueError, match=r"found (105|100)\.0, allowed from the low, "):
        bars_from_frame(candle(**near))
    mixed = pd.concat([candle(high=105.0 * (1 - LAST_BIT)), candle(time=1_700_000_060_000, **near)], ignore_index=True)
    bars = bars_from_frame(mixed, on_bad="skip")
    assert bars["high"][0] == 105.0
    assert np.isnan(bars["high"][1])


def test_only_noise_is_mended():
    values = (-1.0, 0.0, 1.0, 2.0, np.nan, np.inf, -np.inf)
    prices = [values_of.ravel() for values_of in np.meshgrid(*[values] * 4)]
    open_, high, low, close = prices
    for mended, was in zip(mend_noise(open_, high, low, close), (high, low), strict=True):
        np.testing.assert_array_equal(mended, was)


def noisy_bars() -> np.ndarray:
    """A walk whose every fifth high or low is its close, or would be but for the last bit."""
    bars = series()
    for row in range(0, len(bars), 5):
        rose = bars["close"][row] > bars["open"][row]
        name, beyond = ("high", 1 - LAST_BIT) if rose else ("low", 1 + 2 * LAST_BIT)
        bars[name][row] = bars["close"][row] * beyond
    return bars


def test_the_tape_has_noise():
    bars = noisy_bars()
    assert ((bars["high"] < bars["close"]) | (bars["low"] > bars["close"])).sum() > len(bars) // 10


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("feed", ["CandleFeed", "PandasData", "GenericCSVData"])
def test_backtrader_has_the_bars_of_frames(feed, mode, tmp_path):
    bars, lib = noisy_bars(), kit()
    bars["open_interest"] = np.nan
    expected = folded(bars_from_frame(bars))

    def build(cerebro):
        if feed == "CandleFeed":
            cerebro.adddata(lib.lz.CandleFeed(dataname=bars))
        elif feed == "PandasData":
            frame = frame_of(bars)[[*PRICES, "volume"]].tz_localize(None)
            cerebro.adddata(lib.bt.feeds.PandasData(dataname=frame, openinterest=None))
        else:
            path = tmp_path / "bars.csv"
            frame_of(bars)[[*PRICES, "volume"]].tz_localize(None).to_csv(path, date_format="%Y-%m-%d %H:%M:%S")
            timing = {"timeframe": lib.bt.TimeFrame.Minutes, "compression": 60, "openinterest": -1}
            cerebro.adddata(lib.bt.feeds.GenericCSVData(dataname=str(path), dtformat="%Y-%m-%d %H:%M:%S", **timing))

    witness = lib.run(build, mode, indicators=(lib.lz.ZoneDiagnostics,), zone_params=PARAMS)
    got = np.array([outputs for _, _, outputs in witness.seen[0].values()])[PARAMS.memory - 1 :]
    for at, name in enumerate(witness.zones[0][0].getlinealiases()):
        np.testing.assert_array_equal(got[:, at], expected[name][PARAMS.memory - 1 :], name)


def test_freqtrade_and_frames_have_them_too():
    bars = noisy_bars()
    bars["open_interest"] = np.nan
    frame = frame_of(bars)[[*PRICES, "volume"]]
    mended = frame_of(bars_from_frame(bars))[[*PRICES, "volume"]]
    pd.testing.assert_frame_equal(signal_columns(frame, PARAMS), signal_columns(mended, PARAMS), check_exact=True)
    candles = [one.rename_axis("date").reset_index() for one in (frame, mended)]
    noisy, right = (add_zones(one.assign(date=one["date"].dt.tz_localize("UTC")), PARAMS) for one in candles)
    for name in noisy.columns.difference(frame.columns):
        pd.testing.assert_series_equal(noisy[name], right[name], check_exact=True)
