"""Metrics of label maps: volume, overlap, surface distances, connected components."""
