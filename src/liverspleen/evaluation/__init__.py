"""From label maps of any reader to the agreement statistics of volumetry, without torch.

Importing this package loads numpy and nothing heavier; scipy, pandas, matplotlib and jinja2 are loaded by the functions
that use them.
"""

from __future__ import annotations

from liverspleen.evaluation.agreement import BlandAltman, bland_altman
from liverspleen.evaluation.comparison import (
    KruskalWallis,
    WilcoxonSignedRank,
    kruskal_wallis,
    wilcoxon_signed_rank,
)
from liverspleen.evaluation.measurements import Measurement, Measurements, read_measurements, write_measurements
from liverspleen.evaluation.report import write_report
from liverspleen.evaluation.reproducibility import PercentageRC, percentage_rc
from liverspleen.evaluation.tables import StatisticalReport, statistical_report

__all__ = [
    "BlandAltman",
    "KruskalWallis",
    "Measurement",
    "Measurements",
    "PercentageRC",
    "StatisticalReport",
    "WilcoxonSignedRank",
    "bland_altman",
    "kruskal_wallis",
    "percentage_rc",
    "read_measurements",
    "statistical_report",
    "wilcoxon_signed_rank",
    "write_measurements",
    "write_report",
]
