"""The table of failures: counted by hand for twelve CT scans of ten patients."""

from dataclasses import replace
from pathlib import Path

import pytest

from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.evaluation import Measurement, read_measurements, statistical_report, write_measurements
from liverspleen.evaluation.reporting.paper_tables import StatisticalReport
from liverspleen.evaluation.statistics.proportion import wilson_interval

# Patients 0 and 1 have two CT scans each. Volume and DSS of the reader in the cases that fail.
PATIENTS = ["0", "0", "1", "1", *map(str, range(2, 10))]
FAILURES = {0: (0.0, 0.0), 1: (0.0, 0.0), 5: (700.0, 0.62), 7: (990.0, 0.7999)}


def rows() -> list[Measurement]:
    found = []
    for number, patient in enumerate(PATIENTS):
        about = (f"c{number:02d}", patient, "test1", "healthy" if number < 6 else "cirrhosis", "")
        volume, dss = FAILURES.get(number, (1000.0, 0.95))
        found.append(Measurement(*about, "liver", "manual", 1000.0 + number))
        found.append(
            Measurement(*about, "liver", "dla", volume, reference="manual", dss=dss, hd95_mm=2.0 if dss else None)
        )
        spleen = (50.0, 0.0) if number == 3 else (200.0, 200.0)
        for reader, value in zip(("dla", "manual"), spleen, strict=True):
            found.append(Measurement(*about, "spleen", reader, value, "ok" if value else "absent"))
    for number, site in ((n, site) for n in range(3) for site in ("external", "internal")):
        about = (f"t{number}-{site}", f"q{number}", "test2", "healthy", site)
        volume = 1000.0 if site == "external" else 1100.0  # %RC = 1.96 √2 · 100 · (100 / √2 / 1050) = 18.7
        found.append(Measurement(*about, "liver", "manual", volume))
    return found


def report_of(folder: Path, cohort: Cohort | None = None) -> StatisticalReport:
    write_measurements(folder / "m.csv", rows())
    return statistical_report(read_measurements(folder / "m.csv"), cohort=cohort)


def values(report: StatisticalReport, row: str, organ: str = "liver") -> tuple[float | None, ...]:
    found = report.table("failures")[row][organ].values
    return tuple(found[name] for name in ("count", "n", "patients", "n_patients"))


def test_failures_are_counted_by_ct_scan_and_by_patient(tmp_path: Path) -> None:
    report = report_of(tmp_path)
    assert values(report, "missed:total") == (2, 12, 1, 10)  # both CT scans of one patient
    assert values(report, "low_dss:total") == (4, 12, 3, 10)
    assert values(report, "low_dss:healthy") == (3, 6, 2, 4)
    assert values(report, "low_dss:cirrhosis") == (1, 6, 1, 6)
    assert values(report, "beyond_rc:total") == (3, 12, 2, 10)  # 0, 0 and 700 cm³ of 1000 to 1011
    assert values(report, "found_absent:total", "spleen") == (1, 1, 1, 1)
    cell = report.table("failures")["missed:total"]["liver"]
    interval = wilson_interval(1, 10)
    assert interval is not None
    assert (cell.values["ci_lower"], cell.values["ci_upper"]) == pytest.approx(interval.scaled(100))
    assert cell.text == "2 of 12; 10.0 (1.8 to 40.4) %"


def test_thirds_are_those_of_the_reference(tmp_path: Path) -> None:
    """Volumes 1000 to 1011: edges 1003.67 and 1007.33."""
    report = report_of(tmp_path)
    assert values(report, "missed:volume_low") == (2, 5, 1, 3)
    assert values(report, "missed:volume_middle")[:2] == (0, 3)
    assert values(report, "missed:volume_high")[:2] == (0, 4)


def test_cases_that_fail_are_in_the_notes_by_name(tmp_path: Path) -> None:
    notes = {note.message: note.cases for note in report_of(tmp_path).notes if note.code == "LS-REP-057"}
    assert notes["liver: no voxel of an organ that the reference has in 2 of 12 CT scans"] == ("c00", "c01")
    assert notes["liver: DSS below 0.8 in 4 of 12 CT scans"] == ("c00", "c01", "c05", "c07")
    assert notes["spleen: found, although it is absent in 1 of 1 CT scans"] == ("c03",)


def test_a_mean_distance_says_how_many_missed_organs_it_does_not_include(tmp_path: Path) -> None:
    assert report_of(tmp_path).table("surfaces")["hd95:total"]["liver"].text.endswith(" without 2 missed organs")


def test_the_cohort_adds_slice_thickness_and_known_absence(tmp_path: Path) -> None:
    cases = tuple(
        Case(f"c{n:02d}", p, Path("x.nii"), slice_thickness_mm=(1.0, 2.0, 5.0, 7.0)[n % 4], spleen_absent=n in (3, 4))
        for n, p in enumerate(PATIENTS)
    )
    report = report_of(tmp_path, Cohort(cases, (), tmp_path / "cohort.csv", tmp_path, ""))
    assert values(report, "low_dss:thin")[:2] == (3, 6)  # 0, 1, 5 of n % 4 in (0, 1)
    assert values(report, "low_dss:thick")[:2] == (1, 3)  # 7
    assert values(report, "found_absent:total", "spleen") == (2, 2, 2, 2)


def test_without_a_failure_there_is_the_total_only(tmp_path: Path) -> None:
    sound = [row if row.volume_cm3 else replace(row, volume_cm3=1000.0) for row in rows()]
    sound = [row if row.dss is None else replace(row, dss=0.95) for row in sound]
    write_measurements(tmp_path / "m.csv", sound)
    report = statistical_report(read_measurements(tmp_path / "m.csv"))
    assert [row for row in report.table("failures") if row.startswith("low_dss")] == ["low_dss:total"]
    assert not [note for note in report.notes if "DSS below" in note.message]


def test_fewer_than_six_pairs_have_a_note(tmp_path: Path) -> None:
    """Three pairs: the smallest exact two-sided p value is 2 / 2^3 = 0.25."""
    scored: list[Measurement] = []
    for number, site in ((n, site) for n in range(3) for site in ("external", "internal")):
        about = (f"t{number}-{site}", f"q{number}", "test2", "healthy", site)
        scored.append(Measurement(*about, "liver", "manual", 1000.0))
        scored.append(Measurement(*about, "liver", "dla", 1000.0, reference="manual", dss=0.9 + 0.01 * number))
    write_measurements(tmp_path / "m.csv", scored)
    (note,) = [n for n in statistical_report(read_measurements(tmp_path / "m.csv")).notes if n.code == "LS-REP-056"]
    assert "3 patients with two CT scans" in note.message
    assert "is 0.25, so it cannot be below 0.05" in note.message
