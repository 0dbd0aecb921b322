"""The desk and the strategies over recorded or generated history, in one process."""
