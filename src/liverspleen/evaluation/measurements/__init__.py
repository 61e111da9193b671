"""Measure label maps, and write, read, validate and merge `measurements.csv`."""
