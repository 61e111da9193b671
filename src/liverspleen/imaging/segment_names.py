"""Meaning of the segments that the header of a label map names, such as a `.seg.nrrd` of 3D Slicer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from liverspleen.imaging.hounsfield import InputSource
from liverspleen.imaging.layout import Segment
from liverspleen.organs import LABEL_VALUES, ORGAN_KEYS, OWN_VALUES, Structure, listed, organ

Place = tuple[int, int]
"""Layer and voxel value of a segment."""


def organ_segments(segments: Iterable[Segment]) -> dict[Place, Structure]:
    """Return the segments with the name of an organ, in any letter case.

    >>> organ_segments([Segment("Liver", 1), Segment("tumour", 2), Segment("spleen", 1, layer=1)])
    {(0, 1): <Structure.LIVER: 1>, (1, 1): <Structure.SPLEEN: 2>}
    """
    named = ((segment, segment.name.strip().lower()) for segment in segments)
    return {(segment.layer, segment.value): organ(name) for segment, name in named if name in ORGAN_KEYS}


def segment_meaning(
    source: InputSource, segments: Sequence[Segment], layers: int, values: Mapping[int, Structure] | None
) -> dict[Place, Structure]:
    """Return the organ of each segment: by their names, or by `values` if no segment has the name of an organ.

    Raises:
        InputError: LS-LAB-056 `values` contradict the names, LS-LAB-057 no segment is an organ, or two segments have
            the same voxel value in one layer, or a layer that the file does not have.
    """
    places = [(segment.layer, segment.value) for segment in segments]
    if len({*places}) < len(places) or any(layer >= layers for layer, _ in places):
        message = "segments of the file have the same label value, or a layer that it does not have"
        raise source.error("LS-LAB-057", message, "export the segmentation again")
    found = organ_segments(segments)
    asked = {(0, value): structure for value, structure in (values or {}).items()}
    if found and values is not None:
        here = {structure for place, structure in found.items() if asked.get(place) == structure}
        if any(found.get(place, structure) != structure for place, structure in asked.items()) or any(
            structure in found.values() and structure not in here for structure in asked.values()
        ):
            message = f"label values give {_text(asked)}, but the segments of the file are {_text(found)}"
            raise source.error(
                "LS-LAB-056", message, "remove label_values= (or reference_values=), or rename the segments"
            )
    if found:
        return found
    if values is None or layers > 1:
        message = f"no segment of the file is named {listed('or')}"
        hint = "rename the segments" if layers > 1 else "rename the segments, or give label_values= with their values"
        raise source.error("LS-LAB-057", message, hint)
    return asked


def own_values(asked: bool, values: Mapping[int, Structure] | None) -> Mapping[int, Structure] | None:
    """Return label values that an option asks for, also those of liverspleen; None if it asks for none."""
    return (LABEL_VALUES[OWN_VALUES] if values is None else values) if asked else values


def _text(meaning: Mapping[Place, Structure]) -> str:
    return ", ".join(f"{value} {structure.key}" for (_, value), structure in sorted(meaning.items())) or "no organ"
