"""Beyond the paper: what stands beside each of its numbers.

| table | rows | columns |
|---|---|---|
| `means` | `dss:…`, `nsd:…` with `total` and the conditions | structure: mean with t and BCa intervals |
| `surfaces` | `hd95:…`, `assd:…`, `nsd:…` likewise | structure |
| `limits_percent`, `limits_absolute`, `limits_log` | index:`total`, index:condition | `bias, lower, upper`, checks |
| `advice` | index:scale | `advice`: what the checks over all CTs say |
| `limit_intervals` | index:method | `lower, upper`: every interval of the limits over all CTs |
| `subgroups` | structure:`all`, structure:`a vs b` | `statistic, p, p_holm, effect, shift` |
| `sites` | structure | `p, rank_biserial, shift, d_z` |
| `rc_methods` | index:method | the readers |
| `rc_readers` | index | ratio of the wCV of both readers, with its p |
| `equivalence` | index | `bias, p, p_lower, p_upper, verdict, smallest` |
| `reliability` | index, index:`everyone` | `icc_a1, icc_c1, ccc` |

Every cell holds its numbers at full precision and its method; what a method is and where it comes from stands in
`docs/statistics.md`.
"""

from __future__ import annotations

from collections.abc import Iterator

from liverspleen.evaluation.reporting.cells import Cell
from liverspleen.evaluation.reporting.results import ReportResults
from liverspleen.evaluation.reporting.supplement.agreement import (
    SCALES,
    advice,
    equivalence,
    limit_intervals,
    limits,
    reliability,
)
from liverspleen.evaluation.reporting.supplement.repeats import rc_methods, rc_readers
from liverspleen.evaluation.reporting.supplement.scores import means, sites, subgroups, surfaces


def supplement(results: ReportResults) -> Iterator[Cell]:
    """The cells of all tables beyond the paper."""
    yield from means(results)
    yield from surfaces(results)
    for scale in SCALES:
        yield from limits(results, scale)
    yield from advice(results)
    yield from limit_intervals(results)
    yield from subgroups(results)
    yield from sites(results)
    yield from rc_methods(results)
    yield from rc_readers(results)
    yield from equivalence(results)
    yield from reliability(results)
