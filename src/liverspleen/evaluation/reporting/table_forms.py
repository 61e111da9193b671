"""Titles, labels and footnotes of all tables of the report.

To add a table, add an entry to `FORMS`; the `address.table` of its cells is the name of the entry.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from liverspleen.evaluation.metrics.attenuation import LEAST_CM3
from liverspleen.evaluation.metrics.probabilities import BOX_MARGIN_MM
from liverspleen.evaluation.reporting.table_form import TableForm
from liverspleen.evaluation.statistics.calibration import BINS
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
    "p": "p value",
    **{f"dss_{key}": label for key, label in SCORE_LABELS.items()},
    **{f"loa_{key}": f"{label}, 95 % LOA (%)" for key, label in INDEX_LABELS.items()},
}

_SUBJECTS: Final = {**INDEX_LABELS, "total": "Total"}
_ORGANS: Final = {organ.key: organ.title for organ in ORGANS}
_LIMITS: Final = {
    "bias": "Bias (95 % CI)",
    "lower": "Lower limit (95 % CI)",
    "upper": "Upper limit (95 % CI)",
    "normal": "Normality, p value",
    "proportional": "Proportional bias, p value",
    "spread": "Heteroscedasticity, p value",
    "d_z": "Effect size (d_z)",
}
_LIMITS_FOOTNOTE: Final = (
    "CI of the bias: Student's t. CI of each limit: exact, from the noncentral t distribution. With several CT scans "
    "of a patient: bias of the means of the patients, limits for one CT scan of a new patient, CI of each limit by "
    "MOVER; the three tests assume one CT scan per patient. Normality: Shapiro-Wilk test of the differences. "
    "Proportional bias: slope of the differences against the means of both readers. Heteroscedasticity: slope of the "
    "magnitude of the residuals against the means of both readers. d_z: mean of the differences divided by their SD."
)
_NSD: Final = {"nsd": "NSD: normalised surface Dice{tolerance}."}
_BCA: Final = "bias-corrected and accelerated (BCa) bootstrap over patients"
_TWO_INTERVALS: Final = "mean (95 % CI, t; 95 % CI, bootstrap)"
_ADDITIONAL: Final = (
    TableForm(
        "means",
        "Mean DSS and NSD of {reader} against {reference} with 95 % confidence intervals",
        "t: Student's t of the logit, with a standard error clustered by patient; bootstrap: "
        + _BCA
        + ". DSS: Dice similarity "
        "score.",
        row_notes=_NSD,
        rows={**_SUBJECTS, "dss": "DSS", "nsd": "NSD"},
        columns={key: f"{title}: {_TWO_INTERVALS}" for key, title in _ORGANS.items()},
        part="additional",
        by_condition=True,
    ),
    TableForm(
        "failures",
        "Failures of {reader} against {reference}",
        "Number of CT scans that failed of those in which this can be decided; percent of their patients (95 % CI, "
        "Wilson). Missed: no voxel of an organ that the reference has. Absent organ found: volume above 0 although the "
        "reference or the cohort says that there is no organ. Beyond the %RC: the percent difference is larger than "
        "the %RC of the reference in this report. Thirds: of the reference volumes. A kind without a "
        "failure has the row Total only. The notes list the cases.",
        rows={
            "missed": "Organ missed",
            "low_dss": "DSS below 0.8",
            "found_absent": "Absent organ found",
            "beyond_rc": "Volume error beyond the %RC",
            "total": "Total",
            "volume_low": "smallest third of the volumes",
            "volume_middle": "middle third of the volumes",
            "volume_high": "largest third of the volumes",
            "thin": "slices up to 2 mm",
            "medium": "slices above 2 to 5 mm",
            "thick": "slices above 5 mm",
        },
        columns=_ORGANS,
        part="additional",
        by_condition=True,
    ),
    TableForm(
        "surfaces",
        "Surface distances of {reader} against {reference} by condition",
        "Mean ± SD (range). HD95: 95th percentile Hausdorff distance; ASSD: average symmetric surface distance. HD95 "
        "and ASSD are undefined if one of the masks is empty.",
        row_notes=_NSD,
        rows={**_SUBJECTS, "hd95": "HD95 (mm)", "assd": "ASSD (mm)", "nsd": "NSD"},
        columns=_ORGANS,
        part="additional",
        by_condition=True,
    ),
    TableForm(
        "calibration",
        "Calibration of the probabilities of {reader} against {reference}",
        "Mean over CT scans (95 % CI, t of the logit; 95 % CI, bootstrap over patients) of the expected calibration "
        f"error (ECE, {BINS} bins of equal width) and the Brier score. Box: voxels around the organ of the reference "
        f"with a margin of {BOX_MARGIN_MM:g} mm. Image: all voxels, most of which are background. Voxels of all boxes: "
        "both scores of these voxels together, with n CT scans.",
        rows={
            "total": "Total",
            "ece": "ECE, box",
            "brier": "Brier score, box",
            "ece_image": "ECE, image",
            "brier_image": "Brier score, image",
            "pooled": "Voxels of all boxes: ECE; Brier score",
        },
        columns=_ORGANS,
        part="additional",
        by_condition=True,
    ),
    *(
        TableForm(
            f"limits_{scale}",
            f"Limits of agreement of {{reader}} against {{reference}}, {title}",
            _LIMITS_FOOTNOTE,
            rows=_SUBJECTS,
            columns=_LIMITS,
            part="additional",
            by_condition=True,
        )
        for scale, title in (
            ("percent", "percent differences"),
            ("absolute", "differences in cm³ (volume ratio: no unit)"),
            ("log", "ratios reader / reference (from log differences)"),
        )
    ),
    TableForm(
        "advice",
        "Choice of the scale of the differences",
        "The advice follows from the tests (normality, proportional bias, heteroscedasticity) with a p value below "
        "0.05, over all CT scans of Table 3. Percent scale: percent differences; absolute scale: differences in cm³ "
        "(volume ratio: no unit); log scale: differences of the logarithms.",
        rows={**INDEX_LABELS, "percent": "percent scale", "absolute": "absolute scale", "log": "log scale"},
        columns={"advice": "Advice"},
        part="additional",
    ),
    TableForm(
        "limit_intervals",
        "95 % confidence intervals of the limits of agreement in percent, by method",
        "The intervals are computed over all CT scans of Table 3. MOVER: method of variance estimates recovery, the "
        "only one for several CT scans of a patient.",
        rows={
            **INDEX_LABELS,
            "ba1999": "Bland-Altman 1999",
            "ba1986": "Bland-Altman 1986",
            "exact": "exact, each limit separately",
            "exact_pair": "exact, both limits together",
            "mover": "MOVER",
        },
        columns={"lower": "Lower limit (95 % CI)", "upper": "Upper limit (95 % CI)"},
        part="additional",
    ),
    TableForm(
        "subgroups",
        "DSS between conditions: effect sizes and pairwise comparisons",
        "All conditions: Kruskal-Wallis test with H, p value and the effect sizes ε² (epsilon squared) and η²_H (eta "
        "squared from H). Pairs: Dunn's test with z, p value and p value adjusted by Holm; rank-biserial correlation r "
        "and Hodges-Lehmann shift (median of all differences of DSS), both positive if the first condition has the "
        "higher DSS. The p values assume one CT scan per patient.",
        rows={**SCORE_LABELS, "all": "all conditions"},
        by_condition=True,
        columns={
            "statistic": "Test statistic (H or z)",
            "p": "p value",
            "p_holm": "p value (Holm)",
            "effect": "Effect size (ε² or r)",
            "eta_squared_h": "Effect size (η²_H)",
            "shift": "Hodges-Lehmann shift",
        },
        part="additional",
    ),
    TableForm(
        "sites",
        "DSS in {first_site} and {second_site} CT scans: effect sizes",
        "Differences are {first_site} minus {second_site}. p value: Wilcoxon signed-rank test; r: matched-pairs "
        "rank-biserial correlation; d_z: mean of the differences divided by their SD. n is the number of patients.",
        rows=SCORE_LABELS,
        columns={
            "p": "p value",
            "rank_biserial": "Effect size (r)",
            "shift": "Hodges-Lehmann shift (95 % CI)",
            "d_z": "Effect size (d_z)",
        },
        part="additional",
    ),
    TableForm(
        "rc_methods",
        "%RC with different definitions of the within-subject CV, by reader",
        "%RC (95 % CI from the χ² distribution). The root mean square has a second 95 % CI: " + _BCA + ". n is the "
        "number of patients.",
        rows={
            **INDEX_LABELS,
            "rms": "root mean square (as in the paper)",
            "log": "log scale",
            "wsd": "within-subject SD of the group / mean of the group",
            "bias_removed": "mean difference between the two CT scans removed",
        },
        part="additional",
    ),
    TableForm(
        "rc_readers",
        "Reproducibility of {reader} compared with {reference}",
        "Ratio of the within-subject coefficients of variation (wCV), {reader} / {reference}, in the same patients. "
        "95 % CI: " + _BCA + ". p value: permutation test within patients. n is the number of patients.",
        rows=INDEX_LABELS,
        columns={"ratio": "wCV ratio (95 % CI)", "p": "p value"},
        part="additional",
    ),
    TableForm(
        "repeatability",
        "%RC (95 % CI) of all repeated CT scans of a patient, and of those at one site, by reader",
        "The within-subject CV is the root mean square over patients, weighted by the number of CT scans minus one "
        "(Raunig et al., Stat Methods Med Res 2015;24:27). The CI uses the χ² distribution with the sum of these "
        "weights as degrees of freedom. The patients of both test datasets are included; the organ is assumed not to "
        "change between the CT scans of a patient. n is the number of patients with two or more CT scans.",
        rows={**INDEX_LABELS, "any_site": "all CT scans"},
        by_condition=True,
        part="additional",
    ),
    TableForm(
        "equivalence",
        "Equivalence of the volumes of {reader} and {reference}",
        "Two one-sided t-tests of the percent differences with the margin ± 5 %; the p value is the larger of the two. "
        "Smallest margin: the smallest margin for which these data show equivalence at α = 0.05. A difference that is "
        "not significant does not show equivalence. With several CT scans of a patient, the tests are those "
        "of the means of the patients.",
        rows=INDEX_LABELS,
        columns={
            "bias": "Bias (90 % CI), %",
            "p": "p value",
            "p_lower": "p value, lower margin",
            "p_upper": "p value, upper margin",
            "verdict": "Equivalence within ± 5 %",
            "smallest": "Smallest margin, %",
        },
        part="additional",
    ),
    TableForm(
        "reliability",
        "Reliability of volumes between readers",
        "Estimate (95 % CI) for {reader} and {reference}. ICC(A,1): intraclass correlation, absolute agreement; "
        "ICC(C,1): intraclass correlation, consistency; CCC: Lin's concordance correlation coefficient. The intervals "
        "assume one CT scan per patient.",
        row_notes={"everyone": "The rows of all readers have the ICC of all readers of these CT scans."},
        rows={**INDEX_LABELS, "everyone": "all readers"},
        columns={"icc_a1": "ICC(A,1)", "icc_c1": "ICC(C,1)", "ccc": "CCC"},
        part="additional",
    ),
    TableForm(
        "body_size",
        "Volumes in relation to the size of the body, by reader",
        "Mean ± SD (range) of the CT scans with known height and weight. BSA: body surface area by Du Bois and Du "
        "Bois, Arch Intern Med 1916;17:863. Standard liver volume: 706.2 BSA + 2.4 cm³ (Urata et al., Hepatology "
        "1995;21:1317), from Japanese patients. Percent differences between readers are those of the volumes.",
        rows={
            "total": "Total",
            **{
                f"{organ.key}_{name}": f"{organ.title} volume / {label}"
                for organ in ORGANS
                for name, label in (("height", "height (cm³/m)"), ("bsa", "BSA (cm³/m²)"))
            },
            "liver_standard": "Liver volume / standard liver volume (%)",
        },
        part="additional",
        by_condition=True,
    ),
    TableForm(
        "attenuation",
        "Attenuation of the organs, by reader",
        "Mean ± SD (range) over the CT scans of the mean HU of each organ in its label without the outer millimetres "
        f"(column hu_core_mm; at least {LEAST_CM3:g} cm³). Vessels and lesions in the label are included. Difference "
        "and ratio are those of the two means of a CT scan. Attenuation depends on contrast phase and tube voltage. "
        "Thresholds of fatty liver are defined for unenhanced CT and do not apply to other phases. The notes list "
        "undefined and clipped values.",
        rows={
            "total": "Total",
            **{f"{organ.key}_hu": f"{organ.title} attenuation (HU)" for organ in ORGANS},
            "hu_difference": " minus ".join(organ.key for organ in RATIO_OF).capitalize() + " attenuation (HU)",
            "hu_ratio": "/".join(organ.key for organ in RATIO_OF).capitalize() + " attenuation ratio",
        },
        part="additional",
        by_condition=True,
    ),
)

FORMS: Final = {
    form.name: form
    for form in (
        TableForm(
            "table1",
            "Table 1. Characteristics of the datasets",
            "Number of patients (percent of the patients of the column); for section thickness and phase, number of CT "
            "examinations (percent). Age: mean ± SD (range) over patients; a patient with several ages counts with the "
            "lowest.",
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
                    for word, meaning in (("several", "different values"), ("missing", "not stated"))
                },
            },
            shows_n=False,
            by_condition=True,
            columns_are="datasets",
        ),
        TableForm(
            "table2",
            "Table 2. DSS of {reader} against {reference} by condition",
            "Mean ± SD (range). p value: Kruskal-Wallis test between the conditions.",
            rows=_ROW_LABELS,
            columns=SCORE_LABELS,
            by_condition=True,
        ),
        TableForm(
            "table3",
            "Table 3. Agreement of volumetric indices, {reader} against {reference}, by condition",
            f"LOA: bias ± {LOA_MULTIPLIER} SD of the percent differences. p value: t-test of the bias against zero.",
            rows=_ROW_LABELS,
            columns={
                column: text
                for key, label in INDEX_LABELS.items()
                for column, text in ((key, f"{label}, 95 % LOA (%)"), (f"{key}_p", "p value (bias)"))
            },
            by_condition=True,
        ),
        TableForm(
            "table4",
            "Table 4. {reader} against {reference} in {sites} CT scans",
            "DSS: mean ± SD (range); p value: Wilcoxon signed-rank test of the patients with one CT scan from "
            "{each_site}. "
            f"LOA: bias ± {LOA_MULTIPLIER} SD of the percent differences. NA: not applicable.",
            rows=_ROW_LABELS,
            columns={"p": "p value"},
            columns_are="sites",
        ),
        TableForm(
            "reproducibility",
            "Reproducibility between two CT scans of a patient: %RC (95 % CI), by reader",
            "%RC: percentage reproducibility coefficient, with its confidence interval from the χ² distribution. n is "
            "the number of patients.",
            rows=_ROW_LABELS,
        ),
        TableForm(
            "cross_validation",
            "Development dataset, {validation}: {reader} against {reference}",
            "Each case was segmented by a model that was not trained on its patient. "
            f"DSS: mean ± SD (range). LOA: bias ± {LOA_MULTIPLIER} SD of the percent differences. The model of a fold "
            "can depend on its validation cases if it was selected on them, as best.ckpt.",
            rows=_ROW_LABELS,
            columns={"total": "Total"},
            columns_are="folds",
        ),
        *_ADDITIONAL,
        *(
            replace(
                form,
                name=f"cross_validation_{form.name}",
                title=f"Development dataset, {{validation}}: {form.title}",
            )
            for form in _ADDITIONAL
            if form.name in ("means", "failures", "surfaces", "calibration")
        ),
    )
}
"""All tables that a report can contain, by name, in the order of the report."""
