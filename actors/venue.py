"""The venue of a run, as its actors see it: the same adapter for the simulated exchange, Alpaca paper and Alpaca live."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from actors.configuration import ActorConfiguration
from gammaray.venues.alpaca.config import AlpacaSettings

if TYPE_CHECKING:
    from gammaray.venues.alpaca.market_data import AlpacaMarketData
    from gammaray.venues.alpaca.trading import AlpacaTrading


def alpaca_settings(configuration: ActorConfiguration) -> AlpacaSettings:
    """Endpoints and keys. Keys come from this process's environment, never through Ray."""
    if configuration.venue_url:
        return AlpacaSettings.simulated(configuration.venue_url)
    return AlpacaSettings.from_environment(configuration.settings.run.venue.value, os.environ)


def market_data(configuration: ActorConfiguration) -> AlpacaMarketData:
    """Quotes, contracts and bars."""
    from gammaray.venues.alpaca.market_data import AlpacaMarketData

    return AlpacaMarketData(alpaca_settings(configuration))


def trading(configuration: ActorConfiguration) -> AlpacaTrading:
    """Orders and the account, with the trading stream up."""
    from gammaray.venues.alpaca.trading import AlpacaTrading

    venue = AlpacaTrading(alpaca_settings(configuration))
    venue.connect()
    return venue
