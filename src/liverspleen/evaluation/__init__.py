"""Measurements of label maps from any system, and agreement statistics of volumetry, without torch.

Importing this package does not load torch, pandas, matplotlib, scipy.stats or statsmodels: the functions that use
them import them.
"""

from __future__ import annotations

from liverspleen.evaluation.measurements.label_folder import Measured, measure_folder
from liverspleen.evaluation.measurements.measure_case import SurfaceMetrics, measure_case
from liverspleen.evaluation.measurements.merge import merge_measurements
from liverspleen.evaluation.measurements.table import (
    Measurement,
    Measurements,
    read_measurements,
    write_measurements,
    write_volumes,
)
from liverspleen.evaluation.metrics.attenuation import Attenuation, KnownCT, organ_attenuation
from liverspleen.evaluation.metrics.overlap import Overlap, dss, overlaps
from liverspleen.evaluation.metrics.surface import SurfaceDistances, surface_distances
from liverspleen.evaluation.metrics.volume import volume_cm3
from liverspleen.evaluation.reporting.compare import ReaderComparison, compare_readers, write_comparison
from liverspleen.evaluation.reporting.figures.bland_altman import plot_bland_altman
from liverspleen.evaluation.reporting.paper_tables import StatisticalReport, statistical_report
from liverspleen.evaluation.reporting.rc_table import KnownRC, read_rc_table
from liverspleen.evaluation.reporting.report import write_report
from liverspleen.evaluation.reporting.study import Study
from liverspleen.evaluation.statistics.bland_altman import BlandAltman, bland_altman
from liverspleen.evaluation.statistics.bootstrap import BootstrapInterval, bootstrap_ci
from liverspleen.evaluation.statistics.calibration import Calibration, calibration
from liverspleen.evaluation.statistics.dunn import Dunn, dunn
from liverspleen.evaluation.statistics.equivalence import Equivalence, tost
from liverspleen.evaluation.statistics.intervals import Interval
from liverspleen.evaluation.statistics.model_choice import Choice, choose
from liverspleen.evaluation.statistics.proportional_bias import ProportionalBias, proportional_bias
from liverspleen.evaluation.statistics.rank_tests import (
    KruskalWallis,
    WilcoxonSignedRank,
    kruskal_wallis,
    wilcoxon_signed_rank,
)
from liverspleen.evaluation.statistics.rc_comparison import RCComparison, compare_rc
from liverspleen.evaluation.statistics.reliability import ICC, Concordance, concordance_correlation, icc
from liverspleen.evaluation.statistics.reproducibility import PercentageRC, percentage_rc
from liverspleen.evaluation.statistics.sample_size import PlannedPower, PlannedWidth, plan_loa, plan_rc, plan_tost
from liverspleen.evaluation.statistics.volume_change import VolumeChange, volume_change

__all__ = [
    "ICC",
    "Attenuation",
    "BlandAltman",
    "BootstrapInterval",
    "Calibration",
    "Choice",
    "Concordance",
    "Dunn",
    "Equivalence",
    "Interval",
    "KnownCT",
    "KnownRC",
    "KruskalWallis",
    "Measured",
    "Measurement",
    "Measurements",
    "Overlap",
    "PercentageRC",
    "PlannedPower",
    "PlannedWidth",
    "ProportionalBias",
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
    "calibration",
    "choose",
    "compare_rc",
    "compare_readers",
    "concordance_correlation",
    "dss",
    "dunn",
    "icc",
    "kruskal_wallis",
    "measure_case",
    "measure_folder",
    "merge_measurements",
    "organ_attenuation",
    "overlaps",
    "percentage_rc",
    "plan_loa",
    "plan_rc",
    "plan_tost",
    "plot_bland_altman",
    "proportional_bias",
    "read_measurements",
    "read_rc_table",
    "statistical_report",
    "surface_distances",
    "tost",
    "volume_change",
    "volume_cm3",
    "wilcoxon_signed_rank",
    "write_comparison",
    "write_measurements",
    "write_report",
    "write_volumes",
]
