"""Tables: what the engine says of a series of candles, as frames."""
