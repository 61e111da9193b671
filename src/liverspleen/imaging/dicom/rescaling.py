"""Whether the pixels of a series are HU, by its headers: reasons for exclusion, and warnings."""

from __future__ import annotations

import math
from collections.abc import Sequence

from liverspleen.imaging.dicom.header import Instance
from liverspleen.imaging.dicom.pixel_values import AIR_HU
from liverspleen.imaging.dicom.series import Reason
from liverspleen.imaging.dicom.stack import CORRECT

NO_RESCALE, NOT_A_NUMBER, TABLE, INCOMPLETE = "LS-DCM-023", "LS-DCM-050", "LS-DCM-051", "LS-DCM-052"
UNEVEN, UNSIGNED, OTHER_UNIT = "LS-DCM-053", "LS-DCM-054", "LS-DCM-055"
NOT_MONOCHROME2, BITS, PADDING = "LS-DCM-056", "LS-DCM-057", "LS-DCM-059"

_OTHER_UNITS = ("OD", "MGML", "Z_EFF", "ED", "EDW", "PCT")
"""Values of RescaleType that state a quantity other than HU (PS3.3, C.11.1.1.2); US states none."""

_FIELDS = (("RescaleSlope", "slope"), ("RescaleIntercept", "intercept"))
_ADD = "add the rescaling of the scanner to the headers, or convert the series to NIfTI in HU"


def value_exclusions(instances: Sequence[Instance]) -> list[Reason]:
    """Return the reasons why pixel values cannot be converted to HU."""
    total = len(instances)
    found = [
        Reason(NOT_A_NUMBER, f"{keyword} is not a finite number in {number} of {total} slices", CORRECT)
        for keyword, name in _FIELDS
        if (number := sum(math.isnan(getattr(i.rescaling, name) or 0.0) for i in instances))
    ]
    if tables := sum(i.rescaling.has_table for i in instances):
        message = f"{tables} of {total} slices have a ModalityLUTSequence, which gives no HU, expected RescaleSlope"
        found.append(Reason(TABLE, message, "convert the series to NIfTI in HU with a program that applies the table"))
    if units := [i.rescaling.unit for i in instances if i.rescaling.unit in _OTHER_UNITS]:
        message = f"RescaleType is {units[0]} in {len(units)} of {total} slices, expected HU"
        found.append(Reason(OTHER_UNIT, message, "export the series in HU"))
    if other := sum(i.photometric not in ("", "MONOCHROME2") for i in instances):
        message = f"PhotometricInterpretation is not MONOCHROME2 in {other} of {total} slices"
        found.append(Reason(NOT_MONOCHROME2, message, "convert the series to MONOCHROME2"))
    if wrong := sum(not _bits_agree(i) for i in instances):
        message = f"BitsAllocated, BitsStored and HighBit are missing or contradict each other in {wrong} of {total}"
        found.append(Reason(BITS, f"{message} slices", CORRECT))
    return found or _missing_exclusions(instances)


def value_warnings(instances: Sequence[Instance]) -> list[Reason]:
    """Return the warnings about the values of a usable series."""
    total = len(instances)
    unstated = sum(i.rescaling.slope is None and i.rescaling.intercept is None for i in instances)
    if unstated:
        message = f"no rescaling is stated in {unstated} of {total} slices; stored values are used as HU"
        found = [Reason(NO_RESCALE, message)]
    else:
        found = _incomplete_warnings(instances)
    if any(i.rescaling.unit not in ("", "HU") for i in instances):
        found.append(Reason(NO_RESCALE, "RescaleType is not HU; values are used as HU"))
    if any(i.padding is not None and i.padding.highest_hu(i.rescaling) > AIR_HU for i in instances):
        message = f"PixelPaddingValue stands for more than {AIR_HU} HU; such pixels at the border of a slice"
        found.append(Reason(PADDING, f"{message} are read as {AIR_HU} HU"))
    return found


def _incomplete_warnings(instances: Sequence[Instance]) -> list[Reason]:
    """Return the warnings about fields of which one is missing, or whose slope is 0."""
    total = len(instances)
    counts = {
        "RescaleSlope is missing": (sum(i.rescaling.slope is None for i in instances), 1),
        "RescaleSlope is 0": (sum(i.rescaling.slope == 0 for i in instances), 1),
        "RescaleIntercept is missing": (sum(i.rescaling.intercept is None for i in instances), 0),
    }
    return [
        Reason(INCOMPLETE, f"{what} in {number} of {total} slices, and read as {value}")
        for what, (number, value) in counts.items()
        if number
    ]


def _missing_exclusions(instances: Sequence[Instance]) -> list[Reason]:
    """Return the reasons why missing fields of the rescaling, or a slope of 0, have no clear meaning."""
    incomplete = [i for i in instances if not i.rescaling.slope or i.rescaling.intercept is None]
    if incomplete and len({i.rescaling.factors for i in instances}) > 1:
        message = f"rescaling is incomplete in {len(incomplete)} of {len(instances)} slices, and others state another"
        return [Reason(UNEVEN, f"{message} RescaleSlope or RescaleIntercept", _ADD)]
    if unsigned := sum(i.rescaling.intercept is None and not i.signed for i in instances):
        message = f"RescaleIntercept is missing in {unsigned} of {len(instances)} slices with unsigned pixels"
        return [Reason(UNSIGNED, f"{message}, which cannot hold the negative HU of air", _ADD)]
    return []


def _bits_agree(instance: Instance) -> bool:
    """Return whether pixels are the lowest BitsStored bits; programs disagree about other positions (HighBit)."""
    allocated, stored, high = instance.bits
    return 0 < stored <= allocated and high == stored - 1
