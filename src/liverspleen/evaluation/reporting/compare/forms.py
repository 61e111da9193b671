"""Titles, labels and footnotes of the tables of a comparison."""

from __future__ import annotations

from typing import Final

from liverspleen.evaluation.reporting.table_form import TableForm
from liverspleen.evaluation.reporting.table_forms import INDEX_LABELS, SCORE_LABELS

_BY_CONDITION: Final = {**SCORE_LABELS, "total": "Total"}
_TESTS: Final = {
    "shift": "Hodges-Lehmann shift (95 % CI)",
    "p": "p value",
    "p_holm": "p value (Holm)",
    "effect": "Effect size (r)",
}
_TESTED: Final = (
    "Differences are first minus second reader, paired by case. p value: Wilcoxon signed-rank test; Holm: adjusted "
    "over all pairs of readers of the same structure or index; r: matched-pairs rank-biserial correlation."
)
_ERRORS: Final = (
    "The error is the absolute difference from {reference}. A positive shift means that the first reader has the "
    "larger error. "
)

FORMS: Final = {
    form.name: form
    for form in (
        TableForm(
            "scores",
            "DSS against {reference}, by reader and condition",
            "Mean ± SD (range) over the cases with values of all readers.",
            rows=_BY_CONDITION,
            by_condition=True,
        ),
        TableForm(
            "score_differences", "DSS against {reference}, differences between readers", _TESTED, SCORE_LABELS, _TESTS
        ),
        TableForm(
            "score_subgroups",
            "DSS against {reference}, differences between readers by condition",
            "Hodges-Lehmann shift (95 % CI), first minus second reader. With fewer than six cases there is no "
            "interval.",
            rows=_BY_CONDITION,
            by_condition=True,
        ),
        TableForm(
            "errors",
            "Absolute percent volume error against {reference}, by reader",
            "Mean ± SD (range) of |percent difference| over the cases with values of all readers.",
            rows=INDEX_LABELS,
        ),
        *(
            TableForm(
                f"error_differences_{scale}",
                f"Absolute volume error against {{reference}} ({unit}), differences between readers",
                _ERRORS + _TESTED,
                INDEX_LABELS,
                _TESTS,
            )
            for scale, unit in (("percent", "percent differences"), ("absolute", "cm³; volume ratio without unit"))
        ),
        TableForm(
            "limits",
            "95 % limits of agreement in percent, of the readers with {reference} and with each other",
            "Percent differences, first minus second. CI of the bias: Student's t. CI of each limit: exact, from the "
            "noncentral t distribution. p value: t-test of the bias against zero.",
            INDEX_LABELS,
            {
                "bias": "Bias (95 % CI)",
                "lower": "Lower limit (95 % CI)",
                "upper": "Upper limit (95 % CI)",
                "p": "p value (bias)",
            },
        ),
    )
}
"""All tables that a comparison can contain, by name, in order."""
