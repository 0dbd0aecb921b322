"""Exact money: integer micro-dollars, converted from and to decimal text without rounding.

A price is micro-dollars per share (an option quoted at 1.05 is 1_050_000, whatever its multiplier); an amount of cash is
micro-dollars. Floats are refused: a binary fraction has already lost the cent it stands for.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

MICROS = 1_000_000
CENT = 10_000


def to_micros(value: str | int | Decimal, name: str = "amount") -> int:
    """Micro-dollars of a dollar amount written as text, an integer or a Decimal.

    Raises ValueError, naming `name`, for a float, for text that is no number, for NaN and infinities, and for more than six decimals.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise ValueError(f"{name}: expected text, int or Decimal, was {type(value).__name__} {value!r}")
    try:
        micros = Decimal(value) * MICROS
    except InvalidOperation:
        raise ValueError(f"{name}: not a number: {value!r}") from None
    if not micros.is_finite() or micros != micros.to_integral_value():
        raise ValueError(f"{name}: not a finite amount with at most six decimals: {value!r}")
    return int(micros)


def price_to_micros(price: float, tick: int = CENT) -> int:
    """The multiple of `tick` (micro-dollars) nearest to a float price in dollars: where analytics become an order.

    Raises ValueError for NaN and infinities.
    """
    scaled = price * MICROS / tick
    if not abs(scaled) < 2**52:
        raise ValueError(f"price: not a finite amount: {price!r}")
    return round(scaled) * tick


def to_dollars(micros: int) -> float:
    """Dollars as a float, for analytics and pictures only."""
    return micros / MICROS


def format_micros(micros: int) -> str:
    """Decimal text without trailing zeros: 1_050_000 → "1.05", -2_000_000 → "-2"."""
    sign = "-" if micros < 0 else ""
    whole, fraction = divmod(abs(micros), MICROS)
    if fraction == 0:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:06d}".rstrip("0")


def format_dollars(micros: int) -> str:
    """Text for people, rounded half-even to the cent: 1_234_567_890 → "1,234.57"."""
    cents = (Decimal(micros) / CENT).to_integral_value()
    return f"{cents / 100:,.2f}"
