"""Findings about voxel values that are not HU, and about empty, copied or misplaced slices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from liverspleen.cohort.findings.scan import ScanSummary, finding
from liverspleen.errors import Issue

SCALE_CODES = frozenset({"LS-IMG-012", "LS-IMG-013", "LS-IMG-014", "LS-IMG-018"})
"""Findings that give the cause of unlikely values and replace the general LS-IMG-011."""

_FEW_VALUES = 20  # 0 to 1, -1 to 1 or z-scores, after rounding to whole HU
_BYTE = 255
_TISSUE_HU = (-150, 200)  # fat, muscle and organs: a fifth or more of the voxels of a scan of the trunk
_NO_TISSUE = 0.01
_SHIFT_HU = 1024  # the intercept of most scanners: not applied, or applied twice
_AIR_HU = (-1100, -900)
_INVERTED_HU = (900, 1100)
_INVERTED_BONE_HU = (-900, -200)
_BEYOND_AIR_HU = (1150, 1900)  # bone and contrast medium if 1024 was added, nothing in an inverted image
_MUCH = 0.05  # bone at 900 to 1200 HU is below 2 % of a scan of the trunk
_SPIKE = 8  # times the median count of the neighbouring values; tails of a histogram without clipping are flat
_SPIKE_VOXELS = 20
_NEIGHBOURS_HU = 50
_CUT_AIR_HU, _CUT_BONE_HU = -900, 600  # a minimum above, or a maximum below, means clipped air, or bone and contrast
_SATURATION_HU = 2900  # 12 bits end at 3071, or at 3000 in some exports
_PADDING_HU = -1100  # reconstructed air is -1000 with noise
_PADDING_FRACTION = 0.001
_ALTERNATING = 1.5  # adjacent slices are the most similar, unless two series are interleaved
_JUMP = 2.5  # times the usual difference of adjacent slices; the dome of the diaphragm reaches 1.7 in thick slices


def intensity_issues(scan: ScanSummary) -> Iterator[Issue]:
    """Yield LS-IMG-012 to 019 about a CT; a constant CT (LS-IMG-010) has none."""
    lowest, highest = scan.ends
    if lowest == highest:
        return
    scale = next(_scale_issues(scan), None)
    if scale is not None:
        yield scale
    elif lowest < _PADDING_HU and scan.fraction(lowest, lowest) > _PADDING_FRACTION:
        message = f"padding with the value {lowest} in {scan.fraction(lowest, lowest):.1%} of the voxels"
        yield finding("note", "LS-IMG-015", message, "no action is needed: the value is below every intensity window")
    yield from _slice_issues(scan)


def _scale_issues(scan: ScanSummary) -> Iterator[Issue]:
    """Yield the possible causes of unlikely values, the most likely one first."""
    lowest, highest = scan.ends
    if highest - lowest <= _FEW_VALUES or (lowest >= 0 and highest <= _BYTE):
        kind = "normalised" if highest - lowest <= _FEW_VALUES else "8-bit grey"
        message = f"values from {lowest} to {highest} are {kind} values, expected HU"
        yield finding("error", "LS-IMG-014", message, "convert the image from its source again, without scaling")
    air_is_above = scan.fraction(*_INVERTED_HU) > 2 * _MUCH and scan.fraction(*_AIR_HU) < _NO_TISSUE
    if air_is_above and scan.count(*_BEYOND_AIR_HU) < scan.count(*_INVERTED_BONE_HU):
        message = f"{scan.fraction(*_INVERTED_HU):.0%} of the voxels are near 1000, none near -1000: signs are inverted"
        yield finding("error", "LS-IMG-018", message, "convert the image from its source again")
    for shift, cause in ((_SHIFT_HU, "the intercept was not applied"), (-_SHIFT_HU, "the intercept was applied twice")):
        fraction = scan.fraction(_TISSUE_HU[0] + shift, _TISSUE_HU[1] + shift)
        # shifted up, air has the values of tissue; shifted down, tissue has the values of air
        hidden = scan.fraction(*_AIR_HU) < fraction if shift > 0 else scan.fraction(*_TISSUE_HU) < _NO_TISSUE
        if fraction > _MUCH and hidden:
            message = f"soft tissue is near {shift} HU ({fraction:.0%} of the voxels), expected near 0: {cause}"
            yield finding("error", "LS-IMG-013", message, f"subtract {shift} from the values")
    yield from _window_issues(scan)


def _window_issues(scan: ScanSummary) -> Iterator[Issue]:
    lowest, highest = scan.ends
    low_cut = lowest > _CUT_AIR_HU and _is_spike(scan, lowest, 1)
    high_cut = highest < _SATURATION_HU and _is_spike(scan, highest, -1)
    if low_cut or high_cut:
        low, high = scan.fraction(lowest, lowest), scan.fraction(highest, highest)
        message = (
            f"values end abruptly at {lowest} ({low:.1%} of the voxels) and {highest} ({high:.2%}): they were clipped"
        )
        harmful = low_cut or highest < _CUT_BONE_HU
        hint = "use the image from before windowing" if harmful else "no action is needed for liver and spleen"
        yield finding("warning" if harmful else "note", "LS-IMG-012", message, hint)


def _is_spike(scan: ScanSummary, value: int, inwards: int) -> bool:
    """Whether the lowest or highest value has far more voxels than the values next to it."""
    first, last = sorted((value + inwards, value + inwards * _NEIGHBOURS_HU))
    offset = scan.histogram.size // 2
    usual = float(np.median(scan.histogram[first + offset : last + offset + 1]))
    at_end = scan.count(value, value)
    return at_end > max(_SPIKE_VOXELS, 1e-5 * scan.voxels) and at_end > _SPIKE * max(usual, 1.0)


def _slice_issues(scan: ScanSummary) -> Iterator[Issue]:
    flat = scan.lowest == scan.highest
    filled = np.flatnonzero(~flat)
    inside = np.flatnonzero(flat[filled[0] : filled[-1]]) + filled[0]
    if inside.size:
        message = f"number of slices with a single value within the scan is {inside.size} ({_slices(inside)})"
        yield finding("warning", "LS-IMG-016", message, "convert the image from its source again")
    elif flat.any():
        message = f"number of slices with a single value at the ends of the scan is {int(flat.sum())}"
        yield finding("note", "LS-IMG-016", message, "no action is needed: they are padding")
    copies = _copies(scan.checksums, flat)
    if copies.size:
        message = f"{copies.size} of {flat.size} slices are copies of another slice ({_slices(copies)})"
        yield finding("warning", "LS-IMG-017", message, "convert the image from its source again, with each slice once")
    else:
        yield from _jump_issues(scan, flat)


def _copies(checksums: tuple[int, ...], flat: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the slices that are equal to an earlier one, by CRC-32.

    The chance that two different slices of a scan with 1000 slices have the same CRC-32 is about 1e-4.
    """
    seen: set[int] = set()
    copies = []
    for index, checksum in enumerate(checksums):
        if not flat[index] and checksum in seen:
            copies.append(index)
        seen.add(checksum)
    return np.array(copies, np.intp)


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
    """Return the mean absolute difference (HU clipped to -1000 to 400) of each `coarse` slice and the `lag`-th next."""
    capped = [plane.clip(-1000, 400).astype(np.float32) for plane in scan.coarse]
    return np.array([float(np.abs(b - a).mean()) for a, b in zip(capped[:-lag], capped[lag:], strict=True)])


def _slices(found: NDArray[np.intp]) -> str:
    """Return the numbers of the first five slices; 0 is the most inferior one."""
    return ", ".join(map(str, found[:5])) + (", …" if found.size > 5 else "")
