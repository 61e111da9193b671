"""DICOM: all series below a folder; one series of each study is selected, with label maps or DICOM segmentations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from liverspleen.cohort.layouts.series_selection import Selection, select_series
from liverspleen.cohort.layouts.source import (
    Exclusion,
    Found,
    LabelSource,
    NiftiLabels,
    Request,
    SeriesRow,
    SourceCase,
    merged,
    required_label_values,
)
from liverspleen.errors import InputError, Issue, Severity
from liverspleen.imaging.dicom import (
    Segmentation,
    Series,
    count_skipped_links,
    find_segmentations,
    find_series,
    read_segmentation,
    read_series,
)
from liverspleen.imaging.nifti import SUFFIXES
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import Structure, listed, organs


@dataclass(frozen=True)
class SeriesScan:
    """A CT in a DICOM series."""

    series: Series

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of the series."""
        return self.series.files

    def read(self, case_id: str) -> CTVolume:
        """Read the CT."""
        return read_series(self.series, case_id=case_id)


@dataclass(frozen=True)
class SegmentLabels:
    """DICOM segmentations of one series; `values` maps segment numbers to structures and replaces their codes."""

    segmentations: tuple[Segmentation, ...]
    values: Mapping[int, Structure] | None

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of the segmentations."""
        return tuple(segmentation.file for segmentation in self.segmentations)

    @property
    def covered(self) -> tuple[Structure, ...]:
        """Structures that the segments stand for."""
        return organs({s.key for item in self.segmentations for s in _structures(item, self.values)})

    def read(self, case_id: str, ct: CTVolume) -> LabelMap:
        """Read the segments on the grid of the CT; raises LS-IMP-023 if a voxel belongs to two structures."""
        parts = [
            replace(read, covered=_structures(item, self.values))
            for item in self.segmentations
            for read in [read_segmentation(item, ct.geometry, case_id=case_id, values=self.values)]
        ]
        return merged(parts, case_id)


_SEGMENTATION = "LS-DCM-016"
_EXPECTED = frozenset({"LS-DCM-002", "LS-DCM-003", "LS-DCM-004", _SEGMENTATION})
"""Not a CT, localizer, derived, segmentation: series that are excluded although nothing is wrong."""

_LOOK = "check that this is right"
_HINTS = {
    "LS-DCM-020": "give the patient in covariates= if it has further studies",
    "LS-DCM-021": "check that the folder has one series",
    "LS-DCM-022": "check that the series is complete",
    "LS-DCM-023": "check that the values are HU",
}
_REQUEST_CODES = frozenset({"LS-IMP-003", "LS-IMP-004"})
"""Issues of the request, not of one case."""


@dataclass(frozen=True)
class _Labels:
    """Content of `labels=`: NIfTI files are found by name, segmentations by the series that they refer to."""

    path: Path | None
    segmentations: tuple[Segmentation, ...]


def find(request: Request) -> Found:
    """Find the series below the input, and select one of each study by `select_series`.

    Raises:
        InputError: LS-IMP-001 `labels=` does not exist, or is one NIfTI file for several CT scans, LS-IMP-002 there is
            no DICOM series; as `required_label_values`.
    """
    found = find_series(request.input, minimum_slices=request.minimum_slices)
    if not found:
        hint = "check source=, and copy linked files into the folder: links out of it are not followed"
        raise InputError(Issue("LS-IMP-002", "input= has no DICOM series", hint))
    labels, label_notes = _labels(request, found)
    cases: list[SourceCase] = []
    excluded: list[Exclusion] = []
    notes: list[Issue] = []
    rows: dict[Series, SeriesRow] = {}
    with_patient = {row["source"] for row in request.covariate_rows if row["patient"]}
    for item in series_decisions(found, request):
        issue = item.issue
        if issue is None:
            try:
                label_source = _label_source(request, labels, item.series, item.name)
            except InputError as error:
                if error.issues[0].code in _REQUEST_CODES:
                    raise
                issue = error.issues[0]
            else:
                cases.append(item.case(label_source))
                warnings = warnings_of(item.series, item.folder)
                notes += [w for w in warnings if w.code != "LS-DCM-020" or item.name not in with_patient]
                if label_source is None and request.labels is not None:
                    notes.append(_unlabelled(item.folder))
        if issue is not None and issue.severity == "error":
            excluded.append(Exclusion(item.name, issue))
        rows[item.series] = series_row(item.series, key=_key(item.series), issue=issue, reason=item.reason)
    if len(cases) > 1 and request.labels is not None and _nifti(request.labels, "") == request.labels:
        message = f"labels= is one file for {len(cases)} CT scans, expected a folder"
        raise InputError(Issue("LS-IMP-001", message, "give the folder of the label maps"))
    if number := sum(bool(row.code) and row.code != _SEGMENTATION for row in rows.values()):
        message = f"excluded series: {number} of {len(found)}"
        notes.append(Issue("LS-IMP-031", message, "see series.csv for the reason of each", severity="note"))
    notes += [*link_warnings(request.input), *label_notes, *_unmatched(labels.segmentations, found)]
    return Found(tuple(cases), tuple(excluded), tuple(notes), tuple(rows[series] for series in found))


def _unlabelled(folder: Path) -> Issue:
    message = "CT has no label map, neither by its name nor by its series"
    return Issue("LS-IMP-005", message, "add the missing label map", file=folder, severity="warning")


def _unmatched(segmentations: Sequence[Segmentation], found: Sequence[Series]) -> Iterator[Issue]:
    known = {series.series_uid for series in found if series.series_uid}
    for segmentation in segmentations:
        if segmentation.series_uid not in known:
            message = "segmentation refers to a series that is not in the input"
            yield Issue("LS-IMP-006", message, "add its CT", file=segmentation.file, severity="warning")


@dataclass(frozen=True)
class SeriesDecision:
    """A series with the name and folder of its case.

    `issue` is the reason why the series is excluded, None for a selected one; `reason` is why the series of its study
    was selected.
    """

    series: Series
    name: str
    folder: Path
    issue: Issue | None
    reason: str

    def case(self, labels: LabelSource | None = None) -> SourceCase:
        """Return the series as a case of the source."""
        series = self.series
        return SourceCase(
            name=self.name,
            patient=series.patient_key,
            scan=SeriesScan(series),
            labels=labels,
            facts=facts_of(series),
            key=_key(series),
            patient_from_header=bool(series.patient_id or series.study_uid),
            series=f"{series.series_uid}\0{_number(series)}",
        )


def series_decisions(found: Sequence[Series], request: Request) -> Iterator[SeriesDecision]:
    """Yield the decision about each series, study by study, as `select_series` makes it."""
    folders = {series: series.folder for series in found}
    for study in _studies(folders):
        selection = select_series(
            {series: folders[series] for series in study if not series.exclusions}, request.covariate_rows
        )
        names = _names(selection.selected, folders)
        for series in study:
            folder = request.input / folders[series]
            issue = _exclusion(series, selection, folder)
            yield SeriesDecision(series, names.get(series, folders[series]), folder, issue, selection.reason)


def link_warnings(root: Path) -> list[Issue]:
    """Return the warning LS-IMP-033 if links below `root` are not followed."""
    number = count_skipped_links(root)
    links = "1 link is" if number == 1 else f"{number} links are"
    message = f"{links} not followed, expected links to files inside the input"
    hint = "copy the linked files into the input if they are needed"
    return [Issue("LS-IMP-033", message, hint, severity="warning")] if number else []


def series_row(series: Series, *, key: str, issue: Issue | None = None, reason: str = "") -> SeriesRow:
    """Return a row of `series.csv`; a series without an issue is included."""
    spacing = series.geometry.spacing_mm if series.geometry else ()
    if issue is None and series.exclusions:
        code, reason = series.exclusions[0].code, "; ".join(item.message for item in series.exclusions)
    else:
        code, reason = (issue.code, issue.message) if issue else ("", reason or "the only eligible series")
    return SeriesRow(
        key=key,
        code=code,
        reason=reason,
        slices=series.slices,
        matrix=f"{series.rows}x{series.columns}",
        spacing_mm="x".join(f"{edge:.4g}" for edge in spacing),
        slice_thickness_mm="" if series.slice_thickness_mm is None else f"{series.slice_thickness_mm:g}",
        phase=series.phase,
    )


def facts_of(series: Series) -> dict[str, str]:
    """Return the cells of `cohort.csv` that DICOM headers state."""
    thickness = series.slice_thickness_mm
    return {
        "sex": series.sex if series.sex in {"F", "M", "O"} else "",
        "age": f"{series.age:g}" if series.age is not None and 0 <= series.age <= 120 else "",
        "slice_thickness_mm": f"{thickness:g}" if thickness is not None and thickness > 0 else "",
        "phase": series.phase,
    }


def warnings_of(series: Series, folder: Path) -> list[Issue]:
    """Return the warnings about a selected series."""
    return [
        Issue(warning.code, warning.message, _HINTS.get(warning.code, _LOOK), file=folder, severity="warning")
        for warning in series.warnings
    ]


def series_count_issue(found: Sequence[Series], eligible: Sequence[Series]) -> Issue:
    """Return the reason why a folder does not contain exactly one eligible series."""
    if not found:
        return Issue("LS-IMP-029", "folder of the case has no DICOM series", "add the series")
    if eligible:
        message = f"folder has {len(eligible)} eligible series, expected one"
        return Issue("LS-IMP-014", message, "keep one series in the folder")
    reason = found[0].exclusions[0]
    return Issue(reason.code, reason.message, "see series.csv")


def _names(selected: Sequence[Series], folders: Mapping[Series, str]) -> dict[Series, str]:
    """Return the names of selected series: their folders, with their numbers if a folder has several."""
    shared = Counter(folders[series] for series in selected)
    return {
        series: f"{folders[series]}/{_number(series) or index}" if shared[folders[series]] > 1 else folders[series]
        for index, series in enumerate(selected)
    }


def _studies(folders: Mapping[Series, str]) -> Iterable[list[Series]]:
    """Return the series of each study; series of a folder that state no study count as one study."""
    groups: dict[tuple[str, str], list[Series]] = {}
    for series, folder in folders.items():
        groups.setdefault((series.study_uid, "" if series.study_uid else folder), []).append(series)
    return groups.values()


def _exclusion(series: Series, selection: Selection, folder: Path) -> Issue | None:
    """Return the reason why a series of a study is excluded; None if it is selected."""
    if series.exclusions:
        reason = "; ".join(item.message for item in series.exclusions)
        expected = selection.selected or series.exclusions[0].code in _EXPECTED
        severity: Severity = "note" if expected else "error"
        return Issue(series.exclusions[0].code, reason, "see series.csv", file=folder, severity=severity)
    if series in selection.selected:
        return None
    if selection.selected:
        message = f"another series of the study is selected: {selection.reason}"
        hint = "give this series in the column 'series' of the covariates if it should be used"
        return Issue("LS-IMP-015", message, hint, file=folder, severity="note")
    return Issue("LS-IMP-014", selection.reason, "give one in the column 'series' of the covariates", file=folder)


def _key(series: Series) -> str:
    """Return the text that the id is derived from: the UID, which does not change when files move.

    The excluded part of a series has the UID of the series, so the code of its reason is appended.
    """
    return f"{series.series_key} {series.exclusions[0].code}" if series.exclusions else series.series_key


def _number(series: Series) -> str:
    first = series.description.partition(" ")[0]
    return first if first.isdecimal() else ""


def _labels(request: Request, found: Sequence[Series]) -> tuple[_Labels, list[Issue]]:
    """Return the content of `labels=`; without it, a note about the segmentations in the input."""
    if request.labels is None:
        number = sum(
            len(series.files) for series in found if any(item.code == _SEGMENTATION for item in series.exclusions)
        )
        segmentations = "1 DICOM segmentation is" if number == 1 else f"{number} DICOM segmentations are"
        message = f"{segmentations} not read, because labels= is not given"
        note = Issue("LS-IMP-019", message, "give their folder as labels= if they should be read", severity="note")
        return _Labels(None, ()), [note] if number else []
    if not request.labels.exists():
        raise InputError(Issue("LS-IMP-001", "labels= does not exist, expected a folder or a file", "correct the path"))
    folder = request.labels if request.labels.is_dir() else request.labels.parent
    found_segmentations = find_segmentations(folder)
    if request.labels.is_file():
        found_segmentations = tuple(item for item in found_segmentations if item.file == request.labels)
    return _Labels(request.labels, found_segmentations), []


def _label_source(request: Request, labels: _Labels, series: Series, name: str) -> LabelSource | None:
    if labels.path is None:
        return None
    own = tuple(s for s in labels.segmentations if s.series_uid and s.series_uid == series.series_uid)
    file = _nifti(labels.path, name)
    if file is not None and own:
        message = "case has a NIfTI label map and a DICOM segmentation, expected one of them"
        raise InputError(Issue("LS-IMP-007", message, "keep one", file=file))
    if file is not None:
        return NiftiLabels(file, required_label_values(request, None))
    values = None if request.meaning is None or request.meaning.by_name else request.meaning.values
    if invalid := next((item for item in own if item.exclusions), None):
        reason = invalid.exclusions[0]
        raise InputError(Issue(reason.code, reason.message, "correct the segmentation", file=invalid.file))
    usable = tuple(item for item in own if _structures(item, values))
    if own and not usable:
        message = f"no segment of the segmentation is coded as {listed('or')}"
        hint = "give the meaning of segment numbers by label_values="
        raise InputError(Issue("LS-IMP-025", message, hint, file=own[0].file))
    return SegmentLabels(usable, values) if usable else None


def _nifti(labels: Path, name: str) -> Path | None:
    """Return the label map of a case: `<name>` below the folder of labels, or `<last part of the name>` in it."""
    if labels.is_file():
        return labels if labels.name.endswith(SUFFIXES) else None
    files = [labels / f"{stem}{suffix}" for stem in dict.fromkeys((name, Path(name).name)) for suffix in SUFFIXES]
    return next((file for file in files if file.is_file()), None)


def _structures(segmentation: Segmentation, values: Mapping[int, Structure] | None) -> tuple[Structure, ...]:
    """Return the structures of the segments, by their codes or, if given, by `values`."""
    meanings = (
        segmentation.segments.values() if values is None else [values.get(number) for number in segmentation.segments]
    )
    return organs(structure.key for structure in meanings if structure)
