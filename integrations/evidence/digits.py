"""The digits that a report gives: as many as the engine's estimates bear."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

_UNITS = ((9, "B"), (6, "M"), (3, "k"))


def rounded_price(value: float) -> float:
    """A price to hundredths, below 100 to six digits.

    >>> rounded_price(7768.123456), rounded_price(0.123456789)
    (7768.12, 0.123457)
    """
    return round(value, 2) if value >= 100.0 else float(f"{value:.6g}")


def price_text(value: float) -> str:
    """``rounded_price`` as text.

    >>> price_text(7768.123456), price_text(0.123456789)
    ('7,768.12', '0.123457')
    """
    return f"{value:,.2f}" if value >= 100.0 else f"{value:.6g}"


def rounded_usd(value: float) -> float:
    """USD to tenths of their thousands, millions or billions, below 1,000 to three digits.

    >>> rounded_usd(239_812_345.6), rounded_usd(123.456)
    (239800000.0, 123.0)
    """
    for power, _ in _UNITS:
        if value >= 10.0**power:
            return float(f"{value / 10.0**power:.1f}e{power}")
    return float(f"{value:.3g}")


def usd_text(value: float) -> str:
    """``rounded_usd`` as text.

    >>> usd_text(239_812_345.6), usd_text(123.456)
    ('239.8M', '123')
    """
    for power, name in _UNITS:
        if value >= 10.0**power:
            return f"{value / 10.0**power:,.1f}{name}"
    return f"{value:,.3g}"


_ROUNDED: dict[str, Callable[[float], float]] = {
    **dict.fromkeys(("price", "low", "high"), rounded_price),
    "usd": rounded_usd,
    "quality": lambda quality: round(quality, 0),
    "share": lambda share: round(share, 2),
}


def rounded_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame of zones or levels, its prices, USD, qualities and shares rounded.

    >>> rounded_frame(pd.DataFrame({"price": [7768.123456], "usd": [239_812_345.6], "quality": [45.6]})).values.tolist()
    [[7768.12, 239800000.0, 46.0]]
    """
    return frame.assign(**{name: frame[name].map(how) for name, how in _ROUNDED.items() if name in frame})
