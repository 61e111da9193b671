"""Findings of `check` for valid scans, real scans, and scans at the limits."""

from __future__ import annotations

import pickle
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from seeded import (
    SEEDS,
    Draft,
    abdominal_window,
    front_and_back_swapped,
    head_and_feet_swapped,
    intercept_applied_twice,
    intercept_left_out,
    inverted,
    labels_swapped,
    mirrored_header,
    missing_slices,
)

from liverspleen.codes import read_areas
from liverspleen.cohort import Case, load_case, read_cohort, write_cohort
from liverspleen.cohort.findings import cohort_issues, examine_case
from liverspleen.cohort.findings.geometry import geometry_issues
from liverspleen.cohort.findings.intensities import intensity_issues
from liverspleen.cohort.findings.labels import density_issues, shape_issues
from liverspleen.cohort.findings.organ import find_organ
from liverspleen.cohort.findings.scan import summarise
from liverspleen.errors import Issue
from liverspleen.imaging import CTVolume, Geometry, LabelMap, write_ct, write_label_map
from liverspleen.organs import Structure
from liverspleen.phantom.cohort import write_phantom_cohort

CHECKOUT = Path(__file__).parents[2]
SOURCE = CHECKOUT / "src" / "liverspleen"


def found(cohort: Path) -> list[Issue]:
    cases = read_cohort(cohort).cases
    examinations = [examine_case(case) for case in cases]
    return [*(f for e in examinations for f in e.issues), *cohort_issues(cases, examinations)]


def above_note(issues: list[Issue]) -> list[tuple[str | None, str, str]]:
    return [(f.case_id, f.code, f.message) for f in issues if f.severity != "note"]


def test_valid_phantoms_of_all_conditions_have_no_errors_or_warnings(phantoms: Path) -> None:
    assert above_note(found(phantoms)) == []


@pytest.mark.slow
def test_eighty_valid_phantoms_have_no_errors_or_warnings(tmp_path: Path) -> None:
    """All conditions, slices of 1 to 8 mm, both scanners, patients examined twice.

    They are 80 of the 200 of docs/findings.md, which have development=150, test1=20, pairs=15 and the same seed.
    """
    cohort = write_phantom_cohort(
        tmp_path, development=60, test1=8, pairs=6, seed=7, matrix=72, thickness_mm=(1.0, 8.0), workers=2
    )
    cases = read_cohort(cohort).cases
    assert len(cases) == 80
    assert len({case.condition for case in cases}) == 5
    assert {case.slice_thickness_mm for case in cases} >= {1.0, 8.0}
    assert {case.site for case in cases} == {"internal", "external"}
    assert above_note(found(cohort)) == []


def test_the_real_cases_have_no_error_and_only_true_warnings(shared: Path) -> None:
    """`msd_spleen_8` repeats each of its slices four times, and its header has the spleen on the right."""
    issues = found(shared / "data" / "cohort.csv")
    assert {(f.case_id, f.code) for f in issues if f.severity != "note"} == {
        ("msd_spleen_8", "LS-IMG-017"),
        ("msd_spleen_8", "LS-LAB-018"),
    }
    assert not any(f.severity == "error" for f in issues)
    assert {f.case_id for f in issues if f.code == "LS-LAB-020"} == {"ts_example", "ts_dicom20"}
    assert [f.case_id for f in issues if f.code == "LS-IMG-015"] == ["lits0"]


@pytest.mark.real
@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (intercept_left_out, "LS-IMG-013"),
        (intercept_applied_twice, "LS-IMG-013"),
        (inverted, "LS-IMG-018"),
        (abdominal_window, "LS-IMG-012"),
        (missing_slices, "LS-IMG-019"),
        (head_and_feet_swapped, "LS-GEO-017"),
        (front_and_back_swapped, "LS-GEO-018"),
        (mirrored_header, "LS-LAB-018"),
        (labels_swapped, "LS-LAB-019"),
    ],
)
def test_a_modified_real_case_has_only_that_finding(
    shared: Path, tmp_path: Path, spoil: Callable[[Draft], None], code: str
) -> None:
    (case,) = (case for case in read_cohort(shared / "data" / "cohort.csv").cases if case.case_id == "lits0")
    ct, label = load_case(case)
    assert label is not None
    affine = ct.geometry.canonical_affine[:, [2, 1, 0, 3]]
    row = {"case_id": "A", "patient_id": "P", "image": "ct.nii", "label": "label.nii"}
    draft = Draft(ct.hu, label.labels, affine, affine.copy(), row)
    spoil(draft)
    write_cohort(tmp_path / "cohort.csv", draft.write(tmp_path))
    own = {issue.code for issue in found(tmp_path / "cohort.csv") if issue.severity != "note"}
    assert own - {"LS-LAB-011"} == {code}  # its small spleen would be a tiny liver


