"""Findings about the values of a CT: not HU, clipped, padded; and about empty, copied or misplaced slices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from liverspleen.cohort.findings.scale import scale_issues
from liverspleen.cohort.findings.scan import ScanSummary, finding
from liverspleen.errors import Issue

_LOWEST_HU = -4096  # padding down to -3024 is common
_NO_AIR_HU = -500  # each CT of the trunk has voxels of air, lung or padding
_NO_TISSUE_HU = 0  # and voxels of soft tissue
_SPIKE = 8  # times the median count of the neighbouring values; tails of a histogram without clipping are flat
_SPIKE_VOXELS = 20
_NEIGHBOURS_HU = 50
_SYNTHETIC = 30  # in an image without noise, each value is a spike, and slices are equal
_CUT_AIR_HU, _CUT_BONE_HU = -900, 600  # a minimum above, or a maximum below, means clipped air, or bone and contrast
_SATURATION_HU = 2900  # 12 bits end at 3071, or at 3000 in some exports
_PADDING_HU = -1100  # reconstructed air is -1000 with noise
_PADDING_FRACTION = 0.001
_ALTERNATING = 1.5  # adjacent slices are the most similar, unless two series are interleaved
_JUMP = 2.5  # times the usual difference of adjacent slices; the dome of the diaphragm reaches 1.7 in thick slices


def intensity_issues(scan: ScanSummary) -> Iterator[Issue]:
    """Yield LS-IMG-010 to 019 and 040 to 042 about the values of a CT; an error excludes the other ones about values.

    A constant CT has no other finding.
    """
    error = next(scale_issues(scan), None)
    if error is not None:
        yield error
    else:
        yield from _range_issues(scan)
    if error is None or error.code != "LS-IMG-010":
        yield from _slice_issues(scan)


def clipped_issues(case_id: str | None, voxels: int) -> tuple[Issue, ...]:
    """Return the warning LS-IMG-009 if a number of voxels was clipped to 16-bit integers."""
    if not voxels:
        return ()
    message = f"number of voxels clipped to the range of 16-bit integers is {voxels}, expected 0"
    hint = "check the image, its slope and its intercept"
    return (Issue("LS-IMG-009", message, hint, case_id, severity="warning"),)


def _range_issues(scan: ScanSummary) -> Iterator[Issue]:
    """Yield LS-IMG-012, else LS-IMG-011, else LS-IMG-015."""
    lowest, highest = scan.ends
    if window := next(_window_issues(scan), None):
        yield window
    elif lowest < _LOWEST_HU or lowest > _NO_AIR_HU or highest < _NO_TISSUE_HU:
        message = f"values are from {lowest} to {highest}, expected the values of a CT in HU"
        yield finding("warning", "LS-IMG-011", message, "check whether slope and intercept were applied")
    elif lowest < _PADDING_HU and scan.fraction(lowest, lowest) > _PADDING_FRACTION:
        message = f"padding with the value {lowest} in {scan.fraction(lowest, lowest):.1%} of the voxels"
        yield finding("note", "LS-IMG-015", message, "no action is needed: the value is below every intensity window")


def clip_limits(scan: ScanSummary) -> tuple[int | None, int | None]:
    """Return the lowest and the highest value of a CT if its values end abruptly there; None for an end that does not.

    A minimum as low as air, and a maximum at the end of the scale of a scanner, are no limits.
    """
    if _is_synthetic(scan):
        return None, None
    lowest, highest = scan.ends
    low_cut = lowest > _CUT_AIR_HU and _is_spike(scan, lowest, 1)
    high_cut = highest < _SATURATION_HU and _is_spike(scan, highest, -1)
    return lowest if low_cut else None, highest if high_cut else None


def _window_issues(scan: ScanSummary) -> Iterator[Issue]:
    low_cut, high_cut = (limit is not None for limit in clip_limits(scan))
    if low_cut or high_cut:
        lowest, highest = scan.ends
        low, high = scan.fraction(lowest, lowest), scan.fraction(highest, highest)
        message = (
            f"values end abruptly at {lowest} ({low:.1%} of the voxels) and {highest} ({high:.2%}): they were clipped"
        )
        harmful = low_cut or highest < _CUT_BONE_HU
        hint = "use the image from before windowing" if harmful else "no action is needed for liver and spleen"
        yield finding("warning" if harmful else "note", "LS-IMG-012", message, hint)


def _is_synthetic(scan: ScanSummary) -> bool:
    return int(np.count_nonzero(scan.histogram)) <= _SYNTHETIC


def _is_spike(scan: ScanSummary, value: int, inwards: int) -> bool:
    """Whether the lowest or highest value has far more voxels than the values next to it."""
    first, last = sorted((value + inwards, value + inwards * _NEIGHBOURS_HU))
    offset = scan.histogram.size // 2
    usual = float(np.median(scan.histogram[first + offset : last + offset + 1]))
    at_end = scan.count(value, value)
    return at_end > max(_SPIKE_VOXELS, 1e-5 * scan.voxels) and at_end > _SPIKE * max(usual, 1.0)


def _slice_issues(scan: ScanSummary) -> Iterator[Issue]:
    flat = scan.flat
    filled = np.flatnonzero(~flat)
    inside = np.flatnonzero(flat[filled[0] : filled[-1]]) + filled[0]
    if inside.size:
        message = f"number of slices with a single value within the scan is {inside.size} ({_slices(inside)})"
        yield finding("warning", "LS-IMG-016", message, "convert the image from its source again")
    elif flat.any():
        message = f"number of slices with a single value at the ends of the scan is {int(flat.sum())}"
        yield finding("note", "LS-IMG-016", message, "no action is needed: they are padding")
    copies = np.array(scan.copies, np.intp)
    if copies.size and not _is_synthetic(scan):
        message = f"{copies.size} of {flat.size} slices are copies of another slice ({_slices(copies)})"
        yield finding("warning", "LS-IMG-017", message, "convert the image from its source again, with each slice once")
    else:
        yield from _jump_issues(scan, flat)


def _jump_issues(scan: ScanSummary, flat: NDArray[np.bool_]) -> Iterator[Issue]:
    """Yield LS-IMG-019 if adjacent slices differ too much: slices are missing, or their order is wrong."""
    image = np.flatnonzero(~(flat[:-1] | flat[1:]))  # not from or to a blank slice
    steps = slice_steps(scan)[image]
    if steps.size < 8:  # too few for a usual difference
        return
    usual = np.array([np.median(np.delete(steps[max(i - 4, 0) : i + 5], min(i, 4))) for i in range(steps.size)])
    jumps = image[steps > _JUMP * np.maximum(usual, 1.0)]
    alternating = float(np.median(steps) / max(float(np.median(slice_steps(scan, lag=2))), 1.0))
    if jumps.size or alternating > _ALTERNATING:
        message = f"the image jumps between slices {_slices(jumps)} and the next" if jumps.size else ""
        message = message or f"difference to the next slice is {alternating:.2g} times that to the second next slice"
        yield finding("warning", "LS-IMG-019", message, "check whether slices are missing or in wrong order")


def slice_steps(scan: ScanSummary, *, lag: int = 1) -> NDArray[np.float64]:
    """Return the mean absolute difference (HU clipped to -1000 to 400) of each slice and the `lag`-th next."""
    capped = scan.coarse.clip(-1000, 400)
    differences: NDArray[np.float64] = np.abs(capped[lag:] - capped[:-lag]).mean(axis=(1, 2))
    return differences


def _slices(found: NDArray[np.intp]) -> str:
    """Return the numbers of the first five slices; 0 is the most inferior one."""
    return ", ".join(map(str, found[:5])) + (", …" if found.size > 5 else "")
