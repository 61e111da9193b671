"""The CT of a DICOM segmentation: by source images, else by frame of reference and grid, else by series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from liverspleen.errors import counted
from liverspleen.imaging.dicom.header import DAMAGED, open_header, text
from liverspleen.imaging.dicom.placement import place
from liverspleen.imaging.dicom.quiet import quiet
from liverspleen.imaging.dicom.segmentation import Segmentation
from liverspleen.imaging.dicom.series import Reason, Series

CONTRADICTION, SEVERAL_SERIES = "LS-DCM-072", "LS-DCM-073"


@dataclass(frozen=True)
class SourceImages:
    """UIDs of a series that segmentations refer to; private, so `repr` omits them.

    `instance_uids` are in the order of the slices, "" if not stated. `frame_of_reference_uid` is "" if the files
    state none, or several.
    """

    series: Series = field(repr=False)
    instance_uids: tuple[str, ...] = field(repr=False)
    frame_of_reference_uid: str = field(repr=False)


@dataclass(frozen=True)
class Match:
    """The series that a segmentation belongs to; several or none only with the reason in `issue`.

    Without a series and without an issue, its CT is not in the input.
    """

    series: tuple[Series, ...]
    issue: Reason | None = None


def source_images(series: Series) -> SourceImages:
    """Read the UIDs of the files of a series; files that cannot be read state none."""
    stated = [_uids(path) for path in series.files]
    frames = {frame for _, frame in stated if frame}
    return SourceImages(
        series, tuple(stated[file][0] for file, _ in series.places), frames.pop() if len(frames) == 1 else ""
    )


def match_series(segmentation: Segmentation, images: Sequence[SourceImages]) -> Match:
    """Return the series of a segmentation, from its header.

    The first of these that finds a series decides: source images of the frames; instances of ReferencedSeriesSequence;
    its series; and, if the segmentation states none of them, frame of reference and grid. If that finds several series,
    grid and ReferencedSeriesSequence select among them. LS-DCM-072: what the segmentation states about its series is
    contradictory. LS-DCM-073: several series remain.
    """
    by_grid = _on_grid(segmentation, images)
    by_series = [image for image in images if image.series.series_uid in segmentation.referenced_series]
    found = _with_instances(segmentation.source_uids, images)
    found = found or _with_instances(segmentation.referenced_uids, images) or by_series
    if not segmentation.source_uids | segmentation.referenced_uids | segmentation.referenced_series:
        found = by_grid
    for narrower in (by_grid, by_series):
        if len(found) > 1:
            found = [image for image in found if image in narrower] or found
    if len(found) > 1:
        message = f"segmentation refers to {counted(len(found), 'CT series', 'CT series')}, expected one"
        return Match(_series(found), Reason(SEVERAL_SERIES, message))
    return Match(_series(found), _contradiction(segmentation, found[0]) if found else None)


def _contradiction(segmentation: Segmentation, image: SourceImages) -> Reason | None:
    named = segmentation.referenced_series
    frames = {segmentation.frame_of_reference_uid, image.frame_of_reference_uid} - {""}
    if len(frames) > 1:
        return Reason(CONTRADICTION, "FrameOfReferenceUID differs from that of the CT with the source images")
    if named and image.series.series_uid and image.series.series_uid not in named:
        return Reason(CONTRADICTION, "ReferencedSeriesSequence names another series than that of the source images")
    return None


def _on_grid(segmentation: Segmentation, images: Sequence[SourceImages]) -> list[SourceImages]:
    """Return the series in the frame of reference whose voxels hold the most frames of the segmentation."""
    counts = [_placed(segmentation, image) for image in images]
    most = max(counts, default=0)
    return [image for image, count in zip(images, counts, strict=True) if count == most > 0]


def _placed(segmentation: Segmentation, image: SourceImages) -> int:
    geometry, stated = image.series.geometry, segmentation.frame_of_reference_uid
    if geometry is None or not stated or stated != image.frame_of_reference_uid:
        return 0
    if segmentation.has_contours:
        return 1  # contours are no pixels of a grid
    return sum(place(plane, geometry) is not None for plane in segmentation.planes)


def _with_instances(uids: frozenset[str], images: Iterable[SourceImages]) -> list[SourceImages]:
    return [image for image in images if uids & set(image.instance_uids)]


def _series(images: Iterable[SourceImages]) -> tuple[Series, ...]:
    return tuple(image.series for image in images)


def _uids(path: Path) -> tuple[str, str]:
    try:
        with quiet():
            header = open_header(path, ("SOPClassUID", "Modality", "SOPInstanceUID", "FrameOfReferenceUID"))
        return text(header, "SOPInstanceUID"), text(header, "FrameOfReferenceUID")
    except DAMAGED:
        return "", ""
