"""From label maps of any reader to the agreement statistics of volumetry, without torch.

Importing this package loads no torch, no pandas, no matplotlib and no scipy.stats: those are loaded by the functions
that use them.
"""

from __future__ import annotations

from liverspleen.evaluation.agreement import BlandAltman, bland_altman
from liverspleen.evaluation.change import VolumeChange, volume_change
from liverspleen.evaluation.choice import Choice, choose
from liverspleen.evaluation.compare import ReaderComparison, compare_readers, write_comparison
from liverspleen.evaluation.comparison import (
    KruskalWallis,
    WilcoxonSignedRank,
    kruskal_wallis,
    wilcoxon_signed_rank,
)
from liverspleen.evaluation.equivalence import Equivalence, tost
from liverspleen.evaluation.label_folder import Measured, measure_folder
from liverspleen.evaluation.measure import SurfaceMetrics, measure_case
from liverspleen.evaluation.measurements import (
    Measurement,
    Measurements,
    read_measurements,
    write_measurements,
    write_volumes,
)
from liverspleen.evaluation.merging import merge_measurements
from liverspleen.evaluation.overlap import Overlap, overlaps
from liverspleen.evaluation.posthoc import Dunn, dunn
from liverspleen.evaluation.rc_comparison import RCComparison, compare_rc
from liverspleen.evaluation.rc_table import KnownRC, read_rc_table
from liverspleen.evaluation.reliability import ICC, Concordance, concordance_correlation, icc
from liverspleen.evaluation.report import write_report
from liverspleen.evaluation.reproducibility import PercentageRC, percentage_rc
from liverspleen.evaluation.resampling import BootstrapInterval, bootstrap_ci
from liverspleen.evaluation.sample_size import PlannedPower, PlannedWidth, plan_loa, plan_rc, plan_tost
from liverspleen.evaluation.study import Study
from liverspleen.evaluation.surface import SurfaceDistances, surface_distances
from liverspleen.evaluation.tables import StatisticalReport, statistical_report

__all__ = [
    "ICC",
    "BlandAltman",
    "BootstrapInterval",
    "Choice",
    "Concordance",
    "Dunn",
    "Equivalence",
    "KnownRC",
    "KruskalWallis",
    "Measured",
    "Measurement",
    "Measurements",
    "Overlap",
    "PercentageRC",
    "PlannedPower",
    "PlannedWidth",
    "RCComparison",
    "ReaderComparison",
    "StatisticalReport",
    "Study",
    "SurfaceDistances",
    "SurfaceMetrics",
    "VolumeChange",
    "WilcoxonSignedRank",
    "bland_altman",
    "bootstrap_ci",
    "choose",
    "compare_rc",
    "compare_readers",
    "concordance_correlation",
    "dunn",
    "icc",
    "kruskal_wallis",
    "measure_case",
    "measure_folder",
    "merge_measurements",
    "overlaps",
    "percentage_rc",
    "plan_loa",
    "plan_rc",
    "plan_tost",
    "read_measurements",
    "read_rc_table",
    "statistical_report",
    "surface_distances",
    "tost",
    "volume_change",
    "wilcoxon_signed_rank",
    "write_comparison",
    "write_measurements",
    "write_report",
    "write_volumes",
]
