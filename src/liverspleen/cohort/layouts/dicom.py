"""DICOM: every series below a folder, judged; one of each study taken, with label maps or segmentations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from liverspleen.cohort.layouts.choice import Choice, choose
from liverspleen.cohort.layouts.source import (
    Drawing,
    Found,
    Left,
    NiftiDrawing,
    Request,
    SeriesRow,
    SourceCase,
    merged,
    needed_meaning,
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
        """The files of the series."""
        return self.series.files

    def read(self, case_id: str) -> CTVolume:
        """The CT of the series."""
        return read_series(self.series, case_id=case_id)


@dataclass(frozen=True)
class SegmentDrawing:
    """DICOM segmentations of one series; `values` says what segment numbers mean, instead of their codes."""

    segmentations: tuple[Segmentation, ...]
    values: Mapping[int, Structure] | None

    @property
    def files(self) -> tuple[Path, ...]:
        """Their files."""
        return tuple(segmentation.file for segmentation in self.segmentations)

    @property
    def covered(self) -> tuple[Structure, ...]:
        """The structures that their segments mean."""
        return organs({s.key for item in self.segmentations for s in _meant(item, self.values)})

    def read(self, case_id: str, ct: CTVolume) -> LabelMap:
        """The segments on the grid of the CT; Rejected (LS-IMP-023) where two structures meet in a voxel."""
        parts = [
            replace(read, covered=_meant(item, self.values))
            for item in self.segmentations
            for read in [read_segmentation(item, ct.geometry, case_id=case_id, values=self.values)]
        ]
        return merged(parts, case_id)


_SEGMENTATION = "LS-DCM-016"
_EXPECTED = frozenset({"LS-DCM-002", "LS-DCM-003", "LS-DCM-004", _SEGMENTATION})
"""No CT, localizer, derived, segmentation: left as a matter of course, not because something is wrong."""

FOR_ALL = frozenset({"LS-IMP-003", "LS-IMP-004"})
"""What concerns the request, not one case."""


@dataclass(frozen=True)
class _Labels:
    """What `labels=` holds: NIfTI files are looked up by name, segmentations by the series they refer to."""

    path: Path | None
    segmentations: tuple[Segmentation, ...]


def find(request: Request) -> Found:
    """The series below the input; of each study the one that `choose` takes.

    Raises:
        InputError: LS-IMP-001 labels= is not there, or is one NIfTI file for several CT, LS-IMP-002 there is no DICOM
            series, and what `needed_meaning` rejects.
    """
    found = find_series(request.input, minimum_slices=request.minimum_slices)
    if not found:
        raise InputError(
            Issue(
                "LS-IMP-002",
                "no DICOM series lies in the input",
                "see that source= is right; links that lead out of it are not followed",
            )
        )
    labels, unused = _labels(request, found)
    cases: list[SourceCase] = []
    left: list[Left] = []
    notes: list[Issue] = []
    rows: dict[Series, SeriesRow] = {}
    for item in judged(found, request):
        issue = item.issue
        if issue is None:
            try:
                drawing = _drawing(request, labels, item.series, item.name)
                cases.append(item.case(drawing))
                notes += warnings_of(item.series, item.place)
                if drawing is None and request.labels is not None:
                    message = "CT has no label map, neither by its name nor by its series"
                    notes.append(
                        Issue("LS-IMP-005", message, "add the missing label map", file=item.place, severity="warning")
                    )
            except InputError as error:
                if error.issues[0].code in FOR_ALL:
                    raise
                issue = error.issues[0]
        if issue is not None and issue.severity == "error":
            left.append(Left(item.name, issue))
        rows[item.series] = series_row(item.series, key=_key(item.series), issue=issue, reason=item.why)
    if len(cases) > 1 and request.labels is not None and _nifti(request.labels, "") == request.labels:
        message = f"labels= is one file, and {len(cases)} CT are taken"
        raise InputError(Issue("LS-IMP-001", message, "give the folder of the label maps"))
    known = {series.series_uid for series in found if series.series_uid}
    for drawn in labels.segmentations:
        if drawn.series_uid not in known:
            message = "the segmentation refers to no series of the input"
            unused.append(Issue("LS-IMP-006", message, "add its CT", file=drawn.file, severity="warning"))
    if number := sum(bool(row.code) and row.code != _SEGMENTATION for row in rows.values()):
        message = f"{number} of {len(found)} series are left, each with its reason in series.csv"
        notes.append(Issue("LS-IMP-031", message, "look there if one is missed", severity="note"))
    notes += links_left(request.input)
    return Found(tuple(cases), tuple(left), (*notes, *unused), tuple(rows[series] for series in found))


@dataclass(frozen=True)
class Judged:
    """A series, the name of its case and its folder; `issue` says why it is not taken, `why` why its study's one is."""

    series: Series
    name: str
    place: Path
    issue: Issue | None
    why: str

    def case(self, drawing: Drawing | None = None) -> SourceCase:
        """The case that the series is."""
        series = self.series
        return SourceCase(
            name=self.name,
            patient=series.patient_key,
            scan=SeriesScan(series),
            drawing=drawing,
            facts=facts_of(series),
            key=_key(series),
            patient_from_header=bool(series.patient_id or series.study_uid),
            series=f"{series.series_uid}\0{_number(series)}",
        )


