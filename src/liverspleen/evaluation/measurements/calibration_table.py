"""`calibration.csv`: sums of probabilities by bin, from which a report computes calibration without the maps.

One row per case, structure, reader, reference and bin. Sums of cases add up, so the rows of several cases give the
reliability diagram of all their voxels.

| column | content |
|---|---|
| `case_id`, `structure`, `reader`, `reference` | as in `measurements.csv` |
| `bin`, `lower`, `upper` | number of the bin, 1 to 15, and its bounds: probabilities above `lower` up to `upper`, in the first bin also 0 |
| `box_voxels`, `box_reference_voxels` | voxels of the bin in the box around the organ of the reference, and those of the reference among them |
| `box_probability_sum`, `box_squared_error_sum` | sums of the probabilities and of (probability − outcome)² of these voxels |
| `image_…` | the same four of the whole image |
"""  # noqa: E501

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from liverspleen.errors import InputError, Issue, counted
from liverspleen.evaluation.statistics.calibration import BINS, EDGES, SCALE, BinSums, calibration_of
from liverspleen.reading import read_csv
from liverspleen.spreadsheet import csv_line
from liverspleen.storage import StrPath, complete_file

if TYPE_CHECKING:
    import pandas

FILE: Final = "calibration.csv"
"""Name of the table, beside `measurements.csv`."""

REGIONS: Final = ("box", "image")
_SUMS: Final = ("voxels", "reference_voxels", "probability_sum", "squared_error_sum")
_KEY: Final = ("case_id", "structure", "reader", "reference")
COLUMNS: Final = (*_KEY, "bin", "lower", "upper", *(f"{region}_{name}" for region in REGIONS for name in _SUMS))

_SAME: Final = 1e-6  # relative; another program may have printed fewer digits

Key = tuple[str, str, str, str]
"""Case, structure, reader and reference."""


@dataclass(frozen=True)
class CaseCalibration:
    """Sums by bin of the probabilities of one structure in one case; `box` as in `ProbabilitySums`."""

    case_id: str
    structure: str
    reader: str
    reference: str
    box: BinSums
    image: BinSums

    @property
    def key(self) -> Key:
        """Case, structure, reader and reference."""
        return self.case_id, self.structure, self.reader, self.reference


