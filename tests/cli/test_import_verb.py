"""`liverspleen import`: one cohort from six layouts, case by case, and what is rejected."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import source_files
import yaml
from plain_segmentation import save, segmentation
from source_files import WRITERS, box_exam

from liverspleen.cli import import_
from liverspleen.cli.main import _print_issues
from liverspleen.cohort import importing
from liverspleen.cohort.manifest import Cohort, read_cohort
from liverspleen.config import ImportConfig, compose
from liverspleen.errors import InputError
from liverspleen.imaging import CTVolume, Geometry, LabelMap, read_ct, read_label_map, write_ct, write_label_map
from liverspleen.imaging.dicom import write_series
from liverspleen.locks import exclusive
from liverspleen.organs import ORGANS, Structure

Import = Callable[..., int]


@pytest.fixture(scope="module")
def defaults() -> ImportConfig:
    """Composed once: composing takes longer than importing a small case."""
    config: ImportConfig = compose("import", ["source=nifti", "input=x", "output=x", "workers=1"])
    return config


@pytest.fixture
def bring_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, defaults: ImportConfig) -> Import:
    """Runs an import of `tmp_path/source` into `tmp_path/cohort`, with a config folder of its own; the exit code."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def run(layout: str, *words: str, source: Path | None = None, output: str = "cohort") -> int:
        values: dict[str, object] = {"source": layout, "input": source or tmp_path / "source"}
        values["output"] = tmp_path / output
        for name, _, value in (word.partition("=") for word in words):
            is_path = name in {"labels", "covariates", "key", "output"}
            values[name] = Path(value) if is_path else yaml.safe_load(value)
        try:
            return _print_issues(import_.run(replace(defaults, **values)))
        except InputError as error:
            return _print_issues(error.issues)

    return run


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def contents(cohort: Cohort) -> dict[str, tuple[str, dict[str, float]]]:
    """By hash of the CT's canonical bytes: that of the labels, and volumes in cm³, from the files alone."""
    found = {}
    for case in cohort.cases:
        ct = read_ct(case.image)
        label = read_label_map(case.label) if case.label else None
        assert label is not None
        volumes = {o.key: label.count(o) * label.geometry.voxel_volume_mm3 / 1000 for o in ORGANS}
        key = hashlib.sha256(ct.hu.astype("<i2").tobytes()).hexdigest()
        found[key] = hashlib.sha256(label.labels.tobytes()).hexdigest(), volumes
    return found


def test_six_layouts_of_one_cohort_import_to_the_same_cohort(tmp_path: Path, bring_in: Import) -> None:
    exams = [box_exam("a", seed=1), box_exam("b", seed=2, slices=7), box_exam("c", "b", seed=3)]
    expected = {
        hashlib.sha256(exam.ct.hu.astype("<i2").tobytes()).hexdigest(): (
            hashlib.sha256(exam.label.labels.tobytes()).hexdigest(),
            {o.key: np.sum(exam.label.labels == o) * 0.8 * 0.8 * 2.5 / 1000 for o in ORGANS},
        )
        for exam in exams
    }
    headers = set()
    for layout, write in WRITERS.items():
        words = write(tmp_path / layout, exams)
        rows = [f"{e.patient + '/' if layout == 'dicom' else ''}{e.name},{e.patient},fatty" for e in exams]
        (tmp_path / f"{layout}.csv").write_text("\n".join(["source,patient,condition", *rows]))
        words.append(f"covariates={tmp_path / f'{layout}.csv'}")
        assert bring_in(layout, *words, source=tmp_path / layout, output=f"out-{layout}") == 0, layout
        cohort = read_cohort(tmp_path / f"out-{layout}" / "cohort.csv")
        assert cohort.issues == ()
        found = contents(cohort)
        assert {key: hashes for key, (hashes, _) in found.items()} == {k: h for k, (h, _) in expected.items()}, layout
        for key, (_, volumes) in found.items():
            assert volumes == pytest.approx(expected[key][1], rel=1e-6), layout
        assert [case.condition for case in cohort.cases] == ["fatty"] * 3
        assert len({case.patient_id for case in cohort.cases}) == 2
        printed = table(tmp_path / f"out-{layout}" / "import.csv")
        assert {row["image_sha256"] for row in printed} == set(expected)
        assert {row["included"] for row in printed} == {"true"}
        headers.add((tmp_path / f"out-{layout}" / "cohort.csv").read_text().splitlines()[0])
    assert len(headers) == 1


