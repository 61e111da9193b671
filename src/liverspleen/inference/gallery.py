"""The gallery of a folder of predictions: one page with the picture, the volumes and the findings of each case."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from liverspleen import __version__
from liverspleen.errors import Issue, counted
from liverspleen.evaluation.measurements.table import Measurement
from liverspleen.evaluation.metrics import attenuation, volume
from liverspleen.evaluation.reporting.definitions import RESEARCH_USE
from liverspleen.evaluation.reporting.formatting import with_minus_signs
from liverspleen.inference.case_files import CaseFiles, Sidecar
from liverspleen.inference.case_report import ATTENUATION_STATUSES, VOLUME_STATUSES
from liverspleen.organs import ORGANS, Structure
from liverspleen.pages import part, script_source, templates

GALLERY: Final = "index.html"

_MARK: Final = '<meta name="generator" content="liverspleen predict">'
_MARK_WITHIN: Final = 400  # bytes from the start of the file
_SCRIPTS: Final = ("sortable.js", "arrow_keys.js")


@dataclass(frozen=True)
class _OrganCell:
    """Texts of an organ of a case; `value` is the volume in cm³ for sorting, empty if it is unknown.

    A status is a key and its meaning.
    """

    title: str
    colour: str
    value: str = ""
    volume: str = ""
    statuses: tuple[tuple[str, str], ...] = ()
    attenuation: str = ""
    attenuation_statuses: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Card:
    """A case of the page; `files` are names and links. Without a valid label map it has only `reasons`."""

    case_id: str
    reasons: tuple[str, ...]
    organs: tuple[_OrganCell, ...]
    failed: bool = False
    score: float | str = ""
    warnings: tuple[Issue, ...] = ()
    picture: str = ""
    files: tuple[tuple[str, str], ...] = ()


def may_write(folder: Path) -> bool:
    """Return whether the folder has no `index.html`, or one that predict wrote."""
    file = folder / GALLERY
    try:
        with file.open("rb") as handle:
            return _MARK.encode() in handle.read(_MARK_WITHIN)
    except FileNotFoundError:
        return not file.is_symlink()
    except OSError:
        return False


def gallery_page(
    folder: Path, failed: Mapping[str, Sequence[str]], found: Sequence[Sidecar], *, review_table: str
) -> str:
    """Return the page: the failed cases with their reasons, then the others, both in the given order.

    Pictures and other files are links to files in `folder`; a file that does not exist has no link. The page needs no
    network and is complete without JavaScript. The same input gives the same text.
    """
    existing = {entry.name for entry in os.scandir(folder)}
    cards = [_failed_card(case_id, reasons) for case_id, reasons in failed.items()]
    cards += [_card(sidecar, existing) for sidecar in found]
    script = "".join(map(part, _SCRIPTS))
    return (
        templates("liverspleen.inference")
        .get_template("gallery.html.j2")
        .render(
            mark=_MARK,
            script=script,
            script_source=script_source(script),
            cards=cards,
            n_failed=len(failed),
            organs=ORGANS,
            notice=RESEARCH_USE,
            phantoms_only=_phantoms_only(found),
            review=review_table,
            version=__version__,
            counted=counted,
        )
    )


def _phantoms_only(found: Sequence[Sidecar]) -> str:
    """Return the notice about label maps of a model that was trained on phantoms only."""
    number = sum(bool(sidecar.content.get("phantoms_only")) for sidecar in found)
    if not number:
        return ""
    shown = "The label maps" if number == len(found) else f"{number} of {counted(len(found), 'label map')}"
    return f"{shown} were made by a model that was trained on phantoms only."


def _failed_card(case_id: str, reasons: Sequence[str]) -> _Card:
    organs = tuple(_OrganCell(organ.title, organ.facts.colour, statuses=(("", "no volume"),)) for organ in ORGANS)
    return _Card(case_id, tuple(reasons), organs, failed=True)


def _card(sidecar: Sidecar, existing: Collection[str]) -> _Card:
    content, rows = sidecar.content, {row.structure: row for row in sidecar.measurements}
    files = CaseFiles(Path(), sidecar.case_id)
    # a file that is not in the sidecar belongs to an earlier label map
    present = {name for name in content["files"] if name in existing}
    named = [
        ("label map", files.label_map),
        ("DICOM-SEG", files.segmentation),
        ("DICOM structured report", files.report),
        *((f"{organ.key} probability", files.probability(organ)) for organ in ORGANS),
        ("probabilities as DICOM-SEG", files.fractional),
    ]
    return _Card(
        sidecar.case_id,
        tuple(content["review"]["reasons"]),
        tuple(_organ_cell(organ, rows.get(organ.key), content["faces"].get(organ.key, ())) for organ in ORGANS),
        score=float(content["review"]["score"]),
        warnings=sidecar.warnings(),
        picture=_link(files.picture.name) if files.picture.name in present else "",
        files=tuple((name, _link(file.name)) for name, file in named if file.name in present),
    )


def _organ_cell(organ: Structure, row: Measurement | None, faces: Sequence[str]) -> _OrganCell:
    """Return the texts of an organ; without a row the model was not taught the organ."""
    if row is None:
        return _OrganCell(organ.title, organ.facts.colour, statuses=(("", "not taught to the model"),))
    spread = "" if row.hu_sd is None else f" ± {row.hu_sd:.0f}"
    return _OrganCell(
        organ.title,
        organ.facts.colour,
        value="" if row.volume_cm3 is None else str(row.volume_cm3),
        volume="undefined" if row.volume_cm3 is None else f"{row.volume_cm3:.1f} cm³",
        statuses=(
            *((key, "" if key == volume.OK else VOLUME_STATUSES[key]) for key in row.volume_status.split(";")),
            *([("faces", ", ".join(faces))] if faces else []),
        ),
        attenuation="" if row.hu_mean is None else with_minus_signs(f"{row.hu_mean:.0f}{spread} HU"),
        attenuation_statuses=(
            ((row.hu_status, ATTENUATION_STATUSES[row.hu_status]),) if row.hu_status not in ("", attenuation.OK) else ()
        ),
    )


def _link(name: str) -> str:
    """Return the relative URL of a file beside the page.

    >>> _link("a:b #1_dseg.png")
    'a%3Ab%20%231_dseg.png'
    """
    return quote(os.fsencode(name))
