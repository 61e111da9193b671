"""Values that are not HU: the cause, from the histogram of a CT.

Air and soft tissue are the two main values of a CT, about 1000 HU apart, with air outside the body. The causes are
tried in the order of their evidence; the last ones state only what no CT in HU has.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from liverspleen.cohort.findings.scan import ScanSummary, finding
from liverspleen.errors import Issue
from liverspleen.imaging.label_map_values import looks_like_label_map

_INT16 = np.iinfo(np.int16)
_FEW_VALUES = 20  # 0 to 1, -1 to 1 or z-scores, after rounding to whole HU
_BYTES = ((0, 255), (-128, 127))
_TISSUE_HU = (-150, 200)  # fat, muscle and organs: a fifth or more of the voxels of a scan of the trunk
_AIR_HU = (-1100, -900)
_PEAK = 0.1  # a scan of the trunk has more air outside the body, and more soft tissue
_CLEARER = 3.0  # times the evidence for values without an offset
_LEAST_SHIFT_HU = 500  # errors of the intercept are larger; lung and contrast medium look like air and tissue below it
_INTERCEPTS = (1024, -1024, 2048, -2048, 4096, -4096, 8192, -8192, 32768, -32768)
_NEAR_HU = 130
_MOSTLY = 0.8  # soft tissue without air, in a CT cropped to the body
_NO_TISSUE = 0.01
_PARTIAL_HU = (-600, -200)  # between lung and fat: edges only, except in dense lungs
_PARTIAL_RATIO = 2.0
_NEGATIVE_HU = -5  # below noise around 0
_NO_AIR = 0.005  # fat, lung or air are 5 % or more of any CT
_BELOW_AIR_HU = -1151
_MUCH_BELOW = 0.1  # besides the padding, which has a few values
_PADDINGS = 3
_DENSE_HU = 700  # bone and metal are below 10 % even of a head
_MUCH_DENSE = 0.2
_FACTORS = (10.0, 0.1, 0.01)
_WRAPPED = 0.01
_AGAIN = "convert the image from its source again, in HU"


def scale_issues(scan: ScanSummary) -> Iterator[Issue]:
    """Yield the errors LS-IMG-010, 013, 014, 018, 040, 041 and 042 about values that are not HU, best cause first."""
    lowest, highest = scan.ends
    if scan.flat.all():
        constant = f"all voxels have the value {lowest}" if lowest == highest else "each slice has a single value"
        message = f"{constant}, rounded to whole HU"
        yield finding("error", "LS-IMG-010", message, "give the file of the CT, with values in HU")
        return
    if _is_label_map(scan):
        message = f"{np.count_nonzero(scan.histogram)} whole numbers from 0 to {highest}, mostly 0, are a label map"
        yield finding("error", "LS-IMG-041", message, "give the CT as image, and this file as label")
    if highest - lowest <= _FEW_VALUES or (lowest >= 0 and highest <= _BYTES[0][1]) or (lowest, highest) in _BYTES:
        kind = "normalised" if highest - lowest <= _FEW_VALUES else "8-bit grey"
        message = f"values from {lowest} to {highest} are {kind} values, expected HU"
        yield finding("error", "LS-IMG-014", message, f"{_AGAIN} and without scaling")
    yield from _factor_issues(scan)
    yield from _shift_issues(scan)
    yield from _wrap_issues(scan)
    if reason := next(_impossible(scan), ""):
        message = f"values from {lowest} to {highest} are not HU: {reason}"
        yield finding("error", "LS-IMG-040", message, f"{_AGAIN}, or exclude it if it is not a CT")


def _is_label_map(scan: ScanSummary) -> bool:
    return not scan.fractional and looks_like_label_map(scan.coarse)


def _factor_issues(scan: ScanSummary) -> Iterator[Issue]:
    for factor in _FACTORS if scan.fraction(_INT16.min, _INT16.min) < _PEAK else ():
        air, tissue = (_scaled(limits, factor) for limits in (_AIR_HU, _TISSUE_HU))
        if min(scan.fraction(*air), scan.fraction(*tissue)) < _PEAK:
            continue
        if factor > 1:  # padding far below air has no values between it and air
            fits = scan.fraction(air[1] + 1, tissue[0]) > _NO_TISSUE and scan.fraction(*_AIR_HU) < 2 * _PEAK
        else:
            padding = scan.fraction(lowest, lowest) if (lowest := scan.ends[0]) < air[0] else 0.0
            fits = scan.fraction(air[0], tissue[1]) > 0.85 * (1 - padding)
        if fits:
            message = f"air and soft tissue are near {-1000 * factor:g} and 0: the values are HU times {factor:g}"
            yield finding("error", "LS-IMG-040", message, f"divide every voxel by {factor:g}, and save the file again")


def _scaled(limits: tuple[int, int], factor: float) -> tuple[int, int]:
    return int(np.floor(limits[0] * factor)), int(np.ceil(limits[1] * factor))


def _shift_issues(scan: ScanSummary) -> Iterator[Issue]:
    """Yield LS-IMG-013 or LS-IMG-018 if two values are 1000 HU apart, but are not those of air and soft tissue."""
    shift = _shift(scan)
    if shift is not None and _is_inverted(scan, shift):
        message = f"air is near {shift:.0f} HU and soft tissue near {shift - 1000:.0f} HU: the values are inverted"
        yield finding("error", "LS-IMG-018", message, f"{_AGAIN} and with the right sign of its slope")
        return
    if shift is None:
        shift = _shift_without_air(scan)
    if shift is None:
        return
    known = min(_INTERCEPTS, key=lambda intercept: abs(intercept - shift))
    if abs(known - shift) > _NEAR_HU:
        message = f"soft tissue is near {shift:.0f} HU, expected near 0: the values have an offset"
        yield finding("error", "LS-IMG-013", message, f"{_AGAIN} and with its intercept")
        return
    cause = {1024: "the intercept was not applied", -1024: "the intercept was applied twice"}
    found = _peak(scan, _TISSUE_HU, known)
    message = (
        f"soft tissue is near {known} HU ({found:.0%} of the voxels), expected near 0: "
        f"{cause.get(known, 'the values have an offset')}"
    )
    change = f"subtract {known} from" if known > 0 else f"add {-known} to"
    yield finding("error", "LS-IMG-013", message, f"{change} every voxel and save the file again")


def _peak(scan: ScanSummary, limits: tuple[int, int], shift: int) -> float:
    return scan.fraction(limits[0] + shift, limits[1] + shift)


def _shift(scan: ScanSummary) -> int | None:
    """Return by how much air and soft tissue are shifted; None if they are not, or cannot be found."""
    shifts = np.arange(-32000, 33024, 8)
    evidence = np.minimum(*(_fractions(scan, limits, shifts) for limits in (_AIR_HU, _TISSUE_HU)))
    best = float(evidence.max())
    unshifted = min(scan.fraction(*_AIR_HU), scan.fraction(*_TISSUE_HU))
    shift = int(np.median(shifts[evidence >= 0.9 * best]))
    clear = best > max(_PEAK, _CLEARER * unshifted) and abs(shift) >= _LEAST_SHIFT_HU
    # without the shift, only air may be where soft tissue is expected
    hidden = abs(shift) < 1300 or _CLEARER * scan.fraction(*_TISSUE_HU) < _peak(scan, _TISSUE_HU, shift)
    return shift if clear and hidden else None


def _shift_without_air(scan: ScanSummary) -> int | None:
    """As `_shift` for a CT cropped to the body, and the usual intercept only."""
    if _peak(scan, _TISSUE_HU, 1024) > _MOSTLY:
        return 1024
    if _peak(scan, _TISSUE_HU, -1024) > _MOSTLY and scan.fraction(*_TISSUE_HU) < _NO_TISSUE:
        return -1024
    return None


def _fractions(scan: ScanSummary, limits: tuple[int, int], shifts: NDArray[np.int64]) -> NDArray[np.float64]:
    low, high = (scan.below(limit + shifts) for limit in (limits[0], limits[1] + 1))
    found: NDArray[np.float64] = (high - low) / scan.voxels
    return found


def _is_inverted(scan: ScanSummary, shift: int) -> bool:
    """Whether the higher of both values is farther from the middle of the slices: air is outside the body."""
    rows, columns = (np.abs(np.linspace(-1, 1, size)) for size in scan.coarse.shape[1:])
    outward = np.maximum(rows[:, None], columns)
    dark, bright = (
        float((np.mean((scan.coarse >= low + shift) & (scan.coarse <= high + shift), axis=0) * outward).sum())
        / _peak(scan, (low, high), shift)
        for low, high in (_AIR_HU, _TISSUE_HU)
    )
    return bright > dark


def _wrap_issues(scan: ScanSummary) -> Iterator[Issue]:
    top = scan.fraction(32767, 32767)
    if top > _WRAPPED and scan.fraction(5000, 32766) < 0.1 * top:
        message = f"{top:.0%} of the voxels are 32767 or more, and none are between bone and them: signs were lost"
        yield finding("error", "LS-IMG-042", message, f"{_AGAIN}, as signed 16-bit integers")


def _impossible(scan: ScanSummary) -> Iterator[str]:
    """Yield what no CT in HU has."""
    tissue = scan.fraction(*_TISSUE_HU)
    if scan.fraction(-32768, _NEGATIVE_HU) < _NO_AIR:
        yield "almost no voxel is negative, as fat, lung and air are"
    if tissue < _NO_TISSUE or scan.fraction(*_PARTIAL_HU) > _PARTIAL_RATIO * tissue:
        yield f"{tissue:.1%} of the voxels have the values of soft tissue"
    values = scan.histogram[: _BELOW_AIR_HU + 1 - _INT16.min]
    spread = float(values.sum() - np.partition(values, -_PADDINGS)[-_PADDINGS:].sum()) / scan.voxels
    if spread > max(_MUCH_BELOW, 2 * scan.fraction(*_AIR_HU)):
        yield f"{spread:.0%} of the voxels are below air, padding not included"
    if (dense := scan.fraction(_DENSE_HU, 32767)) > _MUCH_DENSE:
        yield f"{dense:.0%} of the voxels are denser than bone"
