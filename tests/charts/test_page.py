"""The page in a real Chromium: what it shows, what it says, and that it does so alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from chromium import chromium, need_chromium, opened

from liquidator_core import Params, new_signals, new_state, step, zones_of
from liquidator_core.levels import cells_of
from liquidator_integrations import sample_bars
from liquidator_integrations.charts.files import write_scene
from liquidator_integrations.charts.scene import make_scene
from liquidator_integrations.evidence.result import ClosedTrade, Result
from liquidator_integrations.tables.risk import liquidation_at_risk

pytestmark = pytest.mark.slow

BARS = sample_bars()[-2000:]
NAME = 'BTC & <b>"USDT"</b> 1h'
LAYERS = ("Candles", "Heatmap", "Zones", "Levels", "Forced flow", "Entries", "Account", "Liquidation at risk")
CLOSE = float(BARS["close"][-1])


@pytest.fixture(scope="module")
def browser():
    need_chromium()
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def scene():
    time = BARS["time"]
    trades = [ClosedTrade(int(time[-100]), int(time[-60]), 27_000.0, 27_500.0, 0.5, 250.0, 1.0, False)]
    equity = np.linspace(10_000.0, 11_000.0, 1500)
    result = Result(10_000.0, 11_000.0, 0.1, trades, time[-1500:], equity, 0.2)
    return make_scene(BARS, None, result, name=NAME, risk=liquidation_at_risk(BARS, market="spot"))


@pytest.fixture(scope="module")
def path(scene, tmp_path_factory):
    return write_scene(scene, tmp_path_factory.mktemp("page") / "chart.html")


@pytest.fixture
def page(browser, path):
    with opened(browser, path) as found:
        yield found
        assert found.errors == []
        assert found.requests == [path.as_uri()]


def point(page, row: int, price: float) -> tuple[float, float]:
    """Where a bar and a price lie on the screen."""
    x, y = page.run(
        """([row, price]) => {
          const { chart } = liquidator;
          const box = document.getElementById("chart").getBoundingClientRect();
          const series = chart.panes()[0].getSeries()[0];
          return [box.x + chart.timeScale().logicalToCoordinate(row), box.y + series.priceToCoordinate(price)];
        }""",
        [row, price],
    )
    return x, y


def hover(page, row: int, price: float) -> str:
    page.page.mouse.move(*point(page, row, price))
    page.settle()
    return page.page.locator("#hover").inner_text()


def picture(page) -> bytes:
    page.page.mouse.move(1, 1)
    page.settle()
    return page.page.locator("#chart").screenshot()


# What it shows and says ---------------------------------------------------------------------------------------------


def test_the_title_and_the_line_below_say_what_is_drawn(page):
    assert page.page.title() == NAME
    assert page.page.locator("h1").inner_text() == NAME
    about = page.page.locator("#about").inner_text()
    for words in ("2,000 candles", "2020-12-31 23:00 UTC", "estimate", "no forecast", Params().digest, "TradingView"):
        assert words in about
    legend = page.page.locator("#legend").inner_text()
    assert "estimated USD, not scaled" in legend
    assert len(page.run("() => liquidator.scene.breaks")) == 6


def test_every_candle_arrives_to_the_tick(page):
    candles = page.run(
        "() => Object.fromEntries(['time', 'open', 'high', 'low', 'close'].map((name) => "
        "[name, [...liquidator.scene.candles[name]]]))"
    )
    for name, values in candles.items():
        np.testing.assert_array_equal(values, BARS[name])
    row = 1950
    found = page.run("([time, price]) => liquidator.explain(time, price)", [int(BARS["time"][row]), CLOSE])
    assert found["candle"] == {name: BARS[row][name].item() for name in ("time", "open", "high", "low", "close")}


def test_each_zone_once_at_its_prices_from_birth_to_end(page, scene):
    drawn = page.run("() => liquidator.scene.zones['']")
    zones = scene.zones
    assert len(drawn) == len(zones) == len(zones.drop_duplicates(["birth", "side"]))
    for name in ("low", "high", "usd", "quality"):
        np.testing.assert_allclose([zone[name] for zone in drawn], zones[name], rtol=1e-7)
    assert [zone["birth"] for zone in drawn] == zones["birth"].tolist()
    assert [zone["end"] for zone in drawn] == [None if end != end else end for end in zones["end"]]
    for name in ("side", "source", "reason", "touches"):
        assert [zone[name] for zone in drawn] == zones[name].tolist()


def test_what_explain_says_is_what_the_engine_says(page):
    state, record, out = new_state(Params()), Params().to_record(), new_signals(1)
    for row in range(len(BARS)):
        step(state, record, BARS[row : row + 1], out)
    time = int(BARS["time"][-1])
    for zone in zones_of(state, record):
        found = page.run("([time, price]) => liquidator.explain(time, price)", [time, float(zone["price"])])
        mine = [other for other in found["zones"] if other["birth"] == zone["birth"]]
        assert len(mine) == 1
        for name in ("usd", "quality"):
            assert mine[0][name] == pytest.approx(zone[name], rel=1e-6)
        assert (mine[0]["touches"], mine[0]["holds"], mine[0]["events"]) == (
            zone["touches"],
            zone["holds"],
            zone["marks"],
        )
        assert mine[0]["kind"] == ("resistance" if zone["price"] > CLOSE else "support")
    assert found["flow"]["long_flow_usd"] == pytest.approx(out["long_flow_usd"][0], rel=5e-4)
    ahead = [page.run("(price) => liquidator.explain(0, price).ahead", price) for price in (1.0, 1e9)]
    assert sum(side["usd"] for side in ahead) == pytest.approx(cells_of(state, record)["usd"].sum(), rel=1e-5)


def test_cells_are_those_of_the_ledger(page, scene):
    heat = scene.heatmap()
    breaks = [0.0, *heat["breaks"], np.inf]
    rng = np.random.default_rng(0)
    for row, cell in zip(rng.integers(0, len(BARS), 60), rng.integers(0, len(heat["price"]) - 1, 60), strict=True):
        price = float(np.sqrt(heat["price"][cell] * heat["price"][cell + 1]))
        found = page.run("([time, price]) => liquidator.explain(time, price).cell", [int(BARS["time"][row]), price])
        low, high = found["usd"]
        assert low <= heat["usd"][cell, row] < (np.inf if high is None else high)
        assert low in breaks
        assert found["low"] == pytest.approx(heat["price"][cell], rel=1e-12)


def test_hovers_are_texts(page, scene):
    zone = scene.standing.iloc[-2]
    row = int(np.searchsorted(BARS["time"], zone.birth.value // 1_000_000)) + 1
    said = hover(page, row, zone.price)
    for words in ("Zone", "USD (relative mass)", "event", "quality", "touch", "estimated", "still standing"):
        assert words in said
    said = hover(page, 1990, float(BARS["close"][1990]))
    for words in ("open", "high", "low", "close", "UTC"):
        assert words in said
    assert "of longs" in hover(page, 2010, CLOSE * 0.97)
    assert "of shorts" in hover(page, 2010, CLOSE * 1.03)
    point_of = page.run("(price) => liquidator.explain(0, price).risk", CLOSE * 0.98)
    curve = liquidation_at_risk(BARS, market="spot", moves=[-0.02])
    assert point_of["expected_usd"] == pytest.approx(curve["expected_usd"][0], rel=1e-9)
    assert "at risk if price goes -2.0 % within 4h" in hover(page, 2010, CLOSE * 0.98)
    assert "+250 USD" in hover(page, 1920, 27_300.0)
    page.page.mouse.move(1, 1)
    assert page.page.locator("#hover").is_hidden()


# What it lets one do ------------------------------------------------------------------------------------------------


def width(page) -> float:
    first, last = page.run("() => liquidator.range()")
    return last - first


def test_wheel_drag_and_buttons_reach_the_whole_file(page):
    assert page.run("() => liquidator.range()") == [int(BARS["time"][-500]), int(BARS["time"][-1])]
    before = width(page)
    page.page.mouse.move(600, 400)
    page.page.mouse.wheel(0, -300)
    page.settle()
    assert width(page) < before
    last = page.run("() => liquidator.range()")[1]
    page.page.mouse.down()
    page.page.mouse.move(900, 400, steps=5)
    page.page.mouse.up()
    page.settle()
    assert page.run("() => liquidator.range()")[1] < last
    page.page.get_by_role("button", name="All").click()
    page.settle()
    assert page.run("() => liquidator.range()") == [int(BARS["time"][0]), int(BARS["time"][-1])]


def until(page, says: str, value: float) -> None:
    """Wait for the frame in which it is so: a key moves the chart in the next one."""
    page.page.wait_for_function(f"value => {{ const [first, last] = liquidator.range(); return {says}; }}", arg=value)


def test_keys_move_and_zoom(page):
    chart = page.page.locator("#chart")
    chart.focus()
    first, last = page.run("() => liquidator.range()")
    chart.press("ArrowLeft")
    until(page, "first < value", first)
    before = width(page)
    chart.press("+")
    until(page, "last - first < value", before)
    chart.press("-")
    chart.press("-")
    until(page, "last - first > value", before)
    chart.press("Home")
    until(page, "first === value", int(BARS["time"][0]))
    chart.press("End")
    until(page, "last === value", last)


def test_keys_of_one_frame_all_count(page):
    """Nothing is drawn between two of them on a busy machine."""
    page.page.locator("#chart").press("Home")
    page.settle()
    before = width(page)
    page.run(
        """() => {
            const chart = document.getElementById("chart");
            for (const key of ["+", "+", "+", "-", "ArrowRight", "ArrowRight", "+"])
                chart.dispatchEvent(new KeyboardEvent("keydown", { key }));
        }"""
    )
    page.settle()
    assert width(page) / before == pytest.approx(0.8**3, rel=0.02)
    first = page.run("() => liquidator.range()")[0] - int(BARS["time"][0])
    assert first / before == pytest.approx((1 - 0.8**3) / 2 + 2 * 0.1 * 0.8**2, rel=0.02)


@pytest.mark.parametrize("layer", LAYERS)
def test_layers_are_labelled_and_go_when_switched_off(page, layer):
    page.page.get_by_text("Layers", exact=True).click()
    box = page.page.get_by_label(layer, exact=True)
    assert box.is_checked()
    page.page.keyboard.press("Escape")
    shown = picture(page)
    box.evaluate("(box) => box.click()")
    assert picture(page) != shown
    box.evaluate("(box) => box.click()")
    assert picture(page) == shown


def test_tiers_and_threshold_need_no_new_data(page):
    shown = picture(page)
    page.page.get_by_text("Layers", exact=True).click()
    page.page.get_by_label("below 50x").uncheck()
    page.page.keyboard.press("Escape")
    high = picture(page)
    assert high != shown
    page.page.get_by_text("Layers", exact=True).click()
    page.page.get_by_label("below 50x").check()
    page.page.get_by_label("Heatmap from class").fill("6")
    page.page.keyboard.press("Escape")
    assert picture(page) not in (shown, high)
    assert "hidden from" in page.page.locator("#legend").inner_text()


def test_the_theme_follows_the_reader_and_the_switch(browser, path):
    backs = {}
    for scheme in ("dark", "light"):
        with opened(browser, path, color_scheme=scheme) as found:
            backs[scheme] = found.run("() => getComputedStyle(document.body).backgroundColor")
            found.page.locator("#theme").click()
            backs[f"{scheme} switched"] = found.run("() => getComputedStyle(document.body).backgroundColor")
            assert found.errors == []
    assert backs["dark"] == backs["light switched"] == "rgb(14, 17, 22)"
    assert backs["light"] == backs["dark switched"] == "rgb(255, 255, 255)"


def test_times_in_the_readers_zone(page):
    page.page.get_by_role("button", name="UTC").click()
    assert "2021-01-01 08:00" in page.page.locator("#about").inner_text()  # in Tokyo
    assert "UTC" not in hover(page, 1990, CLOSE)


def test_larger_timeframes(page, scene):
    page.page.get_by_label("Timeframe").select_option("4h")
    page.settle()
    assert page.run("() => liquidator.range()[1]") == BARS["time"][-4]
    zone = scene.higher["4h"].zones[-1]
    assert zone["end"] < 0
    found = page.run("([time, price]) => liquidator.explain(time, price).zones", [int(BARS["time"][-1]), zone["price"]])
    assert [one["birth"] for one in found] == [zone["birth"]]


def test_the_table_sorts_and_copies(page, scene):
    page.page.get_by_role("button", name="Table").click()
    rows = page.page.locator("#table table").first.locator("tbody tr")
    assert rows.count() == len(scene.standing)
    page.page.get_by_role("button", name="quality").click()
    best = scene.standing.sort_values("quality").iloc[-1]
    assert f"{best.quality:.0f} {best.quality_label}" in rows.first.inner_text()
    assert page.page.locator("#table th[aria-sort=descending]").count() == 1
    page.page.get_by_role("button", name="Copy").first.click()
    page.page.wait_for_function(
        "() => document.querySelector('#table textarea') || document.querySelector('#table button').textContent"
    )


def test_on_a_phone_everything_fits_and_touch_works(browser, path):
    options = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}
    with opened(browser, path, **options) as found:
        assert found.run("() => document.documentElement.scrollWidth") <= 390
        assert found.page.locator("#chart").bounding_box()["height"] > 300
        found.page.locator("summary").tap()
        assert found.page.get_by_label("Zones", exact=True).is_visible()
        found.page.locator("#table-button").tap()
        assert found.page.locator("#table").is_visible()
        assert found.errors == []


def test_labels_never_overlap(page):
    """Labels are painted on the canvas; where they lie is what the page would do with the same zones."""
    places = page.run(
        """() => {
          const painted = [];
          const fill = CanvasRenderingContext2D.prototype.fillText;
          CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
            if (/^(weak|medium|strong|longs|shorts) /.test(text)) painted.push(y);
            return fill.apply(this, arguments);
          };
          const scale = liquidator.chart.timeScale();
          const { from, to } = scale.getVisibleLogicalRange();
          scale.setVisibleLogicalRange({ from: from - 1, to });
          return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(painted))));
        }"""
    )
    assert len(places) > 3
    first = sorted(set(places))
    assert all(after - before >= 14 for before, after in itertools.pairwise(first))


@pytest.mark.parametrize("bars", [BARS[:0], BARS[:1], BARS[:60]], ids=["none", "one", "no zones"])
def test_little_is_drawn_without_errors(browser, bars, tmp_path):
    path = write_scene(make_scene(bars), tmp_path / "chart.html")
    with opened(browser, path) as found:
        found.page.mouse.move(500, 300)
        found.settle()
        assert found.errors == []
        assert found.run("() => liquidator.scene.candles.time.length") == len(bars)
