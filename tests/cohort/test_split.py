import math
import random
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liverspleen.cohort import Case, Cohort, folds_by_patient, read_split, split_by_patient, strata, write_split
from liverspleen.cohort.rounding import controlled_rounding
from liverspleen.errors import InputError
from liverspleen.organs import Structure

LABEL = Path("label.nii.gz")


def case(case_id, patient_id=None, label=LABEL, **values):
    return Case(case_id, patient_id or f"P-{case_id}", Path("ct.nii.gz"), label, **values)


def cohort(*cases, content="0" * 64):
    return Cohort(tuple(cases), (), Path("cohort.csv"), Path(), content)


def patients(number, **values):
    return [case(f"{i:03}", **values) for i in range(number)]


def rejected_codes(function, *arguments, **options):
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)
    return {issue.code for issue in caught.value.issues}


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


def test_development_cases_with_a_labelled_organ_are_split():
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


def test_conditions_have_the_same_fraction_on_both_sides():
    conditions = ["healthy"] * 30 + ["fatty"] * 20 + ["cirrhosis"] * 10
    cases = [case(f"{i:02}", condition=condition) for i, condition in enumerate(conditions)]
    validation = split_by_patient(cohort(*cases), seed=5).cases
    counts = [c.condition for c in validation(cohort(*cases), "validation")]
    assert {name: counts.count(name) for name in counts} == {"healthy": 6, "fatty": 4, "cirrhosis": 2}


CELLS = st.tuples(st.sampled_from("abcd"), st.sampled_from("uvw"))


@st.composite
def cohorts(draw: st.DrawFn, most: int = 40) -> Cohort:
    """Patients of four conditions and three sites; about every seventh has a second examination."""
    kinds = draw(st.lists(CELLS, min_size=2, max_size=most))
    again = draw(st.dictionaries(st.integers(0, len(kinds) - 1), CELLS, max_size=len(kinds) // 7))
    cases = [case(f"{n:03}", condition=condition, site=site) for n, (condition, site) in enumerate(kinds)]
    cases += [case(f"{n:03}b", f"P-{n:03}", condition=kind[0], site=kind[1]) for n, kind in again.items()]
    return cohort(*cases)


def margins(people: Cohort, patients: Iterable[str] | None = None) -> Counter[object]:
    """Numbers of patients by condition, by site, by both, and in total."""
    kinds = strata(people)
    found: Counter[object] = Counter()
    for conditions, sites in (kinds[patient] for patient in (kinds if patients is None else patients)):
        found.update([("condition", conditions), ("site", sites), (conditions, sites), "all"])
    return found


@given(cohorts(), st.integers(0, 3), st.floats(0.05, 0.95))
def test_every_condition_site_and_block_has_its_fraction_within_one_patient(people, seed, fraction):
    split = split_by_patient(people, train_fraction=fraction, seed=seed)
    assert sorted(split.training + split.validation) == sorted(strata(people))
    whole, validation = margins(people), margins(people, split.validation)
    for group, number in whole.items():
        fraction = Fraction(number * len(split.validation), whole["all"])
        assert math.floor(fraction) <= validation[group] <= math.ceil(fraction), group


@given(cohorts(), st.integers(0, 3), st.integers(2, 7))
def test_each_patient_validates_in_one_fold_and_folds_differ_by_at_most_one_patient(people, seed, number):
    number = min(number, len(strata(people)))
    folds = folds_by_patient(people, folds=number, seed=seed)
    assert len(folds) == number
    assert sorted(patient for fold in folds for patient in fold.validation) == sorted(strata(people))
    for fold in folds:
        assert sorted(fold.training + fold.validation) == sorted(strata(people))
        for group, patients in margins(people).items():
            assert patients // number <= margins(people, fold.validation)[group] <= -(-patients // number), group


def test_five_folds_of_a_cohort_counted_by_hand():
    """11 healthy and 4 fatty inside, 3 healthy and 2 fatty outside: 14 healthy, 6 fatty, 15 inside, 5 outside."""
    numbers = {("healthy", "internal"): 11, ("fatty", "internal"): 4, ("healthy", "external"): 3}
    kinds = [kind for kind, number in {**numbers, ("fatty", "external"): 2}.items() for _ in range(number)]
    people = cohort(*(case(f"{n:02}", condition=condition, site=site) for n, (condition, site) in enumerate(kinds)))
    for fold in folds_by_patient(people, folds=5):
        found = margins(people, fold.validation)
        assert found["all"] == 4
        assert (found["site", ("internal",)], found["site", ("external",)]) == (3, 1)
        assert (found["condition", ("healthy",)], found["condition", ("fatty",)]) in {(3, 1), (2, 2)}
        assert found[("healthy",), ("internal",)] in {2, 3}
        assert found[("fatty",), ("internal",)] in {0, 1}


def test_all_patients_are_equally_likely_to_validate():
    """A rare condition at a rare site is not always on the same side: 4 of 20 patients, one seed after another."""
    kinds = [("a", "u")] * 13 + [("a", "v")] * 4 + [("b", "u")] * 2 + [("b", "v")]
    people = cohort(*(case(f"{n:02}", condition=condition, site=site) for n, (condition, site) in enumerate(kinds)))
    seeds = 1500
    times = Counter(p for seed in range(seeds) for p in split_by_patient(people, seed=seed).validation)
    spread = math.sqrt(seeds * 0.2 * 0.8)
    assert all(abs(times[patient] - 0.2 * seeds) < 4 * spread for patient in strata(people)), times


def sums(table):
    """Cells, rows, columns and the total of a table, one after another."""
    rows, columns = [sum(row) for row in table], [sum(column) for column in zip(*table, strict=True)]
    return [*(cell for row in table for cell in row), *rows, *columns, sum(rows)]


@given(
    st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(st.fractions(0, 9), min_size=n, max_size=n), min_size=1)),
    st.randoms(use_true_random=False),
)
def test_rounded_tables_keep_their_margins(fractions, generator: random.Random):
    lots = iter(lambda: Fraction(generator.randrange(1000), 1000), None)
    whole = controlled_rounding(fractions, lots)
    for exact, rounded in zip(sums(fractions), sums(whole), strict=True):
        assert math.floor(exact) <= rounded <= math.ceil(exact)


