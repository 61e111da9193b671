"""compare two or more readers (people or segmentation systems) on the same cases with the same reference.

A case is included for a structure only if all readers and the reference measured it, so all columns of a table have
the same cases. The number of included cases is stated, and excluded cases are listed. A difference is first reader
minus second reader. The p values of Wilcoxon signed-rank tests are adjusted by Holm over the pairs of readers.

examples
  liverspleen compare measurements=nnunet/measurements.csv,ours/measurements.csv output=outputs/compare
  liverspleen compare measurements=measurements.csv "readers=[dla,nnunet]" reference=manual output=outputs/compare

inputs
  measurements=   one measurements.csv with all readers, or several separated by commas; each reader has its own name
                  (measure reader=NAME), all have the same reference; conditions define the subgroups
  readers=        [a,b,...] in the order of the tables; default: all readers that are measured against the reference
  reference=      name of the reference; default: the only one, or manual
  datasets=       [test1,...]; default: all datasets

outputs, in output=
  compare.html    all tables, figures and cases as a page that needs no server
  compare.json    every cell at full precision, with n, method, included and excluded cases
  cases.csv       the cases of the cells with more than 2000 of them, one column per list: 1 included, 0 excluded
  tables/         scores, score_differences, score_subgroups, errors, error_differences_percent,
                  error_differences_absolute, limits: CSV, Markdown, LaTeX; all in tables.tex and tables.docx
  figures/        forest_1, forest_2, ...: shift of the DSS by condition, one for each pair; SVG, PDF and PNG
  run.json        command, configuration, versions and hashes

exit codes
  0: finished, possibly with notes; 2: a table, a reader or the reference was rejected, each issue listed; 1: failure
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from liverspleen.api.evaluation import run_comparison
from liverspleen.config import CompareConfig
from liverspleen.errors import Issue, counted, one_line
from liverspleen.evaluation.reporting.compare import ReaderComparison


def run(config: CompareConfig) -> Sequence[Issue]:
    """Write the comparison, and print the differences between readers."""
    compared = run_comparison(config)
    print("\n".join(map(one_line, _lines(compared.comparison))))
    return compared.issues


def _lines(comparison: ReaderComparison) -> Iterator[str]:
    scans, patients = counted(comparison.n_examinations, "CT scan"), counted(comparison.n_patients, "patient")
    yield f"compare: {', '.join(comparison.readers)} against {comparison.reference}, {scans} of {patients}"
    for table, title in (
        ("score_differences", "DSS"),
        ("error_differences_percent", "absolute volume error, %"),
    ):
        for row, cells in comparison.table(table).items():
            index, _, pair = row.partition(":")
            shift, p = cells["shift"], cells["p_holm"]
            yield f"  {index} {title}, {pair}: shift {shift.text}, p (Holm) {p.text}, n = {shift.n}"
