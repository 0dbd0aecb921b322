"""The multi-leg tools in one place: the catalogue, the analyser and the recommender."""

from gammaray.strategies.analyser import StrategyAnalysis, analyze, margin
from gammaray.strategies.catalogue import CATALOGUE, Outlook, Template, TemplateLeg
from gammaray.strategies.legs import Leg
from gammaray.strategies.recommender import Suggestion, suggest_option_strategies

__all__ = [
    "CATALOGUE",
    "Leg",
    "Outlook",
    "StrategyAnalysis",
    "Suggestion",
    "Template",
    "TemplateLeg",
    "analyze",
    "margin",
    "suggest_option_strategies",
]
