"""docs/migrating.md is complete and true: every name in it is called here, every column is there."""

from __future__ import annotations

import re

import made_bars
import pandas as pd
import pytest
from places import ROOT
from venue_messages import SAID

from liquidator_integrations import Liquidator, compute_atr, compute_vwap
from liquidator_integrations.tables.zone_schema import COLUMNS

TEXT = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")

# liquidator-indicator 0.1.2
ARGUMENTS = {
    "coin": "BTC", "pct_merge": 0.003, "zone_vol_mult": 1.5, "window_minutes": 30, "liq_size_threshold": 0.1,
    "mode": "batch", "cutoff_hours": 48, "enable_ml": False,
}  # fmt: skip
ZONES = (
    *("price_mean", "price_min", "price_max", "total_usd", "count", "first_ts", "last_ts", "dominant_side", "strength"),
    *("atr", "band", "band_pct", "entry_low", "entry_high", "quality_score", "quality_label"),
)
MORE = (
    *("timeframe", "alignment_score", "cascade_probability", "cascade_chain_length", "cascade_target_price"),
    *("gravity", "gravity_rank"),
)
PREDICTED = ("hold_probability", "break_probability", "prediction_confidence", "ml_prediction")

PRICE = 250.0
TRADE = {"time": made_bars.START, "px": "250", "sz": "1", "side": "A", "coin": "BTC"}
LIQUIDATIONS = pd.DataFrame(
    [
        {
            "timestamp": made_bars.START,
            "exchange": "okx",
            "symbol": "BTC",
            "side": "sell",
            "price": 250.0,
            "quantity": 2.0,
        }
    ]
)
CANDLES = pd.DataFrame({name: [PRICE] * 3 for name in ("open", "high", "low", "close", "volume")}).assign(
    time=made_bars.START + 60_000 * pd.RangeIndex(3)
)
REFUSED = {
    "train_ml_predictor": (ValueError, "use_synthetic=True is refused"),
    "save_ml_model": (ValueError, "not trained"),
    "load_ml_model": (FileNotFoundError, "x"),
}

CALLS = {
    "from_exchange": lambda made: Liquidator.from_exchange("BTC", "binance", raw_data=[TRADE]).compute_zones(),
    "ingest_trades": lambda made: made.ingest_trades([TRADE, TRADE]),
    "ingest_liqs": lambda made: made.ingest_liqs(LIQUIDATIONS),
    "ingest_liquidations": lambda made: made.ingest_liquidations(LIQUIDATIONS),
    "ingest_funding_rates": lambda made: made.ingest_funding_rates(
        {"BTC": {"funding_rate": 0.0001, "open_interest": 12345.67, "timestamp": "2020-01-01T00:00:00Z"}}
    ),
    "update_candles": lambda made: made.update_candles(CANDLES),
    "compute_zones": lambda made: made.compute_zones(1440, 0.003, True, "weak"),
    "compute_multi_timeframe_zones": lambda made: made.compute_multi_timeframe_zones(
        ["5m", "15m"], 0.003, True, "weak"
    ),
    "add_cascade_analysis": lambda made: made.add_cascade_analysis(made.compute_zones(), PRICE, 0.0001, 0.05, 0.01),
    "add_gravity_scores": lambda made: made.add_gravity_scores(made.compute_zones(), PRICE, 0.0001),
    "get_gravity_target": lambda made: made.get_gravity_target(made.compute_zones(), PRICE),
    "get_nearest_zone": lambda made: made.get_nearest_zone(PRICE, made.compute_zones()),
    "update_incremental": lambda made: made.update_incremental([TRADE]),
    "on_zone_formed": lambda made: made.on_zone_formed(print),
    "on_zone_updated": lambda made: made.on_zone_updated(print),
    "on_zone_broken": lambda made: made.on_zone_broken(print),
    "plot": lambda made: made.plot(made.compute_zones(), CANDLES, False, None, None),
    "enable_ml_predictions": lambda made: made.enable_ml_predictions(),
    "train_ml_predictor": lambda made: made.train_ml_predictor(use_synthetic=True, n_synthetic=200),
    "compute_zones_with_prediction": lambda made: enabled(made).compute_zones_with_prediction(current_price=PRICE),
    "record_zone_outcome": lambda made: made.record_zone_outcome(PRICE, "HOLD", PRICE, CANDLES["time"][0]),
    "update_zone_touches": lambda made: made.update_zone_touches(PRICE),
    "get_ml_metrics": lambda made: made.get_ml_metrics(),
    "save_ml_model": lambda made: made.save_ml_model("x"),
    "load_ml_model": lambda made: made.load_ml_model("x"),
}
FUNCTIONS = {
    "compute_vwap": lambda: compute_vwap(CANDLES, None, "close", "volume"),
    "compute_atr": lambda: compute_atr(CANDLES, 2),
}


