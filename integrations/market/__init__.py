"""What the world says, in: any candles, trades, liquidations and rates to checked arrays."""
