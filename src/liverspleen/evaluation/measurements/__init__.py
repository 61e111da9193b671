"""From label maps to `measurements.csv`, and from that file to readings: measure, read, validate, merge."""
