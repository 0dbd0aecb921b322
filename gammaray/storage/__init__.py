"""Journal, history: what is kept on disk."""
