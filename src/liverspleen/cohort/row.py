"""Schema of a row of `cohort.csv`, for reading, checking and documentation."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from liverspleen.cohort.vocabulary import Vocabulary
from liverspleen.organs import ORGAN_KEYS, ORGANS, Structure, organs

NAME_BYTES = 128
"""Longest case_id in bytes of UTF-8: file systems allow 255 bytes, and file names add to the case_id."""

MISSING, INVALID_ID, UNKNOWN_VALUE, INVALID_VALUE = "LS-COH-010", "LS-COH-013", "LS-COH-014", "LS-COH-016"
BODY_SIZE, BODY_MASS_INDEX = "LS-COH-046", "LS-COH-047"

# Wide limits for people of any age: they find other units (m, mm, feet; g) and exchanged columns.
_BODY_RANGES = {"height_cm": (40, 260), "weight_kg": (1, 650)}
_BODY_MASS_INDEX = (7, 130)

_VOCABULARY_FIELDS = ("datasets", "conditions", "sites")
_HINTS = {
    MISSING: "fill in the cell",
    INVALID_ID: "rename the id",
    UNKNOWN_VALUE: "correct the cell, or change vocabulary= in the configuration",
    INVALID_VALUE: "correct the cell, or leave it empty",
    BODY_SIZE: "give the height in cm and the weight in kg, or leave the cell empty",
    BODY_MASS_INDEX: "correct height_cm (in cm) or weight_kg (in kg), or leave one empty",
}


def _structures(value: object) -> tuple[Structure, ...]:
    if not isinstance(value, str):
        return cast("tuple[Structure, ...]", value)
    keys = [key.strip() for key in value.split(";") if key.strip()]
    if unknown := [key for key in keys if key not in ORGAN_KEYS]:
        raise PydanticCustomError(
            UNKNOWN_VALUE,
            "{unknown} is not one of {allowed}",
            {"unknown": repr(unknown[0]), "allowed": ", ".join(ORGAN_KEYS)},
        )
    return organs(keys)


class ManifestRow(BaseModel):
    """One CT examination in `cohort.csv`; an empty field has the default value."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    case_id: str = Field(description="id of the examination; part of file names, so it must be valid in a file name")
    patient_id: str = Field(description="id of the patient; a split never separates examinations of one patient")
    image: str = Field(description="path of the CT, in any image format, relative to the root")
    label: str | None = Field(None, description="path of the reference label map; empty for a CT without one")
    labelled_structures: Annotated[tuple[Structure, ...], BeforeValidator(_structures)] = Field(
        ORGANS, description="structures in the label map, joined by `;`; a structure not listed is unknown, not absent"
    )
    dataset: str = Field("", description="development or test set; empty counts as development")
    condition: str = Field("", description="subgroup in the tables")
    site: str = Field("", description="site of the scan; pairs the two examinations of a patient")
    sex: str = Field("", description="as recorded")
    age: float | None = Field(None, ge=0, le=120, description="in years")
    height_cm: float | None = Field(None, description="in cm; for volumes by body size")
    weight_kg: float | None = Field(None, description="in kg; for volumes by body size")
    slice_thickness_mm: float | None = Field(None, gt=0, description="as recorded, in mm; not used for volumes")
    phase: str = Field("", description="contrast phase, as recorded")
    spleen_absent: bool = Field(False, description="true after splenectomy: the spleen is expected to have no voxels")

    @field_validator("case_id", "patient_id")
    @classmethod
    def _check_characters(cls, value: str) -> str:
        if value != value.strip() or not value.isprintable():
            raise PydanticCustomError(INVALID_ID, "has spaces around it or control characters")
        return value

    @field_validator("case_id")
    @classmethod
    def _check_file_name(cls, value: str) -> str:
        if "/" in value or "\\" in value or value.startswith("."):
            raise PydanticCustomError(INVALID_ID, "contains a path separator or starts with a dot")
        if len(value.encode()) > NAME_BYTES:
            raise PydanticCustomError(INVALID_ID, "is longer than {limit} bytes", {"limit": NAME_BYTES})
        return value

    @field_validator("dataset", "condition", "site")
    @classmethod
    def _check_vocabulary(cls, value: str, info: ValidationInfo) -> str:
        vocabulary = info.context if isinstance(info.context, Vocabulary) else Vocabulary()
        allowed: tuple[str, ...] = getattr(vocabulary, f"{info.field_name}s")
        if value not in allowed:
            raise PydanticCustomError(UNKNOWN_VALUE, "is not one of {allowed}", {"allowed": ", ".join(allowed)})
        return value

    @field_validator("height_cm", "weight_kg")
    @classmethod
    def _check_size(cls, value: float | None, info: ValidationInfo) -> float | None:
        low, high = _BODY_RANGES[str(info.field_name)]
        if value is not None and not low <= value <= high:
            limits = {"low": low, "high": high, "unit": str(info.field_name).partition("_")[2]}
            raise PydanticCustomError(BODY_SIZE, "is outside of {low} to {high} {unit}", limits)
        return value

    @field_validator("weight_kg")
    @classmethod
    def _check_mass_index(cls, value: float | None, info: ValidationInfo) -> float | None:
        height = info.data.get("height_cm")
        low, high = _BODY_MASS_INDEX
        if value is not None and height is not None and not low <= value / (height / 100) ** 2 <= high:
            message = "does not fit height_cm, the body mass index is outside of {low} to {high} kg/m²"
            raise PydanticCustomError(BODY_MASS_INDEX, message, {"low": low, "high": high})
        return value


