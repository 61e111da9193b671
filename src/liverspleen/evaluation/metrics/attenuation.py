"""Attenuation of the core of an organ: mean, median and SD of the HU of the voxels inside its label.

The core is the label eroded by `CORE_MM`: each voxel whose neighbourhood of this radius in mm is inside the label, and
at least its six neighbours. So the distance is the same in all directions, also on anisotropic, oblique and sheared
grids, and the outermost voxels are never included, because the tissue beside the organ contributes to their HU. The
outside of the image counts as outside the label: what is beyond the last slice is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liverspleen.cohort.findings.intensities import clip_limits
from liverspleen.cohort.findings.scan import summarise
from liverspleen.evaluation.statistics.samples import Floats
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import Structure

# Not in the paper: beyond partial volume and the uncertain boundary of an organ, and less than half of its thickness.
CORE_MM: Final = 5.0
"""Distance by which the label of an organ is eroded."""

# Not in the paper: the size of a region of interest of 1 cm² in a slice of 1 cm.
LEAST_CM3: Final = 1.0
"""Smallest core; the attenuation of a smaller one is undefined."""

# For normally distributed HU, mean and SD then differ by less than 1 % of the SD from those without clipping.
CLIPPED_FRACTION: Final = 0.01
"""Fraction of the core at a limit of the HU from which its attenuation is `clipped`."""

PADDING_HU: Final = -1024
"""Values below this are padding and are not included: the HU of CT scanners begin here."""

HU_STATUSES: Final = ("ok", "clipped", "small_core", "absent", "no_hu")
"""The values of `hu_status`; `organ_attenuation` and `KnownCT` define them."""

OK, CLIPPED, SMALL_CORE, ABSENT, NO_HU = HU_STATUSES

_LOWEST: Final = int(np.iinfo(np.int16).min)
_VALUES: Final = np.arange(_LOWEST, -_LOWEST, dtype=np.int64)
_SLACK: Final = 1e-6  # relative: float32 headers round the spacing


@dataclass(frozen=True)
class Attenuation:
    """Attenuation of the core of an organ in HU; None is undefined, and `status` says why.

    `sd` is the sample SD (n - 1) of the `voxels` of the core, which contains the noise of the image. The names are
    those of the columns of `measurements.csv`.
    """

    hu_mean: float | None
    hu_median: float | None
    hu_sd: float | None
    hu_voxels: int | None
    hu_core_mm: float
    hu_status: str


@dataclass(frozen=True, eq=False)
class KnownCT:
    """The CT of label maps, for `organ_attenuation`.

    `volume` is None if the CT cannot be read or its values are not HU: each attenuation is then undefined (`no_hu`).
    `limits` are the lowest and the highest value if the CT was clipped there.
    """

    volume: CTVolume | None
    limits: tuple[int, ...] = ()

    @classmethod
    def of(cls, ct: CTVolume) -> KnownCT:
        """Return a CT in HU with the values at which it was clipped."""
        return cls(ct, tuple(limit for limit in clip_limits(summarise(ct)) if limit is not None))


def organ_attenuation(label_map: LabelMap, ct: KnownCT, organ: Structure) -> Attenuation:
    """Return the attenuation of the core of an organ.

    All voxels of the core are included, so also vessels and lesions if they are labelled; if they are not labelled, the
    core keeps the distance from them as from the surface. Values below `PADDING_HU` are not included. One slice is in
    memory at a time.

    Status: `ok`; `clipped` if `CLIPPED_FRACTION` of the core or more has a value at which the CT was clipped, so that
    mean and SD are biased (the median is not, up to one half). Undefined: `small_core`, below `LEAST_CM3`; `absent`,
    the organ has no voxel; `no_hu`, see `KnownCT`.

    Raises:
        ValueError: CT and label map differ in shape.

    >>> from liverspleen.imaging import Geometry
    >>> grid = Geometry((30, 30, 6), np.diag([1.0, 1.0, 5.0, 1.0]))
    >>> hu = np.full((6, 30, 30), -100, np.int16); hu[:, 15:] = 60; hu[:, :15] = 40
    >>> labels = np.zeros((6, 30, 30), np.uint8); labels[1:6, 5:25, 5:25] = Structure.LIVER
    >>> ct = KnownCT(CTVolume(hu, grid))
    >>> found = organ_attenuation(LabelMap(labels, grid), ct, Structure.LIVER)  # 3 slices of 10 x 10 voxels
    >>> found.hu_voxels, found.hu_mean, found.hu_median, round(found.hu_sd, 3), found.hu_status
    (300, 50.0, 50.0, 10.017, 'ok')
    """
    if ct.volume is None:
        return _undefined(NO_HU)
    geometry = label_map.geometry
    if ct.volume.hu.shape != label_map.labels.shape:
        raise ValueError(f"CT has shape {ct.volume.hu.shape}, its label map {label_map.labels.shape}")
    box = label_map.box(organ)
    if box is None:
        return _undefined(ABSENT)
    counts = np.zeros(_VALUES.size, np.int64)
    for index, core in _core(label_map, box, organ):
        inside = ct.volume.hu[index][box[1:]][core].astype(np.int64) - _LOWEST
        counts += np.bincount(inside, minlength=_VALUES.size)
    counts[: PADDING_HU - _LOWEST] = 0
    voxels = int(counts.sum())
    if voxels < 2 or voxels * geometry.voxel_volume_mm3 / 1000 < LEAST_CM3:
        return _undefined(SMALL_CORE, voxels)
    at_limits = sum(int(counts[limit - _LOWEST]) for limit in ct.limits)
    return _described(counts, CLIPPED if at_limits >= CLIPPED_FRACTION * voxels else OK)


def _undefined(status: str, voxels: int | None = None) -> Attenuation:
    return Attenuation(None, None, None, voxels, CORE_MM, status)


def _described(counts: NDArray[np.int64], status: str) -> Attenuation:
    """Return the statistics of a histogram, in whole numbers up to the last step: the order of voxels has no effect."""
    n, total, squares = (int((counts * _VALUES**power).sum()) for power in range(3))
    below = np.cumsum(counts)
    middle = [int(_VALUES[np.searchsorted(below, rank, side="right")]) for rank in ((n - 1) // 2, n // 2)]
    return Attenuation(
        hu_mean=total / n,
        hu_median=sum(middle) / 2,
        hu_sd=float(np.sqrt((n * squares - total * total) / (n * (n - 1)))),
        hu_voxels=n,
        hu_core_mm=CORE_MM,
        hu_status=status,
    )


class _Span(NamedTuple):
    """Columns `first` to `last` in the row `row` of the slice `plane`, relative to a voxel."""

    plane: int
    row: int
    first: int
    last: int


def _core(
    label_map: LabelMap, box: tuple[slice, slice, slice], organ: Structure
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yield index and core of each slice with a part of the core; the core is a mask of the rows and columns of `box`.

    A voxel belongs to the core if the run of labelled voxels in each row of its neighbourhood is long enough.
    """
    first, last = box[0].start, box[0].stop
    planes = [label_map.labels[index][box[1:]] for index in range(first, last)]
    rows, columns = planes[0].shape
    spans = _neighbourhood(label_map.geometry.canonical_affine[:3, :3].T, (len(planes), rows, columns))
    reach, up = max(span.plane for span in spans), max(span.row for span in spans)
    across = max(max(-span.first, span.last) for span in spans)
    runs: dict[int, NDArray[np.int32]] = {}
    for index in range(reach, len(planes) - reach):
        for needed in range(index - reach, index + reach + 1):
            if needed not in runs:
                runs[needed] = np.pad(_runs(planes[needed] == int(organ)), ((up, up), (across, across)))
        runs.pop(index - reach - 1, None)
        core = runs[index][up : up + rows, across : across + columns] > 0
        for span in spans:
            top, side = up + span.row, across + span.first
            inside = runs[index + span.plane][top : top + rows, side : side + columns]
            core &= inside > span.last - span.first
        if core.any():
            yield first + index, core


