"""Comparison of readers from measurements: selection of readers and cases, cells and notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from liverspleen.cohort.vocabulary import Vocabulary
from liverspleen.errors import InputError, Issue, counted
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.measurements.readings import INDICES, PREFERRED, Examination, Readings, readings_of
from liverspleen.evaluation.measurements.table import Measurements
from liverspleen.evaluation.reporting.cells import PAIRED, Cell, Table, by_row
from liverspleen.evaluation.reporting.compare.quantities import Quantity, Readers, errors, scores, volumes
from liverspleen.evaluation.reporting.compare.tables import error_cells, limit_cells, score_cells
from liverspleen.evaluation.reporting.missing_cases import gaps_of
from liverspleen.evaluation.reporting.paper_tables import check_names
from liverspleen.evaluation.reporting.phantom_notes import phantom_notes
from liverspleen.evaluation.reporting.results import total_and_conditions
from liverspleen.organs import ORGAN_KEYS


@dataclass(frozen=True)
class ReaderComparison:
    """Content of a comparison; `common` lists the compared cases by quantity (`liver DSS`, `liver volume`)."""

    readers: tuple[str, ...]
    reference: str
    cells: tuple[Cell, ...]
    notes: tuple[Note, ...]
    common: Mapping[str, tuple[str, ...]]
    n_examinations: int
    n_patients: int
    vocabulary: Vocabulary
    readings: Readings = field(repr=False)
    examinations: tuple[Examination, ...] = field(repr=False)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """All pairs of readers, in the order of the tables."""
        return tuple(combinations(self.readers, 2))

    def table(self, name: str) -> Table:
        """Return the cells of one table by row and column; empty if the comparison does not have the table.

        `table(name).to_frame()` returns a pandas DataFrame.
        """
        return by_row(self.cells, name)


def compare_readers(
    measurements: Measurements,
    *,
    readers: Sequence[str] = (),
    reference: str | None = None,
    datasets: Sequence[str] = (),
) -> ReaderComparison:
    """Return the comparison of `readers` on the cases of `datasets`.

    By default `readers` are all readers that are measured against the reference, and `datasets` all datasets. The
    default reference is the only one of the file, or `manual`. A case is included in the numbers of a structure if all
    readers and the reference have a value; a note and the cells list the excluded cases.

    Raises:
        InputError: LS-CMP-003 fewer than two readers; LS-CMP-004 a reader or reference is unknown or ambiguous;
            LS-CMP-005 the name of a reader contains the separator of two readers; LS-CMP-006 unknown dataset;
            LS-CMP-007 the readers have no case in common; LS-REP-003 the name of a condition is reserved.
    """
    readings = readings_of(measurements)
    compared = _readers(readings, readers, reference)
    known = dict.fromkeys(e.dataset for e in readings.examinations)
    if unknown := [name for name in datasets if name not in known]:
        message = f"no dataset {', '.join(map(repr, unknown))}; the datasets are {', '.join(map(repr, known))}"
        raise InputError(Issue("LS-CMP-006", message, "give datasets of the measurements"))
    all_readers = {*compared.names, compared.reference}
    measured = {case for case, _, reader in readings.volumes if reader in all_readers}
    examinations = [
        e for e in readings.examinations if e.case_id in measured and (not datasets or e.dataset in set(datasets))
    ]
    check_names(examinations)
    cases = tuple(e.case_id for e in examinations)
    groups = total_and_conditions(examinations, readings.vocabulary)
    cells: list[Cell] = []
    quantities: dict[str, Quantity] = {}
    for structure in ORGAN_KEYS:
        found = quantities[f"{structure} DSS"] = scores(compared, cases, structure)
        if found.common:
            cells += score_cells(structure, found, compared, groups)
    for index in INDICES:
        found = quantities[f"{index} volume" if index in ORGAN_KEYS else index] = volumes(compared, cases, index)
        if found.common:
            cells += error_cells(index, errors(found, compared, "percent"), compared, "percent")
            cells += error_cells(index, errors(found, compared, "absolute"), compared, "absolute")
            cells += limit_cells(index, found, compared)
    if not cells:
        names = ", ".join(compared.names)
        message = f"no case has values of all readers ({names}) and of the reference {compared.reference!r}"
        raise InputError(
            Issue("LS-CMP-007", message, "measure the same cases with each reader against the same reference")
        )
    notes = dict.fromkeys(
        note
        for name in compared.names
        for note in gaps_of(readings, examinations, (name, compared.reference), scored=True)
    )
    return ReaderComparison(
        readers=compared.names,
        reference=compared.reference,
        cells=tuple(cells),
        notes=(*phantom_notes(examinations), *notes, *_excluded_cases(quantities, compared), *_repeated(examinations)),
        common={name: found.common for name, found in quantities.items()},
        n_examinations=len(examinations),
        n_patients=len({e.patient_id for e in examinations}),
        vocabulary=readings.vocabulary,
        readings=readings,
        examinations=tuple(examinations),
    )


def _readers(readings: Readings, readers: Sequence[str], reference: str | None) -> Readers:
    known = readings.readers
    if unknown := [name for name in (*readers, reference) if name is not None and name not in known]:
        message = f"no reader {', '.join(map(repr, unknown))}; the readers are {', '.join(map(repr, known))}"
        raise InputError(Issue("LS-CMP-004", message, "give readers of the measurements"))
    if reference is None:
        references = sorted({against for _, _, _, against in readings.scores}) or [
            name for name in known if name == PREFERRED[1]
        ]
        if PREFERRED[1] in references:
            references = [PREFERRED[1]]
        if len(references) != 1:
            message = (
                f"the measurements have {counted(len(references), 'reference')}: {', '.join(map(repr, references))}"
                if references
                else "the measurements have no reference"
            )
            raise InputError(Issue("LS-CMP-004", message, "give one with reference="))
        reference = references[0]
    scored = sorted({test for _, _, test, against in readings.scores if against == reference})
    names = tuple(dict.fromkeys(readers)) or tuple(scored) or tuple(name for name in known if name != reference)
    if reference in names:
        message = f"{reference!r} is both a reader and the reference"
        raise InputError(Issue("LS-CMP-004", message, "give other readers or another reference"))
    if len(names) < 2:
        readers_found = f"{counted(len(names), 'reader')} {'is' if len(names) == 1 else 'are'}"
        message = f"{readers_found} measured against {reference!r}, expected at least 2"
        hint = "give the measurements of each reader, as in measurements=a.csv,b.csv; measure sets the names by reader="
        raise InputError(Issue("LS-CMP-003", message, hint))
    if joined := [name for name in (*names, reference) if PAIRED in name]:
        message = f"reader {joined[0]!r} contains {PAIRED!r}, which separates two readers in a row"
        raise InputError(Issue("LS-CMP-005", message, "rename the reader"))
    return Readers(readings, names, reference)


def _excluded_cases(quantities: Mapping[str, Quantity], readers: Readers) -> Iterator[Note]:
    """Yield a note for each set of excluded cases, with the quantities that lack these cases."""
    all_readers = f"{', '.join(readers.names)} and {readers.reference}"
    hint = "measure these cases with all readers to include them"
    quantities_by_excluded: dict[tuple[str, ...], list[str]] = {}
    for name, found in quantities.items():
        inside = set(found.common)
        if excluded := tuple(case for case in found.cases if case not in inside):
            quantities_by_excluded.setdefault(excluded, []).append(name)
    for excluded, names in quantities_by_excluded.items():
        found = quantities[names[0]]
        if not found.common:
            message = f"{', '.join(names)} not compared: no CT scan has values of {all_readers}"
            yield Note("LS-CMP-010", message, "measure the same cases with all readers")
            continue
        message = (
            f"{', '.join(names)} compared in {len(found.common)} of {counted(len(found.cases), 'CT scan')}, which have "
            f"values of {all_readers}; {counted(len(excluded), 'CT scan')} excluded"
        )
        yield Note("LS-CMP-010", message, hint, excluded)


def _repeated(examinations: Sequence[Examination]) -> Iterator[Note]:
    number = Counter(e.patient_id for e in examinations)
    repeated = tuple(e.case_id for e in examinations if number[e.patient_id] > 1)
    if repeated:
        message = (
            f"{len(repeated)} CT scans are from patients with more than one CT scan; the limits of agreement and their "
            "bias are computed by patient, the other tests and intervals assume independent CT scans"
        )
        hint = "select one CT scan per patient with datasets= or in the measurements"
        yield Note("LS-CMP-011", message, hint, repeated)
