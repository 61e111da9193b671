"""Folders of label maps, and measurement of all their cases in several processes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from liverspleen.cohort.checks import load_reference, on_grid
from liverspleen.cohort.findings.anatomy import EXCHANGED
from liverspleen.cohort.image_files import nifti_files
from liverspleen.cohort.label_meaning import FolderMeaning, meaning_in
from liverspleen.cohort.label_names import DSEG, label_files, several_files, stated_coverage
from liverspleen.cohort.label_values import covered_structures
from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.cohort.skipped_files import skipped_files
from liverspleen.cohort.spellings import spelling_issues, spellings
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.calibration_table import CaseCalibration
from liverspleen.evaluation.measurements.known_ct import known_ct
from liverspleen.evaluation.measurements.map_findings import (
    anatomy_issues,
    cropped_issue,
    exchanged_issue,
    exchanged_values,
    organs_of,
    several_spellings,
    unused_label_maps,
)
from liverspleen.evaluation.measurements.mask_folder import is_mask_folder, read_mask_folder
from liverspleen.evaluation.measurements.measure_case import (
    DLA,
    MANUAL,
    WITH_SURFACES,
    SurfaceMetrics,
    measure_case,
    missing_case,
)
from liverspleen.evaluation.measurements.probability_folder import ProbabilityFolder
from liverspleen.evaluation.measurements.table import Measurement, frame_of
from liverspleen.evaluation.metrics.attenuation import KnownCT
from liverspleen.imaging.files import ENDINGS, read_label_map, stated_organs
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.lattice import common_grid
from liverspleen.imaging.nifti import SUFFIXES
from liverspleen.imaging.segment_names import own_values
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import Structure, listed
from liverspleen.processes import spread
from liverspleen.storage import StrPath

if TYPE_CHECKING:
    import pandas

LabelValues = Mapping[int, Structure]


@dataclass(frozen=True)
class Measured:
    """Rows of all measured cases, all issues, and sums of probability maps; a case with an error has no rows."""

    rows: tuple[Measurement, ...]
    issues: tuple[Issue, ...]
    calibrations: tuple[CaseCalibration, ...] = ()

    def to_frame(self) -> pandas.DataFrame:
        """Return the rows as a pandas DataFrame with the columns of `measurements.csv`; NaN is undefined."""
        return frame_of(self.rows)


def measure_folder(
    labels: StrPath,
    *,
    reference: StrPath | None = None,
    cohort: Cohort | None = None,
    datasets: Sequence[str] = (),
    reader: str = DLA,
    reference_reader: str = MANUAL,
    label_values: LabelValues | None = None,
    reference_values: LabelValues | None = None,
    probabilities: StrPath | None = None,
    percent: bool = False,
    allow_missing: bool = False,
    surface: SurfaceMetrics | None = WITH_SURFACES,
    workers: int = 1,
    on_case: Callable[[str], None] | None = None,
) -> Measured:
    """Measure every label map in `labels`, and compare it with its reference.

    The label map of a case is `<case_id>.nii.gz` (or of another image format), `<case_id>_dseg.nii.gz`, the only file
    whose name differs in words such as `seg` (`label_files`), or in a folder `<case_id>`, masks or one file such as
    `segmentation.nii.gz`. References are the files of the same case in the folder `reference`, or else the label maps
    of `cohort`; both are optional. With a cohort, every case of its `datasets` (all if empty) is expected, each map
    must be on the grid of its CT, which gives the attenuation. Without a cohort, the cases are those of the folder (and
    of `reference`, if given). `label_values` and `reference_values` give the meaning of voxel values; None: that of a
    file beside the label maps, or else the values of liverspleen (`meaning_in`). The label maps of a cohort always have
    the values of liverspleen. `probabilities` is a folder of probability maps of the same cases (`probability_files`),
    with values from 0 to 1 or in `percent`; they give the soft volumes and, with a reference, `calibrations`. A bad
    case does not stop the others. A missing label map is an error of its case, or with `allow_missing` a warning and a
    score of 0. `workers` is the number of processes; each measures one case at a time. Rows are in the order of the
    cases. `on_case` is called with each case_id after its measurement. Issues of the cohort are not repeated.

    Issues: those of reading, `known_ct` and `ProbabilityFolder`; LS-LAB-005 label map missing; LS-LAB-006 (warning)
    label map without a case; LS-LAB-007 two files for one case; LS-LAB-010 a worker process died; LS-IDN-010 a case has
    names of different Unicode characters and is not measured; LS-IDN-011 (warning) names of cases or readers are
    similar; LS-COH-040 (warning) files that are not read.

    Raises:
        InputError: LS-LAB-023 `labels` or `reference` is not a folder, LS-LAB-008 both readers have the same name,
            LS-LAB-009 there are no label maps and no cases; as `ProbabilityFolder.of`.
    """
    labels = Path(labels)
    known = () if cohort is None else tuple(case.case_id for case in cohort.cases)
    folder = LabelFolder.of(labels, label_values, known=known)
    references = None
    if reference is not None:
        references = LabelFolder.of(
            Path(reference), reference_values, known=known or folder.files.keys(), key="reference_values"
        )
    cases: Sequence[Case | str]
    if cohort is None:
        cases = sorted({*folder.files, *(references.files if references else ())})
    else:
        cases = cohort.select(datasets).cases
    if reader == reference_reader and (
        references is not None or any(isinstance(case, Case) and case.label for case in cases)
    ):
        message = f"reader and reference reader are both {reader!r}"
        raise InputError(Issue("LS-LAB-008", message, "give them different names", file=labels))
    if not folder.files and not cases:
        message = f"the folder has no label map ({ENDINGS})"
        missing = Issue("LS-LAB-009", message, "give the folder that contains the label maps directly", file=labels)
        raise InputError([missing, *folder.not_read()])
    used = frozenset(file for own in (folder, references) if own for files in own.files.values() for file in files)
    maps = None
    if probabilities is not None:
        ids = [_case_id(case) for case in (cases if cohort is None else cohort.cases)]
        maps = ProbabilityFolder.of(Path(probabilities), known=ids, percent=percent, others=used)
    task = _MeasurementTask(folder, references, maps, reader, reference_reader, surface, allow_missing)
    rows: list[Measurement] = []
    calibrations: list[CaseCalibration] = []
    respelled = several_spellings(
        {"labels=": folder.files, "reference=": references.files if references else {}}, known
    )
    rejected = {text for one in respelled if one.equal for text in one.places}
    readers = spellings([(reader, "reader="), (reference_reader, "reference_reader=")])
    issues = [*spelling_issues("case_id", respelled, file=labels), *spelling_issues("reader", readers)]
    for given in (folder, *([references] if references else [])):
        issues += (*given.meaning.issues, *given.not_read(maps.all_files if maps else ()))
    issues += () if maps is None else maps.not_read()
    issues += unused_label_maps(folder.files, map(_case_id, cases if cohort is None else cohort.cases))
    cases = [case for case in cases if _case_id(case) not in rejected]
    for case, measured in zip(cases, _measured_cases(task, cases, workers), strict=True):
        rows += measured.rows
        issues += measured.issues
        calibrations += measured.calibrations
        if on_case is not None:
            on_case(_case_id(case))
    return Measured(tuple(rows), tuple(issues), tuple(calibrations))


@dataclass(frozen=True)
class LabelFolder:
    """Label maps in a folder by case_id; usually one file each. `meaning` is that of their voxel values."""

    path: Path
    files: Mapping[str, tuple[Path, ...]]
    meaning: FolderMeaning

    @property
    def covered(self) -> tuple[Structure, ...]:
        """The structures that these label maps cover."""
        return covered_structures(self.meaning.values)

    @classmethod
    def of(
        cls,
        path: Path,
        values: LabelValues | None = None,
        *,
        known: Collection[str] = (),
        key: str = "label_values",
    ) -> LabelFolder:
        """List the label maps directly in the folder: files, or folders of masks, or else those in folders of cases.

        `values` is the meaning of the voxel values that the option `key` asks for; None: that of `meaning_in`. `known`
        are the case ids of a cohort; a file name that ends with `_dseg` can be one of them.

        Raises:
            InputError: LS-LAB-023 the folder does not exist; LS-LAB-051 the file that gives the meaning cannot be used.
        """
        if not path.is_dir():
            raise InputError(
                Issue("LS-LAB-023", "the folder of label maps does not exist", "correct the path", file=path)
            )
        files = label_files(path, known)
        meaning = meaning_in(path, values, key=key) if files or values is not None else FolderMeaning()
        for folder in sorted(filter(is_mask_folder, path.iterdir())):
            files[folder.name] = (*files.get(folder.name, ()), folder)
        for file in nifti_files(path) if not files else ():
            if file.place == "case" and file.is_label_map:
                files[file.case] = (*files.get(file.case, ()), file.path)
        return cls(path, files, meaning)

    def of_case(self, case_id: str) -> LabelFolder:
        """Return the folder with the label maps of one case."""
        return replace(self, files={case_id: self.files[case_id]} if case_id in self.files else {})

    def read(self, case_id: str) -> LabelMap:
        """Read the label map of a case.

        Raises:
            InputError: LS-LAB-005 it is missing, LS-LAB-007 there are two, LS-LAB-052 it has an organ that its sidecar
                does not list as covered, or `read_label_map` or `read_mask_folder` rejects it.
        """
        files = self.files.get(case_id, ())
        if not files:
            raise InputError(self.missing(case_id))
        if len(files) > 1:
            raise InputError(several_files(case_id, files))
        if files[0].is_dir():
            return read_mask_folder(files[0], case_id, translated=self.meaning.asked and bool(self.meaning.values))
        values, named = self.meaning.values, self.meaning.named
        if stated_organs(files[0]) is not None:  # its segments have names, which an option may not contradict
            values = own_values(self.meaning.asked, values)
        return _restricted(read_label_map(files[0], case_id=case_id, values=values, named=named), files[0], case_id)

    def placed(self, case_id: str, label_map: LabelMap, grid: Geometry | None) -> tuple[LabelMap, tuple[Issue, ...]]:
        """Return the label map of a case on the grid of the case, if it has one, as `on_grid`."""
        grid = label_map.geometry if grid is None else grid
        return on_grid(case_id, label_map, grid, file=self.files[case_id][0], against="its case")

    def not_read(self, others: Collection[Path] = ()) -> Iterator[Issue]:
        """Yield an issue for each kind of file in the folder that is no label map, and none of the `others`."""
        found = [*others] + [file for own in self.files.values() for file in own]
        read = {below for file in found for below in (file.rglob("*") if file.is_dir() else [file])}
        yield from skipped_files(self.path, read)

    def missing(self, case_id: str) -> Issue:
        """Return the issue that the case has no label map in this folder."""
        message = f"label map of the case is missing, expected {case_id}{SUFFIXES[0]} or {case_id}{DSEG}{SUFFIXES[0]}"
        return Issue("LS-LAB-005", message, "add the missing label map, or exclude the case", case_id, self.path)


def _restricted(label_map: LabelMap, file: Path, case_id: str) -> LabelMap:
    """Return a label map that covers only the organs that its sidecar lists, if it has one."""
    stated = stated_coverage(file)
    if stated is None:
        return label_map
    for organ in label_map.covered:
        if organ not in stated and (voxels := label_map.count(organ)):
            covered = listed(keys=[one.key for one in stated])
            message = f"label map has {voxels} voxels of {organ.key}, but its sidecar states that it covers {covered}"
            hint = "if the label map was edited, move it to another folder, and measure it there"
            raise InputError(Issue("LS-LAB-052", message, hint, case_id, file))
    return replace(label_map, covered=tuple(organ for organ in label_map.covered if organ in stated))


class _ReferenceOptions(TypedDict):
    reference: LabelMap | None
    reference_reader: str
    surface: SurfaceMetrics | None
    ct: KnownCT | None


@dataclass(frozen=True)
class _MeasurementTask:
    """Measurement of one case; it is sent to the worker processes."""

    folder: LabelFolder
    references: LabelFolder | None
    probabilities: ProbabilityFolder | None
    reader: str
    reference_reader: str
    surface: SurfaceMetrics | None
    allow_missing: bool

    def of_case(self, case_id: str) -> _MeasurementTask:
        """Return the task with the files of one case: those of all cases would be sent to a worker with each case."""
        references = None if self.references is None else self.references.of_case(case_id)
        probabilities = None if self.probabilities is None else self.probabilities.of_case(case_id)
        return replace(self, folder=self.folder.of_case(case_id), references=references, probabilities=probabilities)

    def measured(self, case: Case | str) -> Measured:
        """Return the rows and the issues of one case; bad input gives issues, not exceptions."""
        case_id = _case_id(case)
        issues: list[Issue] = []
        grid: Geometry | None = None
        reference: LabelMap | None = None
        label_map: LabelMap | None = None
        try:
            if isinstance(case, Case):
                # references in a folder replace those of the cohort
                grid, reference = load_reference(case if self.references is None else replace(case, label=None))
            if self.references is not None:
                reference = self.references.read(case_id)
                if grid is not None:
                    reference, found = self.references.placed(case_id, reference, grid)
                    issues += found
        except InputError as rejected:
            issues += rejected.issues
        if self.allow_missing and case_id not in self.folder.files:
            missing = self.folder.missing(case_id)
            hint = "add the missing label map; without it the case has no volume and a score of 0"
            issues.append(replace(missing, hint=hint, severity="warning"))
        else:
            try:
                label_map = self.folder.read(case_id)
                if grid is None and reference is not None and self.references is not None:
                    # without a CT: a grid that holds both, so that nothing is cut
                    grid = common_grid(reference.geometry, label_map.geometry) or reference.geometry
                    reference, found = self.references.placed(case_id, reference, grid)
                    issues += found
                label_map, found = self.folder.placed(case_id, label_map, grid)
                issues += found
            except InputError as rejected:
                issues += rejected.issues
        if any(issue.severity == "error" for issue in issues):
            return Measured((), tuple(issues))
        ct, found = known_ct(case)
        issues += found
        options: _ReferenceOptions = {
            "reference": reference,
            "reference_reader": self.reference_reader,
            "surface": self.surface,
            "ct": ct,
        }
        try:
            if label_map is None:
                return Measured(
                    tuple(missing_case(case, self.reader, covered=self.folder.covered, **options)), tuple(issues)
                )
            rows = self._rows(case, label_map, options, issues)
            if self.probabilities is None:
                return Measured(tuple(rows), tuple(issues))
            added = self.probabilities.added_to(rows, self.reader, label_map, reference)
        except InputError as rejected:
            return Measured((), (*issues, *rejected.issues))
        return Measured(tuple(added.rows), (*issues, *added.issues), added.calibrations)

    def _rows(
        self, case: Case | str, label_map: LabelMap, options: _ReferenceOptions, issues: list[Issue]
    ) -> list[Measurement]:
        """Return the rows of a label map; what it and its reference look like is added to `issues`."""
        case_id, organs, reference = _case_id(case), organs_of(label_map), options["reference"]
        file = self.folder.files[case_id][0]
        found = [*anatomy_issues(case, label_map, organs, file)]
        cropped = None if isinstance(case, Case) else cropped_issue(case_id, organs, file)
        rows = measure_case(case, {self.reader: label_map}, cropped=cropped is not None, **options)
        if reference is not None:
            on_file = case.label if self.references is None and isinstance(case, Case) else None
            if self.references is not None:
                on_file = self.references.files[case_id][0]
            others = [*anatomy_issues(case, reference, organs_of(reference), on_file)]
            exchanged = exchanged_issue(case_id, label_map, reference, rows, self._exchange(found, others))
            found += [*others, *([exchanged] if exchanged else [])]
        issues += [*found, *([cropped] if cropped else [])]
        return rows

    def _exchange(self, found: Sequence[Issue], reference: Sequence[Issue]) -> str:
        """Return the hint for exchanged label values: in the label maps, unless the references look exchanged."""
        codes = [{issue.code for issue in one} for one in (found, reference)]
        wrong = self.references if EXCHANGED in codes[1] - codes[0] else self.folder
        if wrong is None:
            return "exchange the values in the label map of the cohort"
        key = "label_values" if wrong is self.folder else "reference_values"
        return f"give {key}={exchanged_values(wrong.meaning.values)} if these values are exchanged"


def _measured_cases(task: _MeasurementTask, cases: Sequence[Case | str], workers: int) -> Iterator[Measured]:
    """Measure all cases in order; a worker has the label maps of one case in memory."""
    if workers == 1 or len(cases) < 2:
        yield from map(task.measured, cases)
        return
    items = ((task.of_case(_case_id(case)), case) for case in cases)
    with spread(_measured, items, min(workers, len(cases))) as futures:
        for case, future in zip(cases, futures, strict=True):
            yield _result(case, future)


def _measured(item: tuple[_MeasurementTask, Case | str]) -> Measured:
    task, case = item
    return task.measured(case)


def _result(case: Case | str, future: Future[Measured]) -> Measured:
    try:
        return future.result()
    except BrokenProcessPool:  # a worker was killed, usually because memory ran out
        message = "a worker process died before the case was measured"
        return Measured(
            (), (Issue("LS-LAB-010", message, "use workers=1, or a machine with more memory", _case_id(case)),)
        )


def _case_id(case: Case | str) -> str:
    return case if isinstance(case, str) else case.case_id
