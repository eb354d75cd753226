"""The embedded sample: hourly BTCUSDT candles (see NOTICE)."""
