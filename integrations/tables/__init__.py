"""What the engine says, out: frames of signals, zones, levels, marks and indicators."""