def _runs(plane: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return for each voxel the number of voxels of the mask from it to the end of their run along the columns."""
    columns = np.arange(plane.shape[1], dtype=np.int32)
    ends = np.where(plane, np.int32(plane.shape[1]), columns)
    return np.asarray(np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1] - columns, np.int32)


def _neighbourhood(axes_mm: Floats, shape: tuple[int, ...]) -> list[_Span]:
    """Return the voxels within `CORE_MM` of a voxel, row by row, and its six neighbours.

    Row i of `axes_mm` is the step along axis i. Offsets as large as the box are enough: they are always outside.
    """
    radius = CORE_MM * (1 + _SLACK)
    bounds = radius * np.linalg.norm(np.linalg.inv(axes_mm), axis=0)
    planes, rows, columns = (min(int(bound), size) for bound, size in zip(bounds, shape, strict=True))
    step = axes_mm[2]
    spans = [_Span(*face, 0, 0) for face in ((-1, 0), (1, 0), (0, -1), (0, 1))] + [_Span(0, 0, -1, 1)]
    for plane in range(-planes, planes + 1):
        for row in range(-rows, rows + 1):
            start = plane * axes_mm[0] + row * axes_mm[1]
            # |start + n step| <= radius
            centre = -float(start @ step) / float(step @ step)
            rest = radius**2 - float(start @ start) + centre**2 * float(step @ step)
            if rest < 0:
                continue
            half = (rest / float(step @ step)) ** 0.5
            first, last = int(np.ceil(centre - half)), int(np.floor(centre + half))
            if first <= last:
                spans.append(_Span(plane, row, max(first, -columns), min(last, columns)))
    return spans