def test_memory_does_not_grow_with_the_number_of_cases(phantoms: Path) -> None:
    """Peak memory with many cases is that with one; a kept volume would increase the second peak."""
    case = read_cohort(phantoms).cases[1]
    volume_bytes = np.prod(examine_case(case).facts["shape"]) * 2

    def peak(cases: int) -> int:
        tracemalloc.start()
        kept = [examine_case(case) for _ in range(cases)]
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(kept) == cases
        return highest

    assert peak(6) - peak(1) < 0.5 * volume_bytes


def test_the_result_of_a_process_is_small(phantoms: Path) -> None:
    for case in read_cohort(phantoms).cases:
        assert len(pickle.dumps(examine_case(case))) < 10_000


def test_equal_voxels_have_the_hash_of_the_slice_cache(phantoms: Path, tmp_path: Path) -> None:
    from liverspleen.data.cache import cache_case

    case = read_cohort(phantoms).cases[0]
    assert examine_case(case).voxels_sha256 == cache_case(case, tmp_path).voxels_sha256


# ---- limits: values on both sides of each limit ---------------------------------------------------------------------


def scan(values: np.ndarray, spacing_mm: tuple[float, float, float] = (5.0, 1.0, 1.0)) -> CTVolume:
    slices, rows, columns = values.shape
    affine = np.diag([-spacing_mm[2], -spacing_mm[1], spacing_mm[0], 1.0])
    return CTVolume(np.ascontiguousarray(values, dtype=np.int16), Geometry((columns, rows, slices), affine))


def noisy(shape: tuple[int, int, int] = (12, 80, 80)) -> np.ndarray:
    """Tissue in air, each with noise, without a prominent value."""
    rng = np.random.default_rng(0)
    values = np.full(shape, -1000.0)
    values[:, 15:65, 10:70] = 50
    values[:, 30:40, 35:45] = 900
    return values + rng.normal(0, 15, shape)


def codes(issues: object) -> dict[str, str]:
    return {issue.code: issue.severity for issue in issues}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-32768, 32767, {}),
        (-1024, 3071, {}),  # 12 bits
        (-1024, 850, {"LS-IMG-012": "note"}),  # bone is clipped; liver and spleen are not
        (-1024, 200, {"LS-IMG-012": "warning"}),
        (-200, 3071, {"LS-IMG-012": "warning"}),
        (-150, 250, {"LS-IMG-012": "warning"}),
        (0, 255, {"LS-IMG-041": "error"}),  # mostly 0, with few values
    ],
)
def test_severity_of_clipping_depends_on_what_is_clipped(low: int, high: int, expected: dict[str, str]) -> None:
    assert codes(intensity_issues(summarise(scan(noisy().clip(low, high))))) == expected


@pytest.mark.parametrize(("shift", "expected"), [(0, {}), (60, {}), (1000, {"LS-IMG-013": "error"})])
def test_an_offset_is_distinguished_from_a_calibration(shift: int, expected: dict[str, str]) -> None:
    assert codes(intensity_issues(summarise(scan(noisy() + shift)))) == expected


def test_a_scan_with_a_step_has_a_jump_and_an_even_one_has_not() -> None:
    even = noisy((24, 80, 80))
    assert codes(intensity_issues(summarise(scan(even)))) == {}
    even[12:] += np.where(np.arange(80) < 40, 300, 0)
    assert codes(intensity_issues(summarise(scan(even)))) == {"LS-IMG-019": "warning"}


