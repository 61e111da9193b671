"""How the tables of a comparison are laid out."""

from __future__ import annotations

from typing import Final

from liverspleen.evaluation.reporting.table_forms import INDEX_LABELS, SCORE_LABELS, TableForm

_BY_CONDITION: Final = {**SCORE_LABELS, "total": "Total"}
_TESTS: Final = {"shift": "Shift (95 % CI)", "p": "p", "p_holm": "p (Holm)", "effect": "r"}
_TESTED: Final = (
    "First minus second reader, paired by case. Shift: Hodges-Lehmann; p: Wilcoxon signed-rank test, adjusted by Holm "
    "over the pairs of readers of a row's index; r: matched-pairs rank-biserial correlation."
)
_SIZES: Final = "Size of the difference from {reference}; a positive shift means that the first reader errs more. "

FORMS: Final = {
    form.name: form
    for form in (
        TableForm(
            "scores",
            "DSS against {reference}, by reader and condition",
            "Mean ± SD (range) over the cases that every reader has.",
            rows=_BY_CONDITION,
            by_condition=True,
        ),
        TableForm(
            "score_differences", "DSS against {reference}, differences of readers", _TESTED, SCORE_LABELS, _TESTS
        ),
        TableForm(
            "score_subgroups",
            "DSS against {reference}, differences of readers by condition",
            "Hodges-Lehmann shift (95 % CI) of the first minus the second reader; no interval below six cases.",
            rows=_BY_CONDITION,
            by_condition=True,
        ),
        TableForm(
            "errors",
            "Size of the percent volume error against {reference}, by reader",
            "Mean ± SD (range) of |percent difference| over the cases that every reader has.",
            rows=INDEX_LABELS,
        ),
        *(
            TableForm(
                f"error_differences_{scale}",
                f"Size of the volume error against {{reference}}, {unit}, differences of readers",
                _SIZES + _TESTED,
                INDEX_LABELS,
                _TESTS,
            )
            for scale, unit in (("percent", "percent differences"), ("absolute", "cm³ (ratio: 1)"))
        ),
        TableForm(
            "limits",
            "95 % limits of agreement in percent, of readers with {reference} and with each other",
            "Percent differences, first minus second. Interval of the bias by Student's t, of each limit exact "
            "(noncentral t). p: t-test of the bias against zero.",
            INDEX_LABELS,
            {"bias": "Bias (95 % CI)", "lower": "Lower limit (95 % CI)", "upper": "Upper limit (95 % CI)", "p": "p"},
        ),
    )
}
"""Every table of a comparison by name, in order."""
