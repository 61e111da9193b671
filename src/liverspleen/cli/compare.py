"""two or more readers on the same cases against the same reference: paired tests, limits of agreement, forest plots.

A case enters the numbers of a structure if every reader and the reference have it, so that all columns of a table rest
on the same cases; how many these are is stated, and each case left out is named. Differences are first minus second
reader. Wilcoxon signed-rank tests are adjusted by Holm over the pairs of readers.

example
  liverspleen compare measurements=nnunet/measurements.csv,ours/measurements.csv output=outputs/compare
  liverspleen compare measurements=measurements.csv "readers=[dla,nnunet]" reference=manual output=outputs/compare

inputs
  measurements=   a measurements.csv of all readers, or one of each with commas between them; each reader has a name of
                  its own (measure reader=NAME) and the same references. Conditions make the subgroups
  readers=        [a,b,...] in the order of the tables; all that are measured against the reference when empty
  reference=      the reference; the only one, or manual, when empty
  datasets=       [test1,...] to compare on

outputs, in output=
  compare.json    every cell at full precision, with n, method, the cases that entered and those that could not
  tables/         scores, score_differences, score_subgroups, errors, error_differences_percent,
                  error_differences_absolute, limits: CSV, Markdown, LaTeX; all in tables.tex and tables.docx
  figures/        forest_1, forest_2, ...: shift of the DSS by condition, one for each pair; SVG, PDF and PNG
  run.json        what made them

exit codes
  0 done (notes included); 2 a table, a reader or the reference is rejected, every issue listed; 1 failure
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from liverspleen.api.evaluation import run_comparison
from liverspleen.config import CompareConfig
from liverspleen.errors import Issue, one_line
from liverspleen.evaluation.reporting.compare import ReaderComparison


def run(config: CompareConfig) -> Sequence[Issue]:
    """Write the comparison, and print who differs from whom."""
    compared = run_comparison(config)
    print("\n".join(map(one_line, _told(compared.comparison))))
    return compared.issues


def _told(comparison: ReaderComparison) -> Iterator[str]:
    n, patients = comparison.n_examinations, comparison.n_patients
    yield f"compare: {', '.join(comparison.readers)} against {comparison.reference}, {n} CT of {patients} patients"
    for table, title in (
        ("score_differences", "DSS"),
        ("error_differences_percent", "size of the volume error, %"),
    ):
        for row, cells in comparison.table(table).items():
            index, _, pair = row.partition(":")
            shift, p = cells["shift"], cells["p_holm"]
            yield f"  {index} {title}, {pair}: shift {shift.text}, p (Holm) {p.text}, n = {shift.n}"
