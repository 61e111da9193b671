"""Liver and spleen segmentation and volumetry on portal venous CT, with the agreement statistics to trust it.

Research use only; not a medical device.
"""

__version__ = "0.1.0"
