"""DICOM: all series below a folder; one series of each study is selected, with label maps or DICOM segmentations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from liverspleen.cohort.layouts.dicom_labels import SEGMENTATION, find_labels, nifti_file
from liverspleen.cohort.layouts.series_selection import Selection, select_series
from liverspleen.cohort.layouts.source import (
    NO_LABEL_USED,
    Exclusion,
    Found,
    LabelSource,
    NiftiLabels,
    Request,
    SeriesRow,
    SourceCase,
    nifti_labels,
)
from liverspleen.cohort.skipped_files import skipped_files
from liverspleen.errors import InputError, Issue, Severity
from liverspleen.imaging.dicom import Series, count_skipped_links, eligible, find_series, read_series
from liverspleen.imaging.volume import CTVolume


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


_DERIVED = "LS-DCM-004"
_EXPECTED = frozenset({"LS-DCM-002", "LS-DCM-003", _DERIVED, SEGMENTATION})
"""Not a CT, localizer, derived, segmentation: series that are excluded although nothing is wrong."""

_LOOK = "check that this is right"
_HINTS = {
    "LS-DCM-020": "give the patient in covariates= if it has further studies",
    "LS-DCM-021": "check that the folder has one series",
    "LS-DCM-022": "check that the series is complete",
    "LS-DCM-023": "check that the values are HU",
}
_GIVE_SERIES = "give this series in the column 'series' of the covariates if it should be used"

_REQUEST_CODES = frozenset({"LS-IMP-003", "LS-IMP-004", "LS-LAB-051"})
"""Issues of the request, not of one case."""


def find(request: Request) -> Found:
    """Find the series below the input, and select one of each study by `select_series`.

    Raises:
        InputError: LS-IMP-001 `labels=` does not exist, or is one NIfTI file for several CT scans, LS-IMP-002 there is
            no DICOM series, LS-IMP-040 no CT has a label map of `labels=`; as `nifti_labels`.
    """
    by_folder = request.series_by == "folder"
    found = find_series(request.input, minimum_slices=request.minimum_slices, by_folder=by_folder)
    if not found:
        hint = "check source=, and that input= is the folder of the files"
        raise InputError([*link_warnings(request.input), Issue("LS-IMP-002", "input= has no DICOM series", hint)])
    labels, label_notes = find_labels(request, found)
    cases: list[SourceCase] = []
    excluded: list[Exclusion] = []
    notes: list[Issue] = []
    rows: dict[Series, SeriesRow] = {}
    failed = False  # whether a label map cannot be used
    with_patient = {row["source"] for row in request.covariate_rows if row["patient"]}
    for item in series_decisions(found, request):
        issue = item.issue
        if issue is None:
            try:
                label_source = labels.of(request, item.series, item.name)
            except InputError as error:
                if error.issues[0].code in _REQUEST_CODES:
                    raise
                issue, failed = error.issues[0], True
                notes += error.issues[1:]
            else:
                cases.append(item.case(label_source))
                warnings = warnings_of(item.series, item.folder)
                notes += [w for w in warnings if w.code != "LS-DCM-020" or item.name not in with_patient]
                if isinstance(label_source, NiftiLabels):
                    notes += nifti_labels(request, [label_source.file])[1]
                if label_source is None and request.labels is not None:
                    notes.append(_unlabelled(item.folder))
        if issue is not None and issue.severity == "error":
            excluded.append(Exclusion(item.name, issue))
        rows[item.series] = series_row(item.series, key=_key(item.series), issue=issue, reason=item.reason)
    if len(cases) > 1 and request.labels is not None and nifti_file(request.labels):
        message = f"labels= is one file for {len(cases)} CT scans, expected a folder"
        raise InputError(Issue("LS-IMP-001", message, "give the folder of the label maps"))
    if number := sum(bool(row.code) and row.code != SEGMENTATION for row in rows.values()):
        message = f"excluded series: {number} of {len(found)}"
        notes.append(Issue("LS-IMP-031", message, "see series.csv for the reason of each", severity="note"))
    notes += [
        *link_warnings(request.input),
        *label_notes,
        *labels.issues([case.labels for case in cases], failed=failed),
    ]
    issues = [*notes, *(item.issue for item in excluded)]
    notes += _not_read(request, found, [*labels.files, *_files_of(cases, issues)])
    if any(note.code == NO_LABEL_USED for note in notes):
        raise InputError(notes)
    return Found(tuple(cases), tuple(excluded), tuple(notes), tuple(rows[series] for series in found))


def _files_of(cases: Sequence[SourceCase], issues: Sequence[Issue]) -> Iterator[Path]:
    """Yield the files of label maps of cases, and those that issues name."""
    for case in cases:
        yield from case.labels.files if case.labels else ()
    for issue in issues:
        yield from (Path(file) for file in (issue.file, *issue.further_files) if file)


def _not_read(request: Request, found: Sequence[Series], others: Sequence[Path]) -> Iterator[Issue]:
    """Yield an issue for each kind of series that is excluded because it is no CT, and of file that is not read.

    `others` are files that were read or have an issue, besides those of the series.
    """
    kinds: dict[str, list[Path]] = {}
    for series in found:
        if series.exclusions and series.exclusions[0].code == "LS-DCM-002":
            kinds.setdefault(series.exclusions[0].message, []).append(series.files[0])
    for kind, files in sorted(kinds.items()):
        message = f"{len(files)} DICOM series without a CT {'is' if len(files) == 1 else 'are'} not read ({kind})"
        hint = "convert label maps to DICOM-SEG or .nii.gz if they should be read"
        further = tuple(files[1:3])
        yield Issue("LS-IMP-046", message, hint, file=files[0], severity="note", further_files=further)
    read = {*others, *(file for series in found for file in (*series.files, *series.skipped))}
    folders = {folder for folder in (request.input, request.labels) if folder is not None and folder.is_dir()}
    for folder in sorted(f for f in folders if not any(f != other and f.is_relative_to(other) for other in folders)):
        yield from skipped_files(folder, read, dicom=True)


def _unlabelled(folder: Path) -> Issue:
    message = "CT has no label map, neither by its name nor by its series"
    return Issue("LS-IMP-005", message, "add the missing label map", file=folder, severity="warning")


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
        selection = select_series({series: folders[series] for series in study}, request.covariate_rows)
        names = _names(selection.selected, folders)
        for series in study:
            folder = request.input / folders[series]
            issue = _exclusion(series, study, selection, folder)
            yield SeriesDecision(series, names.get(series, folders[series]), folder, issue, selection.reason)


def link_warnings(root: Path) -> list[Issue]:
    """Return the warning LS-IMP-033 if links below `root` are not followed."""
    number = count_skipped_links(root)
    links = "1 link is" if number == 1 else f"{number} links are"
    message = f"{links} not followed: to folders, out of the input, or broken"
    hint = "copy the linked files into the input, or give a folder that contains them as the input, if they are needed"
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
        Issue(
            warning.code,
            warning.message,
            warning.hint or _HINTS.get(warning.code, _LOOK),
            file=folder,
            severity=warning.severity,
        )
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
    return Issue(reason.code, reason.message, reason.hint or "see series.csv")


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


def _exclusion(series: Series, study: Sequence[Series], selection: Selection, folder: Path) -> Issue | None:
    """Return the reason why a series of a study is excluded; None if it is selected."""
    if series.exclusions:
        reason = "; ".join(item.message for item in series.exclusions)
        expected = selection.selected or series.exclusions[0].code in _EXPECTED
        severity: Severity = "note" if expected else "error"
        hint = series.exclusions[0].hint or "see series.csv"
        return Issue(series.exclusions[0].code, reason, hint, file=folder, severity=severity)
    if series in selection.selected:
        return None
    if series.derived and series not in eligible(study):
        message = "images are derived or secondary, and the study has others"
        return Issue(_DERIVED, message, _GIVE_SERIES, file=folder, severity="note")
    if selection.selected:
        message = f"another series of the study is selected: {selection.reason}"
        return Issue("LS-IMP-015", message, _GIVE_SERIES, file=folder, severity="note")
    return Issue("LS-IMP-014", selection.reason, "give one in the column 'series' of the covariates", file=folder)


def _key(series: Series) -> str:
    """Return the text that the id is derived from: the UID, which does not change when files move.

    Excluded and derived parts of a series have the UID of the series, so the code of their reason is appended.
    """
    part = series.exclusions[0].code if series.exclusions else _DERIVED if series.derived else ""
    return f"{series.series_key} {part}".rstrip()


def _number(series: Series) -> str:
    first = series.description.partition(" ")[0]
    return first if first.isdecimal() else ""
