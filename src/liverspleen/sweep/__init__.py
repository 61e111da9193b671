"""Sweeps: Optuna chooses configurations, and each is trained in a process. Only this package imports Optuna."""
