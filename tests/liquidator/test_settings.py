"""What the arguments of a Liquidator set."""

from __future__ import annotations

import made_bars
import numpy as np
import pytest

from liquidator_core import TRADE, Params
from liquidator_integrations import Liquidator


def filled(trades: np.ndarray, **options) -> Liquidator:
    made = Liquidator(params=made_bars.small_params(zone_bars=60, event_mult=2.0), **options)
    made.ingest_trades({name: trades[name] for name in TRADE.names})
    return made


def test_a_threshold_in_usd_makes_large_trades_count():
    trades = made_bars.random_trades(2500, 0)
    trades["side"] = np.where(trades["side"] == 0, 1, trades["side"])
    usd = trades["price"] * trades["size"]
    threshold = float(np.quantile(usd, 0.9))
    without, some, none = (filled(trades, liq_size_threshold=size) for size in (None, threshold, 2 * float(usd.max())))
    assert not without.params.use_large_trades
    assert some.params == Params(**{**without.params.to_dict(), "use_large_trades": True, "large_usd": threshold})
    large = some.bars()["large_buy_usd"] + some.bars()["large_sell_usd"]
    assert (large > 0.0).any()
    assert large[large > 0.0].min() >= threshold
    assert (none.bars()["large_buy_usd"] == 0.0).all()
    assert not some.compute_zones().equals(without.compute_zones())
    np.testing.assert_array_equal(none.compute_zones()["total_usd"], without.compute_zones()["total_usd"])


def test_a_threshold_of_nothing_leaves_what_is_large_to_params():
    assert Liquidator(liq_size_threshold=0).params == Params(use_large_trades=True)
    assert Liquidator(params=Params(use_large_trades=True, large_usd=5.0)).params.large_usd == 5.0


@pytest.mark.parametrize("value", [1e308 * 10, 10**400, -(10**400), float("nan")])
@pytest.mark.parametrize("name", ["window_minutes", "cutoff_hours", "pct_merge"])
def test_numbers_beyond_all_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        Liquidator(**{name: value})
