"""Where the exchange closes a position: isolated margin, linear and inverse contracts."""

from __future__ import annotations

from .layout import LONG, SHORT


def liquidation_factor(
    leverage: float, side: int, margin_rate: float, margin_amount: float = 0.0, inverse: bool = False
) -> float:
    """Liquidation price divided by entry price.

    The position is closed when the margin left equals the maintenance margin ``notional * m - cum``, with
    ``m`` the maintenance margin rate and ``c = cum / entry notional`` the tier's maintenance amount.

    Formula, with leverage L: linear long ``(1 - 1/L - c) / (1 - m)``, short ``(1 + 1/L + c) / (1 + m)``;
    inverse long ``(1 + m) / (1 + 1/L + c)``, short ``(1 - m) / (1 - 1/L - c)``.
    Source: Binance, "How to calculate liquidation price of USD-M futures contracts" (one position, isolated).

    >>> round(100 * liquidation_factor(10, LONG, 0.004), 4)
    90.3614
    """
    if side not in (LONG, SHORT):
        raise ValueError(f"side must be LONG ({LONG}) or SHORT ({SHORT}), got {side!r}")
    sign = 1.0 if side == LONG else -1.0
    bracket = 1.0 / leverage + margin_amount
    if inverse:
        return (1.0 + sign * margin_rate) / (1.0 + sign * bracket)
    return (1.0 - sign * bracket) / (1.0 - sign * margin_rate)


def liquidation_price(
    entry: float,
    leverage: float,
    side: int,
    margin_rate: float = 0.004,
    margin_amount: float = 0.0,
    inverse: bool = False,
) -> float:
    """The price at which a position of one side, opened at ``entry`` with ``leverage``, is closed by force.

    ``margin_amount`` is the tier's maintenance amount over the entry notional. See ``liquidation_factor``.
    """
    return entry * liquidation_factor(leverage, side, margin_rate, margin_amount, inverse)
