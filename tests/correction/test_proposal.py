"""Proposals: doubtful cases first, and no near copies of cases that are chosen or known."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from liverspleen.correction.proposal import Candidate, candidate, proposed
from liverspleen.evaluation.measurements.table import Measurement
from liverspleen.imaging import Geometry, LabelMap, write_label_map
from liverspleen.inference.case_files import Sidecar


def ids(candidates: list[Candidate], number: int, known: frozenset[str] = frozenset()) -> list[str]:
    return [choice.case_id for choice in proposed(candidates, number, known=known)]


def test_features_are_those_of_the_sidecar_and_the_members_of_an_ensemble_raise_the_doubt(tmp_path: Path) -> None:
    about = {"case_id": "a", "patient_id": "p", "dataset": "", "condition": "fatty", "site": "x", "reader": "dla"}
    liver = Measurement(**about, structure="liver", volume_cm3=1200.0, hu_mean=50.0)
    spleen = Measurement(**about, structure="spleen", volume_cm3=300.0)
    content = {"case_id": "a", "review": {"score": 0.2}}
    file = tmp_path / "a_dseg.nii.gz"
    grid = Geometry((4, 4, 3), np.diag([-2.0, -2.0, 7.0, 1.0]))
    write_label_map(file, LabelMap(np.ones((3, 4, 4), np.uint8), grid))
    found = candidate(Sidecar(content, (liver, spleen)), file)
    assert found == Candidate("a", 0.2, (1200.0, 300.0, 4.0, 50.0, None, 7.0), ("fatty", "x"))
    members = {**content, "member_dss": {"liver": 0.7, "spleen": None}}
    assert candidate(Sidecar(members, (liver,)), file).doubt == pytest.approx(0.3)
    assert candidate(Sidecar(members, (liver,)), file).numbers == (1200.0, None, None, 50.0, None, 7.0)
    agreeing = {**content, "member_dss": {"liver": 0.95, "spleen": 0.9}}
    assert candidate(Sidecar(agreeing, (liver, spleen)), file).doubt == 0.2


def test_two_groups_are_both_proposed_although_one_has_all_the_largest_scores() -> None:
    fatty = [Candidate(f"f{n}", 0.9 - n / 100, (1000.0 + n, 60.0)) for n in range(5)]
    thick = [Candidate(f"t{n}", 0.5 - n / 100, (1500.0 + n, 110.0)) for n in range(5)]
    assert ids([*fatty, *thick], 2) == ["f0", "t0"]


def test_choices_are_those_by_hand() -> None:
    # ranks of x: a 0, b 1/3, c 2/3, d 1; weights by doubt: a 1, b 3/4, d 2/4, c 1/4
    cases = [Candidate("a", 0.8, (1.0,)), Candidate("b", 0.7, (2.0,)), Candidate("c", 0.1, (3.0,))]
    cases.append(Candidate("d", 0.3, (9.0,)))
    first, second, third, fourth = proposed(cases, 9)
    assert (first.case_id, first.weight, first.distance, first.nearest) == ("a", 1.0, 1.0, None)
    # d: 2/4 x 1; b: 3/4 x 1/3; c: 1/4 x 2/3
    assert (second.case_id, second.weight, second.distance, second.nearest) == ("d", 0.5, 1.0, "a")
    # b: 3/4 x 1/3; c: 1/4 x 1/3
    assert (third.case_id, third.distance, third.nearest) == ("b", pytest.approx(1 / 3), "a")
    assert (fourth.case_id, fourth.distance) == ("c", pytest.approx(1 / 3))
    assert str(second) == "d: doubt 0.300, distance 1.00 from a"


def test_condition_and_site_count_as_equal_or_different_and_unknown_values_are_left_out() -> None:
    def one(case_id: str, doubt: float, number: float | None, *names: str) -> Candidate:
        return Candidate(case_id, doubt, (number,), names)

    cases = [one("a", 0.9, 1.0, "fatty", "x"), one("b", 0.5, 2.0, "fatty", ""), one("c", 0.5, None, "", "y")]
    found = {choice.case_id: choice for choice in proposed(cases, 2, known={"a"})}
    assert found["b"].distance == pytest.approx((1 + 0) / 2)  # number 1, condition 0
    assert found["c"].distance == pytest.approx(1.0)  # only the site is known of both
    assert [*found] == ["c", "b"]
    alone = [one("a", 0.9, None), one("b", 0.5, None)]
    assert proposed(alone, 2)[1].distance == 1.0  # no common feature


def test_equal_doubts_leave_only_the_distance_and_the_order_of_ids() -> None:
    cases = [Candidate(name, 0.0, (float(value),)) for name, value in zip("abcde", (1, 2, 3, 4, 5), strict=True)]
    assert ids(cases, 3) == ["a", "e", "c"]


def test_known_cases_are_not_proposed_and_the_order_of_the_input_has_no_effect() -> None:
    rng = np.random.default_rng(5)
    cases = [Candidate(f"c{n:02d}", float(rng.random()), tuple(rng.random(3))) for n in range(30)]
    chosen = ids(cases, 8)
    random.Random(1).shuffle(cases)
    assert ids(cases, 8) == chosen
    # a run that was interrupted after three cases continues with the same ones
    assert ids(cases, 5, frozenset(chosen[:3])) == chosen[3:]
    assert ids(cases, 50, frozenset(chosen)) != []
    assert not {*ids(cases, 50, frozenset(chosen))} & {*chosen}
    assert ids(cases, 50, frozenset(one.case_id for one in cases)) == []
    assert proposed([], 3) == []
