"""Instruments, exact money, orders and events, clock and calendar. Imports nothing of ours."""
