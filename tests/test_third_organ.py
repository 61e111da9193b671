"""A third organ, added as in docs/extending.md: one entry and one phantom shape, then every verb."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # about 40 s of processor time

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
SLICE = PAGE[PAGE.index("## An organ") : PAGE.index("## A study")]
ENTRY, SHAPE = re.findall(r"```python\n(.*?)```", SLICE, re.DOTALL)
(REGISTERED,) = re.findall(r"In `CONTENTS`, `([^`]+)` takes the place of `Content\(pancreas_solids\)`", SLICE)
(IMPORTED,) = re.findall(r"with `(from [^`]+)` above", SLICE)

VERBS = """
import sys
import nibabel, numpy as np
from pathlib import Path
from liverspleen.cli.main import main

SMALL = ["experiment=phantom", "network.encoder=test_resnet", "network.pyramid_channels=8", "network.skip_channels=8",
         "trainer.batch_size=2", "trainer.steps=2", "trainer.validate_every=2"]

def run(*words):
    if main(list(words)):
        sys.exit(f"failed: {words}")

def shifted():
    for file in Path("cohort/labels").glob("*.nii.gz"):
        label = nibabel.load(file)
        moved = np.roll(np.asarray(label.dataobj), 1, axis=0)
        nibabel.save(nibabel.Nifti1Image(moved, label.affine, label.header), Path("other") / file.name)

run("phantom", "output=phantoms", "development=2", "test1=1", "pairs=1", "matrix=32", "thickness_min_mm=8",
    "thickness_max_mm=8", "seed=1", "format=dicom", "workers=2")
run("import", "source=dicom", "input=phantoms/dicom", "covariates=phantoms/covariates.csv", "labels=phantoms/dicom",
    "output=cohort", "ids=names", "workers=1")
data = ["cohort=cohort/cohort.csv"]
run("check", *data, "output=check")
run("split", *data, "output=split", "train_fraction=0.5")
for sampler in ("natural", "balanced"):
    run("train", *data, "split=split/split.csv", "cache=cache", f"output={sampler}", *SMALL, f"sampler={sampler}")
run("predict", "model=balanced/last.ckpt", "input=phantoms/dicom/test1-001", "output=predicted", "ids=names",
    "workers=1")
