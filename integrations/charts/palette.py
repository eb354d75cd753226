"""The colours of every chart, safe for colour-blind eyes (Okabe and Ito).

What lies below the close at which it is told is blue: support, the longs' levels, their forced flow. What lies above is
orange. A band over time has the colour of its kind at its end. Candles are grey, so that colour says nothing else.
"""

from __future__ import annotations

SUPPORT = "#0072B2"
RESISTANCE = "#E69F00"
KIND_COLOURS = {"support": SUPPORT, "resistance": RESISTANCE}
SIDE_COLOURS = {"long": SUPPORT, "short": RESISTANCE}  # of levels and flow: who is liquidated
RISING = "#9AA0A6"
FALLING = "#5F6368"


def faded(colour: str, opacity: float) -> str:
    """A ``#rrggbb`` colour and an opacity, 0 to 1, as ``rgba(...)`` of CSS.

    >>> faded(SUPPORT, 0.25)
    'rgba(0, 114, 178, 0.25)'
    """
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:g})"
