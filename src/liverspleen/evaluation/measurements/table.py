"""`measurements.csv`: the contract between whatever segments and whatever computes statistics.

One row per case, structure, reader and reference. A reader is whoever or whatever drew a label map: a person, our
network, another system. Anything that can write this file gets every table of the report.

| column | holds |
|---|---|
| `case_id` | the CT examination |
| `patient_id` | the patient; the case itself where the file does not say |
| `dataset` | `development`, `test1`, `test2`, another name, or empty |
| `condition` | subgroup of the tables, or empty |
| `site` | `external`, `internal`, another name, or empty |
| `structure` | name of an organ: `liver` or `spleen` |
| `reader` | who or what drew the label map |
| `volume_cm3` | volume in cm³; empty where undefined |
| `volume_status` | `;`-joined out of `STATUSES`; empty reads as `ok` |
| `reference` | the reader that `dss` compares with; empty on rows that compare with nobody |
| `dss` | Dice similarity score in [0, 1]; empty where undefined |
| `iou` | intersection over union in [0, 1] |
| `voxels`, `shared_voxels` | voxels of the reader's structure, and those of them that the reference has too |
| `volume_error_cm3`, `volume_error_pct` | reader minus reference, and that as a percentage of the reference |
| `hd95_mm`, `assd_mm`, `nsd` | 95th percentile and mean of the surface distances, normalised surface dice |
| `nsd_tolerance_mm`, `surface` | tolerance of the `nsd`; `voxel` or `area`, see the module `surface` |

`case_id`, `structure`, `reader` and `volume_cm3` must be there; from `dss` on each column may be
empty or missing; other columns are kept as they are. A status never
removes a row from a table: only an undefined value is left out, and n says so. The liver/spleen ratio is derived where
it is needed and never stored.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from liverspleen.cohort.vocabulary import PAPER, Vocabulary
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.validation import (
    NUMBERS,
    Record,
    check_header,
    check_records,
    number_or_none,
)
from liverspleen.evaluation.metrics.volume import STATUSES
from liverspleen.organs import ORGAN_KEYS, RATIO_KEY, RATIO_OF
from liverspleen.storage import StrPath, complete_file

if TYPE_CHECKING:
    import pandas

__all__ = [
    "COLUMNS",
    "STATUSES",
    "Measurement",
    "Measurements",
    "inert",
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
)

# A spreadsheet takes such text for a formula; one more apostrophe makes it text, and reading takes that one off again.
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_DISARMED: Final = re.compile(r"'+[=+\-@\t\r]")


@dataclass(frozen=True)
class Measurement:
    """What one reader measured of one structure in one case; None is undefined."""

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


@dataclass(frozen=True)
class Measurements:
    """A validated table of measurements.

    `table` has `COLUMNS` first and any further columns after them; text columns hold `str` (empty where the file says
    nothing), number columns hold float64 with NaN for undefined. `source` and `sha256` name the file read.
    `vocabulary` gives the order and the labels of datasets, conditions and sites in tables.
    """

    table: pandas.DataFrame
    source: Path | None = None
    sha256: str | None = None
    vocabulary: Vocabulary = PAPER

    def to_frame(self) -> pandas.DataFrame:
        """A copy of `table`, to be changed at will."""
        return self.table.copy()


def frame_of(rows: Iterable[Measurement]) -> pandas.DataFrame:
    """The rows as a pandas DataFrame of `COLUMNS`, as `Measurements.table`: NaN where a number is undefined.

    >>> frame_of([Measurement("A1", "P1", "", "", "", "liver", "manual", 1243.285)])[["structure", "volume_cm3", "dss"]]
      structure  volume_cm3  dss
    0     liver    1243.285  NaN
    """
    import pandas

    table = pandas.DataFrame([asdict(row) for row in rows], columns=list(COLUMNS), dtype=object)
    return table.astype(dict.fromkeys(NUMBERS, "float64"))


def inert(text: str) -> str:
    """`text` as a CSV cell that no spreadsheet runs as a formula; `read_measurements` takes the apostrophe off again.

    >>> inert("=1+1"), inert("A017")
    ("'=1+1", 'A017')
    """
    return f"'{text}" if _FORMULA.match(text) else text


def csv_line(fields: Iterable[str]) -> str:
    r"""One row of a CSV file, ended by a line feed; every text in it reads back equal.

    >>> csv_line(["a,b", "c\rd", "e"])
    '"a,b","c\rd",e\n'
    """
    # Before Python 3.13 a lone carriage return is quoted only if the line end has one.
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerow(fields)
    return buffer.getvalue().removesuffix("\r\n") + "\n"


def write_measurements(path: StrPath, rows: Iterable[Measurement]) -> None:
    """Write the rows, complete or not at all: numbers at full precision, undefined ones as empty fields.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "measurements.csv"
    >>> write_measurements(target, [Measurement("A1", "P1", "", "", "", "liver", "manual", 1243.285)])
    >>> target.read_text().splitlines()[1]
    'A1,P1,,,,liver,manual,1243.285,ok,,,,,,,,,,,,'
    """
    with complete_file(Path(path)) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        handle.write(csv_line(COLUMNS))
        handle.writelines(csv_line(_cell(value) for value in asdict(row).values()) for row in rows)


def read_measurements(path: StrPath, *, vocabulary: Vocabulary = PAPER) -> Measurements:
    """The measurements in a CSV file (UTF-8 with or without BOM, any line ends, comma-separated).

    `vocabulary` (the paper's by default) orders the tables made from it; other words are allowed, and follow by name.

    Raises:
        InputError: with every issue of the file, each with its row (the header is row 1) and column.
    """
    path = Path(path)
    content, text = _decoded(path)
    try:
        records = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise InputError(Issue("LS-MEA-001", f"not a CSV file: {error}", "correct its quotes", file=path)) from error
    header = [name.strip() for name in records[0]] if records else []
    check_header(header, path)
    rows = [Record(number, _padded(cells, len(header))) for number, cells in enumerate(records[1:], 2) if any(cells)]
    check_records(header, rows, path)
    return Measurements(_table(header, rows), path, hashlib.sha256(content).hexdigest(), vocabulary)


def write_volumes(path: StrPath, rows: Iterable[Measurement]) -> None:
    """Write the volumes in cm³ with one row per case, and columns `<structure>_<reader>` and `ratio_<reader>`.

    Made for spreadsheets and other programs; the reports read the long table. A field is empty where a reader has no
    volume, and the ratio over a spleen of 0 cm³.
    """
    cases: dict[str, tuple[str, ...]] = {}
    volumes: dict[tuple[str, str, str], float | None] = {}
    for row in rows:
        cases[row.case_id] = (row.case_id, row.patient_id, row.dataset, row.condition, row.site)
        volumes[row.case_id, row.structure, row.reader] = row.volume_cm3
    readers = sorted({reader for _, _, reader in volumes})
    columns = [(key, reader) for reader in readers for key in (*ORGAN_KEYS, RATIO_KEY)]
    with complete_file(Path(path)) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        handle.write(csv_line([*COLUMNS[:5], *(inert(f"{key}_{reader}") for key, reader in columns)]))
        for case_id, about in cases.items():
            found = [_volume_or_ratio(volumes, case_id, key, reader) for key, reader in columns]
            handle.write(csv_line(_cell(value) for value in (*about, *found)))


def _volume_or_ratio(
    volumes: dict[tuple[str, str, str], float | None], case_id: str, key: str, reader: str
) -> float | None:
    if key != RATIO_KEY:
        return volumes.get((case_id, key, reader))
    above, below = (volumes.get((case_id, organ.key, reader)) for organ in RATIO_OF)
    return None if above is None or not below else above / below


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return inert(value) if isinstance(value, str) else repr(value if isinstance(value, int) else float(value))


def _decoded(path: Path) -> tuple[bytes, str]:
    try:
        content = path.read_bytes()
        return content, content.decode("utf-8-sig")
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise InputError(Issue("LS-MEA-001", message, "give a measurements.csv that exists", file=path)) from error
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is not UTF-8"
        raise InputError(Issue("LS-MEA-001", message, "save the file as CSV UTF-8", file=path)) from error


def _padded(cells: list[str], width: int) -> tuple[str, ...]:
    """Cells without the empty ones that spreadsheets append beyond the header."""
    while len(cells) > width and not cells[-1]:
        cells = cells[:-1]
    return tuple(cell[1:] if _DISARMED.match(cell) else cell for cell in cells)


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
