"""From label maps and their references to rows of measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from liverspleen.cohort.checks import grid_faults, load_reference
from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.errors import Fault, Refused
from liverspleen.evaluation.measurements import Measurement
from liverspleen.evaluation.overlap import Overlap, overlaps
from liverspleen.evaluation.volumetry import volume_cm3, volume_status
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.nifti import SUFFIXES, read_label_map, strip_suffix
from liverspleen.imaging.volume import LabelMap
from liverspleen.structures import ORGANS, Structure

MANUAL, DLA = "manual", "dla"
"""The readers of the paper: masks drawn by hand, and the deep learning algorithm."""


@dataclass(frozen=True)
class Measured:
    """Rows of all cases that could be measured, and every fault met; a case with an error has no rows."""

    rows: tuple[Measurement, ...]
    faults: tuple[Fault, ...]


def measure_case(
    case: Case | str,
    reader_maps: Mapping[str, LabelMap],
    *,
    reference: LabelMap | None = None,
    reference_reader: str = MANUAL,
) -> list[Measurement]:
    """The rows of one case: volume of each organ by each reader, with the DSS against the reference.

    The reference reader has rows of its own with empty `reference` and `dss`. The DSS is undefined (None) where both
    maps are empty. A structure outside the case's `labelled_structures` is unknown, never absent: the reference reader
    has no row for it, and another reader only if it has voxels there, compared with nobody. A `case` that is only an id
    stands for a patient of its own in whom every organ is labelled.

    Raises:
        Refused: LS-GEO-003, LS-GEO-004 a reader's label map is not on the grid of the reference.

    >>> import numpy as np
    >>> grid = Geometry((10, 10, 3), np.diag([1.0, 1.0, 5.0, 1.0]))
    >>> drawn = np.zeros((3, 10, 10), np.uint8); drawn[1, 2:6, 2:7] = Structure.LIVER
    >>> rows = measure_case("A1", {"dla": LabelMap(drawn, grid)}, reference=LabelMap(drawn, grid))
    >>> [(r.structure, r.reader, r.volume_cm3, r.volume_status, r.reference, r.dss) for r in rows][:2]
    [('liver', 'dla', 0.1, 'ok', 'manual', 1.0), ('spleen', 'dla', 0.0, 'absent', 'manual', None)]
    """
    labelled = ORGANS if isinstance(case, str) else case.labelled_structures
    rows: list[Measurement] = []
    for reader, label_map in reader_maps.items():
        scores = {} if reference is None else _scores(case, label_map, reference)
        for organ in ORGANS:
            if organ in labelled and reference is not None:
                rows.append(_row(case, reader, label_map, organ, reference_reader, scores[organ].dss))
            elif organ in labelled or label_map.count(organ):
                rows.append(_row(case, reader, label_map, organ))
    if reference is not None:
        rows += [_row(case, reference_reader, reference, organ) for organ in ORGANS if organ in labelled]
    return rows


def _scores(case: Case | str, label_map: LabelMap, reference: LabelMap) -> dict[Structure, Overlap]:
    if faults := [*grid_faults(_case_id(case), label_map, reference.geometry, file=None, against="the reference")]:
        raise Refused(faults)
    return overlaps(label_map.labels, reference.labels)


def measure_folder(
    labels: Path,
    *,
    reference: Path | None = None,
    cohort: Cohort | None = None,
    datasets: Sequence[str] = (),
    reader: str = DLA,
    reference_reader: str = MANUAL,
    on_case: Callable[[str], None] | None = None,
) -> Measured:
    """Measure every `<case_id>.nii.gz` or `.nii` in `labels` against its reference.

    References are the files of the same name in the folder `reference`, else the label maps named in `cohort`, else
    there are none. With a cohort every case of its `datasets` (all if empty) is expected, and each map must lie on its
    CT's grid; without one the cases are those of the folder (and of `reference`, if given). One bad case does not stop
    the others. `on_case` is told each case_id when it is done. Faults of the cohort's own rows are not repeated.

    Faults: those of reading; LS-LAB-005 label map of a case is missing; LS-LAB-006 (warning) label map without a case;
    LS-LAB-007 two files for one case.

    Raises:
        Refused: LS-IMG-002 `labels` or `reference` is not a folder, LS-LAB-008 both readers have one name.
    """
    drawn = _Folder.of(labels)
    references = None if reference is None else _Folder.of(reference)
    cases: Sequence[Case | str]
    if cohort is None:
        cases = sorted(set(drawn.files) | set(references.files if references else ()))
    else:
        cases = cohort.select(datasets).cases
    if reader == reference_reader and (
        references is not None or any(isinstance(case, Case) and case.label for case in cases)
    ):
        what = f"reader and reference reader are both called {reader!r}"
        raise Refused(Fault("LS-LAB-008", what, "name them differently", file=labels))
    rows: list[Measurement] = []
    faults = [*_extras(drawn, cases if cohort is None else cohort.cases)]
    for case in cases:
        try:
            rows += _measure(case, drawn, references, reader, reference_reader)
        except Refused as refused:
            faults += refused.faults
        if on_case is not None:
            on_case(_case_id(case))
    return Measured(tuple(rows), tuple(faults))


@dataclass(frozen=True)
class _Folder:
    """Label maps in a folder by case_id; usually one file each."""

    path: Path
    files: Mapping[str, tuple[Path, ...]]

    @classmethod
    def of(cls, path: Path) -> _Folder:
        if not path.is_dir():
            raise Refused(Fault("LS-IMG-002", "label maps are not in a folder", "correct the path", file=path))
        files: dict[str, tuple[Path, ...]] = {}
        for file in sorted(path.iterdir()):
            case_id = strip_suffix(file.name)
            if case_id and not file.name.startswith("."):  # unfinished files start with a dot
                files[case_id] = (*files.get(case_id, ()), file)
        return cls(path, files)

    def read(self, case_id: str) -> LabelMap:
        files = self.files.get(case_id, ())
        if not files:
            what = f"label map of the case is missing, expected {case_id}{SUFFIXES[0]}"
            raise Refused(Fault("LS-LAB-005", what, "bring it, or leave the case out", case_id, self.path))
        if len(files) > 1:
            what = f"there are {' and '.join(file.name for file in files)}"
            raise Refused(Fault("LS-LAB-007", what, "keep one of them", case_id, self.path))
        return read_label_map(files[0], case_id=case_id)


def _measure(
    case: Case | str, drawn: _Folder, references: _Folder | None, reader: str, reference_reader: str
) -> list[Measurement]:
    """The rows of one case of a folder; refused with every fault of its files."""
    faults: list[Fault] = []
    case_id = _case_id(case)
    grid: Geometry | None = None
    reference: LabelMap | None = None
    label_map: LabelMap | None = None
    try:
        if isinstance(case, Case):
            # references in a folder take the place of those in the cohort
            grid, reference = load_reference(case if references is None else replace(case, label=None))
        if references is not None:
            reference = references.read(case_id)
            faults += _off_grid(case_id, reference, grid, references)
    except Refused as refused:
        faults += refused.faults
    try:
        label_map = drawn.read(case_id)
        if grid is None and reference is not None:
            grid = reference.geometry
        faults += _off_grid(case_id, label_map, grid, drawn)
    except Refused as refused:
        faults += refused.faults
    if faults or label_map is None:
        raise Refused(faults)
    return measure_case(case, {reader: label_map}, reference=reference, reference_reader=reference_reader)


def _off_grid(case_id: str, label_map: LabelMap, grid: Geometry | None, folder: _Folder) -> Iterable[Fault]:
    if grid is None:
        return ()
    return grid_faults(case_id, label_map, grid, file=folder.files[case_id][0], against="its case")


def _extras(drawn: _Folder, cases: Iterable[Case | str]) -> Iterator[Fault]:
    known = {_case_id(case) for case in cases}
    for case_id, files in drawn.files.items():
        if case_id not in known:
            what, cure = "label map belongs to no usable case of the cohort", "correct its name or add the case"
            yield Fault("LS-LAB-006", what, cure, file=files[0], severity="warning")


def _case_id(case: Case | str) -> str:
    return case if isinstance(case, str) else case.case_id


def _row(
    case: Case | str,
    reader: str,
    label_map: LabelMap,
    organ: Structure,
    reference: str = "",
    dss: float | None = None,
) -> Measurement:
    known = {} if isinstance(case, str) else {name: getattr(case, name) for name in ("dataset", "condition", "site")}
    return Measurement(
        case_id=_case_id(case),
        patient_id=case if isinstance(case, str) else case.patient_id,
        dataset=known.get("dataset", ""),
        condition=known.get("condition", ""),
        site=known.get("site", ""),
        structure=organ.key,
        reader=reader,
        volume_cm3=volume_cm3(label_map, organ),
        volume_status=volume_status(label_map, organ),
        reference=reference,
        dss=dss,
    )
