"""The study of recipes: one factor per arm, differences and decisions by hand, and a small study."""

from __future__ import annotations

import doctest
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from study_modules import study_modules

from liverspleen.api.sweep import search_issues
from liverspleen.cohort import write_cohort
from liverspleen.config import compose

MODULES = ("plan", "summary", "page", "run")


@pytest.fixture(scope="module")
def study() -> Iterator[SimpleNamespace]:
    with study_modules("recipe", MODULES) as modules:
        yield modules


def test_examples_in_the_study_hold(study):
    results = [doctest.testmod(getattr(study, name)) for name in MODULES]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) >= 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["output=o", "speed=1"], "is not a setting"),
        (["output=o", "seeds=1"], "at least 2"),
        (["output=o", "steps=0"], "at least 1"),
        (["output=o", "phantoms=9"], "at least 10"),
        (["output=o", "workers=two"], "at least 1"),
        (["output=o", "cohort=absent.csv"], "the file does not exist"),
        (["output=o", "matrix=100000"], "matrix"),
        (["seeds=3"], "output= is missing"),
    ],
)
def test_a_wrong_setting_is_rejected_in_one_line(study, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert study.run.main(arguments) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert len(shown.splitlines()) == 1
    assert not [*tmp_path.iterdir()]


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def recipe(study: SimpleNamespace, experiment: str) -> dict[str, Any]:
    return flat(
        asdict(compose("train", [f"conf={study.plan.CONF}", f"experiment={experiment}", "cohort=c", "output=o"]))
    )


def changed(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the second recipe that are not those of the first one."""
    absent = object()
    return {key: second.get(key) for key in {*first, *second} if first.get(key, absent) != second.get(key, absent)}


def test_the_base_is_the_recipe_of_the_shipped_model_with_fewer_steps(study):
    found = changed(recipe(study, "phantom_randomised"), recipe(study, study.plan.BASE.experiment))
    assert found == {"trainer.steps": 2000, "trainer.validate_every": 2000}
    assert study.plan.Settings.steps == found["trainer.steps"]


def test_each_arm_differs_from_the_base_in_one_factor(study):
    base = recipe(study, study.plan.BASE.experiment)
    found = {arm.name: changed(base, recipe(study, arm.experiment)) for arm in study.plan.CHANGES}
    assert found["affine"] == {"augmentation.noise": 0.0, "augmentation.blur_px": 0.0, "augmentation.thickness": 0.0}
    augmentation = found["nnunet_augmentation"]
    assert {key.partition(".")[0] for key in augmentation} == {"augmentation"}
    assert (augmentation["augmentation.rotation_deg"], augmentation["augmentation.noise"]) == (180.0, 0.01)
    assert found["tversky"] == {"loss.dice_weight": 0.0, "loss.ce_weight": 0.0, "loss.tversky_weight": 1.0}
    sgd = {"optimizer.name": "sgd", "optimizer.lr": 0.01, "optimizer.momentum": 0.99}
    assert {key: found["sgd"].pop(key) for key in sgd} == sgd
    assert found["sgd"] == {"optimizer.weight_decay": 3e-5, "scheduler.every": 250, "trainer.clip_norm": 12.0}
    assert found["no_ema"] == {"trainer.ema_decay": None}
    assert found["balanced"] == {"sampler.name": "balanced"}
    assert found["one_slice"] == {"slices.count": 1}
    network = {"network.encoder": "regnetx_002", "network.pyramid_channels": 64}
    assert found["regnetx"] == {**network, "optimizer.lr": 2e-3}
    assert found["two_mm"] == {"slices.pixel_mm": 2.0}
    assert len(found) == 9


def cohort_of(folder: Path, patients: int) -> Path:
    """Write the table of a cohort without images."""
    rows = [
        {
            "case_id": f"c{number}",
            "patient_id": f"p{number}",
            "image": f"c{number}.nii.gz",
            "label": f"l{number}.nii.gz",
        }
        for number in range(patients)
    ]
    write_cohort(folder / "cohort.csv", rows)
    return folder / "cohort.csv"


def test_both_parts_are_sweeps_over_seeds_and_arms_whose_test_cases_select_nothing(study, tmp_path):
    arguments = [f"output={tmp_path / 'o'}", f"cohort={cohort_of(tmp_path, 6)}", "steps=50"]
    settings = study.plan.read_settings(arguments)
    for part in study.plan.cohorts(settings):
        given = study.plan.sweep_arguments(part, settings)
        config = compose("sweep", given)
        base = [one for one in given if one.partition("=")[0] in {"cohort", "conf", "trainer.steps"}]
        assert search_issues(config, base) == []
        assert config.search.parameters["seed"] == [0, 1, 2]
        assert len(config.search.parameters["experiment"]) == 10
        assert config.trainer.validate_every == config.trainer.steps == 50
        assert (config.search.sampler, config.search.pruner, config.trainer.patience) == ("grid", "none", None)
        assert config.folds == (None if part == study.plan.PHANTOMS else 3)


def test_too_few_patients_for_the_folds_are_rejected_before_anything_is_made(study, tmp_path, capsys):
    assert study.run.main([f"output={tmp_path / 'o'}", f"cohort={cohort_of(tmp_path, 2)}"]) == 2
    assert "LS-SPL-011" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


DSS = {
    "base": [[0.80, 0.90], [0.82, 0.88]],
    "affine": [[0.60, 0.50], [0.62, 0.52]],
}
"""Seeds × patients, the same for both organs."""


def scores_of(values: Mapping[str, list[list[float]]]) -> pd.DataFrame:
    rows = [
        (arm, seed, f"c{case}", f"p{case}", structure, dss, 1000.0 * dss, 1000.0)
        for arm, table in values.items()
        for seed, cases in enumerate(table)
        for case, dss in enumerate(cases)
        for structure in ("liver", "spleen")
    ]
    columns = ["arm", "seed", "case_id", "patient_id", "structure", "dss", "volume_cm3", "reference_cm3"]
    return pd.DataFrame(rows, columns=columns)


def trials_of(scores: pd.DataFrame) -> pd.DataFrame:
    found = scores[["arm", "seed"]].drop_duplicates()
    return found.assign(number=range(len(found)), state="complete", reason="", step_s=0.1)


def rows_of(study: SimpleNamespace, scores: pd.DataFrame) -> dict[tuple[str, str], dict[str, Any]]:
    found = study.summary.summarised(scores, trials_of(scores)).to_dict("records")
    return {(row["arm"], row["structure"]): row for row in found}


def test_difference_from_the_base_is_that_by_hand(study):
    row = rows_of(study, scores_of(DSS))["affine", "both"]
    assert row["difference"] == pytest.approx(0.56 - 0.85)
    # affine: means of seeds 0.55 and 0.57, variance 0.0002, over 2 seeds 0.0001; no residual. Base: equal means of
    # seeds, residuals of 0.01, so a mean square of 0.0004 with 1 degree of freedom, over 4 scores 0.0001.
    # Cases: differences -0.20 and -0.38, variance 0.0162, over 2 cases 0.0081, minus the residual 0.0001.
    # All quantiles have 1 degree of freedom: tan(π 0.475) = 12.706
    half = math.tan(math.pi * 0.475) * math.sqrt(max(0.0001 + 0.0081 - 0.0001, 0.0081))
    assert row["difference_lower"] == pytest.approx(-0.29 - half)
    assert row["difference_upper"] == pytest.approx(-0.29 + half)
    nine = math.tan(math.pi * (0.5 - 0.025 / 9)) / math.tan(math.pi * 0.475) * half  # 0.05 / 9 for each comparison
    assert row["simultaneous_lower"] == pytest.approx(-0.29 - nine)
    assert (row["verdict"], row["compared"], row["seeds"]) == ("no difference shown", 2, 2)


def test_constant_difference_over_many_patients_is_shown(study):
    base = [[0.80 + 0.001 * case for case in range(10)], [0.801 + 0.001 * case for case in range(10)]]
    found = rows_of(study, scores_of({"base": base, "affine": [[x - 0.2 for x in seed] for seed in base]}))
    assert found["affine", "liver"]["difference"] == pytest.approx(-0.2)
    assert found["affine", "liver"]["verdict"] == "worse"
    assert math.isnan(found["base", "liver"]["difference"])
    assert found["tversky", "liver"]["reason"] == "no training is complete"


def test_worst_empty_and_falsely_predicted_organs_are_counted_and_undefined_patients_excluded(study):
    scores = scores_of({"base": [[0.8, 0.9, 0.7], [0.8, 0.9, 0.7]], "affine": [[0.3, 0.9, 0.7], [0.8, 0.9, 0.7]]})
    affine, spleen = scores["arm"] == "affine", scores["structure"] == "spleen"
    case = {number: scores["case_id"] == f"c{number}" for number in range(3)}
    scores.loc[affine & spleen & case[1] & (scores["seed"] == 0), ["dss", "volume_cm3"]] = 0.0, 0.0
    scores.loc[spleen & case[2], ["dss", "volume_cm3", "reference_cm3"]] = float("nan"), 0.0, 0.0
    scores.loc[affine & spleen & case[2] & (scores["seed"] == 1), ["dss", "volume_cm3"]] = 0.0, 5.0
    row = rows_of(study, scores)["affine", "spleen"]
    assert (row["worst_dss"], row["worst_case"]) == (0.0, "c1")
    assert (row["empty"], row["absent_predicted"], row["tests"]) == (1, 1, 6)
    assert (row["patients"], row["excluded"], row["compared"]) == (2, 1, 2)
    assert row["difference"] == pytest.approx((0.3 + 0.0 + 0.8 + 0.9) / 4 - 0.85)


@pytest.mark.parametrize(
    ("phantoms", "patients", "decision"),
    [
        ("better", "no difference shown", "passes to the confirmation"),
        ("no difference shown", "better", "passes to the confirmation"),
        ("better", "better", "passes to the confirmation"),
        ("better", "worse", "stays as in the base"),
        ("no difference shown", "no difference shown", "stays as in the base"),
        ("worse", None, "stays as in the base"),
        ("better", None, "not decided"),
        ("better", "undefined", "not decided"),
        ("no difference shown", None, "not decided"),
    ],
)
def test_decision_follows_the_stated_rule(study, phantoms, patients, decision):
    verdicts = {"phantoms": phantoms} | ({} if patients is None else {"patients": patients})
    rows = [
        {"arm": arm.name, "structure": structure, "part": part, "verdict": verdict if structure == "both" else "worse"}
        for part, verdict in verdicts.items()
        for arm in study.plan.CHANGES
        for structure in ("liver", "both")
    ]
    assert set(study.summary.decisions(pd.DataFrame(rows)).values()) == {decision}


def test_page_shows_both_parts_the_decision_and_trials_without_a_result(study, tmp_path):
    base = [[0.80 + 0.001 * case for case in range(10)], [0.801 + 0.001 * case for case in range(10)]]
    scores = scores_of({"base": base, "affine": [[x + 0.1 for x in seed] for seed in base]})
    trials = trials_of(scores)
    trials.loc[len(trials)] = ["tversky", 0, 9, "failed", "killed by SIGKILL", None]
    parts = ("phantoms", "patients")
    arms = pd.concat([study.summary.summarised(scores, trials).assign(part=part) for part in parts])
    everything = pd.concat([trials.assign(part=part) for part in parts])
    settings = study.plan.read_settings([f"output={tmp_path}"])
    text = study.page.page(arms, everything, dict.fromkeys(parts, (10, 10, 3)), settings)
    assert text.count("1 trial without a result: tversky, seed 0: failed, killed by SIGKILL.") == 2
    assert "| affine | augmentation | passes to the confirmation |" in text
    assert "| tversky | loss | not decided |" in text
    assert text.count("| +0.100 (") == 2 * 3  # parts, structures
    assert "undefined (no training is complete)" in text
    assert "10 test patients, 10 test cases; 3 folds, each patient is tested once." in text
    assert "3 cases of other datasets are not used." in text
    alone = study.page.page(arms[arms["part"] == "phantoms"], everything, {"phantoms": (10, 10, 0)}, settings)
    assert "`cohort=` was not given" in alone
    assert "| affine | augmentation | not decided |" in alone
    assert len(study.page.difference_figure(arms).axes) == 2


@pytest.mark.slow
def test_one_command_runs_a_small_study_and_resumes_it(study, tmp_path, monkeypatch, capsys):
    for module in (study.plan, study.summary, study.page):
        monkeypatch.setattr(module, "CHANGES", (study.plan.CHANGES[0],))
    thick = ["thickness_min_mm=8", "thickness_max_mm=10"]
    monkeypatch.setattr(study.run, "phantom_arguments", lambda one: [*study.plan.phantom_arguments(one), *thick])
    arguments = [f"output={tmp_path / 'o'}", "seeds=2", "steps=3", "phantoms=10", "matrix=32"]
    assert study.run.main(arguments) == 0
    assert "phantoms: about 0.0 hours" in capsys.readouterr().out
    scores = pd.read_csv(tmp_path / "o" / "scores.csv")
    assert len(scores) == 2 * 2 * 2 * 2  # arms, seeds, test phantoms, organs
    trained = sorted((tmp_path / "o" / "sweep_phantoms" / "trials").glob("*/last.ckpt"))
    assert len(trained) == 4
    arms = pd.read_csv(tmp_path / "o" / "arms.csv")
    assert arms["seeds"].tolist() == [2] * 6
    assert (arms["step_s"] > 0).all()
    assert "## Decision" in (tmp_path / "o" / "recipe.md").read_text(encoding="utf-8")
    assert (tmp_path / "o" / "recipe.svg").stat().st_size > 5_000
    stamps = [file.stat().st_mtime_ns for file in trained]
    assert study.run.main(arguments) == 0
    assert [file.stat().st_mtime_ns for file in trained] == stamps
    assert study.run.main([*arguments[:2], "steps=4", *arguments[3:]]) == 2
    assert "LS-EXP-015" in capsys.readouterr().err
