"""Continual learning: prediction log, drift, retraining, promotion, registry, and the loop that ties them together."""
