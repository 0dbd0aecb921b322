"""Ids of assets and contracts, both ways. An id follows from the symbol, the same in every run."""

from __future__ import annotations

from functools import lru_cache
from uuid import NAMESPACE_URL, uuid5

from gammaray.venues.simulated.api import ExchangeApi
from gammaray.venues.simulated.instruments import instrument_id
from gammaray.venues.simulated.model import ExchangeReject

asset_id = lru_cache(maxsize=200_000)(instrument_id)


def named_id(kind: str, name: str) -> str:
    """A UUID that follows from a name."""
    return str(uuid5(NAMESPACE_URL, f"gammaray:{kind}:{name}"))


def symbol_of(exchange: ExchangeApi, symbol_or_id: str) -> str:
    """The symbol of an asset or contract id; what is no id is taken for a symbol."""
    for underlying in exchange.underlyings():
        if asset_id(underlying) == symbol_or_id:
            return underlying
    if len(symbol_or_id) == 36 and symbol_or_id.count("-") == 4:
        try:
            return exchange.contract(symbol_or_id).contract.symbol
        except ExchangeReject:
            return symbol_or_id
    return symbol_or_id
