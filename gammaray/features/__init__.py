"""Features: one definition each, the same value in batch, live and by point-in-time look-up."""
