"""The position of each published number in the reports of the cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from transcription import PrintedNumber

from liverspleen.cohort.vocabulary import PAPER

Key = tuple[str, str, str, str]
"""Table, row and column of a cell of the report, and the name of a value; for Figure 1 `figure1`, dataset or `flow`,
part and `count`."""

_VALUES: Final = {
    "rc": "rc_pct",
    "rc_lower": "ci_lower",
    "rc_upper": "ci_upper",
    "lower": "loa_lower",
    "upper": "loa_upper",
}
_ROWS_OF_TABLE_1: Final = {"patients": "patients", "age": "age", "male": "sex:M"}
_FIGURE_1: Final = {
    "figure1.screened": ("flow", "assessed"),
    "figure1.excluded.no_parenchyma": ("flow", "no pathologic report on liver parenchyma"),
    "figure1.excluded.mass": ("flow", "liver mass > 10 cm"),
    "figure1.excluded.surgery": ("flow", "previous liver or spleen surgery"),
    "figure1.excluded.no_portal_phase": ("flow", "no portal venous phase"),
    "figure1.test1.scans": ("test1", "examinations"),
    "figure1.test1.patients": ("test1", "patients"),
    "figure1.test2.outside_scans": ("test2", "External CT"),
    "figure1.test2.own_scans": ("test2", "Internal CT"),
    "figure1.test2.patients": ("test2", "patients"),
    **{
        f"figure1.test1.{name}": ("test1", PAPER.label(condition))
        for name, condition in zip(("normal", "fatty", "cld", "cirrhosis", "post_op"), PAPER.conditions, strict=True)
    },
}
TARGET_TABLES: Final = ("table1", "table2", "table3", "table4", "reproducibility")
"""Tables whose numbers the cases must match."""


def address_of(number: PrintedNumber) -> Key | None:
    """Return the key of the value to compare with a number; None if the reports do not have it."""
    place, *parts = number.id.split(".")
    value = _VALUES.get(number.quantity, number.quantity)
    match (place, parts):
        case ("table1", [dataset, row, *_]) if row in _ROWS_OF_TABLE_1:
            return "table1", _ROWS_OF_TABLE_1[row], dataset, value
        case ("methods", ["development", "mm5", _]):
            return "table1", "slice_thickness:5 mm", "development", value
        case ("figure1", _) if number.id in _FIGURE_1:
            return "figure1", *_FIGURE_1[number.id], value
        case ("table2", [organ, "p"]):
            return "table2", "p", organ, "p"
        case ("table3", [row, index, "p"]):
            return "table3", row, f"{index}_p", "p"
        case ("table4", [organ, "p"]):
            return "table4", f"dss_{organ}", "p", "p"
        case ("table2" | "table3", [row, index, _]):
            return place, row, index, value
        case ("table4", [site, index, _]):
            return "table4", f"{'loa' if value in ('bias', 'half_width') else 'dss'}_{index}", site, value
        case ("rc", [reader, index, _]):
            return "reproducibility", index, reader, value
        case ("figure4", [index, _]):
            return "table3", "total", index, value
    return None


def is_target(number: PrintedNumber) -> bool:
    """Return whether the cases must match a number of a table; repetitions in figures and sentences are no targets."""
    key = address_of(number)
    return key is not None and key[0] in TARGET_TABLES and not number.id.startswith("figure")


def values_of(report: Mapping[str, Any]) -> dict[Key, float]:
    """Return every defined value of a `report.json` at full precision."""
    found: dict[Key, float] = {
        (cell["table"], cell["row"], cell["column"], name): value
        for cell in report["cells"]
        for name, value in cell["values"].items()
        if value is not None
    }
    flow = report["flow"]
    if flow["assessed"] is not None:
        found["figure1", "flow", "assessed", "count"] = flow["assessed"]
        found |= {("figure1", "flow", reason, "count"): count for reason, count in flow["exclusions"]["reasons"]}
    for branch in flow["branches"]:
        counts = {"patients": branch["patients"], "examinations": branch["examinations"]}
        counts |= {part["label"]: part["count"] for part in branch["parts"]}
        found |= {("figure1", branch["dataset"], label, "count"): count for label, count in counts.items()}
    return found


def reproduced(numbers: Iterable[PrintedNumber], values: Mapping[Key, float]) -> dict[str, float]:
    """Return the values by id of the published number."""
    addresses = {number.id: address_of(number) for number in numbers}
    return {name: values[key] for name, key in addresses.items() if key is not None and key in values}
