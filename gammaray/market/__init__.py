"""Columnar chains: quotes, quality, implied volatility, greeks and the surface, in one pass per snapshot."""
