"""What the parts of the exchange need to know about the time."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class MarketStatus:
    """Shared by the parts and changed by the exchange alone. listed: rows of the contracts that trade in this session."""

    now_ns: int = 0
    is_open: bool = False
    listed: frozenset[int] = field(default_factory=frozenset)
