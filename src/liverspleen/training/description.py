"""Description of a model in its checkpoint: plain values from which network and preprocessing are built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from liverspleen.data.window import IntensityWindow
from liverspleen.formats import CHECKPOINT
from liverspleen.organs import ORGANS, Structure


def model_description(
    network: Mapping[str, Any],
    *,
    slices: int,
    window: IntensityWindow,
    slice_distance_mm: float | None = None,
    pixel_mm: float | None = None,
    taught: Iterable[Structure] = ORGANS,
) -> dict[str, Any]:
    """Return the description that `SegmentationModule` adds to each checkpoint and that `predict` reads.

    Args:
        network: arguments of `build_network`.
        slices: number of input slices.
        window: mapping of HU to intensities.
        slice_distance_mm: distance between input slices; None: adjacent slices.
        pixel_mm: pixel size that slices are resampled to; None: the CT's own.
        taught: organs that the training labels show; a prediction reports no other organ.

    >>> trained = model_description({"name": "unet_2d", "width": 4}, slices=3, window=IntensityWindow(-150, 250, True))
    >>> trained["window"], trained["structures"]["background"]
    ({'lower_hu': -150, 'upper_hu': 250, 'clip': True}, 0)
    """
    return {
        "format": CHECKPOINT.number,
        "structures": {organ.key: int(organ) for organ in Structure},
        "taught_organs": [organ.key for organ in taught],
        "network": {name: value for name, value in network.items() if value is not None},
        "slices": slices,
        "slice_distance_mm": slice_distance_mm,
        "pixel_mm": pixel_mm,
        "window": window.to_dict(),
    }
