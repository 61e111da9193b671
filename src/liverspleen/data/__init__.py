"""From a cohort to batches: slice store, 2.5D slices, intensity window, Lightning data module.

Importing this package loads no torch; its names do, except for those of the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from liverspleen.lazy import lazy_exports

if TYPE_CHECKING:
    from liverspleen.data.augmentation import Augmentation
    from liverspleen.data.module import SectionDataModule
    from liverspleen.data.store import open_case, store_case
    from liverspleen.data.window import IntensityWindow
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "Augmentation": "augmentation",
            "IntensityWindow": "window",
            "SectionDataModule": "module",
            "open_case": "store",
            "store_case": "store",
        },
    )

__all__ = ["Augmentation", "IntensityWindow", "SectionDataModule", "open_case", "store_case"]