def judged(found: Sequence[Series], request: Request) -> Iterator[Judged]:
    """Every series found in a request's input, study by study, with what `choose` says of it."""
    folders = {series: series.folder for series in found}
    for study in _studies(folders):
        choice = choose({series: folders[series] for series in study if not series.exclusions}, request.named)
        names = _names(choice.taken, folders)
        for series in study:
            place = request.input / folders[series]
            issue = _rejection(series, choice, place)
            yield Judged(series, names.get(series, folders[series]), place, issue, choice.why)


def links_left(root: Path) -> list[Issue]:
    """The warning LS-IMP-033 if links below `root` are not followed."""
    number = count_skipped_links(root)
    message = f"{number} links lead to folders, out of the input or nowhere, and are not followed"
    hint = "bring what they lead to if it is wanted"
    return [Issue("LS-IMP-033", message, hint, severity="warning")] if number else []


def series_row(series: Series, *, key: str, issue: Issue | None = None, reason: str = "") -> SeriesRow:
    """A line of `series.csv`; without an issue the series is taken."""
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
    """Cells of `cohort.csv` that headers state."""
    thickness = series.slice_thickness_mm
    return {
        "sex": series.sex if series.sex in {"F", "M", "O"} else "",
        "age": f"{series.age:g}" if series.age is not None and 0 <= series.age <= 120 else "",
        "slice_thickness_mm": f"{thickness:g}" if thickness is not None and thickness > 0 else "",
        "phase": series.phase,
    }


def warnings_of(series: Series, place: Path) -> list[Issue]:
    """What a reader should know of a series that is taken."""
    return [
        Issue(warning.code, warning.message, "see that this is right", file=place, severity="warning")
        for warning in series.warnings
    ]


def wanting(found: Sequence[Series], eligible: Sequence[Series]) -> Issue:
    """Why a folder that should hold one series gives no case."""
    if not found:
        return Issue("LS-IMP-029", "the folder of the case holds no DICOM series", "add the series")
    if eligible:
        return Issue("LS-IMP-014", f"{len(eligible)} series could be taken, expected one", "leave one in its folder")
    reason = found[0].exclusions[0]
    return Issue(reason.code, reason.message, "see series.csv")


def _names(taken: Sequence[Series], folders: Mapping[Series, str]) -> dict[Series, str]:
    """Names of the series that are taken: their folders, with their numbers where several lie in one."""
    shared = Counter(folders[series] for series in taken)
    return {
        series: f"{folders[series]}/{_number(series) or index}" if shared[folders[series]] > 1 else folders[series]
        for index, series in enumerate(taken)
    }


def _studies(folders: Mapping[Series, str]) -> Iterable[list[Series]]:
    """The series of each study; the series of a folder that state none are a study of their own."""
    groups: dict[tuple[str, str], list[Series]] = {}
    for series, folder in folders.items():
        groups.setdefault((series.study_uid, "" if series.study_uid else folder), []).append(series)
    return groups.values()


