"""The layouts that cohorts come in: each finds the cases of a source."""

from __future__ import annotations

import importlib

from liverspleen.cohort.layouts.source import Found, Left, Meaning, Request, SeriesRow, SourceCase

LAYOUTS = ("nifti", "msd", "nnunet", "totalsegmentator", "chaos", "dicom")

WITH_OWN_LABELS = frozenset({"msd", "nnunet", "totalsegmentator", "chaos"})
"""Layouts that hold their label maps themselves."""


def find_cases(layout: str, request: Request) -> Found:
    """The cases of a source in that layout.

    Raises:
        InputError: the source as a whole is none.
    """
    # imported when used: pydicom is not needed for the others
    found: Found = importlib.import_module(f"liverspleen.cohort.layouts.{layout}").find(request)
    return found


__all__ = ["LAYOUTS", "WITH_OWN_LABELS", "Found", "Left", "Meaning", "Request", "SeriesRow", "SourceCase", "find_cases"]
