"""Ready strategies for freqtrade, each one file: ``liquidator freqtrade install --userdir user_data`` copies them."""
