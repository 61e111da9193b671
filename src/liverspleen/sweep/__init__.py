"""Sweeps: configurations chosen by Optuna, each trained by a process of its own; the door of Optuna."""
