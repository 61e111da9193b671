"""Content of the DICOM structured report of a predicted case, from the rows of its measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from liverspleen import __version__
from liverspleen.evaluation.measurements.table import Measurement
from liverspleen.evaluation.metrics import attenuation, volume
from liverspleen.imaging.dicom import Algorithm, OrganValues, ReportContent
from liverspleen.organs import RATIO_OF, organ

RESEARCH_ONLY: Final = "Research use only, not for diagnosis or treatment. Not checked by a reader."

_NAME: Final = 200  # longest name of a model that is written; the package is not trusted
_UNDEFINED: Final = {"undefined": "Undefined: a volume is unknown, or the divisor is 0"}
VOLUME_STATUSES: Final[Mapping[str, str]] = {
    volume.OK: "No sign of an error",
    volume.TRUNCATED: "Organ is truncated by the image, so the volume is a lower bound",
    volume.ABSENT: "No voxel of the organ was found",
    volume.MULTI_PART: "Organ has several large parts",
    volume.IMPLAUSIBLE: "Volume or side of the organ is implausible",
}
"""Statuses of a volume in words."""

ATTENUATION_STATUSES: Final[Mapping[str, str]] = {
    attenuation.OK: "No sign of an error",
    attenuation.CLIPPED: "CT is clipped in the core, so mean and SD are biased",
    attenuation.SMALL_CORE: f"Undefined: the core is smaller than {attenuation.LEAST_CM3:g} cm3",
    attenuation.ABSENT: "Undefined: no voxel of the organ was found",
    attenuation.NO_HU: "Undefined: the values of the CT are not HU",
}
"""Statuses of the attenuation in words."""


def report_content(
    rows: Sequence[Measurement], model_name: str, settings: Mapping[str, Any], remarks: Sequence[str]
) -> ReportContent:
    """Return the content of the report of a case: values, statuses, and where they come from.

    `rows` are those of the organs that the model was taught. `settings` determine the voxels of the label map; they
    contain the hash of the model. `remarks` follow the statement about the use. The ratio has the statuses of both
    volumes other than `ok`; without one of the rows there is no ratio.

    >>> rows = [Measurement("A1", "", "", "", "", key, "dla", cm3) for key, cm3 in [("liver", 1500.0), ("spleen", 0.0)]]
    >>> found = report_content(rows, "", {}, ["Look at the picture"])
    >>> found.organs[0].volume_cm3, found.ratio, list(found.ratio_status)
    (1500.0, None, ['undefined'])
    """
    ratio, status = _ratio(rows)
    name = "".join(letter for letter in " ".join(model_name.split()) if letter.isprintable())[:_NAME]
    return ReportContent(
        organs=[_values(row) for row in rows],
        ratio=ratio,
        ratio_status=status,
        algorithm=Algorithm("liverspleen", __version__),
        parameters=[
            *([f"model: {name}"] if name else []),
            *(f"{key}: {_text(value)}" for key, value in settings.items()),
        ],
        comment="\n".join([RESEARCH_ONLY, *remarks]),
    )


def _values(row: Measurement) -> OrganValues:
    return OrganValues(
        structure=organ(row.structure),
        volume_cm3=row.volume_cm3,
        volume_status=_volume_status(row),
        hu_mean=row.hu_mean,
        hu_sd=row.hu_sd,
        hu_core_mm=row.hu_core_mm,
        hu_status={row.hu_status: ATTENUATION_STATUSES[row.hu_status]} if row.hu_status else {},
    )


def _volume_status(row: Measurement) -> dict[str, str]:
    return {key: VOLUME_STATUSES[key] for key in row.volume_status.split(";")}


def _ratio(rows: Sequence[Measurement]) -> tuple[float | None, dict[str, str]]:
    """Return the ratio of the volumes of `RATIO_OF` with its statuses; without statuses there is no ratio."""
    found = {row.structure: row for row in rows}
    if any(one.key not in found for one in RATIO_OF):
        return None, {}
    over, under = (found[one.key] for one in RATIO_OF)
    if over.volume_cm3 is None or not under.volume_cm3:
        return None, _UNDEFINED
    statuses = {**_volume_status(over), **_volume_status(under)}
    marked = {key: text for key, text in statuses.items() if key != volume.OK}
    return over.volume_cm3 / under.volume_cm3, marked or {volume.OK: statuses[volume.OK]}


def _text(value: Any) -> str:
    """Return a setting as text; a mapping in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {one}" for key, one in value.items()) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
