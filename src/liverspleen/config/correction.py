"""Schema of `correct`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from liverspleen.config.cohorts import ROOT
from liverspleen.config.key import LARGEST_COUNT, Key, Schema, conflict, not_allowed
from liverspleen.delimited import MISSING_WORDS
from liverspleen.errors import Issue


@dataclass(frozen=True, kw_only=True)
class CorrectConfig(Schema):
    """Keys of `liverspleen correct`."""

    _MAKING: ClassVar = ("top", "scans", "key", "output")
    _IMPORTING: ClassVar = ("reader", "date", "cohort", "split")

    input: Annotated[Path | None, Key("Output folder of predict; its cases are copied to output= for correction.")]
    import_: Annotated[
        Path | None, Key("Correction folder, the output= of an earlier correct; edited label maps in it are imported.")
    ]
    cases: Annotated[
        list[str],
        Key(
            "Table (.csv) with a column case_id, such as review.csv, or case ids [A,B]. Default: with input= the cases "
            "that are proposed; with import= all cases."
        ),
    ]
    top: Annotated[
        int | None,
        Key(
            "Number of cases to copy: the first ones of cases=, or as many as are proposed; empty: all.",
            ge=1,
            le=LARGEST_COUNT,
        ),
    ]
    scans: Annotated[
        Path | None,
        Key("CT scans of the prediction, as input= of predict. Default: the path in run.json; DICOM needs this key."),
    ]
    root: Annotated[Path | None, ROOT]
    key: Annotated[
        Path | None,
        Key("File with the secret key of the hashed ids, as for predict. Default: in your configuration folder."),
    ]
    output: Annotated[Path | None, Key("Correction folder: a folder per case, the histories and the tables.")]
    state: Annotated[
        Literal["corrected", "confirmed", "rejected", "undone"],
        Key(
            "What import= records: `corrected` imports edits only; `confirmed` and `rejected` also judge the newest "
            "label map of each case; `undone` withdraws the newest entry of each case."
        ),
    ]
    reader: Annotated[str | None, Key("Name of the person who corrected or judged; empty: not recorded.")]
    date: Annotated[str | None, Key("Date of the correction, YYYY-MM-DD; the time of the import is always recorded.")]
    cohort: Annotated[
        Path | None,
        Key("Original cohort (cohort.csv); with import= it is merged with the corrected cases. It needs split=."),
    ]
    split: Annotated[Path | None, Key("Split of the original cohort; its validation side does not change.")]
    confirmed_only: Annotated[
        bool,
        Key("If true, cohort.csv has only confirmed label maps; if false, also corrected ones of other cases."),
    ]

    def conflicts(self) -> Iterator[Issue]:
        """Yield the issues of missing and contradicting folders, and of keys without effect."""
        if (self.input is None) == (self.import_ is None):
            given = "neither input= nor import= is" if self.input is None else "input= and import= are both"
            yield conflict(f"{given} given, expected one of them", "give input= to copy cases, or import= to import")
            return
        if self.input is not None and self.output is None:
            yield Issue("LS-CFG-002", "correct input= needs output=...", "add output=... (liverspleen correct --help)")
        names, mode = (self._MAKING, "import=") if self.import_ is not None else (self._IMPORTING, "input=")
        for name in names:
            if getattr(self, name) is not None:
                yield conflict(f"{name}= has no effect with {mode}", f"remove {name}=")
        if self.input is None and (self.cohort is None) != (self.split is None):
            yield conflict("cohort= and split= are needed together", "give both, or none")
        if self.input is None and self.root is not None and self.cohort is None:
            yield conflict("root= has no effect with import= without cohort=", "remove root=, or give cohort=")
        if self.input is not None and (self.state != "corrected" or self.confirmed_only):
            yield conflict("state= and confirmed_only= have no effect with input=", "remove them")
        if self.state in {"rejected", "undone"} and not self.cases:
            yield conflict(f"state={self.state} needs cases=", "give the case ids, such as cases=[A,B]")
        if self.reader is not None and (self.reader != self.reader.strip() or not self.reader.isprintable()):
            yield not_allowed("reader= has spaces around it or control characters", "use a name in one line")
        if self.reader is not None and (";" in self.reader or self.reader in MISSING_WORDS):
            message = f"reader={self.reader} has a semicolon, or is a word for a missing value"  # in the cohort
            yield not_allowed(message, "write the name in another way")
        if self.date is not None and not _is_date(self.date):
            yield not_allowed(f"date={self.date} is not a date", "use the form YYYY-MM-DD")


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
