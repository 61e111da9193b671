"""Selection among several eligible series of one study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from liverspleen.imaging.dicom import Series, eligible
from liverspleen.imaging.dicom.series import phase_of

PORTAL_VENOUS = "portal_venous"


@dataclass(frozen=True)
class Selection:
    """The selected series with the reason; empty with the reason if no series is selected."""

    selected: tuple[Series, ...]
    reason: str


def select_series(folders: Mapping[Series, str], rows: Sequence[Mapping[str, str]]) -> Selection:
    """Select among the series of a study, given with their folders; `rows` are the covariates.

    A series is eligible if it is usable; a derived one only if the study has no other CT scan, or by rule 2.
    The first rule that applies decides:

    1. A single eligible series is selected, of any phase.
    2. Series that a row gives by `series`.
    3. Series alone in a folder that is the `source` of a row; only the portal venous ones if rows state phases.
    4. The series with the phase portal venous in its header.
    5. If several are portal venous, or all state the same phase: the one with the most slices.

    No series is selected if no rule applies, or if several series have the most slices.
    """
    usable = tuple(series for series in folders if not series.exclusions)
    candidates = eligible(folders)
    if len(usable) > 1 and (
        named := tuple(series for series in usable if any(_states(row, series, folders[series]) for row in rows))
    ):
        return Selection(named, "given by the covariates")
    if len(candidates) < 2:
        return Selection(candidates, "the only eligible series")
    series_in_folder = Counter(folders[series] for series in candidates)
    listed = {
        series: row
        for series in candidates
        for row in rows
        if row["source"] == folders[series] and series_in_folder[folders[series]] == 1 and not row["series"]
    }
    if portal := tuple(series for series, row in listed.items() if phase_of(row["phase"]) == PORTAL_VENOUS):
        return Selection(portal, "portal venous by the covariates")
    if listed:
        return Selection(tuple(listed), "given by the covariates")
    portal = tuple(series for series in candidates if series.phase == PORTAL_VENOUS)
    reason = "portal venous by its header" if portal else "of one phase by its header"
    if len(portal) == 1:
        return Selection(portal, reason)
    same_phase = portal or (candidates if len({s.phase for s in candidates}) == 1 and candidates[0].phase else ())
    most = max((series.slices for series in same_phase), default=0)
    finest = tuple(series for series in same_phase if series.slices == most)
    if len(finest) == 1:
        return Selection(finest, f"{reason}, with the most slices of {len(same_phase)}")
    shown = ", ".join(
        f"{series.slices} slices, phase {series.phase or 'unknown'}"
        for series in sorted(candidates, key=lambda series: (series.phase, series.slices))
    )
    return Selection((), f"study has {len(candidates)} eligible series ({shown}), expected one")


def _states(row: Mapping[str, str], series: Series, folder: str) -> bool:
    """Whether a row gives this series of this folder or patient, by UID or by number."""
    if not row["series"] or row["series"] not in {series.series_uid, series.description.partition(" ")[0]}:
        return False
    return row["source"] == folder if row["source"] else row["patient"] == series.patient_id
