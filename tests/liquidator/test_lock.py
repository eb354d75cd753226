"""What takes seconds does not hold the lock that a stream waits for."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from liquidator_integrations import Liquidator, sample_bars
from liquidator_integrations.liquidator import liquidator as whole
from liquidator_integrations.liquidator import predicting


@pytest.fixture(scope="module")
def made() -> Liquidator:
    btc = Liquidator("BTC", bar="1h")
    btc.update_candles(sample_bars()[:600])
    return btc


def is_free(made: Liquidator) -> bool:
    """Whether another thread gets in."""
    seen: list[Any] = []
    other = threading.Thread(target=lambda: seen.append(made.bars()))
    other.start()
    other.join(10.0)
    return bool(seen)


@pytest.mark.parametrize(
    ("module", "name", "call"),
    [
        (predicting, "train", lambda made, path: made.train_ml_predictor()),
        (whole, "plot_zones", lambda made, path: made.plot(show=False)),
        (whole, "write_sealed", lambda made, path: made.save(path)),
    ],
    ids=["training", "plotting", "saving"],
)
def test_others_get_in_meanwhile(made, module, name, call, monkeypatch, tmp_path):
    free: list[bool] = []

    class Ended(Exception):  # noqa: N818
        pass

    def slow(*arguments: Any, **more: Any) -> Any:
        free.append(is_free(made))
        raise Ended

    monkeypatch.setattr(module, name, slow)
    with pytest.raises(Ended):
        call(made, tmp_path / "state")
    assert free == [True]
    assert is_free(made)
