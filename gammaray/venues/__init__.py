"""The venue protocol and the venues that speak it."""
