"""The adapter that drives Alpaca paper, Alpaca live and the simulated exchange through the real alpaca-py."""
