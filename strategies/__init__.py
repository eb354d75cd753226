"""Ready strategies, one folder for each platform."""

if __name__ != "liquidator_strategies":  # from a checkout: a second copy of every class would not be the first
    raise ImportError("import liquidator_strategies, not strategies")
