"""The study on a cohort of patients: folds and subsets, tables with known results, and a small study."""

from __future__ import annotations

import doctest
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from study_modules import EXPERIMENTS, study_modules

from liverspleen import api, shipped
from liverspleen.cli.main import main as command_line
from liverspleen.cohort import read_cohort, read_split, write_cohort
from liverspleen.errors import InputError
from liverspleen.spreadsheet import csv_rows

MODULES = ("settings", "plan", "trainings", "nnunet", "scores", "tables", "times", "figure", "page", "run")
COLUMNS = ["arm", "size", "seed", "patient_id", "case_id", "structure", "dss", "hd95_mm", "volume_cm3", "reference_cm3"]


@pytest.fixture(scope="module")
def study() -> Iterator[SimpleNamespace]:
    with study_modules("public_ct", MODULES) as modules:
        yield modules


def cohort_of(folder: Path, patients: int, **columns: str) -> Path:
    """Write the table of a cohort without images; the second patient has two examinations."""
    ids = [f"p{number}" for number in range(patients)]
    rows = [{"case_id": f"{patient}-1", "patient_id": patient} for patient in ids]
    rows.insert(2, {"case_id": "p1-2", "patient_id": "p1"})
    for row in rows:
        row |= {"image": f"{row['case_id']}.nii.gz", "label": f"{row['case_id']}-label.nii.gz", **columns}
    write_cohort(folder / "cohort.csv", rows)
    return folder / "cohort.csv"


def settings_of(study: SimpleNamespace, cohort: Path, *arguments: str):
    """Return the settings; the start model is any file, because nothing is trained."""
    given = [f"cohort={cohort}", f"start={cohort}", f"output={cohort.parent / 'out'}", *arguments]
    return study.settings.read_settings(given)


def test_examples_in_the_study_hold(study):
    results = [doctest.testmod(getattr(study, name)) for name in MODULES]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) >= 5


def test_each_patient_is_tested_once_and_subsets_are_nested_and_disjoint_from_the_test(study, tmp_path):
    table = cohort_of(tmp_path, 12)
    settings, cohort = settings_of(study, table, "seeds=2"), read_cohort(table)
    folds = study.plan.folds_of(cohort, settings)
    assert [len(fold.validation) for fold in folds] == [4, 4, 4]
    assert sorted(patient for fold in folds for patient in fold.validation) == sorted(f"p{n}" for n in range(12))
    every = tuple(cell for group in study.plan.groups(settings) for cell in study.plan.cells(group, settings))
    assert len(every) == 2 * 4 * 2 * 3  # arms, sizes, seeds, folds
    study.plan.write_splits(folds, every, settings)
    training = {}
    for cell in every:
        split = read_split(cell.split_file(settings), cohort)
        assert split.validation == folds[cell.fold].validation
        assert not {*split.training} & {*split.validation}
        assert len(split.training) == cell.group.size
        training[cell.fold, cell.group.seed, cell.group.size] = {*split.training}
    for fold in range(3):
        for seed in range(2):
            nested = [training[fold, seed, size] for size in (1, 2, 4, 8)]
            assert all(small < large for small, large in pairwise(nested))
    assert any(training[fold, 0, size] != training[fold, 1, size] for fold in range(3) for size in (1, 2, 4))


def test_more_sizes_and_seeds_do_not_change_a_subset(study, tmp_path):
    table = cohort_of(tmp_path, 12)
    few, many = settings_of(study, table, "sizes=2"), settings_of(study, table, "sizes=1,2,8", "seeds=3")
    fold = study.plan.folds_of(read_cohort(table), few)[0]
    assert fold == study.plan.folds_of(read_cohort(table), many)[0]
    assert few.decisive == many.decisive
    assert {*study.plan.groups(few)} < {*study.plan.groups(many)}


