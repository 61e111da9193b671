"""Arrays in, frozen results out: agreement, rank tests, reproducibility, reliability, intervals, sample sizes.

This package imports nothing else of the project.
"""
