"""From a cohort to batches: slice store, 2.5D slices, intensity window, Lightning data module.

Importing this package loads no torch; its names do, except for `build_sides` and `store_case`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from liverspleen.lazy import lazy_exports

if TYPE_CHECKING:
    from liverspleen.data.augmentation import Augmentation
    from liverspleen.data.build import build_sides
    from liverspleen.data.module import SectionDataModule
    from liverspleen.data.store import store_case
    from liverspleen.data.window import IntensityWindow
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "Augmentation": "augmentation",
            "IntensityWindow": "window",
            "SectionDataModule": "module",
            "build_sides": "build",
            "store_case": "store",
        },
    )

__all__ = ["Augmentation", "IntensityWindow", "SectionDataModule", "build_sides", "store_case"]
