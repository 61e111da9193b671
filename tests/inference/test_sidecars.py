"""What sidecars, rejections and colour tables say, and what is believed of them."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

import pytest

from liverspleen.errors import InputError
from liverspleen.evaluation.measurements.table import Measurement
from liverspleen.inference.case_files import CaseFiles, Settings, Sidecar, read_sidecar, sidecars
from liverspleen.inference.colour_tables import write_colour_tables
from liverspleen.inference.tables import unfinished, write_tables
from liverspleen.records import write_record

OTHER_FORMATS = [None, 1, True, "2", 2.0, {}]
SETTINGS = Settings("abc", "torch", "auto", False, {"liver": "main_parts"})


def written(folder: Path, case_id: str, *, score: float = 0.0, reasons: tuple[str, ...] = ()) -> CaseFiles:
    """Write the files of a finished case."""
    files = CaseFiles(folder, case_id)
    rows = tuple(
        Measurement(case_id, case_id, "", "", "", organ, "dla", volume, status, voxels=1)
        for organ, volume, status in (("liver", 1500.5, "ok"), ("spleen", 200.25, "truncated;multi_part"))
    )
    files.label_map.touch()
    content = {"format": 2, "case_id": case_id, "warnings": [], "settings": {**asdict(SETTINGS), "precision": "fp32"}}
    content["files"] = {files.label_map.name: sha256(b"").hexdigest()}
    content["covered"] = ["liver", "spleen"]
    content |= {"review": {"score": score, "reasons": list(reasons)}, "faces": {"spleen": ["superior", "left"]}}
    Sidecar(content, rows).write(files.sidecar)
    return files


def reject(folder: Path, case_id: str, settings: Settings = SETTINGS) -> None:
    issues = [["LS-IMG-003", "LS-IMG-003: not a NIfTI; convert it"]]
    content = {"format": 2, "case_id": case_id, "settings": asdict(settings), "issues": issues}
    write_record(CaseFiles(folder, case_id).rejection, content)


def restate(file: Path, number: object) -> None:
    """Change or remove the format number of a file."""
    content = {**json.loads(file.read_text()), "format": number}
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_the_review_lists_rejected_cases_first_and_then_the_worst(tmp_path: Path) -> None:
    for case_id, score in (("b", 0.25), ("a", 0.25), ("=c", 0.75)):
        written(tmp_path, case_id, score=score, reasons=("liver: holes", "spleen: speckle"))
    reject(tmp_path, "d")
    write_tables(tmp_path)
    found = table(tmp_path / "review.csv")
    assert [(row["case_id"], row["score"]) for row in found] == [
        ("d", ""),
        ("'=c", "0.750"),
        ("a", "0.250"),
        ("b", "0.250"),
    ]
    assert found[0]["reasons"] == "rejected: LS-IMG-003: not a NIfTI; convert it"
    assert found[2] == {
        "case_id": "a",
        "score": "0.250",
        "liver_status": "ok",
        "liver_faces": "",
        "spleen_status": "truncated;multi_part",
        "spleen_faces": "superior;left",
        "reasons": "liver: holes; spleen: speckle",
        "picture": "a_dseg.png",
    }
    (volumes, *_) = table(tmp_path / "volumes.csv")
    assert (volumes["case_id"], volumes["liver_dla"], volumes["spleen_dla"]) == ("'=c", "1500.5", "200.25")


def test_a_rejected_case_with_an_old_label_map_has_no_volume(tmp_path: Path) -> None:
    written(tmp_path, "a")
    written(tmp_path, "b")
    reject(tmp_path, "a")
    write_tables(tmp_path)
    assert {row["case_id"] for row in table(tmp_path / "measurements.csv")} == {"b"}


def test_a_case_whose_label_map_was_edited_has_no_volume(tmp_path: Path) -> None:
    written(tmp_path, "b")
    written(tmp_path, "a").label_map.write_bytes(b"corrected by hand")
    write_tables(tmp_path)
    for name in ("measurements.csv", "volumes.csv"):
        assert {row["case_id"] for row in table(tmp_path / name)} == {"b"}
    first, second = table(tmp_path / "review.csv")
    assert (first["case_id"], first["score"], second["case_id"]) == ("a", "", "b")
    assert "edited" in first["reasons"]


def test_a_case_is_finished_with_its_label_map_or_its_rejection_under_the_same_settings(tmp_path: Path) -> None:
    written(tmp_path, "a")
    reject(tmp_path, "b")
    written(tmp_path, "c").label_map.unlink()  # killed just before
    reject(tmp_path, "d", replace(SETTINGS, model_sha256="other"))
    assert unfinished(tmp_path, "abcde", SETTINGS) == ["c", "d", "e"]
    for other in (
        replace(SETTINGS, model_sha256="abd"),
        replace(SETTINGS, flips=True),
        replace(SETTINGS, postprocessing={}),
        replace(SETTINGS, engine="onnxruntime"),
        replace(SETTINGS, precision="bf16"),
    ):
        assert "a" in unfinished(tmp_path, "a", other)
    assert unfinished(tmp_path, "a", replace(SETTINGS, precision="fp32")) == []


@pytest.mark.parametrize("content", ["{}", '{"case_id": "../../a"}', '{"case_id": "b", "files": {}}'])
def test_files_of_other_programs_are_ignored(tmp_path: Path, content: str) -> None:
    files = written(tmp_path, "a")
    (known,), _ = sidecars(tmp_path)
    assert known == read_sidecar(files.sidecar)
    files.sidecar.write_text(content)
    assert sidecars(tmp_path) == ([], [])
    assert read_sidecar(files.sidecar) is None


def flipped(file: Path, text: str, bit: int = 1) -> None:
    """Flip a bit of the byte after `text`."""
    content = bytearray(file.read_bytes())
    content[content.index(text.encode()) + len(text)] ^= bit
    file.write_bytes(content)


@pytest.mark.parametrize("place", ['"volume_cm3": ', '"case_id": "', '"files": ', '"record_sha256": "', '"record_sha2'])
def test_a_case_with_a_damaged_sidecar_has_no_volume_and_the_review_says_why(tmp_path: Path, place: str) -> None:
    written(tmp_path, "b")
    files = written(tmp_path, "a")
    flipped(files.sidecar, place)
    with pytest.raises(
        InputError, match=r"^LS-FMT-005 case 'a' file 'a_dseg\.json': the file is damaged or was edited"
    ):
        read_sidecar(files.sidecar)
    assert unfinished(tmp_path, "ab", SETTINGS) == ["a"]
    write_tables(tmp_path)
    assert {row["case_id"] for row in table(tmp_path / "measurements.csv")} == {"b"}
    assert "LS-FMT-005" in {row["case_id"]: row["reasons"] for row in table(tmp_path / "review.csv")}["a"]


def test_a_damaged_rejection_does_not_finish_its_case(tmp_path: Path) -> None:
    reject(tmp_path, "c")
    flipped(CaseFiles(tmp_path, "c").rejection, "LS-IMG-00")
    assert unfinished(tmp_path, "c", SETTINGS) == ["c"]
    write_tables(tmp_path)
    (row,) = table(tmp_path / "review.csv")
    assert "LS-FMT-005" in row["reasons"]


@pytest.mark.parametrize("number", OTHER_FORMATS)
def test_a_case_of_another_format_has_no_volume_and_the_review_says_why(tmp_path: Path, number: object) -> None:
    written(tmp_path, "b")
    files = written(tmp_path, "a")
    restate(files.sidecar, number)
    reject(tmp_path, "c")
    restate(CaseFiles(tmp_path, "c").rejection, number)
    with pytest.raises(
        InputError, match=r"^LS-FMT-001 case 'a' file 'a_dseg\.json': sidecar .*, expected 2; .*predict again"
    ):
        read_sidecar(files.sidecar)
    assert unfinished(tmp_path, "abc", SETTINGS) == ["a", "c"]
    write_tables(tmp_path)
    assert {row["case_id"] for row in table(tmp_path / "measurements.csv")} == {"b"}
    reasons = {row["case_id"]: row["reasons"] for row in table(tmp_path / "review.csv")}
    assert reasons["a"].startswith("LS-FMT-001 case 'a'")
    assert reasons["c"].startswith("rejected: LS-FMT-001 case 'c' file 'rejected/c.json'")


def test_unfinished_files_are_ignored(tmp_path: Path) -> None:
    files = written(tmp_path, "a")
    for file in (files.sidecar, files.label_map):
        file.rename(file.with_name(f".part-12345678-{file.name}"))
    assert sidecars(tmp_path) == ([], [])


def test_colour_tables_have_the_same_colours_in_three_formats(tmp_path: Path) -> None:
    write_colour_tables(tmp_path)
    with (tmp_path / "dseg.tsv").open(newline="") as handle:
        bids = list(csv.DictReader(handle, delimiter="\t"))
    assert [(row["index"], row["name"]) for row in bids] == [("0", "Background"), ("1", "Liver"), ("2", "Spleen")]
    colours = {int(row["index"]): tuple(bytes.fromhex(row["color"][1:])) for row in bids[1:]}
    slicer = [line.split() for line in (tmp_path / "slicer.ctbl").read_text().splitlines() if line[0] != "#"]
    assert {int(cells[0]): tuple(map(int, cells[2:5])) for cells in slicer[1:]} == colours
    assert [cells[1] for cells in slicer] == ["Background", "Liver", "Spleen"]
    snap = [line.split(maxsplit=7) for line in (tmp_path / "itksnap.txt").read_text().splitlines() if line[0] != "#"]
    assert {int(cells[0]): tuple(map(int, cells[1:4])) for cells in snap[1:]} == colours
    assert [cells[4:] for cells in snap[1:]] == [["1", "1", "1", '"Liver"'], ["1", "1", "1", '"Spleen"']]
    described = json.loads((tmp_path / "dataset_description.json").read_text())
    assert {"Name", "BIDSVersion", "DatasetType", "GeneratedBy"} <= described.keys()
    (tmp_path / "dataset_description.json").write_text("{}")  # written by the user
    write_colour_tables(tmp_path)
    assert (tmp_path / "dataset_description.json").read_text() == "{}"
