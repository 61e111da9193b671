"""The schema of one row of `cohort.csv`; reading, checking and documentation all come from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from liverspleen.cohort.vocabulary import Vocabulary
from liverspleen.organs import ORGAN_KEYS, ORGANS, Structure, organs

NAME_BYTES = 128
"""Longest case_id in UTF-8: file systems allow 255 bytes, and names built on it need room."""

MISSING, UNUSABLE_ID, UNKNOWN_WORD, BAD_VALUE = "LS-COH-010", "LS-COH-013", "LS-COH-014", "LS-COH-016"

_WORDS = ("datasets", "conditions", "sites")
_HINTS = {
    MISSING: "fill it in",
    UNUSABLE_ID: "rename it",
    UNKNOWN_WORD: "correct it, or give another vocabulary in the config",
    BAD_VALUE: "correct it or leave the field empty",
}


def _structures(value: object) -> tuple[Structure, ...]:
    if not isinstance(value, str):
        return cast("tuple[Structure, ...]", value)
    keys = [key.strip() for key in value.split(";") if key.strip()]
    if unknown := [key for key in keys if key not in ORGAN_KEYS]:
        raise PydanticCustomError(
            UNKNOWN_WORD,
            "{unknown} is not one of {words}",
            {"unknown": repr(unknown[0]), "words": ", ".join(ORGAN_KEYS)},
        )
    return organs(keys)


class ManifestRow(BaseModel):
    """One CT examination as `cohort.csv` states it; an empty field stands for the default."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    case_id: str = Field(description="the examination; names its label maps, so it must be fit for a file name")
    patient_id: str = Field(description="the patient; examinations of one patient are never on two sides of a split")
    image: str = Field(description="path of the CT, .nii.gz or .nii, relative to the root")
    label: str | None = Field(None, description="path of the reference label map; empty: a CT to be segmented")
    labelled_structures: Annotated[tuple[Structure, ...], BeforeValidator(_structures)] = Field(
        ORGANS, description="`;`-joined structures that the label map covers; another one is unknown, never absent"
    )
    dataset: str = Field("", description="what the case is for; empty counts as development")
    condition: str = Field("", description="subgroup of the tables")
    site: str = Field("", description="where it was scanned; pairs a patient's two examinations")
    sex: str = Field("", description="as recorded")
    age: float | None = Field(None, ge=0, le=120, description="years")
    slice_thickness_mm: float | None = Field(None, gt=0, description="as recorded, in mm; volumes never use it")
    phase: str = Field("", description="contrast phase, as recorded")
    spleen_absent: bool = Field(False, description="true after splenectomy: an empty spleen label is right")

    @field_validator("case_id", "patient_id")
    @classmethod
    def _plain(cls, value: str) -> str:
        if value != value.strip() or not value.isprintable():
            raise PydanticCustomError(UNUSABLE_ID, "has spaces around it or control characters")
        return value

    @field_validator("case_id")
    @classmethod
    def _fit_for_a_file_name(cls, value: str) -> str:
        if "/" in value or "\\" in value or value.startswith("."):
            raise PydanticCustomError(UNUSABLE_ID, "holds a path separator or starts with a dot")
        if len(value.encode()) > NAME_BYTES:
            raise PydanticCustomError(UNUSABLE_ID, "is longer than {limit} bytes", {"limit": NAME_BYTES})
        return value

    @field_validator("dataset", "condition", "site")
    @classmethod
    def _known(cls, value: str, info: ValidationInfo) -> str:
        vocabulary = info.context if isinstance(info.context, Vocabulary) else Vocabulary()
        words: tuple[str, ...] = getattr(vocabulary, f"{info.field_name}s")
        if value not in words:
            raise PydanticCustomError(UNKNOWN_WORD, "is not one of {words}", {"words": ", ".join(words)})
        return value


COLUMNS: tuple[str, ...] = tuple(ManifestRow.model_fields)
RENAMED_COLUMNS = {"section_thickness_mm": "slice_thickness_mm"}
"""Columns of earlier versions, with their present names."""
REQUIRED_COLUMNS: tuple[str, ...] = tuple(
    name for name, field in ManifestRow.model_fields.items() if field.is_required()
)


@dataclass(frozen=True)
class CellIssue:
    """What is wrong in one column of a row."""

    code: str
    column: str
    message: str
    hint: str


def parse_row(cells: Mapping[str, str], *, vocabulary: Vocabulary) -> ManifestRow | tuple[CellIssue, ...]:
    """The row, or everything that is wrong in it. Empty cells are left to the defaults.

    >>> parse_row({"case_id": "A1", "patient_id": "P1", "image": "a.nii"}, vocabulary=Vocabulary()).case_id
    'A1'
    """
    try:
        return ManifestRow.model_validate({name: cell for name, cell in cells.items() if cell}, context=vocabulary)
    except ValidationError as error:
        return tuple(_cell_issue(details) for details in error.errors())


def column_table(*, vocabulary: Vocabulary | None = None) -> str:
    """The columns of `cohort.csv` as a Markdown table: name, whether required, values, meaning.

    >>> print(column_table().splitlines()[2])
    | `case_id` | required | text | the examination; names its label maps, so it must be fit for a file name |
    """
    words = vocabulary or Vocabulary()
    values = {
        **{f"{name[:-1]}": ", ".join(f"`{word}`" for word in getattr(words, name)) for name in _WORDS},
        "image": "path",
        "label": "path",
        "labelled_structures": " or ".join([*(f"`{key}`" for key in ORGAN_KEYS), f"`{';'.join(ORGAN_KEYS)}`"]),
        "age": "number, 0 to 120",
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
    code = details["type"] if details["type"] in _HINTS else BAD_VALUE
    return CellIssue(code, column, f"{found!r}: {details['msg'][:1].lower()}{details['msg'][1:]}", _HINTS[code])