@given(cohorts(most=12), st.integers(0, 3), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_change_the_folds(people, seed, shuffler: random.Random):
    shuffled = list(people.cases)
    shuffler.shuffle(shuffled)
    first, second = (folds_by_patient(one, folds=2, seed=seed) for one in (people, cohort(*shuffled)))
    assert first == second


def test_folds_of_another_seed_differ():
    people = cohort(*patients(20))
    draws = {tuple(fold.validation for fold in folds_by_patient(people, folds=5, seed=seed)) for seed in range(5)}
    assert len(draws) == 5


def test_as_many_folds_as_patients():
    folds = folds_by_patient(cohort(*patients(6)), folds=6)
    assert sorted(fold.validation for fold in folds) == [(f"P-00{n}",) for n in range(6)]
    assert {fold.train_fraction for fold in folds} == {5 / 6}


@pytest.mark.parametrize("number", [-1, 0, 1, 7])
def test_impossible_folds(number):
    assert rejected_codes(folds_by_patient, cohort(*patients(6)), folds=number) == {"LS-SPL-011"}


def test_folds_without_patients_give_the_reason():
    assert rejected_codes(folds_by_patient, cohort(case("ct", label=None)), folds=5) == {"LS-SPL-001"}


def test_patients_not_in_the_split_are_counted():
    split = split_by_patient(cohort(*patients(6)))
    assert split.unassigned(cohort(*patients(6), case("x", dataset="test1"), case("y", label=None))) == ()
    (warning,) = split.unassigned(cohort(*patients(9)))
    assert (warning.code, warning.severity) == ("LS-SPL-010", "warning")
    assert "3 of 9" in warning.message


@given(st.integers(0, 5), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(seed, shuffler: random.Random):
    cases = [*patients(12, condition="fatty"), case("x"), case("y")]
    shuffled = list(cases)
    shuffler.shuffle(shuffled)
    assert split_by_patient(cohort(*shuffled), seed=seed) == split_by_patient(cohort(*cases), seed=seed)


def test_seeds_select_different_patients():
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
    assert rejected_codes(split_by_patient, cohort(*patients(3)), train_fraction=fraction) == {"LS-SPL-009"}


def test_no_patient_to_train_on():
    assert rejected_codes(split_by_patient, cohort(case("ct", label=None))) == {"LS-SPL-001"}


def test_a_patient_with_development_and_test_cases_is_rejected():
    both = cohort(case("a", "P"), case("b", "P", dataset="test2"), case("c"))
    assert rejected_codes(split_by_patient, both) == {"LS-SPL-002"}


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
def test_edited_splits_are_rejected(tmp_path, edit, code):
    people = cohort(*patients(6))
    assert code in rejected_codes(read_split, edited(tmp_path, people, edit), people)


def test_a_split_of_another_cohort_is_rejected(tmp_path):
    write_split(tmp_path / "split.csv", split_by_patient(cohort(*patients(6))))
    assert rejected_codes(read_split, tmp_path / "split.csv", cohort(*patients(6), content="f" * 64)) == {"LS-SPL-007"}


def test_a_patient_of_the_split_must_not_have_test_cases(tmp_path):
    write_split(tmp_path / "split.csv", split_by_patient(cohort(*patients(6))))
    leaking = cohort(*patients(6), case("later", "P-003", dataset="test1"))
    assert rejected_codes(read_split, tmp_path / "split.csv", leaking) == {"LS-SPL-002"}


@pytest.mark.parametrize("change", [{"label": None}, {"labelled_structures": ()}])
def test_a_patient_of_the_split_must_have_a_trainable_case(tmp_path, change):
    write_split(tmp_path / "split.csv", split_by_patient(cohort(*patients(6))))
    poorer = cohort(*patients(5), case("005", **change))
    assert rejected_codes(read_split, tmp_path / "split.csv", poorer) == {"LS-SPL-006"}


def test_missing_split(tmp_path):
    assert rejected_codes(read_split, tmp_path / "none.csv", cohort(*patients(2))) == {"LS-SPL-003"}
