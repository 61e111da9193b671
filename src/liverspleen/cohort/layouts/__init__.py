"""Layouts of datasets that can be imported: one module per layout finds its cases."""

from __future__ import annotations

import importlib

from liverspleen.cohort.layouts.source import Exclusion, Found, Meaning, Request, SeriesRow, SourceCase

LAYOUTS = ("nifti", "msd", "nnunet", "totalsegmentator", "chaos", "dicom")

WITH_OWN_LABELS = frozenset({"msd", "nnunet", "totalsegmentator", "chaos"})
"""Layouts that contain label maps."""


def find_cases(layout: str, request: Request) -> Found:
    """Find the cases of a source in a layout.

    Raises:
        InputError: the source does not have this layout.
    """
    # imported when used: other layouts do not need pydicom
    found: Found = importlib.import_module(f"liverspleen.cohort.layouts.{layout}").find(request)
    return found


__all__ = [
    "LAYOUTS",
    "WITH_OWN_LABELS",
    "Exclusion",
    "Found",
    "Meaning",
    "Request",
    "SeriesRow",
    "SourceCase",
    "find_cases",
]
