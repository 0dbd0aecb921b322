"""The adapter that trades through alpaca-py: the simulated venue, Alpaca paper and Alpaca live by the same code."""
