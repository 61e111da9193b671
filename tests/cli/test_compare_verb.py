"""`liverspleen compare`: several input files, an output folder, rejections in one line each."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from liverspleen.cli.main import main
from liverspleen.config import compose
from liverspleen.imaging import read_label_map
from liverspleen.imaging.nifti import write_label_map
from liverspleen.imaging.volume import LabelMap


@pytest.fixture
def measured(box_cohort: Callable[..., Path], tmp_path: Path) -> dict[str, Path]:
    """measurements.csv of two readers on four cases: `same` is the reference, `short` lacks its lowest slice."""
    cohort = box_cohort(condition=["cld", "cld", "fatty", "fatty"])
    tables = {}
    for reader in ("same", "short"):
        for number in range(4):
            reference = read_label_map(cohort.parent / f"c{number}_label.nii.gz")
            labels = reference.labels.copy()
            if reader == "short":
                labels[1] = 0
            write_label_map(tmp_path / reader / f"c{number}.nii.gz", LabelMap(labels, reference.geometry))
        output = tmp_path / f"measured {reader}"
        overrides = [f"labels={tmp_path / reader}", f"cohort={cohort}", f"reader={reader}", f"output={output}"]
        assert main(["measure", *overrides, "surface=none", "workers=1"]) == 0
        tables[reader] = output / "measurements.csv"
    return tables


def test_two_files_become_one_comparison(
    measured: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ",".join(map(str, measured.values()))
    assert main(["compare", f"measurements={files}", f"output={tmp_path / 'out'}"]) == 0
    assert "compare: same, short against manual, 4 CT scans of 4 patients" in capsys.readouterr().out
    content = json.loads((tmp_path / "out/compare.json").read_text(encoding="utf-8"))
    cells = {(c["table"], c["row"], c["column"]): c for c in content["cells"]}
    # liver in 4, 5, 3, 4 slices, `short` lacks one of k: DSS 2 (k - 1) / (2 k - 1); every difference is positive
    mean = cells["scores", "liver:total", "short"]["values"]["mean"]
    assert mean == pytest.approx((6 / 7 + 8 / 9 + 4 / 5 + 6 / 7) / 4)
    assert cells["score_differences", "liver:same vs short", "p"]["values"]["w_plus"] == 10
    record = json.loads((tmp_path / "out/run.json").read_text(encoding="utf-8"))
    assert set(record["inputs"]) == {"measurements1", "measurements2"}
    assert {"compare.json", "tables/scores.csv", "figures/forest_1.png"} <= set(record["outputs"])


def test_a_missing_case_is_listed(
    measured: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with measured["short"].open(newline="") as handle:
        header, *rows = csv.reader(handle)
    with measured["short"].open("w", newline="") as handle:
        csv.writer(handle).writerows([header, *(row for row in rows if row[0] != "c2")])
    overrides = [f"measurements={path}" for path in measured.values()]  # each repetition of the key adds a file
    assert main(["compare", *overrides, f"output={tmp_path / 'out'}"]) == 0
    err = capsys.readouterr().err
    assert " compared in 3 of 4 CT scans, " in err
    assert "1 CT scan excluded (c2)" in err


def test_one_reader_is_rejected(measured: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", f"measurements={measured['same']}", f"output={tmp_path / 'out'}"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("LS-")]
    assert line.startswith("LS-CMP-003: 1 reader is measured against 'manual'")


def test_several_paths_of_one_key(tmp_path: Path) -> None:
    def paths(*values: str) -> list[Path]:
        return compose("compare", [*(f"measurements={value}" for value in values), "output=o"]).measurements

    assert paths("a.csv") == [Path("a.csv")]
    assert paths("a.csv,b.csv") == paths("[a.csv,b.csv]") == paths("a.csv", "b.csv") == [Path("a.csv"), Path("b.csv")]
    assert paths("${seed}=é.csv,b") == [Path("${seed}=é.csv"), Path("b")]
    odd = tmp_path / "a,b.csv"
    odd.touch()
    assert paths(str(odd)) == [odd]
    many = [f"measurements of reader {number}.csv" for number in range(20)]  # together longer than a file name may be
    assert paths(",".join(many)) == [Path(name) for name in many]


def test_no_path_is_rejected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "measurements=", f"output={tmp_path}"]) == 2
    assert capsys.readouterr().err.startswith("LS-CFG-002: compare needs measurements=")
