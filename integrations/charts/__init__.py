"""Pictures of bars, zones, levels and accounts."""
