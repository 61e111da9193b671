"""History of a case: entries that are added and never changed, and the label map that is in force.

Each entry is one sealed JSON file, `0001.json` and so on, with the checksum of the entry before it. An entry with a
label map has it in a file of the same number. The label map is written first, so an entry that exists is complete.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, get_args

from liverspleen import __version__
from liverspleen.errors import InputError, Issue
from liverspleen.formats import CORRECTION
from liverspleen.records import CHECKSUM, DamagedRecordError, damaged, opened, parsed, sealed
from liverspleen.storage import sha256_of, write_json

State = Literal["predicted", "corrected", "confirmed", "rejected", "undone"]
STATES: Final[tuple[State, ...]] = get_args(State)

_FOLDER: Final = "history"
_RESTORE: Final = "restore the folder history/ of the case from a copy"


@dataclass(frozen=True)
class Entry:
    """One entry of a history.

    `content` holds what only some states have: `predicted` the row of the cohort, CT and prediction; `corrected` the
    edited file and the changes; its `files` are the hashes of the files with this label map. `of` is the entry that a
    verdict is about, or that is undone.
    """

    number: int
    state: State
    reader: str | None = None
    date: str | None = None
    recorded: str = ""
    of: int | None = None
    map_sha256: str | None = None
    voxels_sha256: str | None = None
    covered: tuple[str, ...] = ()
    content: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_map(self) -> bool:
        """Whether the entry has a label map of its own."""
        return self.map_sha256 is not None


@dataclass(frozen=True)
class History:
    """The entries of a case, oldest first.

    An entry counts unless a later entry `undone` withdraws it. The newest verdict of each reader on a label map counts.
    A label map is confirmed if a verdict confirms it and none rejects it; it is rejected if a verdict rejects it, also
    if another reader confirms it.
    """

    folder: Path
    case_id: str
    entries: tuple[Entry, ...]
    last_checksum: str = ""

    @property
    def counted(self) -> tuple[Entry, ...]:
        """The entries that are neither withdrawn nor withdraw another one."""
        withdrawn = {entry.of for entry in self.entries if entry.state == "undone"}
        return tuple(entry for entry in self.entries if entry.state != "undone" and entry.number not in withdrawn)

    @property
    def first(self) -> Entry:
        """The prediction."""
        return self.entries[0]

    @property
    def newest(self) -> Entry:
        """The newest label map that counts: edits are compared with it, and verdicts are about it."""
        return [entry for entry in self.counted if entry.has_map][-1]

    @property
    def is_open(self) -> bool:
        """Whether only the prediction counts: the case was not edited or judged, or this was undone."""
        return all(entry.state == "predicted" for entry in self.counted)

    def in_force(self, *, confirmed_only: bool = False) -> Entry | None:
        """Return the newest confirmed label map; without one, the newest corrected one that is not rejected, or None.

        With `confirmed_only`, a corrected label map without a verdict is not in force.
        """
        maps = [entry for entry in reversed(self.counted) if entry.has_map]
        accepted: tuple[State, ...] = ("confirmed",) if confirmed_only else ("confirmed", "corrected")
        return next((entry for state in accepted for entry in maps if self.state_of(entry) == state), None)

    def state_of(self, entry: Entry) -> State:
        """Return the state of a label map: `confirmed` or `rejected` by its verdicts, else that of its entry."""
        verdicts = {one.state for one in self.verdicts(entry).values()}
        return "rejected" if "rejected" in verdicts else "confirmed" if "confirmed" in verdicts else entry.state

    def verdicts(self, entry: Entry) -> dict[str | None, Entry]:
        """Return the newest verdict of each reader on a label map."""
        return {one.reader: one for one in self.counted if one.of == entry.number and not one.has_map}

    def map_file(self, entry: Entry) -> Path:
        """Return the file of the label map of an entry."""
        return self.folder / f"{entry.number:04d}.nii.gz"

    def check_map(self, entry: Entry) -> Path:
        """Return the file of a label map that is what was written.

        Raises:
            InputError: LS-COR-010 it is missing or was changed.
        """
        file = self.map_file(entry)
        if not file.is_file() or sha256_of(file) != entry.map_sha256:
            message = "a label map of the history is missing, or is not what was written"
            raise InputError(Issue("LS-COR-010", message, _RESTORE, self.case_id, file))
        return file

    def knows(self, file_sha256: str) -> bool:
        """Return whether a file has the bytes of a label map that was written or imported."""
        return any(file_sha256 in (entry.map_sha256, *entry.content.get("files", ())) for entry in self.entries)

    def has_voxels(self, voxels_sha256: str) -> bool:
        """Return whether a label map of the history has these voxels."""
        return any(entry.voxels_sha256 == voxels_sha256 for entry in self.entries)

    def add(self, **values: Any) -> History:
        """Write the next entry, and return the history with it.

        The file is complete or absent. `number` and `recorded` are set here.
        """
        number = len(self.entries) + 1
        entry = Entry(number=number, recorded=datetime.now(UTC).isoformat(timespec="seconds"), **values)
        content = sealed(
            {
                "format": CORRECTION.number,
                "case_id": self.case_id,
                "liverspleen": __version__,
                "previous": self.last_checksum,
                **{name: getattr(entry, name) for name in Entry.__dataclass_fields__},
            }
        )
        write_json(_file(self.folder, number), content)
        return History(self.folder, self.case_id, (*self.entries, entry), content[CHECKSUM])


def history_folder(root: Path, case_id: str) -> Path:
    """Return the folder of the history of a case in a correction folder."""
    return root / _FOLDER / case_id


def histories(root: Path) -> tuple[dict[str, History], list[Issue]]:
    """Return the histories of a correction folder by case_id, and the issues of those that cannot be used."""
    found: dict[str, History] = {}
    issues: list[Issue] = []
    for folder in sorted((root / _FOLDER).glob("[!.]*/")):
        try:
            history = read_history(root, folder.name)
            for entry in history.entries:
                if entry.has_map:
                    history.check_map(entry)
        except InputError as error:
            issues += error.issues
            continue
        if history.entries:
            found[folder.name] = history
    return found, issues


def read_history(root: Path, case_id: str) -> History:
    """Return the history of a case, without entries if it has none.

    Raises:
        InputError: LS-COR-010 an entry is missing or of another history; LS-FMT-001 an entry of another format;
            LS-FMT-005 a damaged one.
    """
    folder = history_folder(root, case_id)
    names = sorted(file.name for file in folder.glob("*.json") if re.fullmatch(r"\d{4,}\.json", file.name))
    history = History(folder, case_id, ())
    for number in range(1, len(names) + 1):
        entry, checksum, previous = _read(_file(folder, number), case_id)
        if previous != history.last_checksum or entry.number != number:
            message = "the entry does not follow the entry before it"
            raise InputError(Issue("LS-COR-010", message, _RESTORE, case_id, _file(folder, number)))
        history = History(folder, case_id, (*history.entries, entry), checksum)
    return history


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:04d}.json"


def _read(file: Path, case_id: str) -> tuple[Entry, str, str]:
    """Return an entry, its checksum, and that of the entry before it."""
    try:
        stored = parsed(file)
        content = opened(stored, file, CORRECTION)
        if content["case_id"] != case_id:
            raise DamagedRecordError("it is the record of another case")
    except OSError:
        raise InputError(Issue("LS-COR-010", "an entry of the history is missing", _RESTORE, case_id, file)) from None
    except DamagedRecordError as error:
        raise InputError(damaged(file, str(error), _RESTORE, case_id=case_id)) from None
    values = {name: content[name] for name in Entry.__dataclass_fields__}
    return Entry(**{**values, "covered": tuple(values["covered"])}), stored[CHECKSUM], content["previous"]


def undoable(history: History) -> Entry | None:
    """Return the newest entry that can be withdrawn; None if only the prediction counts."""
    return next((entry for entry in reversed(history.counted) if entry.number > 1), None)
