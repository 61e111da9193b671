"""Which of several eligible series of one study is taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from liverspleen.imaging.dicom import Series
from liverspleen.imaging.dicom.series import phase_of

PORTAL_VENOUS = "portal_venous"


@dataclass(frozen=True)
class Choice:
    """The series that are taken and why, or none and why not."""

    taken: tuple[Series, ...]
    why: str


def choose(folders: Mapping[Series, str], rows: Sequence[Mapping[str, str]]) -> Choice:
    """Choose among the eligible series of a study, given with their folders; `rows` are the covariates.

    In this order: the only one, whatever its phase; those that a row names by `series`; those whose own folder is the
    `source` of a row (the portal venous ones among them, if rows state phases); the one whose header says portal
    venous. Several that are left are reconstructions of one phase only if headers state the same phase for all: then
    the one with the most slices. Else nobody chooses for the reader.
    """
    eligible = tuple(folders)
    if len(eligible) < 2:
        return Choice(eligible, "the only eligible series")
    if named := tuple(series for series in eligible if any(_states(row, series, folders[series]) for row in rows)):
        return Choice(named, "named by the covariates")
    alone = Counter(folders.values())
    listed = {
        series: row
        for series, folder in folders.items()
        for row in rows
        if row["source"] == folder and alone[folder] == 1 and not row["series"]
    }
    if portal := tuple(series for series, row in listed.items() if phase_of(row["phase"]) == PORTAL_VENOUS):
        return Choice(portal, "portal venous by the covariates")
    if listed:
        return Choice(tuple(listed), "named by the covariates")
    portal = tuple(series for series in eligible if series.phase == PORTAL_VENOUS)
    why = "portal venous by its header" if portal else "of one phase by its header"
    if len(portal) == 1:
        return Choice(portal, why)
    alike = portal or (eligible if eligible[0].phase and len({series.phase for series in eligible}) == 1 else ())
    most = max((series.slices for series in alike), default=0)
    finest = tuple(series for series in alike if series.slices == most)
    if len(finest) == 1:
        return Choice(finest, f"{why}, with the most slices of {len(alike)}")
    told = ", ".join(
        f"{series.slices} slices, phase {series.phase or 'unknown'}"
        for series in sorted(eligible, key=lambda series: (series.phase, series.slices))
    )
    return Choice((), f"{len(eligible)} series of the study could be taken ({told})")


def _states(row: Mapping[str, str], series: Series, folder: str) -> bool:
    """Whether a row states this series, by UID or by number, of this folder or patient."""
    if not row["series"] or row["series"] not in {series.series_uid, series.description.partition(" ")[0]}:
        return False
    return row["source"] == folder if row["source"] else row["patient"] == series.patient_id
