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

from collections.abc import Iterator, Sequence

from liverspleen.evaluation.reporting.cells import Cell
from liverspleen.evaluation.reporting.reader_pair import Comparands, Groups
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


def supplement(comparands: Comparands, groups: Groups, readers: Sequence[str]) -> Iterator[Cell]:
    """The cells of all tables beyond the paper; `readers` are those of the reproducibility table."""
    yield from means(comparands, groups)
    yield from surfaces(comparands, groups)
    for scale in SCALES:
        yield from limits(comparands, groups, scale)
    yield from advice(comparands, groups)
    yield from limit_intervals(comparands, groups)
    yield from subgroups(comparands, groups)
    yield from sites(comparands, groups.pairs)
    yield from rc_methods(comparands, groups.pairs, readers)
    yield from rc_readers(comparands, groups.pairs)
    yield from equivalence(comparands, groups)
    yield from reliability(comparands, groups)
