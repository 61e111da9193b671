"""The study of warm starts: phantoms of the new population, tables with known differences, and a small study."""

from __future__ import annotations

import doctest
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import box_case
from study_modules import study_modules

from liverspleen.cli.main import main as command_line
from liverspleen.config import compose
from liverspleen.errors import InputError
from liverspleen.imaging import CTVolume, Geometry, LabelMap, write_ct, write_label_map
from liverspleen.inference.ensemble_export import export_ensemble

MODULES = ("settings", "cohorts", "trainings", "scores", "tables", "figure", "run")


@pytest.fixture(scope="module")
def study() -> Iterator[SimpleNamespace]:
    with study_modules("warm_start", MODULES) as modules:
        yield modules


def test_examples_in_the_study_hold(study):
    results = [doctest.testmod(getattr(study, name)) for name in MODULES]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) >= 1


def test_few_cases_differ_between_seeds_and_no_test_case_is_trained_on(study):
    settings = study.settings.Settings()
    few = [study.trainings.Arm("start_few", seed).training_cases(settings) for seed in range(3)]
    assert [(one.start, one.stop) for one in few] == [(0, 8), (8, 16), (16, 24)]
    everyone = list(study.cohorts.patients(settings, "new"))
    assert [one.case_id for one in everyone if one.test] == [f"new-{number:03d}" for number in range(41, 66)]
    assert study.trainings.Arm("many", 2).training_cases(settings) == range(40)


def test_differences_of_arms_are_those_by_hand(study):
    dss = {"parent": 0.5, "start_few": 0.8, "few": 0.6, "many": 0.9}
    rows = [
        (f"{population}-{case}", organ, arm, seed, value + 0.01 * seed + 0.02 * case * (organ == "liver"))
        for arm, value in dss.items()
        for population in ("old", "new")
        for case in range(3)
        for organ in ("liver", "spleen")
        for seed in range(2)
    ]
    scores = pd.DataFrame(rows, columns=["case_id", "structure", "arm", "seed", "dss"])
    table = study.tables.difference_table(scores).set_index(["first", "second", "population"])
    assert table.loc[("start_few", "many", "new"), "difference"] == pytest.approx(-0.1)
    assert table.loc[("start_few", "parent", "old"), "by_seed"] == "+0.3000 +0.3000"
    arms = study.tables.arm_table(scores).set_index(["arm", "population"])
    # means of cases 0.5, 0.51, 0.52 for both seeds, the second one 0.01 higher
    assert arms.loc[("parent", "new"), "dss"] == pytest.approx(0.515)
    assert arms.loc[("parent", "new"), "by_seed"] == "0.5100 0.5200"


def test_readers_are_compared_with_the_single_model_on_the_same_cases(study):
    # volumes 10 % above and below 100: differences in percent of the mean 200 / 21 and -200 / 19
    rows = [
        (f"new-{case}", organ, reader, dss, volume, 100.0)
        for reader, scores in {"single": (0.7, 0.8), "ensemble": (0.9, 0.8)}.items()
        for case, (dss, volume) in enumerate(zip(scores, (110.0, 90.0), strict=True))
        for organ in ("liver", "spleen")
    ]
    columns = ["case_id", "structure", "reader", "dss", "volume_cm3", "reference_cm3"]
    scores = pd.DataFrame(rows, columns=columns).iloc[::-1]
    seconds = pd.DataFrame({"reader": ["single", "ensemble"] * 2, "seconds": [1.0, 5.0, 2.0, 6.0]})
    found = study.tables.reader_table(scores, seconds, ["single", "ensemble"])
    row = found[(found["structure"] == "spleen") & (found["reader"] == "ensemble")].iloc[0]
    assert (row["n"], row["difference"], row["seconds"]) == (2, pytest.approx(0.1), pytest.approx(5.5))
    # t of 1 degree of freedom, 0.975: 12.7062; SD of 0.2 and 0: 0.141421, over the root of 2: 0.1
    assert (row["lower"], row["upper"]) == (pytest.approx(0.1 - 1.27062), pytest.approx(0.1 + 1.27062))
    assert row["volume_bias_pct"] == pytest.approx((200 / 21 - 200 / 19) / 2)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("speed=1", "is not a setting"),
        ("steps=0", "not a whole number of at least 1"),
        ("few=x", "not a whole number of at least 1"),
        ("seeds=6", "6 seeds of 8 new cases each are more than the 40 cases"),
    ],
)
def test_a_wrong_setting_is_rejected(study, argument, message):
    with pytest.raises(InputError, match=message) as raised:
        study.settings.read_settings([argument])
    assert [issue.code for issue in raised.value.issues] == ["LS-EXP-014"]


def test_a_folder_of_another_study_is_rejected(study, tmp_path, capsys):
    study.run.start_or_resume(tmp_path, study.settings.Settings(steps=5).decisive)
    assert study.run.main([f"output={tmp_path}", "steps=6"]) == 2
    assert "LS-EXP-015" in capsys.readouterr().err


def test_a_failed_training_names_its_log(study, tmp_path):
    with pytest.raises(InputError, match="LS-EXP-030") as raised:
        study.trainings.run(["cohort=absent.csv", f"output={tmp_path / 'run'}"], tmp_path / "run")
    assert "LS-" in Path(raised.value.issues[0].file).read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_full_study_at_a_small_size(study, tmp_path, monkeypatch):
    """All parts with one seed and small images; trainings run in this process, and folds are copies of one."""
    size = ["cases=4", "few=2", "tests=2", "matrix=32", "steps=3", "validate_every=2", "seeds=1", "folds=2"]
    arguments = [f"output={tmp_path}", *size, "workers=1"]
    settings = study.settings.read_settings(arguments)
    for seed, patient in enumerate(one for name in ("old", "new") for one in study.cohorts.patients(settings, name)):
        hu, labels = box_case((5, 32, 32), seed)
        geometry = Geometry((32, 32, 5), np.diag([-2.0, -2.0, 5.0, 1.0]))
        write_ct(tmp_path / "phantoms" / patient.row("")["image"], CTVolume(hu, geometry))
        write_label_map(tmp_path / "phantoms" / patient.row("")["label"], LabelMap(labels, geometry))
    commands = []

    def train(overrides, folder):
        commands.append(overrides)
        assert command_line(["train", *overrides]) == 0

    def cross_validated(settings):
        monkeypatch.setattr(study.trainings, "run", lambda overrides, _: commands.append(overrides))
        ensemble = train_folds(settings)
        compose("train", commands[-1])
        many = study.trainings.Arm("many", 0).folder(settings)
        for fold in range(2):
            shutil.copytree(many, ensemble.with_name(f"fold{fold}"))
        export_ensemble([study.trainings.Arm(name, 0).checkpoint(settings) for name in ("many", "few")], ensemble)
        return ensemble

    train_folds = study.run.train_folds
    monkeypatch.setattr(study.trainings, "run", train)
    monkeypatch.setattr(study.run, "train_folds", cross_validated)
    assert study.run.main(arguments) == 0
    assert len(commands) == 5
    assert len(pd.read_csv(tmp_path / "scores.csv")) == 4 * 4 * 2  # arms, test cases, organs
    assert set(pd.read_csv(tmp_path / "curves.csv")["arm"]) == {"start_few", "few", "many"}
    assert len(pd.read_csv(tmp_path / "readers.csv")) == 4 * 2
    again = study.run.run_arms(settings)
    study.run.run_readers(settings)
    assert len(commands) == 5  # finished parts are not run again
    assert again["dss"].tolist() == pytest.approx(pd.read_csv(tmp_path / "scores.csv")["dss"].tolist(), rel=1e-4)
