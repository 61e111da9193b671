"""The commands of the page on correction run verbatim, with edits as 3D Slicer saves them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from correcting import lines_of, save_nifti, write_seg_nrrd
from predicting import TINY, exam, rows

from liverspleen.cli.main import main
from liverspleen.cohort.manifest import read_cohort, write_cohort
from liverspleen.cohort.split import read_split
from liverspleen.imaging.nifti import write_ct, write_label_map
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import Structure

PAGE = (Path(__file__).parents[2] / "docs/correction.md").read_text(encoding="utf-8")
SHORT = {"experiment=finetune": TINY}  # a training of seconds


def commands(title: str) -> list[list[str]]:
    """The arguments of each command below a heading of the page, with fewer steps."""
    lines = re.findall(r"^    liverspleen (.+)$", PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0], re.M)
    return [[short for word in shlex.split(line) for short in SHORT.get(word, [word])] for line in lines]


def darker(seed: int) -> tuple[CTVolume, LabelMap]:
    """Return a CT with a darker liver and spleen than in the training of the model, and its true label map."""
    ct, truth = exam(6, seed)
    hu = ct.hu - np.select([truth.labels == Structure.LIVER, truth.labels == Structure.SPLEEN], [70, 110])
    return CTVolume(hu.astype(np.int16), ct.geometry), truth


@pytest.fixture
def truth(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, LabelMap]:
    """A folder as on the page: cohort/, run/ and new/ with three cases to correct and two test cases."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(model.parents[1], "cohort", ignore=shutil.ignore_patterns("model"))
    shutil.copytree(model.parent, "run")
    found, given = {}, []
    for seed in range(5):
        case, test = f"c{seed}", seed > 2
        ct, found[case] = darker(30 + seed)
        write_ct(Path("new", f"{case}.nii.gz"), ct)
        write_label_map(Path("new", "truth", f"{case}.nii.gz"), found[case])
        label, dataset = (f"truth/{case}.nii.gz", "test1") if test else (None, "development")
        row = {"case_id": case, "patient_id": case, "image": f"{case}.nii.gz", "origin": "phantom"}
        given.append({**row, "label": label, "dataset": dataset})
    write_cohort(Path("new", "cohort.csv"), given)
    return found


def save(case: str, truth: LabelMap) -> None:
    """Save a label map as 3D Slicer does."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ truth.geometry.affine
    write_seg_nrrd(Path("todo"), case, truth.to_native(), lps, [("Liver", 1), ("Spleen", 2)])


@pytest.mark.slow
def test_the_command_sequence_of_the_page_gives_a_model_that_is_better_on_the_test_cases(
    truth: dict[str, LabelMap], capsys: pytest.CaptureFixture[str]
) -> None:
    sequence = commands("The sequence")
    for arguments in sequence:
        assert main(arguments) == 0
        if "input=out" in arguments:
            assert {folder.name for folder in Path("todo/cases").iterdir()} == {"c0", "c1", "c2"}
            for case in ("c0", "c1"):
                save(case, truth[case])
    assert [arguments[0] for arguments in sequence].count("measure") == 2
    assert "without a label map in force: 1 case, first 'c2'" in capsys.readouterr().out
    merged = read_cohort("todo/merged_cohort.csv", root=".")
    assert {case.case_id for case in merged.cases} == {"t0", "t1", "t2", "t3", "c0", "c1"}
    split, before = read_split("todo/merged_split.csv", merged), rows(Path("run/split.csv"))
    assert [*split.validation] == [row["patient_id"] for row in before if row["side"] == "validation"]
    assert {*split.training} == {row["patient_id"] for row in before if row["side"] == "training"} | {"c0", "c1"}
    recorded = json.loads(Path("run2/run.json").read_text())["corrections"]
    found = [(one["case_id"], one["label_entry"], one["label_reader"], one["label_confirmed_by"]) for one in recorded]
    assert found == [("c0", "2", "MB", "RK"), ("c1", "2", "MB", "RK")]
    assert main(["export", "model=run2/best.ckpt", "output=package.zip"]) == 0
    with ZipFile("package.zip") as package:
        assert b"| corrections | confirmed 2 | none |" in package.read("MODEL_CARD.md")
    assert mean_dss("after") > mean_dss("before") + 0.03


def test_a_changed_label_map_of_a_correction_is_not_trained_on(
    todo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_nifti(todo)
    cohort, split = f"cohort={todo / 'cohort.csv'}", tmp_path / "split"
    assert main(["correct", f"import={todo}"]) == 0
    assert main(["split", cohort, f"output={split}", "train_fraction=1"]) == 0
    (todo / "history" / "a" / "0002.nii.gz").write_bytes((todo / "history" / "a" / "0001.nii.gz").read_bytes())
    capsys.readouterr()
    assert main(["train", cohort, f"split={split / 'split.csv'}", f"output={tmp_path / 'run'}", *TINY]) == 2
    (line,) = [line for line in lines_of(capsys) if "LS-COR" in line]
    assert line.startswith("LS-COR-015 case 'a'")


@pytest.mark.slow
def test_the_commands_for_the_corrected_cases_alone_run(truth: dict[str, LabelMap]) -> None:
    for arguments in commands("The sequence")[:3]:
        assert main(arguments) == 0
        if "input=out" in arguments:
            save("c0", truth["c0"])
    alone = commands("Training and evaluation")
    assert [arguments[0] for arguments in alone] == ["split", "train", "measure", "report"]
    for arguments in alone[:3]:
        assert main(arguments) == 0
    assert [row["case_id"] for row in rows(Path("todo/cohort.csv"))] == ["c0"]
    assert {row["reference"] for row in rows(Path("measured/measurements.csv"))} == {"", "corrected"}


def mean_dss(folder: str) -> float:
    """Mean DSS of the test cases c3 and c4 against the true label maps."""
    found = [float(row["dss"]) for row in rows(Path(folder, "measurements.csv")) if row["dss"]]
    assert len(found) == 4
    return float(np.mean(found))
