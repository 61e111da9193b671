"""Additional tables: intervals, checks, effect sizes and further methods for the numbers of the paper.

| table | rows | columns |
|---|---|---|
| `means` | `dss:…`, `nsd:…` with `total` and the conditions | structure: mean with t and BCa intervals |
| `failures` | kind:stratum | structure: CT scans that failed, share of the patients with Wilson's interval |
| `surfaces` | `hd95:…`, `assd:…`, `nsd:…` likewise | structure |
| `limits_percent`, `limits_absolute`, `limits_log` | index:`total`, index:condition | `bias, lower, upper`, checks |
| `advice` | index:scale | `advice`: result of the checks over all CT scans |
| `limit_intervals` | index:method | `lower, upper`: intervals of the limits over all CT scans |
| `subgroups` | structure:`all`, structure:`a vs b` | `statistic, p, p_holm, effect, shift` |
| `sites` | structure | `p, rank_biserial, shift, d_z` |
| `rc_methods` | index:method | the readers |
| `rc_readers` | index | ratio of the wCV of both readers, with its p value |
| `equivalence` | index | `bias, p, p_lower, p_upper, verdict, smallest` |
| `reliability` | index, index:`everyone` | `icc_a1, icc_c1, ccc` |
| `calibration` | `ece:…`, `brier:…`, `ece_image:…`, `brier_image:…` likewise, `pooled` | structure; only with maps |
| `body_size` | `liver_height`, `liver_bsa`, `liver_standard`, `spleen_…` with `total` and conditions | readers |
| `attenuation` | `liver_hu`, `spleen_hu`, `hu_difference`, `hu_ratio` with `total`, conditions, phases | all readers |

Each cell contains its numbers at full precision and its method. `docs/statistics.md` describes the methods with their
sources.
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
from liverspleen.evaluation.reporting.supplement.body_size import body_size, body_size_notes
from liverspleen.evaluation.reporting.supplement.calibration import Reliability, calibration, reliabilities
from liverspleen.evaluation.reporting.supplement.failures import failure_notes, failures
from liverspleen.evaluation.reporting.supplement.repeats import rc_methods, rc_readers
from liverspleen.evaluation.reporting.supplement.scores import means, sites, subgroups, surfaces

__all__ = ["SCALES", "Reliability", "body_size_notes", "failure_notes", "reliabilities", "supplement"]


def supplement(results: ReportResults) -> Iterator[Cell]:
    """Yield the cells of all additional tables."""
    yield from means(results)
    yield from failures(results)
    yield from surfaces(results)
    yield from calibration(results)
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
    yield from body_size(results)
