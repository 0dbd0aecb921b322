"""The numerical core: prices, greeks, implied volatility, surfaces, revaluation."""
