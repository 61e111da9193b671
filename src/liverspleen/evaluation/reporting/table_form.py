"""The form of a table: its title, labels and footnote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Part = Literal["paper", "additional"]
PARTS: Final[dict[Part, str]] = {"paper": "Tables", "additional": "Additional tables"}
"""The parts of a report and their headings."""


@dataclass(frozen=True)
class TableForm:
    """Title, labels and footnote of one table; `title` and `footnote` can contain `{reader}`, `{reference}`, `{sites}`.

    `row_notes` are sentences that follow the footnote if a part of a row address (`nsd` in `nsd:total`) is their key.
    A row or column without a label shows its address. A row `sex:M` combines the labels of `sex` and `M` as `Sex: M`,
    if `sex` has a label. `by_condition`: rows can be conditions, whose labels come from the vocabulary. `columns_are`:
    the terms of the vocabulary that the columns can be, or `folds`. `shows_n`: n is printed with the numbers; False for
    counts.
    """

    name: str
    title: str
    footnote: str = ""
    row_notes: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    rows: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    part: Part = "paper"
    shows_n: bool = True
    by_condition: bool = False
    columns_are: Literal["", "datasets", "sites", "folds"] = ""
