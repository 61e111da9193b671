"""Additional table of volumes in relation to the size of the body, from the heights and weights of the cohort."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

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
