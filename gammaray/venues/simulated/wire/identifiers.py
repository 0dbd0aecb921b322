"""Ids of assets and contracts: contracts have the exchange's, underlyings a name-based UUID, the same in every run."""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid5

from gammaray.types.instruments import is_occ
from gammaray.venues.simulated.api import ExchangeApi
from gammaray.venues.simulated.model import ExchangeReject


def named_id(kind: str, name: str) -> str:
    """A UUID that follows from a name."""
    return str(uuid5(NAMESPACE_URL, f"gammaray:{kind}:{name}"))


class Identifiers:
    """Symbol to id and back."""

    def __init__(self, exchange: ExchangeApi) -> None:
        self._exchange = exchange
        self._ids: dict[str, str] = {symbol: named_id("asset", symbol) for symbol in exchange.underlyings()}
        self._symbols = {asset_id: symbol for symbol, asset_id in self._ids.items()}

    def id_of(self, symbol: str) -> str:
        """The asset or contract id of a symbol; for a contract long gone, a name-based one."""
        known = self._ids.get(symbol)
        if known is not None:
            return known
        asset_id = named_id("asset", symbol)
        if is_occ(symbol):
            try:
                asset_id = self._exchange.contract(symbol).contract_id
            except ExchangeReject:
                return asset_id
        self._ids[symbol] = asset_id
        self._symbols[asset_id] = symbol
        return asset_id

    def symbol_of(self, symbol_or_id: str) -> str:
        """The symbol of an id; what is no id is taken for a symbol."""
        known = self._symbols.get(symbol_or_id)
        if known is not None:
            return known
        if len(symbol_or_id) == 36 and symbol_or_id.count("-") == 4:
            try:
                return self._exchange.contract(symbol_or_id).contract.symbol
            except ExchangeReject:
                return symbol_or_id
        return symbol_or_id
