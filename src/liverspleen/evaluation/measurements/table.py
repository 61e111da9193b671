"""`measurements.csv`: the contract between segmentation and statistics.

One row per case, structure, reader and reference. A reader is the person or system that produced a label map. Any
program that writes this file gets every table of the report.

| column | content |
|---|---|
| `case_id` | the CT examination |
| `patient_id` | the patient; the default is the case |
| `dataset` | `development`, `test1`, `test2`, another name, or empty |
| `condition` | subgroup of the tables, or empty |
| `site` | `external`, `internal`, another name, or empty |
| `structure` | name of an organ: `liver` or `spleen` |
| `reader` | the person or system that produced the label map |
| `volume_cm3` | volume in cm³; empty if undefined |
| `volume_soft_cm3` | sum of the probabilities times the volume of a voxel; empty without a probability map |
| `volume_status` | one or more of `STATUSES`, joined by `;`; the default is `ok` |
| `reference` | the reader that this row is compared with; empty without a comparison |
| `dss` | Dice similarity score in [0, 1]; empty if undefined |
| `iou` | intersection over union in [0, 1] |
| `voxels`, `shared_voxels` | voxels of the structure, and the voxels that the reference has too |
| `volume_error_cm3`, `volume_error_pct` | reader minus reference, and the same in percent of the reference |
| `hd95_mm`, `assd_mm`, `nsd` | 95th percentile and mean of the surface distances, normalised surface Dice |
| `nsd_tolerance_mm`, `surface` | tolerance of the `nsd`; `voxel` or `area`, see the module `surface` |
| `hu_mean`, `hu_median`, `hu_sd` | attenuation of the core of the organ in HU; empty if undefined or without a CT |
| `hu_voxels`, `hu_core_mm` | voxels of the core, and the distance by which the label was eroded |
| `hu_status` | one of `HU_STATUSES` in the module `attenuation`; empty without a CT |
| `origin` | `phantom` for a synthetic CT, which a report states at its top; else empty |

`case_id`, `structure`, `reader` and `volume_cm3` are required; all other columns may be empty or missing, and unknown
columns are kept unchanged. A status never removes a row from a table: only undefined values are excluded, and n shows
it. The liver/spleen ratio is derived when it is needed, and never stored.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from liverspleen.cohort.vocabulary import PAPER, Vocabulary
from liverspleen.delimited import records_of
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.hand_written import tidied, unit_notes
from liverspleen.evaluation.measurements.validation import (
    HU_COLUMNS,
    NUMBERS,
    Record,
    check_header,
    check_records,
    number_or_none,
)
from liverspleen.evaluation.metrics.body_size import INDICES_OF, BodySize
from liverspleen.evaluation.metrics.volume import STATUSES
from liverspleen.organs import ORGAN_KEYS, RATIO_KEY, RATIO_OF
from liverspleen.reading import read_bytes
from liverspleen.spreadsheet import csv_line
from liverspleen.storage import StrPath, complete_file

if TYPE_CHECKING:
    import pandas

__all__ = [
    "COLUMNS",
    "STATUSES",
    "Measurement",
    "Measurements",
    "read_measurements",
    "write_measurements",
    "write_volumes",
]

COLUMNS: Final = (
    "case_id",
    "patient_id",
    "dataset",
    "condition",
    "site",
    "structure",
    "reader",
    "volume_cm3",
    "volume_soft_cm3",
    "volume_status",
    "reference",
    "dss",
    "iou",
    "voxels",
    "shared_voxels",
    "volume_error_cm3",
    "volume_error_pct",
    "hd95_mm",
    "assd_mm",
    "nsd",
    "nsd_tolerance_mm",
    "surface",
    *HU_COLUMNS,
    "origin",
)

MOST_ROWS: Final = 500_000
"""Rows that are read and merged at most: time and memory were measured with 400 000, see docs/report.md."""


@dataclass(frozen=True)
class Measurement:
    """Measurement of one structure in one case by one reader; None is undefined."""

    case_id: str
    patient_id: str
    dataset: str
    condition: str
    site: str
    structure: str
    reader: str
    volume_cm3: float | None
    volume_status: str = "ok"
    reference: str = ""
    dss: float | None = None
    iou: float | None = None
    voxels: int | None = None
    shared_voxels: int | None = None
    volume_error_cm3: float | None = None
    volume_error_pct: float | None = None
    hd95_mm: float | None = None
    assd_mm: float | None = None
    nsd: float | None = None
    nsd_tolerance_mm: float | None = None
    surface: str = ""
    origin: str = ""
    volume_soft_cm3: float | None = None
    hu_mean: float | None = None
    hu_median: float | None = None
    hu_sd: float | None = None
    hu_voxels: int | None = None
    hu_core_mm: float | None = None
    hu_status: str = ""


@dataclass(frozen=True)
class Measurements:
    """A validated table of measurements.

    `table` has `COLUMNS` first and any further columns after them; text columns contain `str` (empty if the file has no
    value), number columns float64 with NaN for undefined. `source` and `sha256` are path and hash of the file.
    `vocabulary` gives the order and the labels of datasets, conditions and sites in tables. `issues` are warnings about
    ids with several spellings.
    """

    table: pandas.DataFrame
    source: Path | None = None
    sha256: str | None = None
    vocabulary: Vocabulary = PAPER
    issues: tuple[Issue, ...] = ()

    def to_frame(self) -> pandas.DataFrame:
        """Return a copy of `table`."""
        return self.table.copy()


def frame_of(rows: Iterable[Measurement]) -> pandas.DataFrame:
    """Return the rows as a pandas DataFrame with `COLUMNS`, as `Measurements.table`; NaN is undefined.

    >>> frame_of([Measurement("A1", "P1", "", "", "", "liver", "manual", 1243.285)])[["structure", "volume_cm3", "dss"]]
      structure  volume_cm3  dss
    0     liver    1243.285  NaN
    """
    import pandas

    table = pandas.DataFrame([asdict(row) for row in rows], columns=list(COLUMNS), dtype=object)
    return table.astype(dict.fromkeys(NUMBERS, "float64"))


def write_measurements(path: StrPath, rows: Iterable[Measurement]) -> None:
    """Write the rows to a file that appears only when complete; undefined numbers are empty fields.

    The column `origin` is written only if a row has one, and the columns of the attenuation only if a CT was known.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "measurements.csv"
    >>> write_measurements(target, [Measurement("A1", "P1", "", "", "", "liver", "manual", 1243.285)])
    >>> target.read_text().splitlines()[1]
    'A1,P1,,,,liver,manual,1243.285,,ok,,,,,,,,,,,,'
    """
    listed = list(rows)
    unused = set() if any(row.hu_status for row in listed) else {*HU_COLUMNS}
    unused |= set() if any(row.origin for row in listed) else {"origin"}
    names = [name for name in COLUMNS if name not in unused]
    with complete_file(Path(path)) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        handle.write(csv_line(names))
        handle.writelines(csv_line(getattr(row, name) for name in names) for row in listed)


def read_measurements(path: StrPath, *, vocabulary: Vocabulary | None = None) -> Measurements:
    """Read measurements from a CSV file (UTF-8 with or without BOM, any line ends).

    Tables written by hand are read too: semicolons or tabs, a first line `sep=;`, decimal commas, `NA` and other words
    for missing values, and words that differ from those of the vocabulary in case or spaces only; notes in `issues`
    list what was changed.

    `vocabulary` (by default that of the paper) gives the order of its values in tables; other values are allowed and
    follow in alphabetical order. If it is given, a warning lists them.

    Raises:
        InputError: all issues of the file, each with its row (the header is row 1) and column; LS-REP-053 it has more
            than 500 000 rows.
    """
    path = Path(path)
    content, text = _decoded(path)
    try:
        records, delimiter = records_of(text, COLUMNS, most=MOST_ROWS + 2)
    except csv.Error as error:
        raise InputError(Issue("LS-MEA-001", f"not a CSV file: {error}", "correct the quotes", file=path)) from error
    if len(records) > MOST_ROWS + 1:
        raise too_many_rows(f"the table has more than {MOST_ROWS} rows", path)
    header = records[0] if records else []
    check_header(header, path)
    rows = [Record(number, tuple(cells)) for number, cells in enumerate(records[1:], 2) if any(cells)]
    rows, notes = _tidied(header, rows, path, delimiter, vocabulary)
    issues = [*notes, *check_records(header, rows, path)]
    table = _table(header, rows)
    issues += unit_notes(table, path)
    return Measurements(table, path, hashlib.sha256(content).hexdigest(), vocabulary or PAPER, tuple(issues))


def _tidied(
    header: list[str], rows: list[Record], path: Path, delimiter: str, vocabulary: Vocabulary | None
) -> tuple[list[Record], list[Issue]]:
    """Return the rows of `tidied` columns; incomplete rows are unchanged, and reported by the checks."""
    complete = [row for row in rows if len(row.cells) == len(header)]
    columns = {name: [row.cells[place] for row in complete] for place, name in enumerate(header) if name}
    tidy, notes = tidied(columns, path, delimiter=delimiter, vocabulary=vocabulary)
    if not notes:
        return rows, notes
    blank = [""] * len(complete)
    cells = dict(
        zip(
            (row.number for row in complete), zip(*(tidy.get(name, blank) for name in header), strict=True), strict=True
        )
    )
    return [Record(row.number, cells.get(row.number, row.cells)) for row in rows], notes


def too_many_rows(message: str, file: Path | None) -> InputError:
    """Return LS-REP-053: measurements have more rows than can be read."""
    return InputError(
        Issue("LS-REP-053", message, "divide the cases over several tables and output folders", file=file)
    )


def write_volumes(
    path: StrPath, rows: Iterable[Measurement], *, body_sizes: Mapping[str, BodySize] | None = None
) -> None:
    """Write the volumes in cm³ with one row per case, and columns `<structure>_<reader>` and `ratio_<reader>`.

    This table is for spreadsheets and other programs; the reports read the long table. A field is empty if a reader has
    no volume; the ratio is also empty for a spleen of 0 cm³. With `body_sizes`, by case, columns such as
    `liver_bsa_<reader>` follow, see the module `body_size`.
    """
    cases: dict[str, tuple[str, ...]] = {}
    volumes: dict[tuple[str, str, str], float | None] = {}
    for row in rows:
        cases[row.case_id] = (row.case_id, row.patient_id, row.dataset, row.condition, row.site)
        volumes[row.case_id, row.structure, row.reader] = row.volume_cm3
    readers = sorted({reader for _, _, reader in volumes})
    columns = [(key, reader) for reader in readers for key in (*ORGAN_KEYS, RATIO_KEY)]
    with complete_file(Path(path)) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        indices = [(key, name, reader) for reader in readers for key, found in INDICES_OF.items() for name in found]
        indices = indices if body_sizes else []
        names = [f"{key}_{reader}" for key, reader in columns] + [f"{name}_{reader}" for _, name, reader in indices]
        handle.write(csv_line([*COLUMNS[:5], *names]))
        for case_id, identifiers in cases.items():
            found = [_volume_or_ratio(volumes, case_id, key, reader) for key, reader in columns]
            size = (body_sizes or {}).get(case_id)
            found += [_index(volumes.get((case_id, key, reader)), key, name, size) for key, name, reader in indices]
            handle.write(csv_line([*identifiers, *found]))


def _index(volume: float | None, organ: str, name: str, size: BodySize | None) -> float | None:
    """Return an index of the module `body_size`; None if it is undefined."""
    value = math.nan if volume is None or size is None else INDICES_OF[organ][name].of(volume, size)
    return None if math.isnan(value) else value


def _volume_or_ratio(
    volumes: dict[tuple[str, str, str], float | None], case_id: str, key: str, reader: str
) -> float | None:
    if key != RATIO_KEY:
        return volumes.get((case_id, key, reader))
    numerator, denominator = (volumes.get((case_id, organ.key, reader)) for organ in RATIO_OF)
    return None if numerator is None or not denominator else numerator / denominator


def _decoded(path: Path) -> tuple[bytes, str]:
    try:
        content = read_bytes(path)
        return content, content.decode("utf-8-sig")
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise InputError(Issue("LS-MEA-001", message, "give an existing measurements.csv", file=path)) from error
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is not UTF-8"
        raise InputError(Issue("LS-MEA-001", message, "save the file as CSV UTF-8", file=path)) from error


def _table(header: list[str], rows: list[Record]) -> pandas.DataFrame:
    import pandas

    columns: dict[str, list[str]] = {
        name: [row.cells[position] for row in rows] for position, name in enumerate(header) if name
    }
    complete = {name: columns.pop(name, [""] * len(rows)) for name in COLUMNS}
    complete["patient_id"] = [p or c for p, c in zip(complete["patient_id"], complete["case_id"], strict=True)]
    complete["volume_status"] = [status or "ok" for status in complete["volume_status"]]
    table = pandas.DataFrame({**complete, **columns}, dtype=object)
    for name in NUMBERS:
        table[name] = [float("nan") if (value := number_or_none(text)) is None else value for text in complete[name]]
    return table
