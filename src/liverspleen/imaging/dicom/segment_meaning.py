"""Organs of the segments of a DICOM segmentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from liverspleen.imaging.dicom.header import integer, text
from liverspleen.imaging.dicom.segmentation_frames import items
from liverspleen.organs import ORGANS, Structure

CODES: Mapping[tuple[str, str], Structure] = {
    code: organ
    for organ in ORGANS
    for code in (("SCT", organ.facts.sct), ("SRT", organ.facts.srt), ("SNM3", organ.facts.srt))
}
"""Organs by coding scheme and value of the segmented property type: SNOMED CT, and SNOMED-RT from before 2018.

SNM3, the older name of SNOMED-RT, has the same values.
"""

_SNOMED = ("SCT", "SRT", "SNM3")
_UNSPECIFIC = ("85756007", "T-D0050", "113343008")  # tissue, tissue, organ: defaults of editors


def meaning_of(segment: Any) -> Structure | None:
    """Return the organ of an item of a SegmentSequence; None if it is unknown."""
    types = items(segment, "SegmentedPropertyTypeCodeSequence")
    specific = {_code(item) for item in types if _is_specific(item)}
    if specific:  # a tumour with the label "liver" is not a liver
        return CODES.get(specific.pop()) if len(specific) == 1 else None
    return named_organ(text(segment, "SegmentLabel"))


def contradictory_names(header: Any) -> Iterator[str]:
    """Yield a text if label or meaning of a code name another organ than the value of the code."""
    for item in items(header, "SegmentSequence"):
        number, meaning = integer(item, "SegmentNumber"), meaning_of(item)
        names = [(text(item, "SegmentLabel"), "SegmentLabel")] if meaning else []
        types = items(item, "SegmentedPropertyTypeCodeSequence")
        if len({_code(code) for code in types if _is_specific(code)}) > 1:
            yield f"SegmentedPropertyTypeCodeSequence of segment {number} has several codes"
        names += [(text(c, "CodeMeaning"), "CodeMeaning") for c in types if _is_specific(c)]
        for name, keyword in names:
            if (named := named_organ(name)) and named != meaning:
                yield f"{keyword} of segment {number} is {named.key}, CodeValue is not that of {named.key}"


def named_organ(name: str) -> Structure | None:
    """Return the organ with this name, in any letter case."""
    return next((organ for organ in ORGANS if organ.key == name.lower()), None)


def _is_specific(code: Any) -> bool:
    """Whether a code is a SNOMED code other than tissue or organ."""
    scheme, value = _code(code)
    return scheme in _SNOMED and value not in _UNSPECIFIC


def _code(item: Any) -> tuple[str, str]:
    return text(item, "CodingSchemeDesignator"), text(item, "CodeValue")
