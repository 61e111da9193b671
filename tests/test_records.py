"""Records with a checksum, and tables that were changed after they were written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from liverspleen.cli.main import main
from liverspleen.errors import InputError
from liverspleen.formats import SIDECAR
from liverspleen.records import DamagedRecordError, read_record, sealed, unsealed, write_record

CONTENT = {"name": "Ärzte", "values": (1, 2.5, None), "nested": {"b": True, "a": 1e-300}}


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_record(tmp_path / "a.json", CONTENT)
    assert read_record(tmp_path / "a.json") == {**CONTENT, "values": [1, 2.5, None]}


@pytest.mark.parametrize("required", [True, False])
def test_no_flipped_bit_gives_another_content(required: bool) -> None:
    whole = json.dumps(sealed(CONTENT), ensure_ascii=False).encode()
    known = unsealed(json.loads(whole))
    for bit in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            found = unsealed(json.loads(changed), required=required)
        except ValueError:  # no JSON, or damaged
            continue
        assert {key: found.get(key) for key in known} == known


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"a": NaN}', "[" * 100_000, '{"a": 1, "record_sha256": [1]}', "\0"])
def test_what_is_no_record_is_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DamagedRecordError):
        read_record(tmp_path / "a.json")


def test_a_record_of_an_earlier_version_has_no_checksum_and_its_format_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"format": 1}')
    assert read_record(tmp_path / "a.json", required=False) == {"format": 1}
    with pytest.raises(InputError, match="LS-FMT-001"):
        read_record(tmp_path / "a.json", SIDECAR)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_record_that_is_a_pipe_or_a_folder_is_rejected_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    for name in ("pipe.json", "folder.json"):
        with pytest.raises(InputError, match="LS-CFG-020"):
            read_record(tmp_path / name)


def flipped(file: Path, text: str) -> None:
    content = file.read_bytes()
    place = content.index(text.encode()) + len(text)
    file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])


@pytest.fixture
def split_folder(box_cohort: Callable[..., Path], tmp_path: Path) -> Callable[[], int]:
    """Write a split into `tmp_path`/s, and return a verb that reads it."""
    cohort = box_cohort(slices=(4,) * 4, patient_id=("a", "b", "c", "d"))
    assert main(["split", f"cohort={cohort}", f"output={tmp_path / 's'}"]) == 0
    split = f"split={tmp_path / 's' / 'split.csv'}"
    layout = ["layout=nnunet", "workers=1"]
    return lambda: main(["export", f"cohort={cohort}", split, f"output={tmp_path / 'Dataset001_X'}", *layout])


def test_a_table_that_was_changed_after_it_was_written_is_noted(
    split_folder: Callable[[], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "s" / "split.csv"
    capsys.readouterr()
    assert split_folder() == 0
    assert "LS-FMT-006" not in capsys.readouterr().err
    table.write_bytes(table.read_bytes() + b"\n")
    assert split_folder() == 0
    note = "note: LS-FMT-006 file 'split.csv': the table was changed after liverspleen wrote it; "
    assert [line for line in capsys.readouterr().err.splitlines() if "LS-FMT-006" in line] == [
        f"{note}check that the change is intended"
    ]
    record = json.loads((tmp_path / "Dataset001_X" / "run.json").read_text())
    assert [line[:10] for line in record["issues"]] == ["LS-FMT-006"]


def test_a_damaged_run_json_beside_a_table_is_a_warning(
    split_folder: Callable[[], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flipped(tmp_path / "s" / "run.json", '"split.csv": "')
    capsys.readouterr()
    assert split_folder() == 0
    assert "warning: LS-FMT-005 file " in capsys.readouterr().err


def test_earlier_runs_are_kept_in_run_json_if_it_is_whole(split_folder: Callable[[], int], tmp_path: Path) -> None:
    record = tmp_path / "Dataset001_X" / "run.json"
    for earlier in (0, 1):
        assert split_folder() == 0
        assert len(unsealed(json.loads(record.read_text()))["earlier"]) == earlier
    flipped(record, '"verb": "')
    damaged = record.read_bytes()
    assert split_folder() == 2
    assert record.read_bytes() == damaged  # nothing is lost
