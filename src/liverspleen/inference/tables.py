"""Tables of a folder of predictions: the volumes, and the cases in the order of review; the gallery of these cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from liverspleen.evaluation.measurements.table import write_measurements, write_volumes
from liverspleen.inference.case_files import CaseFiles, Settings, Sidecar, rejections, sidecars, stated_settings
from liverspleen.inference.gallery import GALLERY, gallery_page, may_write
from liverspleen.organs import ORGAN_KEYS
from liverspleen.spreadsheet import csv_text
from liverspleen.storage import write_text

MEASUREMENTS, VOLUMES, REVIEW = "measurements.csv", "volumes.csv", "review.csv"

_COLUMNS: Final = (
    "case_id",
    "score",
    *(f"{key}_{column}" for key in ORGAN_KEYS for column in ("status", "faces")),
)
_LAST_COLUMNS: Final = ("reasons", "picture")
_MEMBER_COLUMNS: Final = tuple(f"{key}_member_dss" for key in ORGAN_KEYS)
"""Only in a folder with label maps of an ensemble."""

_NOT_TAUGHT: Final = "not taught"
"""Status of an organ in `review.csv` that the model was not taught: it is unknown, not absent."""

_EDITED: Final = "the label map was edited after the prediction; move it to another folder, and measure it there"


def unfinished(folder: Path, case_ids: Iterable[str], settings: Settings) -> list[str]:
    """Return the cases that have neither a label map nor a rejection with these settings yet."""
    return [case_id for case_id in case_ids if not _is_finished(CaseFiles(folder, case_id), settings)]


def _is_finished(files: CaseFiles, settings: Settings) -> bool:
    found = [files.rejection]
    if files.label_map.is_file():
        found.append(files.sidecar)
    return any(settings.agree(stated_settings(file, files.case_id)) for file in found)


def remove_tables(folder: Path) -> None:
    """Remove the tables and the gallery of a folder, before its label maps change."""
    for name in (MEASUREMENTS, VOLUMES, REVIEW, *([GALLERY] if may_write(folder) else [])):
        (folder / name).unlink(missing_ok=True)


def write_tables(folder: Path) -> list[Path]:
    """Write `measurements.csv`, `volumes.csv`, `review.csv` and `index.html` of the label maps and rejections.

    The content depends only on the sidecars and rejections, and on which files exist, so every task writes the same
    bytes. The volumes are sorted by case_id. They have no rows of a case that was rejected (even if it has a label map
    of an earlier run), whose label map was edited after the prediction, or whose sidecar is damaged or has another
    format. An `index.html` of another program is kept, and is not among the returned files.
    """
    rejected = {case_id: [f"rejected: {line}" for line in lines] for case_id, lines in rejections(folder).items()}
    known, others = sidecars(folder)
    rejected = {issue.case_id: [str(issue)] for issue in others if issue.case_id} | rejected
    found = []
    for sidecar in known:
        if sidecar.case_id in rejected:
            continue
        if sidecar.is_of(CaseFiles(folder, sidecar.case_id).label_map):
            found.append(sidecar)
        else:
            rejected[sidecar.case_id] = [_EDITED]
    rejected = dict(sorted(rejected.items()))
    rows = [row for sidecar in found for row in sidecar.measurements]
    _renew(folder / MEASUREMENTS, partial(write_measurements, rows=rows))
    _renew(folder / VOLUMES, partial(write_volumes, rows=rows))
    more = _MEMBER_COLUMNS if any(sidecar.content.get("member_dss") for sidecar in found) else ()
    columns = (*_COLUMNS, *more, *_LAST_COLUMNS)
    ranked = sorted(found, key=lambda sidecar: -_score(sidecar))
    lines = [{"case_id": case_id, "reasons": "; ".join(why)} for case_id, why in rejected.items()]
    lines += [_line(sidecar) for sidecar in ranked]
    text = csv_text([columns, *([line.get(name, "") for name in columns] for line in lines)])
    _renew(folder / REVIEW, partial(write_text, text=text))
    written = [folder / name for name in (MEASUREMENTS, VOLUMES, REVIEW)]
    if may_write(folder):
        page = gallery_page(folder, rejected, ranked, review_table=REVIEW)
        _renew(folder / GALLERY, partial(write_text, text=page))
        written.append(folder / GALLERY)
    return written


def _renew(file: Path, write: Callable[[Path], None]) -> None:
    """Write a file, unless it has the same content already."""
    draft = file.with_name(f".part-{uuid4().hex[:8]}-{file.name}")
    write(draft)
    if file.is_file() and file.read_bytes() == draft.read_bytes():
        draft.unlink()
    else:
        draft.replace(file)


def _score(sidecar: Sidecar) -> float:
    return float(sidecar.content["review"]["score"])


def _line(sidecar: Sidecar) -> dict[str, str]:
    """Return the cells of a case by column."""
    statuses = {row.structure: row.volume_status for row in sidecar.measurements}
    faces: dict[str, Any] = sidecar.content["faces"]
    covered = sidecar.content["covered"]
    unknown = {key: _NOT_TAUGHT for key in ORGAN_KEYS if key not in covered}
    members: dict[str, float | None] = sidecar.content.get("member_dss") or {}
    found = (f"{warning.code} {warning.message}" for warning in sidecar.warnings())
    return {
        "case_id": sidecar.case_id,
        "score": f"{_score(sidecar):.3f}",
        **{f"{key}_status": unknown.get(key) or statuses.get(key, "") for key in ORGAN_KEYS},
        **{f"{key}_faces": ";".join(faces.get(key, ())) for key in ORGAN_KEYS},
        **{f"{key}_member_dss": f"{dss:.3f}" for key, dss in members.items() if dss is not None},
        "reasons": "; ".join([*sidecar.content["review"]["reasons"], *found]),
        "picture": CaseFiles(Path(), sidecar.case_id).picture.name,
    }
