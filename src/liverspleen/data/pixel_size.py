"""The pixel size of `pixel_mm=auto`: the median of the training cases, from the headers of their CT scans."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Final

from liverspleen.cohort.manifest import Case
from liverspleen.errors import InputError, Issue, counted
from liverspleen.imaging.files import read_layout

_SMALLEST_MM, _LARGEST_MM = 0.1, 20.0  # limits of `pixel_mm=`
_THREADS: Final = 8  # headers are on disks that answer several requests at once


def median_pixel_mm(cases: Sequence[Case]) -> float | None:
    """Return the median pixel size of CT scans in mm, rounded to 0.01 mm, so that similar cohorts share a cache.

    The pixel size of a scan is the geometric mean of its spacings along rows and columns. Scans without a readable
    header are skipped; the slice cache reports them. None if there is no other scan.

    Raises:
        InputError: LS-TRN-045 the median is outside the limits of `pixel_mm=`.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        sizes = [size for found in pool.map(lambda case: [*_pixel_mm(case)], cases) for size in found]
    if not sizes:
        return None
    found = round(median(sizes), 2)
    if not _SMALLEST_MM <= found <= _LARGEST_MM:
        message = f"the median pixel size of {len(sizes)} training cases is {median(sizes):.4g} mm, "
        message += f"expected {_SMALLEST_MM:g} to {_LARGEST_MM:g} mm"
        hint = "correct the spacings in the headers of the CT scans, or give a number instead of auto"
        raise InputError(Issue("LS-TRN-045", message, hint))
    return found


def pixel_line(key: str, found: float | None, cases: int) -> str:
    """Return a line for the screen with the number for `auto`."""
    size = "unknown" if found is None else f"{found:g} mm"
    return f"{key}=auto: {size}, the median of {counted(cases, 'training case')}"


def _pixel_mm(case: Case) -> Iterator[float]:
    try:
        _, rows, columns = read_layout(case.image, case_id=case.case_id).geometry.spacing_mm
    except InputError:
        return
    yield math.sqrt(rows * columns)
