"""Two or more readers on the same cases against the same reference.

| table | rows | columns |
|---|---|---|
| `scores` | structure:`total`, structure:condition | the readers: DSS |
| `score_differences` | structure:`a vs b` | `shift, p, p_holm, effect` |
| `score_subgroups` | structure:`total`, structure:condition | `a vs b`: shift of the DSS |
| `errors` | index | the readers: absolute percent volume error |
| `error_differences_percent`, `error_differences_absolute` | index:`a vs b` | `shift, p, p_holm, effect` |
| `limits` | index:`a vs b`, index:`a vs reference` | `bias, lower, upper, p` |

All numbers of a structure include only the cases with values of all readers and of the reference: `rows` is the same in
all columns, and `excluded` lists the other cases.
"""

from __future__ import annotations

from liverspleen.evaluation.reporting.compare.build import ReaderComparison, compare_readers
from liverspleen.evaluation.reporting.compare.writing import write_comparison

__all__ = ["ReaderComparison", "compare_readers", "write_comparison"]
