"""HDF as pandas and freqtrade wrote it: both formats, and pickles that are not run."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from command import said_here

from liquidator_integrations import read_bars, sample_bars
from liquidator_integrations.for_backtrader import CandleFeed
from liquidator_integrations.frames import bars_from_frame

h5py = pytest.importorskip("h5py")
pytest.importorskip("hdf5plugin")
pytest.importorskip("tables")
pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning")

BARS = sample_bars()[:50]
FRAME = pd.DataFrame({name: BARS[name] for name in ("open", "high", "low", "close", "volume")})
DATES = pd.to_datetime(BARS["time"], unit="ms", utc=True)
FREQTRADE = FRAME.assign(date=DATES)[["date", *FRAME]]
INDEXED = FRAME.set_index(pd.DatetimeIndex(DATES, name="date"))
TABLE = {"format": "table"}


@pytest.mark.parametrize(
    ("frame", "how"),
    [
        (FREQTRADE, TABLE | {"data_columns": ["date"], "complevel": 9, "complib": "blosc"}),
        (FREQTRADE, TABLE | {"data_columns": True}),
        (FREQTRADE, {}),
        (FREQTRADE.assign(date=FREQTRADE["date"].dt.as_unit("ns")), TABLE),
        (INDEXED, TABLE),
        (INDEXED, {}),
        (INDEXED.tz_localize(None), {}),
        (FRAME.assign(time=BARS["time"]), {}),
        (FRAME.assign(time=BARS["time"], symbol="BTC/USDT"), TABLE),
        (FRAME.assign(time=BARS["time"], symbol="BTC/USDT"), {}),
    ],
)
def test_both_formats_of_pandas(frame, how, tmp_path):
    path = tmp_path / "BTC_USDT-1h.h5"
    frame.to_hdf(path, key="BTC_USDT/ohlcv/tf_1h", **how)
    expected = bars_from_frame(frame.drop(columns="symbol", errors="ignore"))
    assert read_bars(path).tobytes() == expected.tobytes()
    for suffix in (".hdf", ".hdf5", ".H5"):
        assert CandleFeed(dataname=path.rename(path.with_suffix(suffix)))._bars.tobytes() == expected.tobytes()
        path = path.with_suffix(suffix)


def test_several_markets_in_a_table(tmp_path):
    frame = FRAME.assign(time=BARS["time"], symbol=["BTC", "ETH"] * 25)
    frame.to_hdf(tmp_path / "a.h5", key="a", format="table")
    with pytest.raises(ValueError, match=r"column 'symbol' holds several markets \(BTC, ETH\)"):
        read_bars(tmp_path / "a.h5")


class Evil:
    def __reduce__(self):
        return pytest.fail, ("a pickle was run",)


@pytest.mark.parametrize("how", [{}, TABLE])
def test_no_pickle_is_run(how, tmp_path):
    import pickle

    path = tmp_path / "a.h5"
    FREQTRADE.to_hdf(path, key="a", **how)
    with h5py.File(path, "r+") as file:
        for place in (file, file["a"], *file["a"].values()):
            for name in [*place.attrs, "TITLE", "info"]:
                if name not in ("pandas_type", "nblocks", "CLASS") and not name.endswith(
                    ("kind", "dtype", "value_type")
                ):
                    place.attrs[name] = np.bytes_(pickle.dumps(Evil(), 0))
    assert read_bars(path).tobytes() == bars_from_frame(FREQTRADE).tobytes()
    with h5py.File(path, "r+") as file:
        for place in (file["a"], *file["a"].values()):
            for name in place.attrs:
                if name.endswith("kind"):
                    place.attrs[name] = np.bytes_(pickle.dumps(Evil(), 0))
    said = said_here("zones", "a.h5", "--no-backtest", "--json", cwd=tmp_path)
    assert said.code == (2 if how else 0)  # the format fixed has the names of columns as they are
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("keys", [[], ["a", "b/c"]])
def test_a_file_of_one_frame_alone(keys, tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["numbers"] = np.arange(3)
    for key in keys:
        FREQTRADE.to_hdf(path, key=key)
    found = r"2 frames of pandas \(a, b/c\)" if keys else "no frame of pandas"
    with pytest.raises(ValueError, match=rf"a\.h5: holds {found}, allowed one"):
        read_bars(path)


def test_what_is_no_hdf(tmp_path):
    path = tmp_path / "a.h5"
    path.write_text(FREQTRADE.to_csv())
    with pytest.raises(ValueError, match=r"a \.h5 file must hold HDF, found text"):
        read_bars(path)
    FREQTRADE.to_hdf(tmp_path / "whole.h5", key="a")
    path.write_bytes((tmp_path / "whole.h5").read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"a\.h5: cannot be read: "):
        read_bars(path)
    path.write_bytes((tmp_path / "whole.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        del file["a/axis1"]
    with pytest.raises(ValueError, match=r"a\.h5: cannot be read: not as pandas writes a frame"):
        read_bars(path)


def test_without_h5py_the_error_says_what_to_install(tmp_path, monkeypatch):
    FREQTRADE.to_hdf(tmp_path / "a.h5", key="a")
    monkeypatch.setitem(sys.modules, "h5py", None)
    said = said_here("zones", "a.h5", cwd=tmp_path)
    assert said.code == 2
    assert said.stderr == 'liquidator: a.h5: HDF needs h5py and hdf5plugin: pip install "liquidator-core[hdf]"\n'
