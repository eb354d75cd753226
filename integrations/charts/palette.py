"""The colours of every chart."""

from __future__ import annotations

SUPPORT = "38, 166, 154"
RESISTANCE = "239, 83, 80"
