"""From a cohort to batches: slice cache, 2.5D slices, intensity window, Lightning data module.

Importing this package does not import torch; using its names does, except for `build_sides` and `cache_case`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from liverspleen.lazy import lazy_exports

if TYPE_CHECKING:
    from liverspleen.data.augmentation import Augmentation
    from liverspleen.data.build import build_sides
    from liverspleen.data.cache import cache_case
    from liverspleen.data.module import SliceDataModule
    from liverspleen.data.window import IntensityWindow
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "Augmentation": "augmentation",
            "IntensityWindow": "window",
            "SliceDataModule": "module",
            "build_sides": "build",
            "cache_case": "cache",
        },
    )

__all__ = ["Augmentation", "IntensityWindow", "SliceDataModule", "build_sides", "cache_case"]
