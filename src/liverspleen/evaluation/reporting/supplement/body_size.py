"""Additional table of volumes in relation to the size of the body, from the heights and weights of the cohort."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from liverspleen.errors import counted
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.metrics.body_size import INDICES_OF, BodySize
from liverspleen.evaluation.reporting import formatting
from liverspleen.evaluation.reporting.cells import Address, Cell, defined
from liverspleen.evaluation.reporting.results import ReportResults
from liverspleen.evaluation.statistics.samples import describe

_UNKNOWN: Final = BodySize(math.nan, math.nan)


def body_size(results: ReportResults) -> Iterator[Cell]:
    """Yield mean, SD and range of each index by reader, in all and by condition; nothing without a known size."""
    if not results.body_sizes:
        return
    read, sizes = results.readings.volume, results.body_sizes
    for organ, indices in INDICES_OF.items():
        for name, index in indices.items():
            for row, cases in results.groups.total_and_conditions.items():
                for reader in (results.reader, results.reference):
                    values = {case: index.of(read(case, organ, reader), sizes.get(case, _UNKNOWN)) for case in cases}
                    yield _cell(Address("body_size", f"{name}:{row}", reader), values, index.units, index.method)


def body_size_notes(results: ReportResults) -> list[Note]:
    """Return a note on the cases without height or weight, if others have them."""
    cases = results.groups.all_first
    sizes = {case: results.body_sizes.get(case, _UNKNOWN) for case in cases}
    missing = {name: sum(math.isnan(vars(size)[name]) for size in sizes.values()) for name in vars(_UNKNOWN)}
    incomplete = tuple(case for case, size in sizes.items() if any(map(math.isnan, vars(size).values())))
    if not incomplete or all(count == len(cases) for count in missing.values()):
        return []
    columns = " and ".join(f"{name} in {count}" for name, count in missing.items() if count)
    message = f"volumes by body size are undefined where the cohort lacks {columns} of {counted(len(cases), 'CT scan')}"
    return [Note("LS-REP-061", message, "add the values to the cohort if they are known", incomplete)]


def _cell(address: Address, values: dict[str, float], units: str, method: str) -> Cell:
    found = describe(list(values.values()))
    return Cell(
        address,
        values={name: getattr(found, name) for name in ("mean", "sd", "minimum", "maximum")},
        units=units,
        text=formatting.spread_text(found.mean, found.sd, found.minimum, found.maximum),
        n=found.n,
        method=f"{found.method}; {method}",
        reason=found.reason and f"{found.reason}; height, weight or volume is not known",
        **defined(values),
    )
