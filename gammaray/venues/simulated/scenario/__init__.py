"""Where the market of the simulated exchange comes from: real index history, a seeded stochastic process, or recorded quotes."""

from gammaray.venues.simulated.scenario.build import SCENARIOS, build_scenario

__all__ = ["SCENARIOS", "build_scenario"]