def _rejection(series: Series, choice: Choice, folder: Path) -> Issue | None:
    """Why a series of a study is not taken."""
    if series.exclusions:
        reason = "; ".join(item.message for item in series.exclusions)
        expected = choice.taken or series.exclusions[0].code in _EXPECTED
        severity: Severity = "note" if expected else "error"
        return Issue(series.exclusions[0].code, reason, "see series.csv", file=folder, severity=severity)
    if series in choice.taken:
        return None
    if choice.taken:
        message = f"another series of the study is taken: {choice.why}"
        hint = "name it in the covariates if it is wanted (column 'series')"
        return Issue("LS-IMP-015", message, hint, file=folder, severity="note")
    return Issue("LS-IMP-014", choice.why, "name one in the covariates (column 'series')", file=folder)


def _key(series: Series) -> str:
    """What the id is derived from: the UID stays when files move. Parts that were set apart are other series."""
    return f"{series.series_key} {series.exclusions[0].code}" if series.exclusions else series.series_key


def _number(series: Series) -> str:
    first = series.description.partition(" ")[0]
    return first if first.isdecimal() else ""


def _labels(request: Request, found: Sequence[Series]) -> tuple[_Labels, list[Issue]]:
    """Label maps of the cases; without `labels=`, the segmentations in the input are told, not read."""
    if request.labels is None:
        number = sum(
            len(series.files) for series in found if any(item.code == _SEGMENTATION for item in series.exclusions)
        )
        message = f"{number} DICOM segmentations lie in the input and are left"
        hint = Issue("LS-IMP-019", message, "name their folder by labels= if they are wanted", severity="note")
        return _Labels(None, ()), [hint] if number else []
    if not request.labels.exists():
        raise InputError(Issue("LS-IMP-001", "labels= is neither a folder nor a file", "correct the path"))
    folder = request.labels if request.labels.is_dir() else request.labels.parent
    drawn = find_segmentations(folder)
    if request.labels.is_file():
        drawn = tuple(item for item in drawn if item.file == request.labels)
    return _Labels(request.labels, drawn), []


def _drawing(request: Request, labels: _Labels, series: Series, name: str) -> Drawing | None:
    if labels.path is None:
        return None
    drawn = tuple(s for s in labels.segmentations if s.series_uid and s.series_uid == series.series_uid)
    file = _nifti(labels.path, name)
    if file is not None and drawn:
        message = "both a NIfTI file and a DICOM segmentation are its labels"
        raise InputError(Issue("LS-IMP-007", message, "keep one", file=file))
    if file is not None:
        return NiftiDrawing(file, needed_meaning(request, None))
    values = None if request.meaning is None or request.meaning.by_name else request.meaning.values
    if bad := next((item for item in drawn if item.exclusions), None):
        raise InputError(
            Issue(bad.exclusions[0].code, bad.exclusions[0].message, "correct the segmentation", file=bad.file)
        )
    named = tuple(item for item in drawn if _meant(item, values))
    if drawn and not named:
        message = f"no segment of its segmentation is coded as {listed('or')}"
        raise InputError(
            Issue("LS-IMP-025", message, "say by label_values= what segment numbers mean", file=drawn[0].file)
        )
    return SegmentDrawing(named, values) if named else None


def _nifti(labels: Path, name: str) -> Path | None:
    """The label map of a case: `<name>` below the folder of labels, or `<last part of the name>` in it."""
    if labels.is_file():
        return labels if labels.name.endswith(SUFFIXES) else None
    places = [labels / f"{stem}{suffix}" for stem in dict.fromkeys((name, Path(name).name)) for suffix in SUFFIXES]
    return next((place for place in places if place.is_file()), None)


def _meant(segmentation: Segmentation, values: Mapping[int, Structure] | None) -> tuple[Structure, ...]:
    """The structures that segments mean; by `values` those of the segment numbers it names."""
    meanings = (
        segmentation.segments.values() if values is None else [values.get(number) for number in segmentation.segments]
    )
    return organs(structure.key for structure in meanings if structure)
