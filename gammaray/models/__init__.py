"""Forecasting models: data sets, networks, export, serving."""
