"""Zones, levels and signals of the embedded sample, in fifteen lines."""

from liquidator_integrations import sample_bars
from liquidator_integrations.frames import levels_frame, signal_columns, zones_frame

candles = sample_bars()  # or your own: a freqtrade frame, ccxt rows, a yfinance or Binance frame
columns = signal_columns(candles)  # one row a candle, never repainted
print(columns[["support", "resistance", "level_above", "touch", "fade"]].tail(5).round(2))

zones = zones_frame(candles)  # as of the last candle
print(zones[["kind", "low", "high", "usd", "quality", "touches"]].tail(4).round(2))

levels = levels_frame(candles)  # where forced closes lie ahead, 5 % of each side's positions a level
print(levels[["side", "price", "usd", "share"]].iloc[16:24].round(3))