VENUES = (
    *("binance", "bingx", "bitfinex", "bitget", "bitmex", "bitstamp", "bybit", "coinbase", "cryptocom", "deribit"),
    *("gateio", "gemini", "htx", "hyperliquid", "kraken", "kucoin", "mexc", "okx", "phemex", "poloniex"),
)  # each had a parser in ``exchanges``


def names_of(section: str) -> dict[str, str]:
    """First column -> second column of the table of a section."""
    table = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", TEXT, flags=re.DOTALL | re.MULTILINE)[1]
    return dict(re.findall(r"^\| `(\w+)`[^|]*\| (.*) \|$", table, flags=re.MULTILINE))


def enabled(made: Liquidator) -> Liquidator:
    made.enable_ml_predictions()
    return made


def filled() -> Liquidator:
    trades = made_bars.random_trades(2500, 0)
    trades["side"] |= 1
    made = Liquidator(params=made_bars.small_params(zone_bars=60, event_mult=2.0, break_atr=2.0), mode="streaming")
    made.ingest_trades(trades)
    return made


def test_every_name_is_told_of():
    assert names_of("Constructor").keys() == ARGUMENTS.keys()
    assert names_of("Methods").keys() == CALLS.keys()
    assert names_of("Functions").keys() == FUNCTIONS.keys()
    assert tuple(names_of("Columns")) == (*ZONES, *MORE, *PREDICTED)
    new = re.search(r"^New: (.*?)\.$", TEXT, flags=re.DOTALL | re.MULTILINE)[1]
    assert set(re.findall(r"`(\w+)`", new)) == {
        name
        for name in dir(Liquidator)
        if not name.startswith("_") and name not in (*CALLS, "coin", "enable_ml", "start_stream")
    }


def test_the_constructor_takes_what_it_took():
    made = Liquidator(*ARGUMENTS.values())
    assert made.params.zone_atr == 1.5
    assert made.params.large_usd == 0.1
    assert made.compute_zones().empty


@pytest.mark.parametrize("name", CALLS)
def test_every_method_can_be_called_as_before(name):
    made = filled()
    if name in REFUSED:
        error, says = REFUSED[name]
        with pytest.raises(error, match=says):
            CALLS[name](made)
        return
    CALLS[name](made)


def test_arguments_are_named_as_before():
    made = filled()
    assert made.get_nearest_zone(price=PRICE, zones_df=made.compute_zones()) == made.get_nearest_zone(PRICE)
    made.ingest_liquidations(liquidations=LIQUIDATIONS)
    made = Liquidator("BTC")
    made.update_candles(df=CANDLES)
    assert len(made.bars()) == len(CANDLES)


def test_candles_of_high_low_and_close_alone():
    made = Liquidator("BTC")
    low, high, close = [1.0, 4.0, 2.0], [3.0, 5.0, 3.0], [2.0, 4.5, 2.5]
    few = pd.DataFrame({"time": CANDLES["time"], "low": low, "high": high, "close": close})
    indexed = few.set_index(pd.to_datetime(few["time"], unit="ms")).drop(columns="time")
    for form in (few, indexed):
        made.update_candles(form)
        bars = made.bars()
        assert bars["open"].tolist() == [2.0, 4.0, 3.0]  # the close before, inside the candle
        assert bars["close"].tolist() == close
        assert pd.isna(bars["volume"]).all()
    pytest.importorskip("plotly")
    assert made.plot(filled().compute_zones(), indexed, show=False).data
    with pytest.raises(ValueError, match="missing column for time"):
        made.update_candles(few.drop(columns="time"))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_can_be_called_as_before(name):
    assert len(FUNCTIONS[name]()) == len(CANDLES)


