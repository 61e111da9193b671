"""The study of the loop of correction: minutes, tables with known answers, and a small study."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import box_case
from study_modules import study_modules

from liverspleen.cohort import read_cohort
from liverspleen.errors import InputError
from liverspleen.imaging import CTVolume, Geometry, LabelMap, write_ct, write_label_map

MODULES = ("settings", "patients", "annotator", "loop", "tables", "figure", "run")


@pytest.fixture(scope="module")
def study() -> Iterator[SimpleNamespace]:
    with study_modules("correction_loop", MODULES) as modules:
        yield modules


def test_examples_in_the_study_hold(study):
    results = [doctest.testmod(getattr(study, name)) for name in MODULES]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) >= 5


def scores(dss: dict[str, list[float]], minutes: dict[str, list[float]]) -> pd.DataFrame:
    """Scores of two seeds and three cases whose mean after each round is `dss`; the seeds differ by 0.02."""
    rows = [
        (policy, seed, number, 4 * number, minutes[policy][number], f"c{case}", organ, value + sign * 0.01)
        for policy, values in dss.items()
        for number, value in enumerate(values)
        for seed, sign in enumerate((-1, 1))
        for case in range(3)
        for organ in ("liver", "spleen")
    ]
    columns = ["policy", "seed", "round", "corrections", "minutes", "case_id", "structure", "dss"]
    return pd.DataFrame(rows, columns=columns)


DSS = {"random": [0.5, 0.6, 0.7], "worst": [0.5, 0.55, 0.6], "proposed": [0.5, 0.7, 0.8]}
MINUTES = {"random": [0.0, 40.0, 100.0], "worst": [0.0, 80.0, 120.0], "proposed": [0.0, 60.0, 90.0]}


def test_the_fraction_that_reaches_the_score_of_random_order_is_that_by_hand(study):
    table = study.tables.needed_table(scores(DSS, MINUTES)).set_index(["unit", "policy"])
    # random order has 0.7 after 8 corrections and 100 minutes; proposed has it after 4 and 60
    assert table.loc[("corrections", "proposed"), "fraction"] == pytest.approx(0.5)
    assert table.loc[("minutes", "proposed"), "fraction"] == pytest.approx(0.6)
    assert table.loc[("corrections", "random"), "fraction"] == pytest.approx(1.0)
    assert pd.isna(table.loc[("corrections", "worst"), "fraction"])
    assert table.loc[("corrections", "worst"), ["seeds", "seeds_reached"]].tolist() == [2, 0]
    assert table.loc[("corrections", "proposed"), "by_seed"] == "0.500 0.500"


def test_the_goal_compares_a_part_of_the_corrections_with_all_in_random_order(study):
    table = study.tables.difference_table(scores(DSS, MINUTES)).set_index(["policy", "round"])
    # 60 % of two rounds is 1.2: proposed 0.7 + 0.2 x 0.1, random 0.6 + 0.2 x 0.1, against 0.7
    assert table.loc[("proposed", 1.2), "difference"] == pytest.approx(0.02)
    assert table.loc[("random", 1.2), "difference"] == pytest.approx(-0.08)
    assert table.loc[("worst", 2.0), "difference"] == pytest.approx(-0.1)
    curves = study.tables.curve_table(scores(DSS, MINUTES)).set_index(["policy", "round"])
    assert curves.loc[("proposed", 1), ["corrections", "minutes", "dss"]].tolist() == pytest.approx([4, 60, 0.7])
    assert curves.loc[("proposed", 1), "by_seed"] == "0.6900 0.7100"


def test_cases_of_start_pool_and_tests_are_different_patients(study):
    settings = study.settings.Settings()
    everyone = [one for seed in range(5) for part in ("start", "pool") for one in parts(study, part, seed, settings)]
    everyone += parts(study, "test", 0, settings)
    assert len({one.case_id for one in everyone}) == len(everyone) == 5 * 66 + 30
    kinds = [one.group for one in parts(study, "pool", 0, settings)]
    assert sum(kind in study.patients.SIMPLE for kind in kinds) == 18  # three of ten
    assert len({*kinds}) == 7


def parts(study: SimpleNamespace, part: str, seed: int, settings: object) -> list:
    return [*study.patients.patients(part, seed, settings)]


@pytest.mark.parametrize(
    ("argument", "message"),
    [("speed=1", "is not a setting"), ("tests=1", "at least 2"), ("cases=16", "4 rounds of 16 cases are more than")],
)
def test_a_wrong_setting_of_the_loop_is_rejected(study, argument, message):
    with pytest.raises(InputError, match=message):
        study.settings.read_settings([argument])


@pytest.mark.slow
def test_the_study_of_the_loop_at_a_small_size(study, tmp_path, monkeypatch):
    """All parts with one seed and small images; the loops run in this process."""
    size = ["few=2", "pool=5", "tests=2", "rounds=2", "cases=2", "matrix=32", "start_steps=3", "steps=2", "seeds=1"]
    arguments = [f"output={tmp_path}", *size, "workers=1"]
    settings = study.settings.read_settings(arguments)
    everyone = [one for part in ("start", "pool", "test") for one in parts(study, part, 0, settings)]
    for seed, patient in enumerate(everyone):
        hu, labels = box_case((5, 32, 32), seed)
        geometry = Geometry((32, 32, 5), np.diag([-2.0, -2.0, 5.0, 1.0]))
        image, label = patient.files(tmp_path / "phantoms")
        write_ct(image, CTVolume(hu, geometry))
        write_label_map(label, LabelMap(labels, geometry))
    started = []

    def run_here(command, log):
        started.append(command[2:4])
        assert study.loop.main(command[2:]) == 0

    def killed(**keys):
        if str(keys["output"]).endswith("proposed-seed0/round2"):
            raise KeyboardInterrupt
        return train(**keys)

    train = study.loop.api.train
    monkeypatch.setattr(study.run, "run_command", run_here)
    with monkeypatch.context() as patch:
        patch.setattr(study.loop.api, "train", killed)
        with pytest.raises(KeyboardInterrupt):
            study.run.main(arguments)
    assert study.run.main(arguments) == 0
    assert started == [[policy, "0"] for policy in ("start", "random", "worst", "proposed", "proposed")]
    found = pd.read_csv(tmp_path / "scores.csv")
    assert len(found) == 3 * 3 * 2 * 2  # orders, rounds with the start, test cases, organs
    counts = found.groupby(["policy", "round"])["corrections"].unique().map(list)
    assert counts.tolist() == [[0], [2], [4]] * 3
    for policy in ("random", "worst", "proposed"):
        folder = tmp_path / "loops" / f"{policy}-seed0"
        merged = read_cohort(folder / "todo" / "merged_cohort.csv", root=tmp_path)
        corrected = {case.case_id for case in merged.cases if case.covariates["label_sha256"]}
        assert len(corrected) == 4
        assert {case.case_id for case in merged.cases} - corrected == {"start0-001", "start0-002"}
    order = study.loop.random_order(study.loop.Loop("random", 0, settings))
    random = (tmp_path / "loops" / "random-seed0" / "todo" / "cases").iterdir()
    assert {folder.name for folder in random} == {*order[:4]}
    assert len(pd.read_csv(tmp_path / "needed.csv")) == 2 * 3
    assert study.run.main(arguments) == 0
    assert len(started) == 5  # finished loops are not started again
