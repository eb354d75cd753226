"""freqtrade strategies: some lie, and ten are honest ones of the kinds that are traded most, written anew."""

from __future__ import annotations

import numpy as np
import talib.abstract as ta
from freqtrade.strategy import DecimalParameter, IntParameter, IStrategy, informative, merge_informative_pair

from .register import honest, lies


class Plain(IStrategy):
    """Buys and sells nothing."""

    timeframe = "1h"
    stoploss = -0.1
    minimal_roi = {"0": 1.0}  # noqa: RUF012

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe


# Lying ------------------------------------------------------------------------------------------------------------


@lies("look-ahead", "close_4h", ahead=3)
class MergedAsItOpens(Plain):
    def populate_indicators(self, dataframe, metadata):
        higher = self.dp.get_pair_dataframe(metadata["pair"], "4h")[["date", "close"]]
        dataframe = dataframe.merge(higher.rename(columns={"close": "close_4h"}), on="date", how="left")
        dataframe["close_4h"] = dataframe["close_4h"].ffill()
        dataframe["ema"] = ta.EMA(dataframe, timeperiod=10)
        return dataframe


@lies("look-ahead", "enter_long", ahead=1)
class EntersBeforeItRises(Plain):
    def populate_entry_trend(self, dataframe, metadata):
        dataframe.loc[dataframe["close"].shift(-1) > dataframe["close"], "enter_long"] = 1
        return dataframe


@lies("look-ahead", "enter_tag", ahead=2)
class TagsWhatComes(Plain):
    def populate_entry_trend(self, dataframe, metadata):
        dataframe["enter_long"] = 1
        dataframe["enter_tag"] = np.where(dataframe["high"].shift(-2) > dataframe["high"], "good", "bad")
        return dataframe


@lies("look-ahead", "exit_long", ahead=1)
class ExitsAtTheTop(Plain):
    can_short = True

    def populate_exit_trend(self, dataframe, metadata):
        top = (dataframe["high"] > dataframe["high"].shift(1)) & (dataframe["high"] > dataframe["high"].shift(-1))
        dataframe.loc[top, "exit_long"] = 1
        return dataframe


@lies("look-ahead", "mean_4h")
class CentredOnTheHigherTimeframe(Plain):
    @informative("4h")
    def populate_indicators_4h(self, dataframe, metadata):
        dataframe["mean"] = dataframe["close"].rolling(3, center=True).mean()
        return dataframe


@lies("repaint", "scaled")
class ScaledByAll(Plain):
    startup_candle_count = 30

    def populate_indicators(self, dataframe, metadata):
        low, high = dataframe["close"].min(), dataframe["close"].max()
        dataframe["scaled"] = (dataframe["close"] - low) / (high - low)
        return dataframe


@lies("repaint", "hot")
class RemembersItsMean(Plain):
    mean = None

    def populate_indicators(self, dataframe, metadata):
        if RemembersItsMean.mean is None:
            RemembersItsMean.mean = dataframe["volume"].mean()
        dataframe["hot"] = dataframe["volume"] / RemembersItsMean.mean
        return dataframe


@lies("history", "obv")
class BalanceSoFar(Plain):
    startup_candle_count = 50

    def populate_indicators(self, dataframe, metadata):
        dataframe["obv"] = ta.OBV(dataframe)
        return dataframe


@lies("unstable", "close")
class SmoothsItsCandles(Plain):
    def populate_indicators(self, dataframe, metadata):
        dataframe["close"] = dataframe["close"].ewm(span=3).mean()
        return dataframe


# Honest -----------------------------------------------------------------------------------------------------------


@honest
class MergedWhenItHasClosed(Plain):
    startup_candle_count = 200

    def populate_indicators(self, dataframe, metadata):
        higher = self.dp.get_pair_dataframe(metadata["pair"], "4h")
        higher["sma"] = ta.SMA(higher, timeperiod=8)
        return merge_informative_pair(dataframe, higher, self.timeframe, "4h", ffill=True)


@honest
class CrossedAverages(Plain):
    startup_candle_count = 150
    fast = IntParameter(5, 20, default=9, space="buy")

    def populate_indicators(self, dataframe, metadata):
        dataframe["fast"] = ta.EMA(dataframe, timeperiod=self.fast.value)
        dataframe["slow"] = ta.EMA(dataframe, timeperiod=21)
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        crossed = (dataframe["fast"] > dataframe["slow"]) & (dataframe["fast"].shift(1) <= dataframe["slow"].shift(1))
        dataframe.loc[crossed & (dataframe["volume"] > 0), ["enter_long", "enter_tag"]] = (1, "cross")
        return dataframe


