"""One account: orders, ledger, pre-trade gate. A pure state machine with a thin shell that journals and talks to the venue."""