def mean_calibration(rows: Iterable[CaseCalibration]) -> dict[str, tuple[float, float, int]]:
    """Return mean ECE, mean Brier score in the box, and the number of cases, by structure; none without a box."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        result = calibration_of(row.box)
        if result.ece is not None and result.brier is not None:
            found.setdefault(row.structure, []).append((result.ece, result.brier))
    return {
        key: (
            math.fsum(ece for ece, _ in scores) / len(scores),
            math.fsum(b for _, b in scores) / len(scores),
            len(scores),
        )
        for key, scores in found.items()
    }


def write_calibration(path: StrPath, rows: Iterable[CaseCalibration]) -> None:
    """Write the sums to a file that appears only when complete."""
    with complete_file(Path(path)) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        handle.write(csv_line(COLUMNS))
        for row in rows:
            numbers = zip(_columns(row.box), _columns(row.image), strict=True)
            for place, (box, image) in enumerate(numbers):
                handle.write(csv_line([*row.key, place + 1, EDGES[place], EDGES[place + 1], *box, *image]))


def read_calibration(path: StrPath, table: pandas.DataFrame) -> dict[Key, CaseCalibration]:
    """Read the sums by case, structure, reader and reference, and compare them with the measurements `table`.

    Rows of cases that the measurements lack are ignored, so that a report of fewer cases needs no other file.

    Raises:
        InputError: LS-REP-066 the file is not as `write_calibration` writes it, no row belongs to the measurements, or
            the voxels of the reference or the soft volume differ from those of the measurements.
    """
    path = Path(path)
    try:
        header, *records = read_csv(path) or [[]]
        if header != list(COLUMNS):
            raise ValueError(f"its columns are not {', '.join(COLUMNS)}")
        found = {row.key: row for row in _cases([record for record in records if record])}
    except (ValueError, csv.Error) as error:
        raise _rejected(path, f"it is not a {FILE} of liverspleen measure ({error})") from error
    except OSError as error:
        raise _rejected(path, f"it cannot be read ({error.strerror or error})") from error
    if wrong := [*_differences(found, table)]:
        more = f", and {counted(len(wrong) - 1, 'further row')}" if len(wrong) > 1 else ""
        raise _rejected(path, f"it does not belong to the measurements: {wrong[0]}{more}")
    return found


def _rejected(path: Path, message: str) -> InputError:
    hint = f"measure again with probabilities=, or remove {FILE} for a report without calibration"
    return InputError(Issue("LS-REP-066", message, hint, file=path))


def _columns(sums: BinSums) -> list[tuple[int, int, float, float]]:
    probability, error = ([value / SCALE for value in values] for values in (sums.probability, sums.squared_error))
    return list(zip(sums.n, sums.ones, probability, error, strict=True))


def _cases(records: Sequence[Sequence[str]]) -> Iterator[CaseCalibration]:
    """Yield the cases of complete records; the bins of a case are neighbours and in order.

    Raises:
        ValueError: a row is incomplete, repeated or missing, or has a number that cannot be.
    """
    seen: set[tuple[str, ...]] = set()
    for start in range(0, len(records), BINS):
        group = records[start : start + BINS]
        key = tuple(group[0][: len(_KEY)])
        for place, record in enumerate(group):
            row = start + place + 2
            if len(record) != len(COLUMNS) or tuple(record[: len(_KEY)]) != key or record[len(_KEY)] != str(place + 1):
                raise ValueError(f"row {row} is not bin {place + 1} of a case")
        if len(group) != BINS or key in seen:
            raise ValueError(f"the rows of case {key[0]!r} are not {BINS} bins")
        seen.add(key)
        case_id, structure, reader, reference = key
        box, image = (
            _sums([record[-len(REGIONS) * len(_SUMS) :] for record in group], place, start + 2)
            for place in range(len(REGIONS))
        )
        yield CaseCalibration(case_id, structure, reader, reference, box, image)


def _sums(cells: Sequence[Sequence[str]], region: int, first_row: int) -> BinSums:
    """Return the sums of a region from its cells by bin."""
    columns: list[tuple[int, int, int, int]] = []
    for row, bin_cells in enumerate(cells, first_row):
        voxels, ones, *decimals = bin_cells[region * len(_SUMS) : (region + 1) * len(_SUMS)]
        n, k, (p, e) = int(voxels), int(ones), (float(text) for text in decimals)
        if not (0 <= k <= n and 0 <= p <= n and 0 <= e <= n):
            raise ValueError(f"row {row} has sums that are not those of probabilities from 0 to 1")
        columns.append((n, k, round(p * SCALE), round(e * SCALE)))
    return BinSums(*zip(*columns, strict=True))


def _differences(found: Mapping[Key, CaseCalibration], table: pandas.DataFrame) -> Iterator[str]:
    """Yield what the measurements contradict."""
    names = (*_KEY, "volume_cm3", "volume_soft_cm3", "voxels")
    rows = list(zip(*(table[name].tolist() for name in names), strict=True))
    voxels = {(case, structure, reader): n for case, structure, reader, _, _, _, n in rows}
    common = 0
    for case, structure, reader, reference, volume, soft, own in rows:
        row = found.get((case, structure, reader, reference))
        if row is None:
            continue
        common += 1
        place = f"case {case!r}, {structure} of reader {reader!r}"
        expected = voxels.get((case, structure, reference), math.nan)
        if not math.isnan(expected) and expected != (ones := sum(row.image.ones)):
            yield f"{place} has {ones} voxels of the reference, and {expected:g} in the measurements"
        elif own and not math.isnan(own) and not math.isnan(soft):
            sums = sum(row.image.probability) / SCALE * volume / own
            if not math.isclose(sums, soft, rel_tol=_SAME, abs_tol=1e-9):
                yield f"{place} has a soft volume of {sums:g} cm³, and {soft:g} cm³ in the measurements"
    if found and not common:
        yield "they have no row in common"