def test_every_attribute_is_there():
    made = Liquidator(*ARGUMENTS.values())
    assert names_of("Attributes").keys() == ARGUMENTS.keys()
    for name, where in names_of("Attributes").items():
        place = made
        for part in (name if where == "the same" else where.strip("`")).split("."):
            place = getattr(place, part)
        assert place == ARGUMENTS[name]


def test_every_module_is_told_of():
    modules = ("core", "indicators", "exchanges", "parsers", "collectors", "ml_predictor", "numba_optimized")
    assert tuple(names_of("Modules")) == modules
    made = Liquidator()
    made.ingest_liquidations([{"time": made_bars.START, "side": "long", "coin": "BTC", "px": "250", "usd_value": 9.0}])
    assert len(made._history.liquidations.rows) == 1


@pytest.mark.parametrize("venue", VENUES)
def test_what_a_parser_took_is_taken(venue):
    examples = [one for one in SAID.values() if one[0].replace(".", "").removesuffix("io") == venue.removesuffix("io")]
    assert examples
    for kind, trade, _ in examples:
        made = Liquidator()
        made.ingest_trades([trade], venue=kind)
        assert dict(made._history.arrays())["queue_trades"]["size"].tolist() == [2.5]


def test_every_column_is_there():
    made = filled()
    zones = made.compute_multi_timeframe_zones(["1m", "3m"])
    told = made.add_gravity_scores(made.add_cascade_analysis(zones, PRICE), PRICE)
    assert len(told) > 0
    assert tuple(told)[: len(ZONES)] == ZONES == tuple(COLUMNS)[: len(ZONES)]
    assert set(MORE) <= set(told)
    assert not set(PREDICTED) & set(told)


def test_the_figures_named_are_the_engines():
    made = Liquidator()
    params = made.params
    assert f"depend on {params.memory} bars" in TEXT
    assert f"fewer than {params.flow_bars + 1} there are no zones" in TEXT
    assert f"None: {params.zone_bars} bars of the timeframe" in TEXT
    assert f"None: {params.zone_atr} ATR" in TEXT
    assert made.cutoff_hours == 48


class TestRoadmap:
    """The examples of the roadmap that users were promised, as they are written."""

    def test_multi_timeframe(self):
        L = Liquidator("BTC", timeframes=["5m", "15m", "1h"])  # noqa: N806
        zones = L.compute_multi_timeframe_zones()
        assert "alignment_score" in zones

    def test_quality(self):
        L = filled()  # noqa: N806
        zones = L.compute_zones(min_quality="medium")
        assert (zones["quality_score"] >= 40).all()
        assert set(zones["quality_label"]) <= {"medium", "strong"}

    def test_streaming(self):
        L = Liquidator("BTC", mode="streaming")  # noqa: N806
        L.on_zone_formed(print)
        with pytest.raises(ValueError, match="mode='batch' has no start_stream"):
            Liquidator("BTC").start_stream(exchange="hyperliquid")

    def test_plot(self):
        pytest.importorskip("liquidator_integrations.for_tradingview")
        L = filled()  # noqa: N806
        zones = L.compute_zones()
        script = L.plot(zones, export="tradingview").layout.meta["pine"]
        assert script.startswith("//@version=")
        assert "indicator(" in script
        assert L.plot(zones.head(0), show=False, export="tradingview").layout.meta["pine"] != script

    def test_machine_learning(self):
        L = Liquidator("BTC", ml_enabled=True)  # noqa: N806
        assert {"hold_probability", "break_probability"} <= set(L.compute_zones())
