"""Strategies: they look at the market and the book, and say what they want done."""
