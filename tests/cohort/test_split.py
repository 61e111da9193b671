import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liverspleen.cohort import Case, Cohort, read_split, split_by_patient, write_split
from liverspleen.errors import Refused
from liverspleen.structures import Structure

LABEL = Path("label.nii.gz")


def case(case_id, patient_id=None, label=LABEL, **values):
    return Case(case_id, patient_id or f"P-{case_id}", Path("ct.nii.gz"), label, **values)


def cohort(*cases, content="0" * 64):
    return Cohort(tuple(cases), (), Path("cohort.csv"), Path(), content)


def patients(number, **values):
    return [case(f"{i:03}", **values) for i in range(number)]


def refused_codes(function, *arguments, **options):
    with pytest.raises(Refused) as caught:
        function(*arguments, **options)
    return {fault.code for fault in caught.value.faults}


def test_eight_to_two_of_the_papers_patients():
    split = split_by_patient(cohort(*patients(813)))
    assert (len(split.training), len(split.validation)) == (650, 163)  # 162.6 rounded
    assert not set(split.training) & set(split.validation)


def test_all_examinations_of_a_patient_are_on_one_side():
    cases = [case(f"{patient}-{i}", patient) for patient in "ABCDEF" for i in range(3)]
    split = split_by_patient(cohort(*cases), train_fraction=0.5)
    sides = [{c.patient_id for c in split.cases(cohort(*cases), side)} for side in ("training", "validation")]
    assert sides[0].isdisjoint(sides[1])
    assert sorted(sides[0] | sides[1]) == list("ABCDEF")
    assert len(split.cases(cohort(*cases), "training")) == 9


def test_development_cases_with_any_organ_labelled_take_part():
    cases = [
        case("dev", dataset="development"),
        case("empty"),
        case("test", dataset="test1"),
        case("ct", label=None),
        case("half", labelled_structures=(Structure.SPLEEN,)),
        case("none", labelled_structures=()),
    ]
    split = split_by_patient(cohort(*cases))
    assert sorted(split.training + split.validation) == ["P-dev", "P-empty", "P-half"]


def test_conditions_are_shared_out_alike():
    conditions = ["healthy"] * 30 + ["fatty"] * 20 + ["cirrhosis"] * 10
    cases = [case(f"{i:02}", condition=condition) for i, condition in enumerate(conditions)]
    validation = split_by_patient(cohort(*cases), seed=5).cases
    counts = [c.condition for c in validation(cohort(*cases), "validation")]
    assert {name: counts.count(name) for name in counts} == {"healthy": 6, "fatty": 4, "cirrhosis": 2}


@given(st.integers(0, 5), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(seed, shuffler: random.Random):
    cases = [*patients(12, condition="fatty"), case("x"), case("y")]
    shuffled = list(cases)
    shuffler.shuffle(shuffled)
    assert split_by_patient(cohort(*shuffled), seed=seed) == split_by_patient(cohort(*cases), seed=seed)


def test_seeds_draw_different_patients():
    assert len({split_by_patient(cohort(*patients(50)), seed=seed).validation for seed in range(5)}) == 5


@pytest.mark.parametrize(
    ("number", "fraction", "training", "validation"),
    [(1, 0.8, 1, 0), (2, 0.8, 1, 1), (3, 0.8, 2, 1), (10, 1.0, 10, 0), (3, 0.01, 1, 2)],
)
def test_small_cohorts_and_extreme_fractions(number, fraction, training, validation):
    split = split_by_patient(cohort(*patients(number)), train_fraction=fraction)
    assert (len(split.training), len(split.validation)) == (training, validation)


@pytest.mark.parametrize("fraction", [0, -1, 1.1, float("nan")])
def test_impossible_fractions(fraction):
    assert refused_codes(split_by_patient, cohort(*patients(3)), train_fraction=fraction) == {"LS-SPL-009"}


def test_no_patient_to_train_on():
    assert refused_codes(split_by_patient, cohort(case("ct", label=None))) == {"LS-SPL-001"}


def test_a_patient_with_development_and_test_cases_is_refused():
    both = cohort(case("a", "P"), case("b", "P", dataset="test2"), case("c"))
    assert refused_codes(split_by_patient, both) == {"LS-SPL-002"}


def test_a_split_is_read_back_as_it_was_written(tmp_path):
    people = cohort(*patients(9))
    split = split_by_patient(people, train_fraction=0.7, seed=3)
    write_split(tmp_path / "split.csv", split)
    assert read_split(tmp_path / "split.csv", people) == split
    assert (tmp_path / "split.csv").read_text().splitlines()[0] == "patient_id,side,seed,train_fraction,cohort_hash"


def test_an_empty_validation_side_is_read_back(tmp_path):
    people = cohort(*patients(2))
    write_split(tmp_path / "split.csv", split_by_patient(people, train_fraction=1.0))
    assert read_split(tmp_path / "split.csv", people).validation == ()


def edited(folder, people, edit):
    path = folder / "split.csv"
    write_split(path, split_by_patient(people))
    path.write_text(edit(path.read_text()))
    return path


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (lambda text: text + text.splitlines()[1].replace("training", "validation"), "LS-SPL-005"),
        (lambda text: text.replace("training", "test"), "LS-SPL-004"),
        (lambda text: text.replace("training", "validation"), "LS-SPL-008"),
        (lambda text: text + text.splitlines()[1].replace("P-00", "P-99"), "LS-SPL-006"),
        (lambda text: text.replace("0" * 64, "1" * 64), "LS-SPL-007"),
        (lambda text: text.replace("0" * 64, "1" * 64, 1), "LS-SPL-003"),
        (lambda text: text.replace("side", "group"), "LS-SPL-003"),
        (lambda text: text.replace(",0,0.8", ",zero,0.8"), "LS-SPL-003"),
        (lambda text: text.splitlines()[0], "LS-SPL-003"),
    ],
)
def test_edited_splits_are_refused(tmp_path, edit, code):
    people = cohort(*patients(6))
    assert code in refused_codes(read_split, edited(tmp_path, people, edit), people)


def test_a_split_of_another_cohort_is_refused(tmp_path):
    write_split(tmp_path / "split.csv", split_by_patient(cohort(*patients(6))))
    assert refused_codes(read_split, tmp_path / "split.csv", cohort(*patients(6), content="f" * 64)) == {"LS-SPL-007"}


def test_a_patient_of_the_split_must_not_have_test_cases(tmp_path):
    write_split(tmp_path / "split.csv", split_by_patient(cohort(*patients(6))))
    leaking = cohort(*patients(6), case("later", "P-003", dataset="test1"))
    assert refused_codes(read_split, tmp_path / "split.csv", leaking) == {"LS-SPL-002"}


def test_missing_split(tmp_path):
    assert refused_codes(read_split, tmp_path / "none.csv", cohort(*patients(2))) == {"LS-SPL-003"}