@pytest.mark.parametrize(
    ("spacing_mm", "shape", "expected"),
    [
        ((5.0, 0.7, 0.7), (40, 512, 512), {}),
        ((1.0, 0.3, 0.3), (300, 512, 512), {}),  # an infant
        ((3.0, 3.0, 3.0), (100, 120, 120), {}),  # resampled
        ((0.5, 0.07, 0.07), (400, 512, 512), {"LS-GEO-010": "warning"}),  # centimetres
        ((5000.0, 700.0, 700.0), (40, 512, 512), {"LS-GEO-010": "warning"}),  # micrometres
        ((5.0, 0.7, 0.72), (40, 512, 512), {"LS-GEO-011": "warning"}),
        ((5.0, 0.7, 0.7), (4, 512, 512), {"LS-GEO-012": "warning"}),
        ((5.0, 0.7, 0.7), (5, 512, 512), {"LS-GEO-013": "note"}),
        ((5.0, 0.7, 0.7), (20, 512, 512), {}),
    ],
)
def test_limits_of_grids(
    spacing_mm: tuple[float, float, float], shape: tuple[int, int, int], expected: dict[str, str]
) -> None:
    affine = np.diag([-spacing_mm[2], -spacing_mm[1], spacing_mm[0], 1.0])
    assert codes(geometry_issues(Geometry((shape[2], shape[1], shape[0]), affine))) == expected


