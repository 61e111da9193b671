"""Histories: entries are only added, and the label map in force follows from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from liverspleen.correction.history import History, histories, read_history, undoable
from liverspleen.errors import InputError
from liverspleen.storage import sha256_of


def started(root: Path, case_id: str = "a") -> History:
    return with_map(read_history(root, case_id), "predicted", None)


def with_map(history: History, state: str, reader: str | None) -> History:
    number = len(history.entries) + 1
    history.folder.mkdir(parents=True, exist_ok=True)
    file = history.folder / f"{number:04d}.nii.gz"
    file.write_bytes(f"map {number}".encode())
    return history.add(state=state, reader=reader, map_sha256=sha256_of(file), voxels_sha256=f"v{number}")


def corrected(history: History, reader: str | None = None) -> History:
    return with_map(history, "corrected", reader)


def judged(history: History, state: str, reader: str | None, of: int | None = None) -> History:
    return history.add(state=state, reader=reader, of=of or history.newest.number)


def undone(history: History) -> History:
    entry = undoable(history)
    assert entry is not None
    return history.add(state="undone", of=entry.number)


def in_force(history: History) -> tuple[int, str] | None:
    """Number and state of the label map in force, as it is read again."""
    read = read_history(history.folder.parents[1], history.case_id)
    assert read == history
    entry = read.in_force()
    return None if entry is None else (entry.number, read.state_of(entry))


def test_a_prediction_is_in_force_only_if_it_is_confirmed(tmp_path: Path) -> None:
    history = started(tmp_path)
    assert in_force(history) is None
    assert in_force(judged(history, "confirmed", "RK")) == (1, "confirmed")


def test_the_newest_correction_is_in_force_until_one_is_confirmed(tmp_path: Path) -> None:
    history = corrected(corrected(started(tmp_path)))
    assert in_force(history) == (3, "corrected")
    assert history.in_force(confirmed_only=True) is None
    history = judged(history, "confirmed", "RK")
    assert in_force(history) == (3, "confirmed")
    assert history.in_force(confirmed_only=True) == history.in_force()
    assert in_force(corrected(history)) == (3, "confirmed")  # entry 5 is not confirmed yet


def test_a_rejected_correction_gives_way_to_the_one_before_it(tmp_path: Path) -> None:
    history = judged(corrected(started(tmp_path)), "rejected", "RK")
    assert in_force(history) is None
    history = judged(corrected(history), "confirmed", "RK")
    assert in_force(history) == (4, "confirmed")
    assert in_force(judged(corrected(history), "rejected", "RK")) == (4, "confirmed")


def test_readers_who_differ_leave_no_label_map_in_force_until_one_changes_the_verdict(tmp_path: Path) -> None:
    history = judged(judged(corrected(started(tmp_path)), "confirmed", "MB"), "rejected", "RK")
    assert in_force(history) is None
    assert in_force(judged(history, "confirmed", "RK")) == (2, "confirmed")


def test_undo_withdraws_the_newest_entry_and_keeps_all_files(tmp_path: Path) -> None:
    history = judged(corrected(started(tmp_path)), "confirmed", "RK")
    before = {file.name: file.read_bytes() for file in history.folder.iterdir()}
    history = undone(history)
    assert in_force(history) == (2, "corrected")
    history = undone(history)
    assert in_force(history) is None
    assert history.newest.state == "predicted"
    assert undoable(history) is None
    after = {file.name: file.read_bytes() for file in history.folder.iterdir()}
    assert {name: after[name] for name in before} == before
    assert sorted(after) == sorted([*(f"000{n}.json" for n in range(1, 6)), "0001.nii.gz", "0002.nii.gz"])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda folder: (folder / "0002.json").unlink(), "LS-COR-010"),
        (lambda folder: (folder / "0001.json").unlink(), "LS-COR-010"),
        (lambda folder: (folder / "0002.nii.gz").unlink(), "LS-COR-010"),
        (lambda folder: (folder / "0001.nii.gz").write_bytes(b"other"), "LS-COR-010"),
        (lambda folder: (folder / "0002.json").write_text("{}"), "LS-FMT-001"),
        (lambda folder: edited(folder / "0002.json", reader="X"), "LS-FMT-005"),
        (lambda folder: (folder / "0002.json").write_bytes((folder / "0003.json").read_bytes()), "LS-COR-010"),
        (lambda folder: (folder / "0003.json").write_bytes(b"none"), "LS-FMT-005"),
    ],
)
def test_a_history_that_was_changed_is_one_line_and_the_others_are_read(change, code: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    change(judged(corrected(started(tmp_path)), "confirmed", "RK").folder)
    started(tmp_path, "b")
    found, issues = histories(tmp_path)
    assert [*found] == ["b"]
    assert [(issue.code, issue.case_id) for issue in issues] == [(code, "a" if code != "LS-FMT-001" else None)]


def edited(file: Path, **values: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_an_entry_of_another_case_is_damaged(tmp_path: Path) -> None:
    other = started(tmp_path, "b")
    (tmp_path / "history" / "a").mkdir()
    (tmp_path / "history" / "a" / "0001.json").write_bytes((other.folder / "0001.json").read_bytes())
    with pytest.raises(InputError, match=r"LS-FMT-005 case 'a' .*record of another case"):
        read_history(tmp_path, "a")
