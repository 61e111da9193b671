"""Each verb that reads a CT says about its values what `check` says: errors exclude the case, warnings are kept."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from predicting import TINY, predict, rows

from liverspleen.cli.main import main
from liverspleen.cohort import read_cohort, write_cohort
from liverspleen.errors import InputError, InputWarning
from liverspleen.imaging import CTVolume, Geometry, LabelMap, read_ct, read_label_map, write_label_map
from liverspleen.inference import segment
from liverspleen.inference.segment import Segmented

ERRORS = {
    "constant": "LS-IMG-010",
    "offset": "LS-IMG-013",
    "bytes": "LS-IMG-014",
    "inverted": "LS-IMG-018",
    "mri": "LS-IMG-040",
    "labels": "LS-IMG-041",
    "unsigned": "LS-IMG-042",
}
WARNINGS = {"window": "LS-IMG-012", "copies": "LS-IMG-017"}


def defects(hu: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    values = hu.astype(np.int32)
    copied = values.copy()
    copied[5] = copied[4]
    return {
        "sound": values,
        "constant": values * 0,
        "offset": values + 1024,
        "bytes": (values.clip(-160, 240) + 160) * 255 // 400,
        "inverted": -values,
        "mri": np.where(values < -300, 4, (3 * values + 400).clip(0, 2000)),
        "labels": labels.astype(np.int32),
        "unsigned": values % 65536,
        "window": values.clip(-160, 240),
        "copies": copied,
    }


@pytest.fixture(scope="module")
def cohort(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """cohort.csv with a small trunk, valid and with each defect; 12 x 12 x 25 mm."""
    import nibabel as nib

    folder = tmp_path_factory.mktemp("values")
    case = read_cohort(phantoms).cases[0]
    hu, labels = read_ct(case.image).hu[::5, ::2, ::2], read_label_map(case.label).labels[::5, ::2, ::2]
    affine = np.diag([-12.0, -12.0, 25.0, 1.0])
    table = []
    for name, values in defects(hu, labels).items():
        nib.save(nib.Nifti1Image(values.transpose(2, 1, 0).astype(np.int32), affine), folder / f"{name}.nii.gz")
        grid = Geometry(hu.shape[::-1], affine)
        write_label_map(folder / f"{name}_label.nii.gz", LabelMap(np.ascontiguousarray(labels), grid))
        row = {"case_id": name, "patient_id": name, "image": f"{name}.nii.gz", "label": f"{name}_label.nii.gz"}
        table.append(row | {"dataset": "development"})
    write_cohort(folder / "cohort.csv", table)
    return folder / "cohort.csv"


def said(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Codes about values in printed lines by case: errors and warnings."""
    lines = re.findall(r"^(warning: )?(LS-IMG-\d+) case '(\w+)'", text, flags=re.MULTILINE)
    errors, others = ({case: code for mark, code, case in lines if bool(mark) is kind} for kind in (False, True))
    return errors, others


def test_check_finds_each_defect(cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", f"cohort={cohort}", f"output={tmp_path}"]) == 2
    assert said(capsys.readouterr().err) == (ERRORS, WARNINGS)


def test_predict_says_it_and_has_volumes_of_the_other_cases(
    cohort: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(model, cohort, tmp_path) == 2
    assert said(capsys.readouterr().err) == (ERRORS, WARNINGS)
    used = {"sound", *WARNINGS}
    assert {file.name.removesuffix("_dseg.nii.gz") for file in tmp_path.glob("*_dseg.nii.gz")} == used
    assert {row["case_id"] for row in rows(tmp_path / "measurements.csv")} == used
    assert {row["case_id"] for row in rows(tmp_path / "volumes.csv")} == used
    reasons = {row["case_id"]: row["reasons"] for row in rows(tmp_path / "review.csv")}
    for case, code in (ERRORS | WARNINGS).items():
        assert code in reasons[case]
    for case, code in WARNINGS.items():
        sidecar = json.loads((tmp_path / f"{case}_dseg.json").read_text())
        assert code in [warning[0] for warning in sidecar["warnings"]]
    assert "LS-IMG" not in reasons["sound"]
    tables = {name: (tmp_path / name).read_bytes() for name in ("volumes.csv", "review.csv")}
    assert predict(model, cohort, tmp_path) == 2  # kept label maps have their warnings again
    assert said(capsys.readouterr().err) == (ERRORS, WARNINGS)
    assert {name: (tmp_path / name).read_bytes() for name in tables} == tables


def test_prepare_says_it_also_when_the_cache_is_reused(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for reused in (0, 3):
        assert main(["prepare", f"cohort={cohort}", f"cache={tmp_path}"]) == 2
        printed = capsys.readouterr()
        assert said(printed.err) == (ERRORS, WARNINGS)
        assert f"{reused} of them stored earlier" in printed.out
    assert len([*tmp_path.glob("*/case.json")]) == 3


@pytest.mark.slow
def test_train_says_it_and_uses_the_other_cases(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = ["trainer.steps=2", "trainer.validate_every=2", "trainer.batch_size=2"]
    assert main(["train", f"cohort={cohort}", f"output={tmp_path}", *TINY, *steps]) == 2
    assert said(capsys.readouterr().err) == (ERRORS, WARNINGS)
    assert (tmp_path / "last.ckpt").is_file()


def test_export_says_it_and_writes_the_other_cases(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "Dataset501_X"
    assert main(["export", f"cohort={cohort}", "layout=nnunet", f"output={output}", "workers=1"]) == 2
    assert said(capsys.readouterr().err) == (ERRORS, WARNINGS)
    assert len([*(output / "imagesTr").iterdir()]) == len([*(output / "labelsTr").iterdir()]) == 3


@pytest.mark.parametrize("name", [*ERRORS, *WARNINGS])
def test_segment_says_it(cohort: Path, model: Path, name: str) -> None:
    file = cohort.parent / f"{name}.nii.gz"
    if name in ERRORS:
        with pytest.raises(InputError, match=f"^{ERRORS[name]} file"):
            segment(file, model)
        with pytest.raises(InputError, match=f"^{ERRORS[name]}: "):
            segment(read_ct(file), model)
    else:
        with pytest.warns(InputWarning, match=f"^{WARNINGS[name]} file"):
            segment(file, model)


def test_segment_of_a_valid_ct_has_no_warning(cohort: Path, model: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        segment(cohort.parent / "sound.nii.gz", model)


def test_a_ct_in_which_no_organ_is_found_has_a_warning(
    cohort: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(ct: CTVolume, *_: object, **__: object) -> Segmented:
        return Segmented(LabelMap(np.zeros(ct.hu.shape, np.uint8), ct.geometry), None, 0.0, "fp32")

    monkeypatch.setattr("liverspleen.inference.prediction.segment_volume", nothing)
    for _ in range(2):
        assert predict(model, cohort.parent / "sound.nii.gz", tmp_path) == 0
        assert "warning: LS-PRD-040 case 'sound'" in capsys.readouterr().err
    (row,) = rows(tmp_path / "review.csv")
    assert "LS-PRD-040 no voxel of liver or spleen was found" in row["reasons"]
    assert {row["volume_status"] for row in rows(tmp_path / "measurements.csv")} == {"absent"}