@honest
class BandsAndStrength(Plain):
    startup_candle_count = 200
    buy_rsi = IntParameter(20, 40, default=30, space="buy")

    def populate_indicators(self, dataframe, metadata):
        dataframe["rsi"] = ta.RSI(dataframe, timeperiod=14)
        typical = (dataframe["high"] + dataframe["low"] + dataframe["close"]) / 3
        middle, deviation = typical.rolling(20).mean(), typical.rolling(20).std()
        dataframe["lower"], dataframe["middle"] = middle - 2 * deviation, middle
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        low = (dataframe["rsi"] < self.buy_rsi.value) & (dataframe["close"] < dataframe["lower"])
        dataframe.loc[low, "enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        dataframe.loc[dataframe["close"] > dataframe["middle"], ["exit_long", "exit_tag"]] = (1, "middle")
        return dataframe


@honest
class DropsBelowABand(Plain):
    startup_candle_count = 60

    def populate_indicators(self, dataframe, metadata):
        middle = dataframe["close"].rolling(40).mean()
        dataframe["lower"] = middle - 2 * dataframe["close"].rolling(40).std()
        dataframe["fall"] = (dataframe["close"] - dataframe["close"].shift()).abs()
        dataframe["tail"] = (dataframe["close"] - dataframe["low"]).abs()
        dataframe["quiet"] = dataframe["volume"].rolling(30).mean().shift(1) * 20
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        below = (dataframe["close"] < dataframe["lower"].shift()) & (dataframe["volume"] < dataframe["quiet"])
        dataframe.loc[below & (dataframe["fall"] > dataframe["close"] * 0.017), "enter_long"] = 1
        return dataframe


@honest
class OffsetsOfAverages(Plain):
    startup_candle_count = 400
    low_offset = DecimalParameter(0.9, 0.99, default=0.975, space="buy")

    def populate_indicators(self, dataframe, metadata):
        dataframe["ma"] = ta.EMA(dataframe, timeperiod=17)
        dataframe["wave"] = (ta.SMA(dataframe, timeperiod=50) - ta.SMA(dataframe, timeperiod=200)) / dataframe["low"]
        dataframe["rsi_fast"] = ta.RSI(dataframe, timeperiod=4)
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        low = dataframe["close"] < dataframe["ma"] * self.low_offset.value
        dataframe.loc[low & (dataframe["wave"] * 100 > 2), ["enter_long", "enter_tag"]] = (1, "wave")
        return dataframe


@honest
class CloudWithoutTheLaggingSpan(Plain):
    startup_candle_count = 100

    def populate_indicators(self, dataframe, metadata):
        def middle(rows):
            return (dataframe["high"].rolling(rows).max() + dataframe["low"].rolling(rows).min()) / 2

        dataframe["turning"], dataframe["standard"] = middle(9), middle(26)
        dataframe["span_a"] = ((middle(9) + middle(26)) / 2).shift(26)
        dataframe["span_b"] = middle(52).shift(26)
        return dataframe


@honest
class OwnCandles(Plain):
    startup_candle_count = 120

    def populate_indicators(self, dataframe, metadata):
        close = dataframe[["open", "high", "low", "close"]].mean(axis=1)
        opened = ((dataframe["open"] + dataframe["close"]) / 2).shift(1)
        dataframe["ha_open"], dataframe["ha_close"] = opened.ewm(alpha=0.5, adjust=False).mean(), close
        dataframe["trend"] = np.where(dataframe["ha_close"] > dataframe["ha_open"], "green", "red")
        return dataframe


@honest
class DirectionalMovement(Plain):
    startup_candle_count = 300

    def populate_indicators(self, dataframe, metadata):
        for name in ("ADX", "PLUS_DI", "MINUS_DI", "MOM"):
            dataframe[name.lower()] = getattr(ta, name)(dataframe, timeperiod=14)
        dataframe["sar"] = ta.SAR(dataframe)
        return dataframe


@honest
class ConvergenceAndChannel(Plain):
    startup_candle_count = 250

    def populate_indicators(self, dataframe, metadata):
        macd = ta.MACD(dataframe)
        dataframe["macd"], dataframe["signal"] = macd["macd"], macd["macdsignal"]
        dataframe["cci"] = ta.CCI(dataframe)
        dataframe["mfi"] = ta.MFI(dataframe)
        stochastic = ta.STOCHF(dataframe, 5, 3, 0, 3, 0)
        dataframe["fastk"] = stochastic["fastk"]
        return dataframe


@honest
class HigherTrend(Plain):
    startup_candle_count = 300

    @informative("4h")
    def populate_indicators_4h(self, dataframe, metadata):
        dataframe["rsi"] = ta.RSI(dataframe, timeperiod=3)
        return dataframe

    @informative("1d", "BTC/{stake}")
    def populate_indicators_1d(self, dataframe, metadata):
        dataframe["rise"] = dataframe["close"] > dataframe["close"].shift(2)
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        dataframe.loc[(dataframe["rsi_4h"] < 30) & dataframe["btc_usdt_rise_1d"].fillna(False), "enter_long"] = 1
        return dataframe


@honest
class TrailingTrend(Plain):
    startup_candle_count = 200

    def populate_indicators(self, dataframe, metadata):
        width = 3 * ta.ATR(dataframe, timeperiod=10)
        middle = (dataframe["high"] + dataframe["low"]) / 2
        upper, lower = (middle + width).to_numpy().copy(), (middle - width).to_numpy().copy()
        close = dataframe["close"].to_numpy()
        side = np.ones(len(close), int)
        for row in range(1, len(close)):
            if close[row - 1] <= upper[row - 1]:
                upper[row] = np.fmin(upper[row], upper[row - 1])
            if close[row - 1] >= lower[row - 1]:
                lower[row] = np.fmax(lower[row], lower[row - 1])
            side[row] = 1 if close[row] > upper[row - 1] else -1 if close[row] < lower[row - 1] else side[row - 1]
        dataframe["side"] = side
        return dataframe
