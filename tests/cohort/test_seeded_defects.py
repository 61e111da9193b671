"""Every seeded defect is found by `check` with its code, and without other errors or warnings."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from seeded import SEEDS, Seed, drafts

from liverspleen.cli.main import main
from liverspleen.cohort import read_cohort, write_cohort
from liverspleen.imaging import read_ct, read_label_map

OTHER_ROWS = {
    "one_scan_as_two_patients": "twin-of-another",
    "one_scan_twice": "twin-of-the-same",
    "image_outside_the_root": "outside",
    "one_patient_of_two_sexes": "one_patient_of_two_ages",  # the finding is about the last case of the patient
}
"""The case of the finding, if it is not the modified case."""


@pytest.fixture(scope="module")
def checked(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of `check` for a cohort of one valid case and one case per seed."""
    folder = tmp_path_factory.mktemp("seeded")
    sound = read_cohort(phantoms).cases[0]
    ct, label = read_ct(sound.image), read_label_map(sound.label)
    rows = [row for _, draft in drafts(ct.hu, label.labels, ct.geometry.affine) for row in draft.write(folder)]
    write_cohort(folder / "cohort.csv", rows)
    output = folder / "check"
    assert main(["check", f"cohort={folder / 'cohort.csv'}", f"output={output}"]) == 2
    return output


@pytest.fixture(scope="module")
def findings(checked: Path) -> list[dict[str, str]]:
    return json.loads((checked / "findings.json").read_text())["findings"]


def test_the_valid_case_has_no_finding(findings: list[dict[str, str]]) -> None:
    assert [f for f in findings if f["case_id"] == "sound"] == []


@pytest.mark.parametrize("defect", SEEDS, ids=lambda defect: f"{defect.name}-{defect.code}")
def test_seeded_defect_is_found_without_false_alarms(defect: Seed, findings: list[dict[str, str]]) -> None:
    named = OTHER_ROWS.get(defect.name, defect.name)
    found = [f for f in findings if f["case_id"] == named]
    assert (defect.code, defect.severity) in {(f["code"], f["severity"]) for f in found}
    alarms = {f["code"] for f in found if f["severity"] != "note"}
    assert alarms <= {defect.code, *defect.related}
    assert all(f["hint"] and f["message"] for f in found)


def test_table_and_json_hold_the_same_and_the_counts_add_up(checked: Path, findings: list[dict[str, str]]) -> None:
    with (checked / "findings.csv").open(newline="", encoding="utf-8") as handle:
        assert list(csv.DictReader(handle)) == findings
    written = json.loads((checked / "findings.json").read_text())
    assert sum(written["counts"].values()) == sum(written["codes"].values()) == len(findings)
    assert written["counts"]["error"] == sum(f["severity"] == "error" for f in findings)


def test_facts_are_those_of_the_phantom(checked: Path, phantoms: Path) -> None:
    """Facts are compared with the requested geometry and the known volumes of the phantom."""
    facts = json.loads((checked / "findings.json").read_text())["cases"]["sound"]
    assert facts["shape"][1:] == [64, 64]
    assert facts["spacing_mm"][0] == 5.0
    assert facts["axis_codes"] == "LPS"
    with (phantoms.parent / "truth.csv").open(newline="") as handle:
        truth = {row["structure"]: float(row["volume_cm3"]) for row in list(csv.DictReader(handle))[:2]}
    assert facts["volume_cm3"] == pytest.approx(truth, rel=0.05)  # voxels of 6 x 6 x 5 mm