def test_patients_have_one_id_whatever_layout_they_come_in(tmp_path: Path, bring_in: Import) -> None:
    exams = [box_exam("a")]
    ids = set()
    for layout in ("nifti", "chaos", "dicom"):
        words = WRITERS[layout](tmp_path / layout, exams)
        assert bring_in(layout, *words, source=tmp_path / layout, output=f"out-{layout}") == 0
        ids.add(read_cohort(tmp_path / f"out-{layout}" / "cohort.csv").cases[0].patient_id)
    assert len(ids) == 1
    assert ids != {"a"}


def test_names_of_a_public_dataset_are_kept_on_request(tmp_path: Path, bring_in: Import) -> None:
    words = source_files.msd(tmp_path / "source", [box_exam("liver_0"), box_exam("liver_1", seed=1)])
    assert bring_in("msd", *words, "ids=names") == 0
    cases = read_cohort(tmp_path / "cohort" / "cohort.csv").cases
    assert [(case.case_id, case.patient_id, case.dataset) for case in cases] == [
        ("liver_0", "liver_0", "development"),
        ("liver_1", "liver_1", "development"),
    ]


def test_a_name_that_is_no_utf8_is_rejected_and_the_others_are_imported(
    tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    source_files.nifti(tmp_path / "source", [box_exam("a"), box_exam("b", seed=1)])
    images = tmp_path / "source" / "images"
    (images / "b.nii.gz").rename(images / os.fsdecode(b"b\xff.nii.gz"))
    assert bring_in("nifti", "ids=names") == 2
    assert [case.case_id for case in read_cohort(tmp_path / "cohort" / "cohort.csv").cases] == ["a"]
    assert [row["source"] for row in table(tmp_path / "cohort" / "import.csv")] == ["a", "b\\xff"]
    assert capsys.readouterr().err.count("file 'b\\xff'") >= 1
    assert bring_in("nifti", output="hashed") == 0
    assert len(read_cohort(tmp_path / "hashed" / "cohort.csv").cases) == 2


def test_labels_without_the_meaning_of_their_values_are_rejected_in_one_line(
    tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    for layout in ("nifti", "chaos"):
        words = WRITERS[layout](tmp_path / layout, [box_exam("a")])
        kept = [word for word in words if not word.startswith("label_values")]
        assert bring_in(layout, *kept, source=tmp_path / layout, output=layout + "-out") == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if "LS-IMP" in line]
        assert len(lines) == 1
        assert "LS-IMP-003" in lines[0]
        assert not (tmp_path / f"{layout}-out" / "cohort.csv").exists()


@pytest.mark.parametrize("layout", ["msd", "nnunet"])
def test_dataset_json_of_the_source_gives_the_meaning(tmp_path: Path, bring_in: Import, layout: str) -> None:
    words = WRITERS[layout](tmp_path / "source", [box_exam("a")])
    assert bring_in(layout, *[word for word in words if not word.startswith("label_values")]) == 0
    (case,) = read_cohort(tmp_path / "cohort" / "cohort.csv").cases
    assert case.label is not None
    assert np.array_equal(read_label_map(case.label).labels, box_exam("a").label.labels)


def test_without_labels_only_images_are_imported(tmp_path: Path, bring_in: Import) -> None:
    source_files.nifti(tmp_path / "source", [box_exam("a")])
    assert bring_in("nifti") == 0
    (case,) = read_cohort(tmp_path / "cohort" / "cohort.csv").cases
    assert case.label is None
    assert not list((tmp_path / "cohort").glob("labels/*"))


def test_a_structure_that_is_not_in_the_map_is_not_labelled(tmp_path: Path, bring_in: Import) -> None:
    words = source_files.nifti(tmp_path / "source", [box_exam("a")])
    assert bring_in("nifti", words[0], "label_values={1: liver}") == 0
    (case,) = read_cohort(tmp_path / "cohort" / "cohort.csv").cases
    assert case.labelled_structures == (Structure.LIVER,)
    assert case.label is not None
    assert set(np.unique(read_label_map(case.label).labels)) == {0, 1}


def test_one_bad_case_is_one_line_and_the_others_are_imported(
    tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    exams = [box_exam(name, seed=i) for i, name in enumerate(["good", "truncated", "shifted", "taller"])]
    words = source_files.nifti(tmp_path / "source", exams)
    image = tmp_path / "source" / "images" / "truncated.nii.gz"
    image.write_bytes(image.read_bytes()[:-200])
    affine = exams[2].label.geometry.affine.copy()
    affine[2, 3] += 2.5
    moved = LabelMap(exams[2].label.labels, Geometry(exams[2].label.geometry.shape, affine))
    write_label_map(tmp_path / "source" / "masks" / "shifted.nii.gz", moved)
    write_label_map(tmp_path / "source" / "masks" / "taller.nii.gz", box_exam("x", slices=7).label)
    assert bring_in("nifti", *words) == 2
    rows = {row["code"]: row for row in table(tmp_path / "cohort" / "import.csv")}
    assert set(rows) == {"", "LS-IMG-004", "LS-GEO-003", "LS-GEO-004"}
    assert rows[""]["included"] == "true"
    assert {row["included"] for code, row in rows.items() if code} == {"false"}
    assert len(read_cohort(tmp_path / "cohort" / "cohort.csv").cases) == 1
    assert len(list((tmp_path / "cohort" / "images").iterdir())) == 1
    errors = capsys.readouterr().err
    assert all(errors.count(code) == 1 for code in ("LS-IMG-004", "LS-GEO-003", "LS-GEO-004"))


def test_the_same_command_again_imports_only_changed_files(tmp_path: Path, bring_in: Import) -> None:
    words = source_files.nifti(tmp_path / "source", [box_exam("a"), box_exam("b", seed=1)])
    assert bring_in("nifti", *words) == 0
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "cohort" / "images").iterdir()}
    assert bring_in("nifti", *words) == 0
    assert before == {file: file.stat().st_mtime_ns for file in before}
    changed = box_exam("b", seed=5).ct.hu
    write_ct(tmp_path / "source" / "images" / "b.nii.gz", CTVolume(changed, box_exam("b", seed=1).ct.geometry))
    assert bring_in("nifti", *words) == 0
    assert sum(file.stat().st_mtime_ns != time for file, time in before.items()) == 1
    hashes = {row["image_sha256"] for row in table(tmp_path / "cohort" / "import.csv")}
    assert hashlib.sha256(changed.astype("<i2").tobytes()).hexdigest() in hashes


