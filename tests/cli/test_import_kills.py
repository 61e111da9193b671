"""A killed import is resumed; phantoms in six layouts give the same cohort."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import source_files
from source_files import WRITERS, Exam, box_exam

from liverspleen.cli.main import main
from liverspleen.cohort.manifest import read_cohort
from liverspleen.imaging import read_ct, read_label_map
from liverspleen.organs import ORGANS

pytestmark = pytest.mark.slow


def content(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in {"run.json", ".run.lock"}]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_an_import_killed_at_random_moments_has_the_same_result(tmp_path: Path) -> None:
    exams = [box_exam(f"e{i}", seed=i, slices=60) for i in range(12)]
    words = source_files.nifti(tmp_path / "source", exams)
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")}

    def command(output: str) -> list[str]:
        where = [f"input={tmp_path / 'source'}", f"output={tmp_path / output}"]
        return [sys.executable, "-m", "liverspleen", "import", "source=nifti", *where, *words, "workers=2"]

    started = time.monotonic()
    subprocess.run(command("whole"), env=environment, check=True, capture_output=True)
    duration_s = time.monotonic() - started
    moments = random.Random(0)
    for _ in range(12):
        run = subprocess.Popen(
            command("killed"),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(moments.uniform(0.1, 1.0) * duration_s)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    subprocess.run(command("killed"), env=environment, check=True, capture_output=True)
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


def imported(folder: Path) -> dict[str, tuple[str, dict[str, float]]]:
    """By hash of the decoded CT: that of the labels, and volumes in cm³ from the files."""
    cases = {case.case_id: case for case in read_cohort(folder / "cohort.csv").cases}
    found = {}
    for row in csv.DictReader((folder / "import.csv").read_text().splitlines()):
        label = read_label_map(cases[row["case_id"]].label)  # type: ignore[arg-type]
        volumes = {organ.key: label.count(organ) * label.geometry.voxel_volume_mm3 / 1000 for organ in ORGANS}
        found[row["image_sha256"]] = row["label_sha256"], volumes
    return found


def test_phantoms_in_six_layouts_give_the_same_cohort(tmp_path: Path) -> None:
    made = ["development=1", "test1=0", "pairs=1", "matrix=48", "seed=3"]
    for form in ("nifti", "dicom"):
        assert main(["phantom", f"output={tmp_path / 'made' / form}", f"format={form}", *made]) == 0
    stated = read_cohort(tmp_path / "made" / "nifti" / "cohort.csv").cases
    exams = [Exam(c.case_id, c.patient_id, read_ct(c.image), read_label_map(c.label)) for c in stated if c.label]
    facts = ["dataset", "condition", "site", "sex", "age"]
    rows = [[c.case_id, c.patient_id, *(str(getattr(c, name)) for name in facts)] for c in stated]
    covariates = tmp_path / "covariates.csv"
    covariates.write_text("\n".join(",".join(row) for row in [["source", "patient", *facts], *rows]))
    results = {}
    for layout, write in WRITERS.items():
        if layout == "dicom":
            source = tmp_path / "made" / "dicom" / "dicom"
            words = [f"labels={source}", f"covariates={tmp_path / 'made' / 'dicom' / 'covariates.csv'}"]
        else:
            source = tmp_path / layout
            words = [*write(source, exams), f"covariates={covariates}"]
        words += [f"input={source}", f"output={tmp_path / 'out' / layout}", f"key={tmp_path / 'key'}"]
        assert main(["import", f"source={layout}", *words]) == 0, layout
        results[layout] = imported(tmp_path / "out" / layout)
        cases = read_cohort(tmp_path / "out" / layout / "cohort.csv").cases
        columns = [
            tuple(sorted(str(getattr(case, name)) for case in group)) for name in facts for group in (cases, stated)
        ]
        assert columns[::2] == columns[1::2], layout
        assert len({case.patient_id for case in cases}) == 2
    for layout, found in results.items():
        assert found.keys() == results["nifti"].keys(), layout
        for key, (label, volumes) in found.items():
            assert label == results["nifti"][key][0], layout
            assert volumes == pytest.approx(results["nifti"][key][1], rel=1e-6), layout
    truth = {
        (row["case_id"], row["structure"]): float(row["volume_cm3"])
        for row in csv.DictReader((tmp_path / "made" / "nifti" / "truth.csv").read_text().splitlines())
    }
    livers = sorted(volumes["liver"] for _, volumes in results["dicom"].values())
    # voxels of 8 mm: the label maps are the anatomy within some per cent
    assert livers == pytest.approx(sorted(v for (_, organ), v in truth.items() if organ == "liver"), rel=0.1)