def ball(structure: Structure, radius_mm: float, edge_mm: float = 4.0) -> LabelMap:
    """A ball in a grid with a margin of 5 voxels."""
    n = 2 * int(radius_mm / edge_mm) + 11
    z, y, x = np.ogrid[:n, :n, :n]
    inside = ((z - n // 2) ** 2 + (y - n // 2) ** 2 + (x - n // 2) ** 2) * edge_mm**2 <= radius_mm**2
    return LabelMap(
        (inside * int(structure)).astype(np.uint8), Geometry((n, n, n), np.diag([-edge_mm, -edge_mm, edge_mm, 1]))
    )


@pytest.mark.parametrize(
    ("structure", "radius_mm", "age", "expected"),
    [
        # 4/3 pi r^3: 113, 310, 4189, 8181 and 1.8, 22, 4189, 5575 cm3
        (Structure.LIVER, 30, None, {"LS-LAB-011": "warning"}),
        (Structure.LIVER, 30, 1.0, {}),
        (Structure.LIVER, 42, None, {}),
        (Structure.LIVER, 100, None, {}),
        (Structure.LIVER, 125, None, {"LS-LAB-012": "warning"}),
        (Structure.SPLEEN, 7.5, 40.0, {"LS-LAB-011": "warning"}),
        (Structure.SPLEEN, 17.4, None, {}),
        (Structure.SPLEEN, 100, None, {}),
        (Structure.SPLEEN, 110, None, {"LS-LAB-012": "warning"}),
    ],
)
def test_limits_of_organs(structure: Structure, radius_mm: float, age: float | None, expected: dict[str, str]) -> None:
    organ = find_organ(ball(structure, radius_mm), structure)
    assert organ is not None
    assert organ.volume_cm3 == pytest.approx(4 / 3 * np.pi * radius_mm**3 / 1000, rel=0.15)
    assert codes(shape_issues(organ, age=age)) == expected


def test_a_small_part_at_the_border_of_the_scan_is_truncated_not_tiny() -> None:
    label = ball(Structure.LIVER, 30)
    cut = label.labels[label.labels.shape[0] // 2 :]
    organ = find_organ(LabelMap(cut, Geometry(cut.shape[::-1], label.geometry.affine)), Structure.LIVER)
    assert organ is not None
    (issue,) = shape_issues(organ)
    assert (issue.code, issue.severity) == ("LS-LAB-020", "note")
    assert "inferior border" in issue.message


def test_faces_have_the_names_of_the_patients_directions() -> None:
    labels = np.zeros((5, 5, 5), np.uint8)
    labels[4, 0, 0] = Structure.LIVER  # columns grow to the left, rows to the back, slices upwards
    organ = find_organ(LabelMap(labels, Geometry((5, 5, 5), np.diag([-1.0, -1.0, 1.0, 1.0]))), Structure.LIVER)
    assert organ is not None
    assert organ.faces == ("superior", "anterior", "right")


def test_a_skipped_slice_is_a_gap_and_two_tapering_parts_are_not() -> None:
    one = ball(Structure.SPLEEN, 40)
    two = np.concatenate([one.labels, one.labels])
    organ = find_organ(LabelMap(two, Geometry(two.shape[::-1], one.geometry.affine)), Structure.SPLEEN)
    assert organ is not None
    assert codes(shape_issues(organ)) == {"LS-LAB-013": "note"}
    middle = one.labels.copy()
    middle[middle.shape[0] // 2] = 0
    organ = find_organ(LabelMap(middle, one.geometry), Structure.SPLEEN)
    assert organ is not None
    assert codes(shape_issues(organ))["LS-LAB-021"] == "warning"


def test_parts_and_holes_have_the_volumes_counted_by_hand() -> None:
    labels = np.zeros((7, 7, 9), np.uint8)
    labels[1:6, 1:6, 1:6] = Structure.LIVER  # 125 voxels
    labels[3, 3, 3:5] = 0  # a hole of 2
    labels[3, 3, 7] = Structure.LIVER  # an island of 1
    organ = find_organ(LabelMap(labels, Geometry((9, 7, 7), np.diag([-10.0, -10.0, 10.0, 1.0]))), Structure.LIVER)
    assert organ is not None
    assert organ.parts_cm3.tolist() == [123.0, 1.0]
    assert organ.holes_cm3.tolist() == [2.0]


@pytest.mark.parametrize(
    ("fraction", "value", "expected"),
    [
        (0.0, 0, {}),
        (1.0, -20, {}),  # severe steatosis
        (1.0, 180, {}),
        (0.02, -900, {}),  # gas in bile ducts
        (0.05, -900, {"LS-LAB-016": "warning"}),
        (0.60, -900, {"LS-LAB-016": "error"}),
        (0.20, -110, {"LS-LAB-017": "warning"}),
        (1.0, 400, {"LS-LAB-015": "warning"}),
    ],
)
def test_limits_of_density_within_an_organ(fraction: float, value: int, expected: dict[str, str]) -> None:
    label = ball(Structure.LIVER, 60)
    organ = find_organ(label, Structure.LIVER)
    assert organ is not None
    inside = np.flatnonzero(label.labels)
    hu = np.full(label.labels.shape, 100, np.int16)
    hu.ravel()[inside[: round(fraction * inside.size)]] = value
    assert codes(density_issues(organ, hu)) == expected


def test_a_case_that_cannot_be_read_still_has_its_label_map_examined(phantoms: Path, tmp_path: Path) -> None:
    label = ball(Structure.LIVER, 30)
    write_label_map(tmp_path / "label.nii", label)
    case = Case("A", "P", tmp_path / "none.nii", tmp_path / "label.nii", (Structure.LIVER,))
    assert codes(examine_case(case).issues) == {"LS-IMG-001": "error", "LS-LAB-011": "warning"}


def test_a_case_larger_than_memory_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(ct: CTVolume) -> None:
        raise MemoryError

    write_ct(tmp_path / "ct.nii", scan(noisy()))
    monkeypatch.setattr("liverspleen.cohort.findings.ct.summarise", full)
    examination = examine_case(Case("A", "P", tmp_path / "ct.nii"))
    assert codes(examination.issues) == {"LS-IMG-020": "error"}
    assert examination.voxels_sha256 is None


# ---- the table of findings ------------------------------------------------------------------------------------------


def documented() -> set[str]:
    """Codes in the tables of the docs."""
    text = (CHECKOUT / "docs" / "findings.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `(LS-[A-Z]+-\d{3})` \|", text, flags=re.MULTILINE))


def given() -> set[str]:
    """Codes in the source of all modules that `check` runs."""
    own = [SOURCE / "cohort" / f"{name}.py" for name in ("manifest", "row", "folder", "checks")]
    imaging = [file for file in (SOURCE / "imaging").glob("*.py") if file.stem != "png"]  # masks that an import reads
    files = [*own, *(SOURCE / "cohort" / "findings").glob("*.py"), *imaging]
    return set(re.findall(r'"(LS-[A-Z]+-\d{3})"', "\n".join(file.read_text(encoding="utf-8") for file in files)))


def test_limits_of_findings_are_documented() -> None:
    assert documented() <= given()
    assert len(documented()) > 40
    anatomical = {code for code in given() if code.startswith(("LS-GEO-01", "LS-LAB-01", "LS-DUP"))}
    assert anatomical - documented() == {"LS-GEO-012"}  # its message gives its only limit


def test_every_seeded_defect_has_the_severity_of_the_registry() -> None:
    known = {entry.code: entry.severity for area in read_areas() for entry in area.entries}
    assert len({seed.code for seed in SEEDS}) >= 25
    for seed in SEEDS:
        assert seed.severity in known[seed.code], seed.code
