"""From measurements to the comparison of readers: who is compared, over which cases, with which notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from liverspleen.cohort.vocabulary import Vocabulary
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.measurements.readings import INDICES, PREFERRED, Examination, Readings, readings_of
from liverspleen.evaluation.measurements.table import Measurements
from liverspleen.evaluation.reporting.cells import PAIRED, Cell, Table, by_row
from liverspleen.evaluation.reporting.compare.quantities import Quantity, Readers, errors, scores, volumes
from liverspleen.evaluation.reporting.compare.tables import error_cells, limit_cells, score_cells
from liverspleen.evaluation.reporting.missing_cases import gaps_of
from liverspleen.evaluation.reporting.paper_tables import check_words
from liverspleen.evaluation.reporting.results import total_and_conditions
from liverspleen.organs import ORGAN_KEYS


@dataclass(frozen=True)
class ReaderComparison:
    """Everything a comparison tells; `common` names the cases that were compared, by what they were compared in."""

    readers: tuple[str, ...]
    reference: str
    cells: tuple[Cell, ...]
    notes: tuple[Note, ...]
    common: Mapping[str, tuple[str, ...]]
    n_examinations: int
    n_patients: int
    vocabulary: Vocabulary

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every pair of readers, in the order of the tables."""
        return tuple(combinations(self.readers, 2))

    def table(self, name: str) -> Table:
        """The cells of one table by row and column; empty if the table could not be made.

        `table(name).to_frame()` gives it as a pandas DataFrame.
        """
        return by_row(self.cells, name)


def compare_readers(
    measurements: Measurements,
    *,
    readers: Sequence[str] = (),
    reference: str | None = None,
    datasets: Sequence[str] = (),
) -> ReaderComparison:
    """Compare `readers` (all that are measured against the reference, if not named) on the cases of `datasets` (all).

    The reference is the one named, the only one of the file, or `manual`. A case enters the numbers of a structure if
    every reader and the reference have it; each that does not is named in a note and in the cells.

    Raises:
        InputError: LS-CMP-003 fewer than two readers, LS-CMP-004 a reader or reference is unknown or not clear,
            LS-CMP-005 a reader's name cannot stand in a row, LS-CMP-006 an unknown dataset, LS-CMP-007 the readers
            have no case in common; LS-REP-003 a condition's name.
    """
    readings = readings_of(measurements)
    compared = _readers(readings, readers, reference)
    known = dict.fromkeys(e.dataset for e in readings.examinations)
    if unknown := [name for name in datasets if name not in known]:
        message = f"no dataset {', '.join(map(repr, unknown))}; the datasets are {', '.join(map(repr, known))}"
        raise InputError(Issue("LS-CMP-006", message, "name datasets of the measurements"))
    everyone = {*compared.names, compared.reference}
    drawn = {case for case, _, reader in readings.volumes if reader in everyone}
    examinations = [
        e for e in readings.examinations if e.case_id in drawn and (not datasets or e.dataset in set(datasets))
    ]
    check_words(examinations)
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
        message = f"no case has a number of every reader ({', '.join(compared.names)}) and of {compared.reference!r}"
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
        notes=(*notes, *_left_out(quantities, compared), *_repeated(examinations)),
        common={name: found.common for name, found in quantities.items()},
        n_examinations=len(examinations),
        n_patients=len({e.patient_id for e in examinations}),
        vocabulary=readings.vocabulary,
    )


def _readers(readings: Readings, readers: Sequence[str], reference: str | None) -> Readers:
    known = readings.readers
    if unknown := [name for name in (*readers, reference) if name is not None and name not in known]:
        message = f"no reader {', '.join(map(repr, unknown))}; the readers are {', '.join(map(repr, known))}"
        raise InputError(Issue("LS-CMP-004", message, "name readers of the measurements"))
    if reference is None:
        references = sorted({against for _, _, _, against in readings.scores}) or [
            name for name in known if name == PREFERRED[1]
        ]
        if PREFERRED[1] in references:
            references = [PREFERRED[1]]
        if len(references) != 1:
            message = f"the references are {', '.join(map(repr, references)) or 'not named'}"
            raise InputError(Issue("LS-CMP-004", message, "name one by reference="))
        reference = references[0]
    scored = sorted({test for _, _, test, against in readings.scores if against == reference})
    names = tuple(dict.fromkeys(readers)) or tuple(scored) or tuple(name for name in known if name != reference)
    if reference in names:
        message = f"{reference!r} is both a reader and the reference"
        raise InputError(Issue("LS-CMP-004", message, "name other readers"))
    if len(names) < 2:
        message = f"{len(names)} reader is measured against {reference!r}, a comparison needs two"
        hint = "give the measurements of each reader: measurements=a.csv,b.csv, named by reader= of measure"
        raise InputError(Issue("LS-CMP-003", message, hint))
    if joined := [name for name in (*names, reference) if PAIRED in name]:
        message = f"reader {joined[0]!r} holds {PAIRED!r}, which joins two readers in a row"
        raise InputError(Issue("LS-CMP-005", message, "rename the reader"))
    return Readers(readings, names, reference)


def _left_out(quantities: Mapping[str, Quantity], readers: Readers) -> Iterator[Note]:
    """What was compared over fewer cases than there are, or not at all; one note for what lacks the same cases."""
    everyone = f"all of {', '.join(readers.names)} and {readers.reference}"
    hint = "measure them with every reader if they are wanted"
    lacking: dict[tuple[str, ...], list[str]] = {}
    for name, found in quantities.items():
        inside = set(found.common)
        if left := tuple(case for case in found.cases if case not in inside):
            lacking.setdefault(left, []).append(name)
    for left, names in lacking.items():
        found = quantities[names[0]]
        if not found.common:
            yield Note("LS-CMP-010", f"not compared: {', '.join(names)}; no CT has it of {everyone}", hint)
            continue
        message = f"compared in {len(found.common)} of {len(found.cases)} CT, those that {everyone} have: "
        yield Note("LS-CMP-010", f"{message}{', '.join(names)}; left out", hint, left)


def _repeated(examinations: Sequence[Examination]) -> Iterator[Note]:
    patients = [e.patient_id for e in examinations]
    repeated = tuple(e.case_id for e in examinations if patients.count(e.patient_id) > 1)
    if repeated:
        message = f"{len(repeated)} CT are of patients with more than one: p and intervals take CTs as independent"
        yield Note("LS-CMP-011", message, "choose one CT of each patient, by datasets= or in the file", repeated)
