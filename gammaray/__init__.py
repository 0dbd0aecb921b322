"""GammaRay: a continual-learning options trading system on Ray."""

__version__ = "0.1.0"
