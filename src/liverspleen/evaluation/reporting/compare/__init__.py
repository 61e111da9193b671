"""Two or more readers on the same cases against the same reference.

| table | rows | columns |
|---|---|---|
| `scores` | structure:`total`, structure:condition | the readers: DSS |
| `score_differences` | structure:`a vs b` | `shift, p, p_holm, effect` |
| `score_subgroups` | structure:`total`, structure:condition | `a vs b`: shift of the DSS |
| `errors` | index | the readers: size of the volume error in percent |
| `error_differences_percent`, `error_differences_absolute` | index:`a vs b` | `shift, p, p_holm, effect` |
| `limits` | index:`a vs b`, index:`a vs reference` | `bias, lower, upper, p` |

Every number of a structure rests on the cases that all readers and the reference have: its `rows` are the same in all
columns, and `excluded` names the others. Nothing is compared over different cases.
"""

from __future__ import annotations

from liverspleen.evaluation.reporting.compare.build import ReaderComparison, compare_readers
from liverspleen.evaluation.reporting.compare.writing import write_comparison

__all__ = ["ReaderComparison", "compare_readers", "write_comparison"]
