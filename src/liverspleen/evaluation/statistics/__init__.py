"""Arrays in, frozen results out: agreement, rank tests, reproducibility, reliability, intervals, sample sizes.

This package imports no other package of the project.
"""
