"""Where the market of the simulated exchange comes from: real index history, a seeded stochastic process, or recorded quotes."""
