"""Titles, labels and footnotes of every table of the report.

A table is added by an entry in `FORMS`; its cells carry the entry's name as `address.table`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from liverspleen.evaluation.statistics.intervals import LOA_MULTIPLIER
from liverspleen.organs import ORGANS, RATIO_KEY, RATIO_OF

INDEX_LABELS: Final = {
    **{organ.key: f"{organ.title} volume" for organ in ORGANS},
    RATIO_KEY: "/".join(organ.key for organ in RATIO_OF).capitalize() + " volume ratio",
}
SCORE_LABELS: Final = {organ.key: f"{organ.title} DSS" for organ in ORGANS}
_ROW_LABELS: Final = {
    **INDEX_LABELS,
    "total": "Total",
    "p": "p",
    **{f"dss_{key}": label for key, label in SCORE_LABELS.items()},
    **{f"loa_{key}": f"{label}, 95 % LOA (%)" for key, label in INDEX_LABELS.items()},
}

Part = Literal["paper", "beyond"]
PARTS: Final[dict[Part, str]] = {"paper": "Tables", "beyond": "Beyond the paper"}
"""The parts of a report and their headings."""


@dataclass(frozen=True)
class TableForm:
    """How one table is laid out; `title` may name the `{reader}` and the `{reference}`, and the `{sites}`.

    A row or column without a label is labelled by its address; `sex:M` by the labels of `sex` and `M`, as `Sex: M`, if
    `sex` has one. `by_condition`: whether rows may be conditions, which the vocabulary labels; `columns_are` the words
    of the vocabulary that columns may be. `shows_n`: whether n stands beside the numbers; else they are counts.
    """

    name: str
    title: str
    footnote: str = ""
    rows: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    part: Part = "paper"
    shows_n: bool = True
    by_condition: bool = False
    columns_are: Literal["", "datasets", "sites"] = ""


_SUBJECTS: Final = {**INDEX_LABELS, "total": "Total"}
_ORGANS: Final = {organ.key: organ.title for organ in ORGANS}
_LIMITS: Final = {
    "bias": "Bias (95 % CI)",
    "lower": "Lower limit (95 % CI)",
    "upper": "Upper limit (95 % CI)",
    "normal": "Normality, p",
    "proportional": "Proportional bias, p",
    "spread": "Spread, p",
    "d_z": "d_z",
}
_LIMITS_FOOTNOTE: Final = (
    "Interval of the bias by Student's t, of each limit exact (noncentral t). p: Shapiro-Wilk test of the differences; "
    "slope of the differences (proportional bias), and of their absolute residuals (spread), over the means of both "
    "readers. d_z: mean over SD of the differences."
)
_BEYOND: Final = (
    TableForm(
        "means",
        "Mean DSS and NSD of {reader} against {reference} with 95 % intervals",
        "Mean (Student's t with patient-robust standard error; BCa bootstrap over patients).",
        rows={**_SUBJECTS, "dss": "DSS", "nsd": "NSD"},
        columns=_ORGANS,
        part="beyond",
        by_condition=True,
    ),
    TableForm(
        "surfaces",
        "Surface distances of {reader} against {reference} by condition",
        "Mean ± SD (range). HD95: 95th percentile Hausdorff distance; ASSD: average symmetric surface distance; NSD: "
        "normalised surface dice. Distances are undefined where one of the masks is empty.",
        rows={**_SUBJECTS, "hd95": "HD95 (mm)", "assd": "ASSD (mm)", "nsd": "NSD"},
        columns=_ORGANS,
        part="beyond",
        by_condition=True,
    ),
    *(
        TableForm(
            f"limits_{scale}",
            f"Limits of agreement of {{reader}} against {{reference}}, {title}",
            _LIMITS_FOOTNOTE,
            rows=_SUBJECTS,
            columns=_LIMITS,
            part="beyond",
            by_condition=True,
        )
        for scale, title in (
            ("percent", "percent differences"),
            ("absolute", "absolute differences (cm³; ratio: 1)"),
            ("log", "ratios reader / reference (by logarithms)"),
        )
    ),
    TableForm(
        "advice",
        "What the checks say about the scale of the differences",
        "By p < 0.05 of the checks over all CTs of Table 3.",
        rows={**INDEX_LABELS, "percent": "percent", "absolute": "absolute", "log": "logarithm"},
        columns={"advice": "Advice"},
        part="beyond",
    ),
    TableForm(
        "limit_intervals",
        "95 % intervals of the limits of agreement in percent, by method",
        "All CTs of Table 3.",
        rows={
            **INDEX_LABELS,
            "ba1999": "Bland-Altman 1999",
            "ba1986": "Bland-Altman 1986",
            "exact": "exact, each limit",
            "exact_pair": "exact, both limits together",
            "mover": "MOVER",
        },
        columns={"lower": "Lower limit (95 % CI)", "upper": "Upper limit (95 % CI)"},
        part="beyond",
    ),
    TableForm(
        "subgroups",
        "DSS between conditions: effect sizes, and every pair by Dunn's test",
        "All conditions: H, p, ε², η²_H. Pairs: z, p and p adjusted by Holm, rank-biserial correlation, Hodges-Lehmann "
        "shift; positive where the first condition is higher.",
        rows={**SCORE_LABELS, "all": "all conditions"},
        by_condition=True,
        columns={
            "statistic": "H or z",
            "p": "p",
            "p_holm": "p (Holm)",
            "effect": "ε² or r",
            "eta_squared_h": "η²_H",
            "shift": "Shift",
        },
        part="beyond",
    ),
    TableForm(
        "sites",
        "DSS in {first_site} against {second_site} CT: effect sizes",
        "Matched-pairs rank-biserial correlation; Hodges-Lehmann shift with its 95 % CI; d_z, mean difference over SD "
        "of differences. {First_site} minus {second_site}; n counts patients.",
        rows=SCORE_LABELS,
        columns={"p": "p", "rank_biserial": "r", "shift": "Shift (95 % CI)", "d_z": "d_z"},
        part="beyond",
    ),
    TableForm(
        "rc_methods",
        "%RC by other definitions of the within-subject CV, by reader",
        "Root mean square: %RC (χ² interval; BCa interval). Logarithms; mean-scaled within-subject SD; shift between "
        "the two CTs removed. n counts patients.",
        rows={
            **INDEX_LABELS,
            "rms": "root mean square (the paper's)",
            "log": "logarithms",
            "wsd": "within-subject SD / mean",
            "bias_removed": "shift removed",
        },
        part="beyond",
    ),
    TableForm(
        "rc_readers",
        "Reproducibility of {reader} against that of {reference}",
        "Ratio of the within-subject CVs on the same patients (BCa interval); p: permutation test within patients.",
        rows=INDEX_LABELS,
        columns={"ratio": "wCV ratio (95 % CI)", "p": "p"},
        part="beyond",
    ),
    TableForm(
        "equivalence",
        "Equivalence of the volumes of {reader} and {reference}",
        "Two one-sided t-tests of percent differences against ± 5 %, and the smallest margin that these data support "
        "at α = 0.05. A difference that is not significant is no equivalence.",
        rows=INDEX_LABELS,
        columns={
            "bias": "Bias (90 % CI), %",
            "p": "p",
            "p_lower": "p, not below",
            "p_upper": "p, not above",
            "verdict": "Within ± 5 %",
            "smallest": "Smallest margin, %",
        },
        part="beyond",
    ),
    TableForm(
        "reliability",
        "Reliability of volumes between readers",
        "ICC(A,1), absolute agreement; ICC(C,1), consistency; Lin's concordance correlation; of {reader} and "
        "{reference}, and where there are other readers the ICC of all. 95 % CI.",
        rows={**INDEX_LABELS, "everyone": "all readers"},
        columns={"icc_a1": "ICC(A,1)", "icc_c1": "ICC(C,1)", "ccc": "CCC"},
        part="beyond",
    ),
)

FORMS: Final = {
    form.name: form
    for form in (
        TableForm(
            "table1",
            "Table 1. Characteristics of the datasets",
            "Number (percent of the patients of the column; of its CTs for slice thickness and phase). Age: mean ± "
            "SD (range) over patients, each at the youngest age stated.",
            rows={
                "patients": "Patients",
                "examinations": "CT examinations",
                "age": "Age (years)",
                "sex": "Sex",
                "condition": "Condition",
                "slice_thickness": "Section thickness",
                "slice_thickness_mm": "Section thickness (mm), mean ± SD (range)",
                "phase": "Phase",
                **{
                    f"{key}_{word}": f"{label}: {meaning}"
                    for key, label in (
                        ("age", "Age"),
                        ("sex", "Sex"),
                        ("condition", "Condition"),
                        ("slice_thickness", "Section thickness"),
                        ("phase", "Phase"),
                    )
                    for word, meaning in (("several", "more than one stated"), ("missing", "not stated"))
                },
            },
            shows_n=False,
            by_condition=True,
            columns_are="datasets",
        ),
        TableForm(
            "table2",
            "Table 2. DSS of {reader} against {reference} by condition",
            "Mean ± SD (range). p: Kruskal-Wallis test between the conditions.",
            rows=_ROW_LABELS,
            columns=SCORE_LABELS,
            by_condition=True,
        ),
        TableForm(
            "table3",
            "Table 3. Agreement of volumetric indices, {reader} against {reference}, by condition",
            f"Bias ± {LOA_MULTIPLIER} SD of percent differences. p: t-test of the bias against zero.",
            rows=_ROW_LABELS,
            columns={
                column: text
                for key, label in INDEX_LABELS.items()
                for column, text in ((key, f"{label}, 95 % LOA (%)"), (f"{key}_p", "p"))
            },
            by_condition=True,
        ),
        TableForm(
            "table4",
            "Table 4. {reader} against {reference} in {sites} CT",
            "DSS: mean ± SD (range); p: Wilcoxon signed-rank test over patients with one CT of {each_site}. "
            f"LOA: bias ± {LOA_MULTIPLIER} SD of percent differences; NA, not applicable.",
            rows=_ROW_LABELS,
            columns={"p": "p"},
            columns_are="sites",
        ),
        TableForm(
            "reproducibility",
            "Reproducibility over two CTs of a patient, %RC (95 % CI), by reader",
            "Percentage reproducibility coefficient with its χ² confidence interval; n counts patients.",
            rows=_ROW_LABELS,
        ),
        *_BEYOND,
    )
}
"""Every table a report may hold, by name, in the order of the report."""
