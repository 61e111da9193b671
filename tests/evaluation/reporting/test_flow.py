"""Figure 1: counts add up, contradictions are shown, and invalid exclusions are rejected."""

from __future__ import annotations

from pathlib import Path

import pytest

from liverspleen.cohort import Cohort, read_cohort, split_by_patient, write_cohort
from liverspleen.errors import InputError
from liverspleen.evaluation.reporting.figures.bland_altman import figure_bytes
from liverspleen.evaluation.reporting.figures.flow import flow_figure
from liverspleen.evaluation.reporting.flow import Exclusions, Flow, Part, flow_notes, flow_of, read_exclusions


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    rows = [
        {"case_id": f"d{n}", "patient_id": f"d{n}", "image": "i.nii", "label": "l.nii", "dataset": "development"}
        for n in range(10)
    ]
    rows += [
        {"case_id": f"a{n}", "patient_id": f"a{n}", "image": "i.nii", "dataset": "test1", "condition": condition}
        for n, condition in enumerate(["healthy", "healthy", "cld", ""])
    ]
    rows += [
        {"case_id": f"b{n}{site}", "patient_id": f"b{n}", "image": "i.nii", "dataset": "test2", "site": site}
        for n in range(3)
        for site in ("external", "internal")[: 2 if n else 1]
    ]
    write_cohort(tmp_path / "cohort.csv", rows)
    return read_cohort(tmp_path / "cohort.csv")


def written(folder: Path, text: str) -> Path:
    (folder / "exclusions.csv").write_text(text, encoding="utf-8")
    return folder / "exclusions.csv"


def lines_of(flow: Flow) -> list[str]:
    return [
        text.get_text().replace("\N{NO-BREAK SPACE}", " ")
        for text in flow_figure(flow).axes[0].texts
        if text.get_text()
    ]


def test_branches_add_up_to_the_cohort(cohort: Cohort) -> None:
    flow = flow_of(cohort, splits={"split": split_by_patient(cohort)})
    assert (flow.patients, flow.examinations, flow.shared_patients) == (17, 19, 0)
    assert [(b.dataset, b.patients, b.examinations) for b in flow.branches] == [
        ("development", 10, 10),
        ("test1", 4, 4),
        ("test2", 3, 5),
    ]
    for branch in flow.branches:
        whole = {"patients": branch.patients, "CT": branch.examinations}
        assert sum(part.count for part in branch.parts) == whole[branch.parts[0].unit]


def test_parts_are_the_sides_the_conditions_and_the_sites(cohort: Cohort) -> None:
    development, first, second = flow_of(cohort, splits={"split": split_by_patient(cohort)}).branches
    assert development.parts == (Part("Training", 8, "patients"), Part("Validation", 2, "patients"))
    assert [(part.label, part.count) for part in first.parts] == [
        ("Healthy liver", 2),
        ("Non-cirrhotic chronic liver disease", 1),
        ("Condition not stated", 1),
    ]
    assert [(part.label, part.count) for part in second.parts] == [("External CT", 3), ("Internal CT", 2)]
    assert second.paired_patients == 2


def test_development_patients_outside_the_split_are_a_part(cohort: Cohort, tmp_path: Path) -> None:
    rows = [
        {"case_id": f"d{n}", "patient_id": f"d{n}", "image": "i.nii", "label": "l.nii" if n else ""} for n in range(3)
    ]
    write_cohort(tmp_path / "other.csv", rows)
    other = read_cohort(tmp_path / "other.csv")
    (branch,) = flow_of(other, splits={"split": split_by_patient(other)}).branches
    assert branch.parts[-1] == Part("Not in the split", 1, "patients")


def test_patients_of_two_datasets_are_counted_once_and_noted(tmp_path: Path) -> None:
    rows = [{"case_id": f"c{n}", "patient_id": "x", "image": "i.nii", "dataset": f"test{n}"} for n in (1, 2)]
    write_cohort(tmp_path / "cohort.csv", rows)
    shared = read_cohort(tmp_path / "cohort.csv")
    flow = flow_of(shared)
    assert (flow.patients, flow.shared_patients) == (1, 1)
    assert [note.code for note in flow_notes(flow, shared)] == ["LS-REP-046"]


def test_exclusions_without_a_stated_total_are_summed(cohort: Cohort) -> None:
    flow = flow_of(cohort, exclusions=Exclusions((("no portal venous phase", 5), ("surgery", 2))))
    assert (flow.assessed, flow.unexplained) == (24, 0)
    assert lines_of(flow)[:4] == [
        "Assessed (n = 24 patients)",
        "Included (n = 17 patients)",
        "19 CT scans",
        "Excluded (n = 7)",
    ]


@pytest.mark.parametrize(("assessed", "shown"), [(30, "+6"), (20, "−4")])
def test_numbers_that_contradict_are_shown_and_noted(cohort: Cohort, assessed: int, shown: str) -> None:
    # 17 included and 7 excluded are 24.
    flow = flow_of(cohort, exclusions=Exclusions((("surgery", 7),), assessed))
    assert f"Unexplained difference (n = {shown})" in lines_of(flow)
    (note,) = flow_notes(flow, cohort)
    assert note.code == "LS-REP-045"
    assert note.message.endswith(f"{shown.replace('−', '-')} unexplained")


def test_the_numbers_of_the_paper_do_not_explain_sixty_four_patients(cohort: Cohort) -> None:
    # Ahn et al. 2020, Figure 1: 2315 assessed, 1183 eligible, exclusion reasons that add up to 1068.
    flow = Flow(Exclusions((("all reasons", 1068),), 2315), 1183, 1183, (), 0)
    assert flow.unexplained == 64


def test_exclusions_are_read_in_their_order(tmp_path: Path) -> None:
    path = written(tmp_path, '\ufeffreason,count\r\nassessed,30\r\nsurgery,2\r\n"late, or none",5\r\n\r\n')
    assert read_exclusions(path) == Exclusions((("surgery", 2), ("late, or none", 5)), 30)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("reason;count\nsurgery;2\n", ["LS-REP-050"]),
        ("reason,count\nsurgery,2,3\n", ["LS-REP-050"]),
        ("reason,count\nsurgery,-2\n,1\nlate,1.5\nlate,²\n", ["LS-REP-051"] * 6),
        ('reason,count\n"surgery,2\n', ["LS-REP-050"]),
    ],
)
def test_invalid_exclusions_are_rejected_with_all_issues(tmp_path: Path, text: str, codes: list[str]) -> None:
    with pytest.raises(InputError) as rejected:
        read_exclusions(written(tmp_path, text))
    assert [issue.code for issue in rejected.value.issues] == codes


def test_missing_exclusions_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="LS-REP-050"):
        read_exclusions(tmp_path / "none.csv")


def test_every_box_is_inside_the_figure(cohort: Cohort) -> None:
    names = tuple((f"reason {n} " + "and a long explanation of it " * 4, 1) for n in range(6))
    axes = flow_figure(flow_of(cohort, exclusions=Exclusions(names, 99))).axes[0]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    for patch in axes.patches:
        x, y = patch.get_xy()
        assert left <= x
        assert x + patch.get_width() <= right
        assert bottom <= y
        assert y + patch.get_height() <= top


@pytest.mark.parametrize("name", ["$\\frac{", "<script>", "漢字", "\u202eabc", "x" * 300, "a\nb"])
def test_any_reason_can_be_in_the_figure(cohort: Cohort, name: str) -> None:
    content = figure_bytes(flow_figure(flow_of(cohort, exclusions=Exclusions(((name, 1),)))), "svg")
    assert b"<script" not in content
