"""Alpaca's wire (REST, WebSocket, msgpack) over an exchange, and the admin API beside it."""
