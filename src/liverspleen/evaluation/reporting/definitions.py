"""Definitions of the quantities in a report, for the page and for `report.json`."""

from __future__ import annotations

from typing import Final

from liverspleen.evaluation.metrics.probabilities import BOX_MARGIN_MM
from liverspleen.evaluation.statistics.calibration import BINS
from liverspleen.evaluation.statistics.intervals import LOA_MULTIPLIER
from liverspleen.evaluation.statistics.reproducibility import RC_QUANTILE

RESEARCH_USE: Final = "Research use only. Not a medical device; not for diagnosis or treatment."

DEFINITIONS: Final[dict[str, str]] = {
    "DSS": "Dice similarity score, 2 TP / (2 TP + FN + FP), of one structure, computed per CT scan in 3D on the grid "
    "of the CT scan. It is equal to the Dice similarity coefficient (DSC).",
    "Volume": "Volume in cm³ measured by each reader. The liver/spleen volume ratio is the ratio of the two volumes of "
    "the same reader. It is undefined if the spleen volume is 0 cm³.",
    "Percent difference": "200 (reader − reference) / (reader + reference). It is undefined if both volumes are 0.",
    "95 % LOA": f"Bland-Altman limits of agreement: bias ± {LOA_MULTIPLIER} SD of the percent differences. The bias is "
    "the mean of the percent differences; the SD has the denominator n − 1.",
    "p of the bias": "Two-sided one-sample t-test of the percent differences against 0, with n − 1 degrees of freedom.",
    "p between conditions": "Kruskal-Wallis test with H corrected for ties, compared with the χ² distribution with "
    "k − 1 degrees of freedom for k conditions.",
    "p between sites": "Wilcoxon signed-rank test of the patients with one CT scan from each site. Zero differences "
    "are dropped, ties have average ranks, and the normal approximation has a tie-corrected variance and no continuity "
    "correction, as in SPSS.",
    "%RC": "Percentage reproducibility coefficient of two CT scans of a patient. 95 % of the differences between two "
    "measurements of an unchanged organ are expected to be within ± %RC, in percent of their mean. "
    f"%RC = {RC_QUANTILE} √(2 wCV²), with the within-subject coefficient of variation (wCV) in percent. The wCV is the "
    "root mean square of the CV of each patient, with the variance d²/2 for a difference d. The 95 % CI uses the χ² "
    "distribution with n degrees of freedom.",
    "Soft volume": "Sum of the probabilities of an organ over all voxels × volume of a voxel, in cm³.",
    "ECE": f"Expected calibration error of the probability of an organ, Σ n_b / n |f_b − p_b| over {BINS} bins of "
    "equal width, with the number of voxels n_b, the fraction f_b of voxels of the reference and the mean probability "
    "p_b of bin b (Guo et al., ICML 2017). The voxels are those of the box around the organ of the reference with a "
    f"margin of {BOX_MARGIN_MM:g} mm; of the image: all voxels.",
    "Brier score": "Mean of (probability − outcome)² over the same voxels; the outcome is 1 in the organ of the "
    "reference and 0 elsewhere (Brier, Mon Weather Rev 1950;78:1).",
    "n": "Number of CT scans with a defined value. For the p value between sites and for %RC: number of patients.",
    "Rounding": "Printed numbers are rounded half away from zero. report.json contains all numbers at full precision.",
}
"""Definitions by term; the terms are keys of `report.json`."""

LABELS: Final = {
    "p of the bias": "p value of the bias",
    "p between conditions": "p value between conditions",
    "p between sites": "p value between sites",
}
"""Labels of the page for terms that differ from them."""

READER_MEANINGS: Final = {"dla": "deep learning algorithm"}
"""Meanings of reader names that the page explains."""
