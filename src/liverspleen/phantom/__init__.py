"""Procedural abdominal CT of the five conditions of the paper, with known liver and spleen volumes."""