def test_cases_removed_from_the_source_are_removed_and_other_files_stay(tmp_path: Path, bring_in: Import) -> None:
    words = source_files.nifti(tmp_path / "source", [box_exam("a"), box_exam("b", seed=1)])
    assert bring_in("nifti", *words) == 0
    mine = tmp_path / "cohort" / "images" / "mine.nii.gz"
    mine.write_bytes(b"mine")
    unfinished = tmp_path / "cohort" / "images" / ".part-12345678-x.nii.gz"
    unfinished.write_bytes(b"")
    for folder in ("images", "masks"):
        (tmp_path / "source" / folder / "b.nii.gz").unlink()
    assert bring_in("nifti", *words) == 0
    assert mine.exists()
    assert not unfinished.exists()
    assert len(list((tmp_path / "cohort" / "images").iterdir())) == 2
    assert len(list((tmp_path / "cohort" / "labels").iterdir())) == 1


@pytest.mark.parametrize("ids", ["names", "hashed"])
def test_a_source_inside_the_output_is_rejected_and_unchanged(
    ids: str, tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    source_files.nifti(tmp_path / "data", [box_exam("a")])
    (tmp_path / "data" / "masks").rename(tmp_path / "data" / "labels")
    before = {file: file.read_bytes() for file in (tmp_path / "data").rglob("*.nii.gz")}
    elsewhere = tmp_path / "scans"
    shutil.copytree(tmp_path / "data" / "images", elsewhere)
    words = [f"labels={tmp_path / 'data' / 'labels'}", "label_values=liverspleen", f"ids={ids}"]
    for source in (tmp_path / "data" / "images", elsewhere):
        assert bring_in("nifti", *words, source=source, output="data") == 2
        assert capsys.readouterr().err.count("LS-CFG-016") == 1
    assert {file: file.read_bytes() for file in (tmp_path / "data").rglob("*.nii.gz")} == before


def test_files_of_other_programs_are_never_replaced(
    tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    words = source_files.nifti(tmp_path / "source", [box_exam("a"), box_exam("b", seed=1)])
    mine = tmp_path / "cohort" / "labels" / "a.nii.gz"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"drawn by hand")
    for _ in range(2):
        assert bring_in("nifti", *words, "ids=names") == 2
        assert capsys.readouterr().err.count("LS-IMP-032 case 'a'") == 1
        assert mine.read_bytes() == b"drawn by hand"
        assert [case.case_id for case in read_cohort(tmp_path / "cohort" / "cohort.csv").cases] == ["b"]


def test_a_full_disk_ends_the_import_with_its_reason(
    tmp_path: Path, bring_in: Import, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as writing into an open file does, without its name

    source_files.nifti(tmp_path / "source", [box_exam("a"), box_exam("b", seed=1)])
    monkeypatch.setattr(importing, "write_ct", full)
    assert bring_in("nifti", "workers=1") == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("LS-")]
    assert line.startswith("LS-RUN-008: the file cannot be stored (No space left on device); free space")


def test_a_case_killed_between_its_files_is_imported_again(tmp_path: Path, bring_in: Import) -> None:
    words = source_files.nifti(tmp_path / "source", [box_exam("a")])
    assert bring_in("nifti", *words) == 0
    (label,) = (tmp_path / "cohort" / "labels").iterdir()
    whole = label.read_bytes()
    (record,) = (tmp_path / "cohort" / ".import").glob("*.json")
    label.unlink()
    record.write_text('{"stamp": ""}')
    assert bring_in("nifti", *words) == 0
    assert label.read_bytes() == whole


def test_workers_give_the_same_cohort(tmp_path: Path, bring_in: Import) -> None:
    words = source_files.nifti(tmp_path / "source", [box_exam("a"), box_exam("b", seed=1)])
    assert bring_in("nifti", *words) == 0
    assert bring_in("nifti", *words, "workers=2", output="two") == 0
    one, two = ((tmp_path / name / "cohort.csv").read_bytes() for name in ("cohort", "two"))
    assert one == two


def test_a_second_simultaneous_import_into_a_folder_is_rejected(
    tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    source_files.nifti(tmp_path / "source", [box_exam("a")])
    (tmp_path / "cohort").mkdir()
    with exclusive(tmp_path / "cohort" / ".run.lock"):
        assert bring_in("nifti") == 2
    assert "LS-RUN-004" in capsys.readouterr().err
    assert bring_in("nifti") == 0


def test_the_key_is_made_once_and_private(tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]) -> None:
    source_files.nifti(tmp_path / "source", [box_exam("a")])
    assert bring_in("nifti") == 0
    assert "LS-IDN-004" in capsys.readouterr().err
    key = tmp_path / "config" / "liverspleen" / "import.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    (links,) = key.parent.glob("links-*.csv")
    assert stat.S_IMODE(links.stat().st_mode) == 0o600
    (case,) = read_cohort(tmp_path / "cohort" / "cohort.csv").cases
    assert f"case,{case.case_id},a" in links.read_text().splitlines()
    assert bring_in("nifti", output="again") == 0
    assert "LS-IDN-004" not in capsys.readouterr().err
    assert read_cohort(tmp_path / "again" / "cohort.csv").cases[0].case_id == case.case_id
    assert bring_in("nifti", f"key={tmp_path / 'other.key'}", output="other") == 0
    assert read_cohort(tmp_path / "other" / "cohort.csv").cases[0].case_id != case.case_id
    assert list(tmp_path.glob("links-*.csv"))
    assert bring_in("nifti", f"key={tmp_path / 'inside' / 'k'}", output="inside") == 2
    assert "LS-IDN-005" in capsys.readouterr().err


def test_covariates_are_checked_first_and_missing_rows_are_reported(
    tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    source_files.nifti(tmp_path / "source", [box_exam("a"), box_exam("b", seed=1)])
    file = tmp_path / "covariates.csv"
    file.write_text("source,age,condition,weight\na,61,fatty,80\nz,50,healthy,70\n")
    assert bring_in("nifti", f"covariates={file}") == 0
    errors = capsys.readouterr().err
    assert "LS-COV-006: covariates: row 3" in errors
    assert "LS-COV-007: covariates: no row for 1 of 2 cases" in errors
    cases = read_cohort(tmp_path / "cohort" / "cohort.csv").cases
    assert {(case.age, case.condition, case.covariates["weight"]) for case in cases} == {
        (61.0, "fatty", "80"),
        (None, "", ""),
    }
    file.write_text("source,age,condition\na,-1,fatty\nb,50,well\n")
    assert bring_in("nifti", f"covariates={file}") == 2
    errors = capsys.readouterr().err
    assert errors.count("LS-COV-005") == 2


def test_test_cases_of_nnunet_become_a_test_set_with_a_note(
    tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    words = source_files.nnunet(tmp_path / "source", [box_exam("a")])
    exam = box_exam("t", seed=4)
    write_ct(tmp_path / "source" / "imagesTs" / "t_0000.nii.gz", exam.ct)
    write_label_map(tmp_path / "source" / "labelsTs" / "t.nii.gz", exam.label)
    assert bring_in("nnunet", *words, "ids=names") == 0
    cases = {case.case_id: case for case in read_cohort(tmp_path / "cohort" / "cohort.csv").cases}
    assert (cases["a"].dataset, cases["t"].dataset) == ("development", "test1")
    assert cases["t"].label is not None
    assert "LS-IMP-011: 1 test case " in capsys.readouterr().err
    (tmp_path / "covariates.csv").write_text("source,dataset\nt,test2\n")
    assert bring_in("nnunet", *words, "ids=names", f"covariates={tmp_path / 'covariates.csv'}") == 0
    assert "LS-IMP-011" not in capsys.readouterr().err


def test_masks_of_chaos_follow_file_names_in_either_order_of_slices(tmp_path: Path, bring_in: Import) -> None:
    exam = box_exam("1", slices=7)
    words = source_files.chaos(tmp_path / "source", [exam], head_first=True)
    assert bring_in("chaos", *words) == 0
    (case,) = read_cohort(tmp_path / "cohort" / "cohort.csv").cases
    assert case.label is not None
    np.testing.assert_array_equal(read_label_map(case.label).labels, exam.label.labels)
    np.testing.assert_array_equal(read_ct(case.image).hu, exam.ct.hu)


def test_masks_of_chaos_that_cannot_be_assigned_are_rejected(tmp_path: Path, bring_in: Import) -> None:
    words = source_files.chaos(tmp_path / "source", [box_exam("few"), box_exam("mixed", seed=1)])
    (tmp_path / "source" / "few" / "Ground" / "liver_GT_003.png").unlink()
    scans = tmp_path / "source" / "mixed" / "DICOM_anon"
    (scans / "0002.dcm").rename(scans / "9999.dcm")
    assert bring_in("chaos", *words) == 2
    assert {row["code"] for row in table(tmp_path / "cohort" / "import.csv")} == {"LS-IMP-020", "LS-IMP-021"}


def test_sex_and_age_come_from_meta_csv(tmp_path: Path, bring_in: Import) -> None:
    words = source_files.totalsegmentator(tmp_path / "source", [box_exam("s0001"), box_exam("s0002", seed=1)])
    (tmp_path / "source" / "meta.csv").write_text("image_id;age;gender;institute\ns0001;60;f;A\ns0002;;m;B\n")
    assert bring_in("totalsegmentator", *words, "ids=names") == 0
    cases = read_cohort(tmp_path / "cohort" / "cohort.csv").cases
    assert [(case.sex, case.age) for case in cases] == [("F", 60.0), ("M", None)]


def test_facts_of_dicom_headers_reach_the_cohort_and_series_are_listed(tmp_path: Path, bring_in: Import) -> None:
    tags = {"PatientID": "P", "PatientSex": "F", "PatientAge": "061Y", "SliceThickness": "5"}
    exam = box_exam("a")
    write_series(tmp_path / "source" / "ct", exam.ct, tags={**tags, "SeriesDescription": "Abdomen portal venous"})
    write_series(tmp_path / "source" / "few", box_exam("b", slices=3).ct, tags=tags)
    assert bring_in("dicom") == 2
    (case,) = read_cohort(tmp_path / "cohort" / "cohort.csv").cases
    facts = (case.sex, case.age, case.slice_thickness_mm, case.phase)
    assert facts == ("F", 61.0, 5.0, "portal_venous")
    rows = {row["slices"]: row for row in table(tmp_path / "cohort" / "series.csv")}
    assert (rows["6"]["included"], rows["6"]["case_id"], rows["6"]["spacing_mm"]) == (
        "true",
        case.case_id,
        "2.5x0.8x0.8",
    )
    assert (rows["3"]["included"], rows["3"]["code"]) == ("false", "LS-DCM-014")


def test_of_several_series_the_manifest_selects_else_the_header_else_none(tmp_path: Path, bring_in: Import) -> None:
    study = {"PatientID": "P", "StudyInstanceUID": "1.2.3"}
    for number, phase in enumerate(["arterial", "portal venous"], start=1):
        tags = {**study, "SeriesNumber": number, "SeriesDescription": phase, "SeriesInstanceUID": f"1.2.3.{number}"}
        write_series(tmp_path / "source" / phase, box_exam("x", seed=number).ct, tags=tags)

    def taken(*words: str) -> list[str]:
        bring_in("dicom", *words)
        return [row["phase"] for row in table(tmp_path / "cohort" / "series.csv") if row["included"] == "true"]

    assert taken() == ["portal_venous"]
    manifest = tmp_path / "covariates.csv"
    for text in ("patient,series\nP,1\n", "patient,series\nP,1.2.3.1\n", "source,site\narterial,internal\n"):
        manifest.write_text(text)
        assert taken(f"covariates={manifest}") == ["arterial"], text
    shutil.rmtree(tmp_path / "source" / "portal venous")
    assert taken() == ["arterial"]  # the only one, whatever its phase
    tags = {**study, "SeriesNumber": 3, "SeriesDescription": "delayed", "SeriesInstanceUID": "1.2.3.3"}
    write_series(tmp_path / "source" / "delayed", box_exam("x", seed=3).ct, tags=tags)
    assert taken() == []
    rows = table(tmp_path / "cohort" / "series.csv")
    assert {row["code"] for row in rows} == {"LS-IMP-014"}
    assert all("phase arterial" in row["reason"] and "phase delayed" in row["reason"] for row in rows)


def test_slices_with_own_uids_are_imported_by_folder(
    tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, file in enumerate(write_series(tmp_path / "source" / "a", box_exam("a").ct, tags={"PatientID": "P"})):
        dataset = pydicom.dcmread(file)
        dataset.SeriesInstanceUID = f"1.2.{number}"
        dataset.save_as(file)
    assert bring_in("dicom") == 2
    assert "6 slices of one folder have a SeriesInstanceUID each, expected one for all; give series_by=folder" in (
        capsys.readouterr().err
    )
    assert bring_in("dicom", "series_by=folder") == 0
    assert [row["included"] for row in table(tmp_path / "cohort" / "series.csv")] == ["true"]


def test_segmentations_that_are_not_referenced_are_reported(
    tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    source_files.dicom(tmp_path / "source", [box_exam("a")])
    assert bring_in("dicom") == 0
    assert "LS-IMP-019: 1 DICOM segmentation " in capsys.readouterr().err
    assert read_cohort(tmp_path / "cohort" / "cohort.csv").cases[0].label is None


def as_ct(label: LabelMap) -> CTVolume:
    return CTVolume(label.labels.astype(np.int16), label.geometry)


def test_label_maps_beside_their_ct_are_paired_or_skipped_but_never_imported_as_ct(
    tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, exam in enumerate([box_exam("x"), box_exam("x", seed=1)]):
        write_ct(tmp_path / "source" / f"volume-{number}.nii", exam.ct)
        write_label_map(tmp_path / "source" / f"segmentation-{number}.nii", exam.label)
    write_ct(tmp_path / "source" / "organs-0.nii", as_ct(box_exam("x").label))  # no word that says so
    write_ct(tmp_path / "source" / "seg_2.nii", box_exam("x", seed=2).ct)  # a CT, in spite of its name
    write_label_map(tmp_path / "source" / "mask_7.nii", box_exam("x").label)  # of no CT
    assert bring_in("nifti", "ids=names") == 0
    cases = read_cohort(tmp_path / "cohort" / "cohort.csv").cases
    assert [(case.case_id, case.label) for case in cases] == [(n, None) for n in ("seg_2", "volume-0", "volume-1")]
    rows = {row["source"]: (row["included"], row["code"]) for row in table(tmp_path / "cohort" / "import.csv")}
    assert rows["organs-0"] == ("false", "LS-IMP-044")
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("note: LS-IMP-044 case 'organs-0' file 'organs-0.nii'") for line in lines) == 1
    assert sum(line.startswith("warning: LS-IMP-026") and "3 label maps" in line for line in lines) == 1
    assert bring_in("nifti", "ids=names", "label_values=liverspleen") == 0
    labels = {case.case_id: case.label for case in read_cohort(tmp_path / "cohort" / "cohort.csv").cases}
    assert labels["seg_2"] is None
    assert labels["volume-1"] is not None
    expected = box_exam("x", seed=1).label.labels
    np.testing.assert_array_equal(read_label_map(labels["volume-1"]).labels, expected)
    errors = capsys.readouterr().err
    assert "warning: LS-IMP-006 file 'mask_7.nii'" in errors
    assert bring_in("nifti", "ids=names", f"labels={tmp_path / 'source'}", "label_values=liverspleen") == 2


def test_exchanged_folders_of_ct_and_label_maps_are_reported(
    tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    source_files.nifti(tmp_path / "data", [box_exam("a")])
    words = [f"labels={tmp_path / 'data' / 'images'}", "label_values=liverspleen"]
    assert bring_in("nifti", *words, source=tmp_path / "data" / "masks") == 2
    assert "LS-IMP-044" in capsys.readouterr().err
    assert not (tmp_path / "cohort" / "cohort.csv").exists()


def test_one_label_map_of_two_dicom_series_is_rejected(
    tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        write_series(tmp_path / "source" / f"p{number}" / "ct", box_exam("x", seed=number).ct)
    write_label_map(tmp_path / "masks" / "ct.nii.gz", box_exam("x").label)
    assert bring_in("dicom", f"labels={tmp_path / 'masks'}", "label_values=liverspleen") == 2
    assert capsys.readouterr().err.count("LS-IMP-007") == 2


def test_series_without_labels_and_segmentations_without_series_are_reported(
    tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    source_files.dicom(tmp_path / "source", [box_exam("a"), box_exam("b", seed=1), box_exam("c", seed=2)])
    for file in (tmp_path / "source" / "a").rglob("0*.dcm"):
        file.unlink()
    (tmp_path / "source" / "b" / "b" / "segmentation.dcm").unlink()
    assert bring_in("dicom", f"labels={tmp_path / 'source'}") == 0
    errors = capsys.readouterr().err
    assert errors.count("warning: LS-IMP-005") == 1
    assert errors.count("warning: LS-IMP-006") == 1


def test_one_of_two_segmentations_is_selected_by_following_the_hint(
    tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    files = write_series(tmp_path / "source" / "a", box_exam("a").ct)
    for number, liver in enumerate((slice(1, 5), slice(1, 3)), start=1):
        boxes = {"liver": (liver, slice(4, 14), slice(3, 10))}
        save(segmentation(files, boxes, uid=f"2.25.{number}"), tmp_path / "seg" / f"v{number}.dcm")
    words = [f"labels={tmp_path / 'seg'}", "ids=names"]
    assert bring_in("dicom", *words) == 2
    errors = capsys.readouterr().err
    assert "LS-LAB-040 file 'a': 2 segmentations give the liver of one CT, expected one; name one in the col" in errors
    assert "LS-LAB-041 file 'v1.dcm'" in errors
    assert "LS-LAB-041 file 'v2.dcm'" in errors
    (tmp_path / "covariates.csv").write_text("source,segmentation,note\na,v2.dcm,x\n")
    assert bring_in("dicom", *words, f"covariates={tmp_path / 'covariates.csv'}") == 0
    (case,) = read_cohort(tmp_path / "cohort" / "cohort.csv").cases
    assert case.label is not None
    assert read_label_map(case.label).count(Structure.LIVER) == 2 * 10 * 7
    assert table(tmp_path / "cohort" / "cohort.csv")[0].keys() >= {"note"}
    assert "segmentation" not in table(tmp_path / "cohort" / "cohort.csv")[0]


def test_nifti_labels_of_a_dicom_series_are_found_by_its_folder(tmp_path: Path, bring_in: Import) -> None:
    exam = box_exam("a")
    write_series(tmp_path / "source" / "p" / "a", exam.ct)
    write_label_map(tmp_path / "masks" / "p" / "a.nii.gz", exam.label)
    assert bring_in("dicom", f"labels={tmp_path / 'masks'}", "label_values=liverspleen") == 0
    (case,) = read_cohort(tmp_path / "cohort" / "cohort.csv").cases
    assert case.label is not None
    np.testing.assert_array_equal(read_label_map(case.label).labels, exam.label.labels)


def test_one_label_map_is_not_that_of_several_dicom_series(
    tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    exam = box_exam("a")
    mask = tmp_path / "a.nii.gz"
    write_label_map(mask, exam.label)
    for name in ("a", "b"):
        write_series(tmp_path / "source" / name, replace(exam.ct, hu=exam.ct.hu + (name == "b")))
    words = [f"labels={mask}", "label_values=liverspleen"]
    assert bring_in("dicom", *words) == 2
    assert capsys.readouterr().err.count("LS-IMP-001") == 1
    shutil.rmtree(tmp_path / "source" / "b")
    assert bring_in("dicom", *words) == 0


def test_the_order_of_series_does_not_depend_on_their_names(tmp_path: Path, bring_in: Import) -> None:
    source_files.dicom(tmp_path / "source", [box_exam(name, seed=i) for i, name in enumerate("abcdefgh")])
    assert bring_in("dicom") == 0
    printed = [row["series"] for row in table(tmp_path / "cohort" / "series.csv")]
    assert printed == sorted(printed)


def test_contradicting_paths_are_one_line(tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]) -> None:
    source_files.nnunet(tmp_path / "source", [box_exam("a")])
    for code, source, words in (
        ("LS-CFG-016", "source", ["nnunet", f"labels={tmp_path}"]),
        ("LS-CFG-016", "source", ["nnunet", f"output={tmp_path / 'source'}"]),
        ("LS-IMP-036", "nowhere", ["nnunet"]),
    ):
        assert bring_in(*words, source=tmp_path / source) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith(code)


def test_run_json_records_the_import_without_paths(tmp_path: Path, bring_in: Import) -> None:
    words = source_files.nifti(tmp_path / "source", [box_exam("a")])
    assert bring_in("nifti", *words) == 0
    text = (tmp_path / "cohort" / "run.json").read_text()
    content = json.loads(text)
    assert content["status"] == "done"
    assert content["command"][:3] == ["liverspleen", "import", "source=nifti"]
    assert str(tmp_path) not in text
    assert os.sep not in content["config"]["input"]
    cohort = read_cohort(tmp_path / "cohort" / "cohort.csv")
    assert content["inputs"]["cohort"] == cohort.hash


def test_values_beyond_16_bit_are_reported(
    tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    nib = pytest.importorskip("nibabel")
    array = np.full((8, 8, 5), -1000, np.int32)
    array[0, 0, 0] = 40000
    (tmp_path / "source").mkdir()
    nib.save(nib.Nifti1Image(array, np.diag([1.0, 1.0, 5.0, 1.0])), tmp_path / "source" / "a.nii.gz")
    for _ in range(2):  # also if it exists
        assert bring_in("nifti") == 0
        assert "warning: LS-IMG-009" in capsys.readouterr().err


def test_the_ct_keeps_its_own_grid(tmp_path: Path, bring_in: Import) -> None:
    affine = np.array([[0, 0, 2.5, 5.0], [0.7, 0, 0, -3.0], [0, -0.7, 0, 9.0], [0, 0, 0, 1.0]])
    hu = np.random.default_rng(0).integers(-1000, 500, (4, 5, 6), dtype=np.int16)
    ct = CTVolume(hu, Geometry((5, 4, 6), affine))
    write_ct(tmp_path / "source" / "a.nii", ct)
    assert bring_in("nifti") == 0
    (case,) = read_cohort(tmp_path / "cohort" / "cohort.csv").cases
    read = read_ct(case.image)
    np.testing.assert_array_equal(read.hu, hu)
    np.testing.assert_allclose(read.geometry.affine, affine, atol=1e-5)


def test_an_import_without_a_case_writes_its_table_and_the_links(
    tmp_path: Path, bring_in: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.nii.gz").write_bytes(b"no image")
    assert bring_in("nifti", "workers=1") == 2
    said = capsys.readouterr()
    assert "LS-IMP-024" in said.err
    assert "import: the names of all hashes are in links-" in said.out
    record = json.loads((tmp_path / "cohort" / "run.json").read_text(encoding="utf-8"))
    assert record["status"] == "rejected"
    assert list(record["outputs"]) == ["import.csv"]