def test_arms_of_nnunet_exist_only_with_its_python_and_its_sizes(study, tmp_path):
    table = cohort_of(tmp_path, 12)
    without = [group.name for group in study.plan.groups(settings_of(study, table, "sizes=1,2"))]
    assert without == ["start_model", "start-n1-seed0", "scratch-n1-seed0", "start-n2-seed0", "scratch-n2-seed0"]
    settings = settings_of(study, table, "sizes=1,2", f"nnunet={sys.executable}", "nnunet_sizes=2")
    assert [group.name for group in study.plan.groups(settings)][-2:] == ["nnunet-n2-seed0", "nnunet_time-n2-seed0"]
    with pytest.raises(InputError, match=r"version of nnunetv2 is .*, expected 2\.8\.1"):
        study.nnunet.check(settings)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("speed=1", "is not a setting"),
        ("steps=0", "at least 1"),
        ("folds=1", "at least 2"),
        ("sizes=1,x", "at least 1"),
        ("sizes=2,2", "different numbers"),
        ("pixel_mm=0", "expected 0.1 to 20"),
        ("device=tpu", "expected cpu or cuda"),
        ("start=absent.ckpt", "the file does not exist"),
        ("nnunet_sizes=4", "no effect without nnunet="),
        (f"nnunet_sizes=3 nnunet={sys.executable}", "which is not one of the sizes"),
        ("experiment=absent", "absent"),
    ],
)
def test_a_wrong_setting_is_rejected_in_one_line(study, tmp_path, capsys, argument, message):
    table = cohort_of(tmp_path, 12)
    given = {"cohort": f"cohort={table}", "start": f"start={table}", "output": f"output={tmp_path / 'out'}"}
    given |= {part.partition("=")[0]: part for part in argument.split()}
    assert study.run.main([*given.values()]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_cohort_is_required_and_the_start_model_is_the_shipped_one(study, tmp_path, capsys):
    assert study.run.main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cohort= is not given" in line
    settings = study.settings.read_settings([f"cohort={cohort_of(tmp_path, 12)}"])
    assert settings.start == shipped.FOLDER
    assert settings.decisive["start"] == "phantom"


def test_a_cohort_with_too_few_patients_or_labels_is_rejected(study, tmp_path, capsys):
    table = cohort_of(tmp_path, 6)
    given = [f"cohort={table}", f"start={table}", f"output={tmp_path / 'out'}"]
    assert study.run.main(given) == 2
    assert "sizes has 8 patients, but a fold has 4 training patients" in capsys.readouterr().err
    cohort_of(tmp_path, 6, labelled_structures="liver")
    assert study.run.main(given) == 2
    assert "LS-EXP-016" in capsys.readouterr().err


def scores_of(arm: str, size: int, seed: int, dss: dict[str, tuple[float, float]]) -> list[tuple]:
    """Return rows with the DSS of liver and spleen by patient; the volume is 110 cm³, that of the reference 100 cm³."""
    return [
        (arm, size, seed, patient, f"{patient}-1", organ, value, 5.0, 110.0, 100.0)
        for patient, values in dss.items()
        for organ, value in zip(("liver", "spleen"), values, strict=True)
    ]


def test_differences_are_those_by_hand(study):
    rows = scores_of("start_model", 0, 0, {"a": (0.5, 0.4), "b": (0.6, 0.4), "c": (0.7, 0.4)})
    rows += scores_of("scratch", 2, 0, {"a": (0.6, 0.5), "b": (0.8, 0.6), "c": (0.7, 0.7)})
    rows += scores_of("start", 1, 0, {"c": (0.8, 0.7), "b": (0.8, 0.9), "a": (0.9, 0.5)})
    rows += scores_of("scratch", 1, 0, {"a": (0.5, 0.5), "b": (0.5, 0.5), "c": (0.5, 0.5)})
    table = study.tables.difference_table(pd.DataFrame(rows, columns=COLUMNS), [1, 2])
    table = table.set_index(["first", "first_size", "second", "second_size", "structure"])
    assert len(table) == 5 * 3  # pairs with both arms, structures
    row = table.loc[("start", 1, "scratch", 2, "liver")]
    # differences 0.3, 0.0 and 0.1: mean 0.4 / 3, SD 0.152753, t of 2 degrees of freedom 4.302653
    half = 4.302653 * 0.152753 / math.sqrt(3)
    assert row["difference"] == pytest.approx(0.4 / 3)
    assert (row["lower"], row["upper"]) == (
        pytest.approx(0.4 / 3 - half, abs=1e-5),
        pytest.approx(0.4 / 3 + half, abs=1e-5),
    )
    # means of both organs: (0.3 + 0) / 2, (0 + 0.3) / 2, (0.1 + 0) / 2
    assert table.loc[("start", 1, "scratch", 2, "both"), "difference"] == pytest.approx(0.35 / 3)
    assert table.loc[("scratch", 2, "start_model", 0, "spleen"), "difference"] == pytest.approx(0.2)
    assert table.loc[("start", 1, "scratch", 1, "liver"), "basis"] == "slices"


def test_with_several_seeds_the_start_model_has_no_noise_of_seeds(study):
    rows = scores_of("start_model", 0, 0, {"a": (0.5, 0.5), "b": (0.7, 0.7)})
    rows += scores_of("start", 1, 0, {"a": (0.6, 0.6), "b": (0.9, 0.9)})
    rows += scores_of("start", 1, 1, {"a": (0.8, 0.8), "b": (0.9, 0.9)})
    scores = pd.DataFrame(rows, columns=COLUMNS)
    row = study.tables.difference_table(scores, [1]).iloc[0]
    assert (row["seeds"], row["patients"], row["difference"]) == (2, 2, pytest.approx(0.2))
    assert row["lower"] < 0.2 < row["upper"]


def test_arms_have_the_worst_case_empty_cases_and_volumes_by_hand(study):
    rows = scores_of("start", 1, 0, {"a": (0.9, 0.8), "b": (0.7, 0.8), "c": (0.0, 0.8), "d": (0.0, 0.8)})
    table = pd.DataFrame(rows, columns=COLUMNS)
    liver = table["structure"] == "liver"
    empty, absent = liver & (table["patient_id"] == "c"), liver & (table["patient_id"] == "d")
    table.loc[empty, ["volume_cm3", "hd95_mm"]] = [0.0, np.nan]
    table.loc[absent, ["volume_cm3", "hd95_mm"]] = np.nan  # no label map
    found = study.tables.arm_table(table).set_index("structure")
    row = found.loc["liver"]
    assert (row["dss"], row["worst_dss"], row["worst_case"]) == (pytest.approx(0.4), 0.0, "c-1")
    assert (row["empty"], row["not_predicted"], row["hd95_mm"], row["hd95_undefined"]) == (1, 1, 5.0, 2)
    # percent of the mean of both volumes: 100 · 10 / 105 twice, and -200 for the empty one
    assert row["volume_bias_pct"] == pytest.approx((2 * 1000 / 105 - 200) / 3)
    assert found.loc["spleen", "loa_upper_pct"] == pytest.approx(1000 / 105)
    assert found.loc["both", "dss"] == pytest.approx((0.85 + 0.75 + 0.4 + 0.4) / 4)


def test_undefined_numbers_say_why(study):
    rows = scores_of("start", 1, 0, {"a": (0.9, math.nan)}) + scores_of("scratch", 1, 0, {"a": (0.5, math.nan)})
    scores = pd.DataFrame(rows, columns=COLUMNS)
    arms = study.tables.arm_table(scores).set_index(["arm", "structure"])
    assert arms.loc[("start", "liver"), "reason"] == "only 1 patient"
    assert arms.loc[("start", "spleen"), "reason"] == "no patient has a score in every seed"
    assert arms.loc[("start", "spleen"), "excluded"] == 1
    found = study.tables.difference_table(scores, [1]).set_index("structure")
    assert found.loc["liver", "difference"] == pytest.approx(0.4)
    assert "only 1 pair" in found.loc["liver", "reason"]
    assert found.loc["spleen", "reason"] == "no patient has scores of both"


def test_iterations_of_nnunet_have_our_slices_or_our_time(study, tmp_path):
    table = cohort_of(tmp_path, 12)
    settings = settings_of(study, table, "sizes=8", f"nnunet={sys.executable}")
    assert settings.slices_seen == 3907 * 8
    plans = settings.output / "nnunet" / "preprocessed" / study.nnunet.DATASET / f"{study.nnunet.PLANS}.json"
    plans.parent.mkdir(parents=True)
    plans.write_text(json.dumps({"configurations": {"2d": {"batch_size": 25}}}))
    cells = {arm: study.plan.Cell(study.plan.Group(arm, 8, 0), 1) for arm in ("start", "nnunet", "nnunet_time")}
    for arm, seconds in (("start", 600.0), ("nnunet", 7500.0)):
        cells[arm].folder(settings).mkdir(parents=True)
        time = {"wall_s": 9999.0, "processor_s": seconds}
        (cells[arm].folder(settings) / "time.json").write_text(json.dumps(time))
    assert study.nnunet.schedule(study.nnunet.iterations(cells["nnunet"], settings)) == (50, 25)
    assert study.nnunet.iterations(cells["nnunet_time"], settings) == pytest.approx(1250 * 600 / 7500)
    assert study.nnunet.schedule(100) == (50, 2)


def test_the_clock_adds_the_time_of_a_resumed_program(tmp_path):
    file = tmp_path / "time.json"
    (tmp_path / "busy.py").write_text("import sys\nsum(range(3_000_000))\nsys.exit(int(sys.argv[1]))\n")
    clock = EXPERIMENTS / "public_ct" / "clocked.py"
    seconds = []
    for code in (3, 0):
        command = [sys.executable, clock, file, "busy", str(code)]
        ended = subprocess.run(command, check=False, env={"PYTHONPATH": str(tmp_path)}).returncode
        assert ended == code
        seconds.append(json.loads(file.read_text())["processor_s"])
    assert 0 < seconds[0] < seconds[1]


@pytest.mark.slow
def test_the_full_study_at_a_small_size(study, tmp_path, monkeypatch, capsys):
    """All parts without nnU-Net, with two seeds and small phantoms; commands run in this process."""
    size = {"test1": 0, "pairs": 0, "style": "randomised", "matrix": 32, "workers": 1}
    size |= {"thickness_min_mm": 10.0, "thickness_max_mm": 10.0}
    table = api.phantom(output=tmp_path / "phantoms", development=6, seed=1, **size)
    first = api.phantom(output=tmp_path / "first", development=2, seed=2, **size)
    recipe = {"experiment": "phantom", "slices": {"pixel_mm": 12.0}, "train_fraction": 1.0}
    start = api.train(cohort=first, output=tmp_path / "start", trainer={"steps": 1}, **recipe).checkpoint
    commands = []

    def run(command, log, *, environment=None):
        arguments = [str(part) for part in command][command.index("liverspleen") + 1 :]
        commands.append(arguments)
        assert command_line(arguments) == 0
        if arguments[0] == "train":
            (log.parent / "time.json").write_text('{"wall_s": 2.0, "processor_s": 1.0}')

    monkeypatch.setattr(study.trainings, "run_command", run)
    output = tmp_path / "out"
    given = [f"cohort={table}", f"start={start}", f"output={output}", "experiment=phantom", "steps=1"]
    given += ["pixel_mm=12", "sizes=1"]
    assert study.run.main(given) == 0
    assert [command[0] for command in commands] == ["prepare", *["train"] * 6]
    assert "nnunet=` was not given" in capsys.readouterr().out
    scores = pd.read_csv(output / "scores.csv")
    assert scores.groupby("arm").size().to_dict() == {"scratch": 12, "start": 12, "start_model": 12}
    assert (scores.groupby(["arm", "structure"])["case_id"].nunique() == 6).all()
    rows = csv_rows((output / "trainings.csv").read_text(encoding="utf-8"))
    assert {(row["slices_seen"], row["seconds"]) for row in rows} == {("8", "1")}
    page = (output / "public_ct.md").read_text(encoding="utf-8")
    assert "The arms of nnU-Net are not part of these results" in page
    assert "| from the start model, 1 patient | from scratch, 1 patient | slices | liver | 6 |" in page
    assert (output / "public_ct.svg").stat().st_size > 10_000
    # the same command runs nothing again; another seed only adds results
    assert study.run.main(given) == 0
    assert len(commands) == 7
    before = (output / "scores" / "start-n1-seed0.csv").read_bytes()
    assert study.run.main([*given, "seeds=2"]) == 0
    assert [command[0] for command in commands[7:]] == ["prepare", *["train"] * 6]
    assert (output / "scores" / "start-n1-seed0.csv").read_bytes() == before
    assert study.run.main([argument.replace("steps=1", "steps=2") for argument in given]) == 2
    assert "LS-EXP-015" in capsys.readouterr().err
