"""Label maps of DICOM series: DICOM segmentations by their references, NIfTI files by their names."""

from __future__ import annotations

import filecmp
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from liverspleen.cohort.layouts.segment_labels import (
    SegmentLabels,
    Values,
    descriptions,
    repeated_organs,
    structures_of,
)
from liverspleen.cohort.layouts.source import NO_LABEL_USED, LabelSource, Request, nifti_labels
from liverspleen.errors import InputError, Issue, counted
from liverspleen.imaging.dicom import Match, Segmentation, Series, find_segmentations, match_series, source_images
from liverspleen.imaging.files import strip_suffix
from liverspleen.organs import listed

SEGMENTATION = "LS-DCM-016"


@dataclass(frozen=True)
class DicomLabels:
    """Content of `labels=`, and the series of each segmentation; `path` is None without `labels=`."""

    path: Path | None
    values: Values = None
    matches: tuple[tuple[Segmentation, Match], ...] = ()
    instance_uids: Mapping[Series, tuple[str, ...]] | None = None
    rows: tuple[Mapping[str, str], ...] = ()
    """covariates that name segmentations"""

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of all segmentations, without copies."""
        return tuple(item.file for item, _ in self.matches)

    def of(self, request: Request, series: Series, name: str) -> LabelSource | None:
        """Return the label map of a case; None if it has none.

        Raises:
            InputError: LS-IMP-007 label maps in two formats or two files, LS-IMP-025 no segment is an organ, LS-LAB-040
                several segmentations of one organ, with LS-LAB-041 for each, LS-LAB-044 a segmentation that the
                covariates name is not there; the segmentation or its references are contradictory.
        """
        if self.path is None:
            return None
        named = self._named(series, name)
        own = named or self._matching(series)
        file = None if named else _nifti(self.path, name)
        if file is not None and own:
            message = "case has a NIfTI label map and a DICOM segmentation, expected one of them"
            issue = Issue("LS-IMP-007", message, "keep one", file=file)
            raise InputError([issue, *descriptions(own, self.values)])
        if file is not None:
            return nifti_labels(request, [file])[0][file]
        relevant = [item for item in own if structures_of(item, self.values) or (item.exclusions and not item.segments)]
        if invalid := next((item for item in relevant if item.exclusions), None):
            reason = invalid.exclusions[0]
            hint = "export the segmentation again from its source"
            raise InputError(Issue(reason.code, reason.message, hint, file=invalid.file))
        if own and not relevant:
            raise InputError(_without_organ(own[0]))
        if issues := [*repeated_organs(relevant, self.values, series)]:
            raise InputError(issues)
        instances = (self.instance_uids or {}).get(series, ())
        return SegmentLabels(tuple(relevant), self.values, instances) if relevant else None

    def issues(self, sources: Sequence[LabelSource | None], *, failed: bool) -> Iterator[Issue]:
        """Yield the issues of segmentations that are not used, and of organs without frames in those that are.

        `sources` are the label maps of the imported cases. LS-IMP-040: none of them has one, and none has `failed`.
        """
        files = {file for source in sources if source for file in source.files}
        for segmentation, match in self.matches:
            if segmentation.file in files:
                continue
            if not match.series:
                yield _unmatched(segmentation)
            elif not structures_of(segmentation, self.values) and files & self._files_of(match.series):
                yield replace(_without_organ(segmentation), severity="warning")
        for source in sources:
            if isinstance(source, SegmentLabels):
                yield from source.organs_without_frames()
        if self.path is not None and sources and not files and not failed:
            message = "labels= is given, but none of its files is the label map of an imported CT"
            hint = "correct labels= or its file names, or select the labelled series by the covariates"
            yield Issue(NO_LABEL_USED, message, hint)

    def _files_of(self, series: Sequence[Series]) -> set[Path]:
        return {item.file for item, match in self.matches if set(match.series) & set(series)}

    def _matching(self, series: Series) -> list[Segmentation]:
        """Return the segmentations whose references give this series.

        One with contradictory references that the covariates name for another case is not among them.
        """
        own = [(item, match) for item, match in self.matches if series in match.series]
        named = {part for row in self.rows for part in _parts(row)}
        for item, match in own:
            if match.issue is not None and structures_of(item, self.values) and not named & self._names(item):
                hint = "name the segmentation in the column 'segmentation' of the covariates, or remove it from labels="
                issue = Issue(match.issue.code, match.issue.message, hint, file=series.folder)
                raise InputError([issue, *descriptions([item], self.values)])
        return [item for item, match in own if match.issue is None]

    def _named(self, series: Series, name: str) -> list[Segmentation]:
        """Return the segmentations that the covariates name for this case.

        One that belongs to another series is skipped if the row is about all examinations of the patient.
        """
        found: dict[Path, Segmentation] = {}
        missing = 0
        rows = [row for row in self.rows if _applies(row, series, name)]
        for source, part in ((row["source"], part) for row in rows for part in _parts(row)):
            called = [(item, match) for item, match in self.matches if part in self._names(item)]
            own = [item for item, match in called if match.issue or not match.series or series in match.series]
            found |= {item.file: item for item in own}
            missing += not called or (not own and bool(source))
        if missing:
            message = f"covariates name {counted(missing, 'segmentation')} that labels= does not have for this CT"
            hint = "give the path relative to labels=, or a UID of the segmentation, in the column 'segmentation'"
            raise InputError(Issue("LS-LAB-044", message, hint, file=series.folder))
        return list(found.values())

    def _names(self, item: Segmentation) -> set[str]:
        """Return what the covariates may call a segmentation: its path relative to `labels=`, and its UIDs."""
        assert self.path is not None
        root = self.path if self.path.is_dir() else self.path.parent
        return {item.file.relative_to(root).as_posix(), *item.uids} - {""}


def find_labels(request: Request, found: Sequence[Series]) -> tuple[DicomLabels, list[Issue]]:
    """Return the content of `labels=`; without it, a note about the segmentations in the input.

    Raises:
        InputError: LS-IMP-001 `labels=` does not exist.
    """
    if request.labels is None:
        number = sum(
            len(series.files) for series in found if any(item.code == SEGMENTATION for item in series.exclusions)
        )
        unread = "1 DICOM segmentation is" if number == 1 else f"{number} DICOM segmentations are"
        message = f"{unread} not read, because labels= is not given"
        note = Issue("LS-IMP-019", message, "give their folder as labels= if they should be read", severity="note")
        return DicomLabels(None), [note] if number else []
    if not request.labels.exists():
        raise InputError(Issue("LS-IMP-001", "labels= does not exist, expected a folder or a file", "correct the path"))
    folder = request.labels if request.labels.is_dir() else request.labels.parent
    segmentations = find_segmentations(folder)
    if request.labels.is_file():
        segmentations = tuple(item for item in segmentations if item.file == request.labels)
    distinct, notes = _distinct(segmentations)
    ct = [series for series in found if not any(item.code == SEGMENTATION for item in series.exclusions)]
    images = [source_images(series) for series in ct] if distinct else []
    labels = DicomLabels(
        request.labels,
        None if request.meaning is None or request.meaning.by_name else request.meaning.values,
        tuple((item, match_series(item, images)) for item in distinct),
        {image.series: image.instance_uids for image in images},
        tuple(row for row in request.covariate_rows if row.get("segmentation")),
    )
    return labels, notes


def nifti_file(labels: Path) -> Path | None:
    """Return `labels=` if it is one image file."""
    return labels if labels.is_file() and strip_suffix(labels.name) else None


def _distinct(segmentations: Sequence[Segmentation]) -> tuple[list[Segmentation], list[Issue]]:
    """Return the segmentations without copies of a file, and a note about each copy."""
    distinct: list[Segmentation] = []
    notes: list[Issue] = []
    for item in segmentations:
        same = (other for other in distinct if item.uids and other.uids == item.uids)
        if any(filecmp.cmp(item.file, other.file, shallow=False) for other in same):
            message = "segmentation is a copy of another file, and is read once"
            notes.append(Issue("LS-LAB-042", message, "remove the copy", file=item.file, severity="note"))
        else:
            distinct.append(item)
    return distinct, notes


def _without_organ(segmentation: Segmentation) -> Issue:
    message = f"no segment of the segmentation is coded as {listed('or')}"
    hint = "give the meaning of segment numbers by label_values="
    return Issue("LS-IMP-025", message, hint, file=segmentation.file)


def _unmatched(segmentation: Segmentation) -> Issue:
    if segmentation.exclusions:
        reason = segmentation.exclusions[0]
        hint = "export the segmentation again from its source"
        return Issue(reason.code, reason.message, hint, file=segmentation.file)
    named = segmentation.source_uids or segmentation.referenced_uids or segmentation.referenced_series
    message = (
        "segmentation refers to images that are not in the input"
        if named
        else "segmentation refers to no images, and no CT has its frame of reference and grid"
    )
    hint = "add its CT, or name the segmentation in the column 'segmentation' of the covariates"
    return Issue("LS-IMP-006", message, hint, file=segmentation.file, severity="warning")


def _parts(row: Mapping[str, str]) -> list[str]:
    """Return the segmentations that a row of the covariates names."""
    return [part.strip() for part in row["segmentation"].split(";") if part.strip()]


def _applies(row: Mapping[str, str], series: Series, name: str) -> bool:
    """Whether a row of the covariates is about this case, by the rules of `CovariateRow`."""
    if row["series"] and row["series"] not in {series.series_uid, series.description.partition(" ")[0]}:
        return False
    if not row["source"]:
        return row["patient"] == series.patient_key
    return row["source"] == name or (bool(row["series"]) and name.startswith(f"{row['source']}/"))


def _nifti(labels: Path, name: str) -> Path | None:
    """Return the label map of a case: `<name>` below the folder of labels, or `<last part of the name>` in it."""
    if labels.is_file():
        return nifti_file(labels)
    for stem in dict.fromkeys((name, Path(name).name)):
        place = labels / stem
        beside = place.parent.iterdir() if place.parent.is_dir() else ()
        files = sorted(file for file in beside if strip_suffix(file.name) == place.name and file.is_file())
        if len(files) > 1:
            message = f"case has {len(files)} label maps, expected one"
            raise InputError(Issue("LS-IMP-007", message, "keep one", file=file) for file in files)
        if files:
            return files[0]
    return None
