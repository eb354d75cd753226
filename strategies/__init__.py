"""Ready strategies, one folder for each platform."""