COLUMNS: tuple[str, ...] = tuple(ManifestRow.model_fields)
RENAMED_COLUMNS = {"section_thickness_mm": "slice_thickness_mm"}
"""Column names of earlier versions, with the present ones."""
REQUIRED_COLUMNS: tuple[str, ...] = tuple(
    name for name, field in ManifestRow.model_fields.items() if field.is_required()
)


@dataclass(frozen=True)
class CellIssue:
    """An issue of one cell."""

    code: str
    column: str
    message: str
    hint: str


def file_name_key(name: str) -> str:
    """Return a key that is equal for names that some file system does not distinguish.

    >>> file_name_key("Case1") == file_name_key("case1")
    True
    """
    return unicodedata.normalize("NFC", name).casefold()


def parse_row(cells: Mapping[str, str], *, vocabulary: Vocabulary) -> ManifestRow | tuple[CellIssue, ...]:
    """Return the row, or all issues of its cells; empty cells have the default values.

    >>> parse_row({"case_id": "A1", "patient_id": "P1", "image": "a.nii"}, vocabulary=Vocabulary()).case_id
    'A1'
    """
    try:
        return ManifestRow.model_validate({name: cell for name, cell in cells.items() if cell}, context=vocabulary)
    except ValidationError as error:
        return tuple(_cell_issue(details) for details in error.errors())


def column_table(*, vocabulary: Vocabulary | None = None) -> str:
    """Return the columns of `cohort.csv` as a Markdown table: name, whether required, values, meaning.

    >>> print(column_table().splitlines()[2])
    | `case_id` | required | text | id of the examination; part of file names, so it must be valid in a file name |
    """
    vocabulary = vocabulary or Vocabulary()
    values = {
        **{
            name.removesuffix("s"): ", ".join(f"`{value}`" for value in getattr(vocabulary, name))
            for name in _VOCABULARY_FIELDS
        },
        "image": "path",
        "label": "path",
        "labelled_structures": " or ".join([*(f"`{key}`" for key in ORGAN_KEYS), f"`{';'.join(ORGAN_KEYS)}`"]),
        "age": "number, 0 to 120",
        **{name: f"number, {low} to {high}" for name, (low, high) in _BODY_RANGES.items()},
        "slice_thickness_mm": "number above 0",
        "spleen_absent": "`true` or `false`",
    }
    lines = ["| column | | values | meaning |", "|---|---|---|---|"]
    for name, field in ManifestRow.model_fields.items():
        required = "required" if field.is_required() else ""
        lines.append(f"| `{name}` | {required} | {values.get(name, 'text')} | {field.description} |")
    return "\n".join(lines) + "\n"


def _cell_issue(details: ErrorDetails) -> CellIssue:
    column = str(details["loc"][0])
    found: Any = details["input"]
    if details["type"] == "missing":
        return CellIssue(MISSING, column, "required value is missing", _HINTS[MISSING])
    code = details["type"] if details["type"] in _HINTS else INVALID_VALUE
    return CellIssue(code, column, f"{found!r}: {details['msg'][:1].lower()}{details['msg'][1:]}", _HINTS[code])
