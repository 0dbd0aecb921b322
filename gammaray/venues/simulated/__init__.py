"""A real exchange in miniature: scenarios, books, accounts, expiry, and the wire that Alpaca's clients speak."""