run("export", *data, "layout=nnunet", "output=nnunet")
Path("other").mkdir()
shifted()
run("measure", "labels=other", *data, "datasets=[test1,test2]", "output=measure", "workers=1")
run("report", "measurements=measure/measurements.csv", *data, "labels=other", "output=report")
"""


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which every verb has run with a copy of the package that knows a pancreas."""
    folder = tmp_path_factory.mktemp("third_organ")
    package = folder / "src" / "liverspleen"
    shutil.copytree(ROOT / "src" / "liverspleen", package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "conf", folder / "conf")
    (package / "phantom" / "pancreas.py").write_text(SHAPE, encoding="utf-8")
    entry = indent(dedent(ENTRY), "    ")
    edit(package / "organs.py", "    @property\n    def key(", f"{entry}\n    @property\n    def key(")
    edit(package / "phantom" / "contents.py", "Content(pancreas_solids)", REGISTERED)
    edit(
        package / "phantom" / "contents.py",
        "from liverspleen.phantom.patient",
        f"{IMPORTED}\nfrom liverspleen.phantom.patient",
    )
    work = folder / "work"
    work.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "XDG_CONFIG_HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", VERBS], cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return work


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, (file, old)
    file.write_text(text.replace(old, new), encoding="utf-8")


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def header(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()[0].split(",")


def labels_of(file: Path) -> np.ndarray:
    nibabel = pytest.importorskip("nibabel")
    return np.asarray(nibabel.load(file).dataobj)


def test_phantoms_have_a_pancreas_of_a_plausible_volume(followed: Path) -> None:
    truth = rows(followed / "phantoms" / "truth.csv")
    assert [row["structure"] for row in truth[:3]] == ["liver", "spleen", "pancreas"]
    volumes = [float(row["volume_cm3"]) for row in truth if row["structure"] == "pancreas"]
    assert len(volumes) == 5
    assert all(30 < volume < 200 for volume in volumes)


def test_a_dicom_segmentation_has_the_code_and_name_of_the_pancreas(followed: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    drawn, predicted = followed / "phantoms/dicom/test1-001", followed / "predicted"
    for file in (next(drawn.rglob("segmentation.dcm")), next(predicted.rglob("*_dseg.dcm"))):
        segments = pydicom.dcmread(file).SegmentSequence
        codes = [segment.SegmentedPropertyTypeCodeSequence[0].CodeValue for segment in segments]
        assert codes == ["10200004", "78961009", "15776009"]
        assert segments[2].SegmentLabel == "Pancreas"


def test_import_reads_the_pancreas_by_its_code(followed: Path) -> None:
    cohort = rows(followed / "cohort" / "cohort.csv")
    assert {row["labelled_structures"] for row in cohort} == {"liver;spleen;pancreas"}
    truth = {
        row["case_id"]: float(row["volume_cm3"])
        for row in rows(followed / "phantoms" / "truth.csv")
        if row["structure"] == "pancreas"
    }
    measured = {
        row["case_id"]: float(row["volume_cm3"])
        for row in rows(followed / "measure" / "measurements.csv")
        if (row["structure"], row["reader"]) == ("pancreas", "manual")
    }
    assert len(measured) == 3
    for case, volume in measured.items():
        name = next(name for name in truth if name in case)
        assert volume == pytest.approx(truth[name], rel=0.35)  # voxels of 8 mm and more


def test_check_knows_the_volume_of_the_pancreas(followed: Path) -> None:
    facts = json.loads((followed / "check" / "findings.json").read_text(encoding="utf-8"))
    assert "pancreas" in json.dumps(facts)


def test_both_samplers_train_and_validate_the_pancreas(followed: Path) -> None:
    for sampler in ("natural", "balanced"):
        assert {row["structure"] for row in rows(followed / sampler / "validation.csv")} == {
            *("liver", "spleen", "pancreas")
        }
        assert "val/dss_pancreas" in {row["metric"] for row in rows(followed / sampler / "metrics.csv")}


def test_prediction_names_the_pancreas(followed: Path) -> None:
    predicted = followed / "predicted"
    assert {row["structure"] for row in rows(predicted / "measurements.csv")} == {"liver", "spleen", "pancreas"}
    table = (predicted / "dseg.tsv").read_text(encoding="utf-8").splitlines()
    assert table[-1] == "3\tPancreas\tPAN\t#56B4E9"
    assert "Pancreas" in (predicted / "slicer.ctbl").read_text(encoding="utf-8")
    assert {"pancreas_status", "pancreas_faces"} <= set(header(predicted / "review.csv"))
    assert labels_of(next(predicted.glob("*_dseg.nii.gz"))).max() <= 3


def test_export_names_the_pancreas(followed: Path) -> None:
    labels = json.loads((followed / "nnunet" / "dataset.json").read_text(encoding="utf-8"))["labels"]
    assert labels == {"background": 0, "liver": 1, "spleen": 2, "pancreas": 3}
    assert any((labels_of(file) == 3).any() for file in (followed / "nnunet" / "labelsTr").glob("*.nii.gz"))


def test_volumes_in_wide_format_have_the_pancreas_and_the_ratio(followed: Path) -> None:
    row = rows(followed / "measure" / "volumes.csv")[0]
    liver, spleen = (float(row[f"{key}_manual"]) for key in ("liver", "spleen"))
    assert float(row["pancreas_manual"]) > 0
    assert float(row["ratio_manual"]) == pytest.approx(liver / spleen)


def test_every_table_of_the_paper_has_the_pancreas(followed: Path) -> None:
    tables = followed / "report" / "tables"
    assert header(tables / "table2.csv") == ["row", "liver", "liver_n", "spleen", "spleen_n", "pancreas", "pancreas_n"]
    columns = header(tables / "table3.csv")
    assert [name for name in columns if name in ("liver", "spleen", "pancreas", "ratio")] == [
        *("liver", "spleen", "pancreas", "ratio")
    ]
    assert [row["row"] for row in rows(tables / "table4.csv")] == [
        *("dss_liver", "dss_spleen", "dss_pancreas"),
        *("loa_liver", "loa_spleen", "loa_pancreas", "loa_ratio"),
    ]
    assert [row["row"] for row in rows(tables / "reproducibility.csv")] == ["liver", "spleen", "pancreas", "ratio"]
    assert "Pancreas DSS" in (tables / "table2.md").read_text(encoding="utf-8")


def test_every_index_has_its_figure_with_a_letter_of_its_own(followed: Path) -> None:
    page = (followed / "report" / "report.html").read_text(encoding="utf-8")
    for letter, name in zip("ABCD", ("liver", "spleen", "pancreas", "ratio"), strict=True):
        assert (followed / "report" / "figures" / f"bland_altman_{name}.svg").is_file()
        assert f"Figure 4{letter}. " in page
    assert "Figure 4D. Bland-Altman plot of the liver/spleen volume ratio" in page
    assert "DSS, pancreas" in page


def test_the_overlay_shows_the_dss_of_the_pancreas(followed: Path) -> None:
    report = json.loads((followed / "report" / "report.json").read_text(encoding="utf-8"))
    (shown,) = report["slices"]
    assert shown["dss"].keys() == {"liver", "spleen", "pancreas"}
    assert (followed / "report" / "figures" / "overlay.png").is_file()
