"""Cohorts: manifest, checks of a case, patient-level split."""

from liverspleen.cohort.checks import load_case, load_reference, read_files
from liverspleen.cohort.folder import open_cohort
from liverspleen.cohort.manifest import Case, Cohort, read_cohort, write_cohort
from liverspleen.cohort.row import column_table
from liverspleen.cohort.split import Split, read_split, write_split
from liverspleen.cohort.stratified import Stratum, folds_by_patient, split_by_patient, strata
from liverspleen.cohort.vocabulary import DEVELOPMENT, Vocabulary

__all__ = [
    "DEVELOPMENT",
    "Case",
    "Cohort",
    "Split",
    "Stratum",
    "Vocabulary",
    "column_table",
    "folds_by_patient",
    "load_case",
    "load_reference",
    "open_cohort",
    "read_cohort",
    "read_files",
    "read_split",
    "split_by_patient",
    "strata",
    "write_cohort",
    "write_split",
]
