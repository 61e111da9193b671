"""`liverspleen report` with and without the cohort of the measurements."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from liverspleen.cli.main import main


@pytest.fixture
def measured(box_cohort: Callable[..., Path], tmp_path: Path) -> dict[str, str]:
    """Inputs of `report`: a cohort of two development and two test cases, its references measured as predictions."""
    cohort = box_cohort(dataset=["development", "development", "test1", "test1"])
    labels = tmp_path / "labels"
    labels.mkdir()
    for number in (2, 3):
        (labels / f"c{number}.nii.gz").write_bytes((cohort.parent / f"c{number}_label.nii.gz").read_bytes())
    overrides = [
        f"labels={labels}",
        f"cohort={cohort}",
        "datasets=[test1]",
        f"output={tmp_path / 'measure'}",
        "workers=1",
    ]
    assert main(["measure", *overrides]) == 0
    assert main(["split", f"cohort={cohort}", f"output={tmp_path / 'split'}"]) == 0
    (tmp_path / "exclusions, patients.csv").write_text("reason,count\nassessed,9\nno portal venous phase,5\n")
    return {
        "measurements": str(tmp_path / "measure/measurements.csv"),
        "output": str(tmp_path / "report"),
        "cohort": str(cohort),
        "labels": str(labels),
        "split": str(tmp_path / "split/split.csv"),
        "exclusions": str(tmp_path / "exclusions, patients.csv"),
    }


def report(measured: dict[str, str], *names: str, **changed: str) -> int:
    overrides = {name: measured[name] for name in ("measurements", "output", *names)} | changed
    return main(["report", *(f"{name}={value}" for name, value in overrides.items())])


def test_measurements_suffice_and_missing_tables_are_listed(
    measured: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(measured) == 0
    said = capsys.readouterr().err
    assert "LS-REP-040: Table 1 and Figures 1 and 3, and the viewer of slices, are not included" in said


def test_the_cohort_its_split_and_exclusions_make_table_1_and_the_figures(
    measured: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(measured, "cohort", "labels", "split", "exclusions", cases="[c3]") == 0
    assert "LS-REP-045" not in capsys.readouterr().err  # 9 - 5 = 4 patients
    content = json.loads((tmp_path / "report/report.json").read_text(encoding="utf-8"))
    assert [shown["case_id"] for shown in content["slices"]] == ["c3"]
    assert [part["count"] for part in content["flow"]["branches"][0]["parts"]] == [1, 1]
    record = json.loads((tmp_path / "report/run.json").read_text(encoding="utf-8"))
    assert set(record["inputs"]) == {"measurements", "cohort", "split", "exclusions"}
    assert {"tables/table1.tex", "tables/tables.docx", "figures/flow.svg", "figures/overlay.pdf"} <= set(
        content["files"]
    )


def test_options_of_a_cohort_are_rejected_without_it(
    measured: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(measured, "labels", "split") == 2
    assert "LS-REP-052: split=, labels= cannot be used without cohort=; give cohort=" in capsys.readouterr().err


def test_only_rejected_rows_of_the_cohort_are_excluded(
    measured: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort = Path(measured["cohort"])
    cohort.write_text(cohort.read_text() + ",p9,x.nii.gz,,development\n")
    assert report(measured, "cohort", "labels") == 2
    assert "LS-COH-010" in capsys.readouterr().err
    assert (tmp_path / "report/tables/table1.csv").is_file()


@pytest.mark.parametrize(
    ("name", "code"), [("labels", "LS-LAB-023"), ("exclusions", "LS-REP-050"), ("split", "LS-SPL-003")]
)
def test_missing_paths_are_rejected(
    measured: dict[str, str], capsys: pytest.CaptureFixture[str], name: str, code: str
) -> None:
    assert report(measured, "cohort", **{name: "nowhere"}) == 2
    assert code in capsys.readouterr().err
