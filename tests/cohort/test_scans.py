"""CT scans of a path: cohort, NIfTI, DICOM, zip archives, folders of these."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from enhanced_ct import enhanced
from source_files import Exam, box_exam

from liverspleen.cli.main import main
from liverspleen.cohort.layouts import Request, find_cases
from liverspleen.cohort.manifest import read_cohort
from liverspleen.cohort.scans import Scans, open_scans
from liverspleen.cohort.split import Split, write_split
from liverspleen.errors import InputError
from liverspleen.imaging import read_ct, write_ct
from liverspleen.imaging.dicom import write_series

SECRET = "Kzybylski"


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the key, and a separate folder for temporary files."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "config" / "liverspleen"


def series(folder: Path, exam: Exam, **tags: object) -> tuple[Path, ...]:
    return write_series(folder, exam.ct, tags={"PatientID": exam.patient, **tags})


def zipped(archive: Path, folder: Path) -> Path:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for file in sorted(folder.rglob("*")):
            opened.write(file, file.relative_to(folder.parent))
    return archive


def found(source: Path, **options: object) -> Scans:
    with open_scans(source, **options) as scans:
        return scans


def ids(source: Path, **options: object) -> list[str]:
    return [scan.case.case_id for scan in found(source, **options).cases]


def codes(scans: Scans) -> list[str]:
    return [issue.code for issue in scans.issues]


def test_a_cohort_gives_the_cases_of_its_datasets(box_cohort: Callable[..., Path]) -> None:
    table = box_cohort((5, 6, 4), dataset=("development", "test1", "test1"), condition=("healthy", "fatty", "cld"))
    for source in (table, table.parent):
        scans = found(source, datasets=["test1"])
        assert [scan.case.case_id for scan in scans.cases] == ["c1", "c2"]
        assert [scan.case.condition for scan in scans.cases] == ["fatty", "cld"]
        assert scans.identity is None
    np.testing.assert_array_equal(scans.cases[0].read().hu, read_ct(table.parent / "c1.nii.gz").hu)


def test_a_split_selects_the_validation_patients(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    table = box_cohort((5, 6, 4))
    write_split(tmp_path / "split.csv", Split(("p0", "p1"), ("p2",), 1, 0.8, read_cohort(table).hash))
    assert ids(table, split=tmp_path / "split.csv") == ["c2"]


def test_options_of_a_cohort_are_rejected_without_a_cohort(tmp_path: Path) -> None:
    write_ct(tmp_path / "a.nii.gz", box_exam("x").ct)
    for option, value in (("split", tmp_path / "split.csv"), ("root", tmp_path), ("datasets", ["test1"])):
        with pytest.raises(InputError, match=rf"LS-CFG-016: {option}="):
            found(tmp_path / "a.nii.gz", **{option: value})


def test_a_cohort_without_selected_cases_is_rejected(box_cohort: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="LS-PRD-001"):
        found(box_cohort((5, 6)), datasets=["test9"])


def test_a_nifti_file_is_one_case_with_the_hash_of_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "patient 7.nii.gz"
    write_ct(file, box_exam("x").ct)
    (scan,) = found(file).cases
    assert (scan.case.case_id, scan.files, scan.series) == ("patient 7", (file,), None)
    assert scan.fingerprint() == hashlib.sha256(file.read_bytes()).hexdigest()
    np.testing.assert_array_equal(scan.read().hu, box_exam("x").ct.hu)


def test_label_maps_next_to_their_ct_are_skipped_with_a_note(tmp_path: Path) -> None:
    for name in ("a", "a_label", "a_dseg", "b_label"):
        write_ct(tmp_path / "in" / f"{name}.nii.gz", box_exam("x").ct)
    (tmp_path / "in" / "._a.nii.gz").write_bytes(b"Mac")
    scans = found(tmp_path / "in")
    assert [scan.case.case_id for scan in scans.cases] == ["a", "b_label"]
    assert codes(scans) == ["LS-PRD-005"]


def written(folder: Path, *names: str) -> Path:
    for name in names:
        write_ct(folder / name, box_exam("x").ct)
    return folder


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["case_1_0000.nii.gz", "case_2_0000.nii.gz"], ["case_1", "case_2"]),
        (["p1/ct.nii.gz", "p2/imaging.nii", "p3/p3.nii", "p3/late.nii"], ["p1", "p2", "p3_late", "p3_p3"]),
        (["images/a.nii", "labels/a.nii", "images/b.NII"], ["a", "b"]),
        (["a.nii", "B.NII", "sub/c.nii", "a_seg.nii", "a-mask.nii"], ["B", "a"]),
        (["volume-0.nii", "segmentation-0.nii"], ["volume-0"]),
    ],
)
def test_nifti_has_the_names_of_an_import(names: list[str], expected: list[str], tmp_path: Path) -> None:
    folder = written(tmp_path / "in", *names)
    assert sorted(ids(folder)) == expected
    imported = find_cases("nifti", Request(folder))
    assert sorted(case.name.replace("/", "_") for case in imported.cases) == expected


def test_channels_of_one_case_are_rejected_unless_their_grids_differ(tmp_path: Path) -> None:
    folder = written(tmp_path / "in", "s_0000.nii", "s_0001.nii", "t_0000.nii")
    scans = found(folder)
    assert [scan.case.case_id for scan in scans.cases] == ["t"]
    assert codes(scans) == ["LS-IMP-008"]
    write_ct(folder / "s_0001.nii", box_exam("x", slices=7).ct)
    assert sorted(ids(folder)) == ["s_0000", "s_0001", "t"]


def test_files_that_are_not_read_are_one_warning_for_each_kind(tmp_path: Path) -> None:
    folder = written(tmp_path / "in", "a.nii", "sub/b.nii", "sub/deep/c.nii")
    series(folder / "p0", box_exam("x"))
    for name in ("c.mgz", "d.mat", "e.tar.gz", "f.xyz", "notes.txt", "p0/README"):
        (folder / name).write_bytes(b"text")
    scans = found(folder)
    assert len(scans.cases) == 2
    assert [issue.message for issue in scans.issues if issue.code == "LS-COH-040"] == [
        "2 NIfTI files are not read",
        "1 archive (.tar.gz) is not read",
        "2 files of other image formats (.mat, .mgz) are not read",
        "1 file of unknown type is not read",
    ]


def test_files_of_other_kinds_in_an_archive_are_counted_without_their_names(tmp_path: Path) -> None:
    folder = written(tmp_path / "in", "p1/ct.nii")
    for name in ("p1/Smith.mgz", "p1/Smith.Jones", "p1/notes.txt"):
        (folder / name).write_bytes(b"text")
    scans = found(zipped(tmp_path / "x.zip", folder))
    assert [scan.case.case_id for scan in scans.cases] == ["p1"]
    assert [issue.message for issue in scans.issues] == [
        "1 file of another image format (.mgz) is not read",
        "1 file of unknown type is not read",
    ]
    assert {(issue.file, issue.further_files) for issue in scans.issues} == {(tmp_path / "x.zip", ())}


def test_names_that_differ_only_in_case_or_suffix_are_reported_one_by_one(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "a.nii", "B.nii", "b.nii.gz", "c.nii"):
        write_ct(tmp_path / "in" / name, box_exam("x").ct)
    scans = found(tmp_path / "in")
    assert [scan.case.case_id for scan in scans.cases] == ["c"]
    assert codes(scans) == ["LS-PRD-002"] * 4


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "pipe", "dicom"])
def test_a_source_without_ct_is_rejected_in_one_line(kind: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    if kind == "empty":
        source.mkdir()
    elif kind == "text":
        source.write_text("no scan")
    elif kind == "pipe":
        os.mkfifo(source)
    elif kind == "dicom":
        source = series(source, box_exam("x"))[0]
    message = "input= does not exist" if kind == "missing" else "input= has no CT"
    with pytest.raises(InputError, match=f"^LS-PRD-001: {message}") as error:
        found(source)
    assert len(error.value.issues) == 1
    assert str(tmp_path) not in str(error.value)


def test_dicom_has_the_ids_of_an_import(tmp_path: Path) -> None:
    for number in range(2):
        series(tmp_path / "in" / f"p{number}" / "ct", box_exam("x", f"P{number}", seed=number), PatientAge="061Y")
    assert main(["import", "source=dicom", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}", "workers=1"]) == 0
    imported = {case.case_id: case for case in read_cohort(tmp_path / "out" / "cohort.csv").cases}
    scans = found(tmp_path / "in")
    assert {scan.case.case_id: scan.case.patient_id for scan in scans.cases} == {
        case_id: case.patient_id for case_id, case in imported.items()
    }
    for scan in scans.cases:
        np.testing.assert_array_equal(scan.read().hu, read_ct(imported[scan.case.case_id].image).hu)
        assert scan.case.age == 61
    assert scans.identity is not None


def test_an_enhanced_ct_is_that_of_an_import(tmp_path: Path) -> None:
    exam = box_exam("x", "P0")
    (tmp_path / "in" / "ct").mkdir(parents=True)
    enhanced(series(tmp_path / "slices", exam), tmp_path / "in" / "ct" / "file", range(5, -1, -1))
    assert main(["import", "source=dicom", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}", "workers=1"]) == 0
    (case,) = read_cohort(tmp_path / "out" / "cohort.csv").cases
    for source in (tmp_path / "in", zipped(tmp_path / "x.zip", tmp_path / "in" / "ct")):
        with open_scans(source) as scans:
            (scan,) = scans.cases
            assert scan.case.case_id == case.case_id
            np.testing.assert_array_equal(scan.read().hu, exam.ct.hu)
    np.testing.assert_array_equal(read_ct(case.image).hu, exam.ct.hu)


def test_series_without_uids_have_the_ids_of_an_import_too_from_a_zip(tmp_path: Path) -> None:
    empty = {"SeriesInstanceUID": "", "StudyInstanceUID": ""}
    series(tmp_path / "in" / "p0" / "a", box_exam("x", "P0"), **empty)
    series(tmp_path / "in" / "p0" / "b", box_exam("y", "P0", seed=1), **empty)
    assert main(["import", "source=dicom", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}", "workers=1"]) == 0
    imported = [case.case_id for case in read_cohort(tmp_path / "out" / "cohort.csv").cases]
    assert sorted(ids(tmp_path / "in")) == imported
    zipped(tmp_path / "zips" / "p0.zip", tmp_path / "in" / "p0" / "a")
    zipped(tmp_path / "zips" / "p1.zip", tmp_path / "in" / "p0" / "a")
    assert len({*ids(tmp_path / "zips")}) == 2  # it is unknown that they are the same patient


def test_a_zip_gives_what_its_folder_gives(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    series(folder / "ct", box_exam("x", "P0"))
    with open_scans(folder) as plain, open_scans(zipped(tmp_path / "x.zip", folder)) as packed:
        (one,), (other,) = plain.cases, packed.cases
        assert one.case.case_id == other.case.case_id
        assert one.fingerprint() == other.fingerprint()
        np.testing.assert_array_equal(one.read().hu, other.read().hu)
    write_ct(tmp_path / "nifti" / "deep" / "a.nii.gz", box_exam("a").ct)
    assert ids(tmp_path / "nifti") == ["deep"]
    with open_scans(zipped(tmp_path / "nifti.ZIP", tmp_path / "nifti")) as scans:
        assert [scan.case.case_id for scan in scans.cases] == ["deep"]
        assert scans.identity is None
        np.testing.assert_array_equal(scans.cases[0].read().hu, box_exam("a").ct.hu)


def test_a_folder_of_all_kinds_gives_all_scans(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write_ct(folder / "nifti.nii.gz", box_exam("x").ct)
    write_ct(folder / "deep" / "passed over.nii.gz", box_exam("x").ct)
    series(folder / "one" / "ct", box_exam("x", "P0"))
    series(tmp_path / "two", box_exam("x", "P1", seed=1))
    write_ct(tmp_path / "three" / "zipped.nii.gz", box_exam("x", seed=3).ct)
    zipped(folder / "two.zip", tmp_path / "two")
    zipped(folder / "three.zip", tmp_path / "three")
    with open_scans(folder) as scans:
        assert len({scan.case.case_id for scan in scans.cases} - {"nifti", "zipped"}) == 2
        assert len(scans.cases) == 4
        assert all(scan.read().hu.shape == (6, 32, 32) for scan in scans.cases)
    shutil.copy(folder / "two.zip", folder / "again.zip")
    with open_scans(folder) as scans:
        assert len(scans.cases) == 3
        assert codes(scans).count("LS-PRD-002") == 2


def test_the_portal_venous_series_of_a_study_is_selected_and_the_others_reported(tmp_path: Path) -> None:
    study = {"StudyInstanceUID": "1.2.3"}
    series(tmp_path / "in" / "a", box_exam("x", "P0"), **study, SeriesDescription="arterial")
    series(tmp_path / "in" / "b", box_exam("x", "P0", seed=1), **study, SeriesDescription="portal venous")
    series(tmp_path / "in" / "c", box_exam("x", "P0", seed=2), **study, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    scans = found(tmp_path / "in")
    assert [scan.case.phase for scan in scans.cases] == ["portal_venous"]
    notes = [str(issue) for issue in scans.issues if issue.code == "LS-SCN-009"]
    assert len(notes) == 2
    assert "LS-DCM-003, localizer" in notes[0]
    assert "portal venous by its header" in notes[1]


def test_derived_slices_are_used_alone_with_a_warning_and_else_reported(tmp_path: Path) -> None:
    study = {"StudyInstanceUID": "1.2.3"}
    series(tmp_path / "in" / "a", box_exam("x", "P0"), **study, ImageType=["DERIVED", "SECONDARY", "REFORMATTED"])
    series(tmp_path / "in" / "b", box_exam("x", "P0", seed=1), **study)
    notes = [str(issue) for issue in found(tmp_path / "in").issues]
    assert any("LS-SCN-009" in note and "LS-DCM-004, images are derived" in note for note in notes)
    alone = found(tmp_path / "in" / "a")
    assert [issue.code for issue in alone.issues if issue.severity == "warning"] == ["LS-DCM-060"]
    assert alone.cases[0].read().hu.shape == (6, 32, 32)


def test_slices_with_own_uids_are_one_issue_whose_hint_helps(tmp_path: Path) -> None:
    exam = box_exam("x", "P0")
    for number, file in enumerate(series(tmp_path / "in" / "ct", exam)):
        dataset = pydicom.dcmread(file)
        dataset.SeriesInstanceUID, dataset.StudyInstanceUID = f"1.2.{number}.1", f"1.2.{number}"
        dataset.save_as(file)
    (issue,) = [issue for issue in found(tmp_path / "in").issues if issue.severity == "error"]
    assert (issue.code, issue.hint) == ("LS-DCM-061", "give series_by=folder")
    for source in (tmp_path / "in", zipped(tmp_path / "x.zip", tmp_path / "in")):
        with open_scans(source, series_by="folder") as scans:
            assert [issue.code for issue in scans.issues if issue.severity != "note"] == []
            np.testing.assert_array_equal(scans.cases[0].read().hu, exam.ct.hu)


def test_two_equivalent_series_are_both_skipped(tmp_path: Path) -> None:
    series(tmp_path / "in" / "a", box_exam("x", "P0"), StudyInstanceUID="1.2.3")
    series(tmp_path / "in" / "b", box_exam("x", "P0", seed=1), StudyInstanceUID="1.2.3")
    scans = found(tmp_path / "in")
    assert scans.cases == ()
    assert codes(scans) == ["LS-IDN-004", "LS-IMP-014", "LS-IMP-014"]
    assert all("give the folder of one of them" in str(issue) for issue in scans.issues[1:])
    assert len(ids(tmp_path / "in" / "b")) == 1


def test_two_slices_are_enough_and_one_is_not(tmp_path: Path) -> None:
    series(tmp_path / "two", box_exam("x", slices=2))
    assert len(ids(tmp_path / "two")) == 1
    series(tmp_path / "one", box_exam("x", slices=1))
    assert codes(found(tmp_path / "one")) == ["LS-DCM-014"]


@pytest.mark.parametrize("name", ["case 1", "scan.v2"])
def test_dicom_directly_in_the_input_has_the_name_of_the_input_as_in_an_import(name: str, tmp_path: Path) -> None:
    series(tmp_path / name, box_exam("x", "P0"))
    options = ["source=dicom", "ids=names", "workers=1", f"input={tmp_path / name}", f"output={tmp_path / 'out'}"]
    assert main(["import", *options]) == 0
    (case,) = read_cohort(tmp_path / "out" / "cohort.csv").cases
    assert [case.case_id] == ids(tmp_path / name, ids="names") == [name]
    assert ids(zipped(tmp_path / "scan.v2.zip", tmp_path / name), ids="names") == [name]


def test_links_to_dicom_out_of_the_folder_are_named_as_links(tmp_path: Path) -> None:
    files = series(tmp_path / "real", box_exam("x", "P0"))
    (tmp_path / "in").mkdir()
    for file in files:
        (tmp_path / "in" / file.name).symlink_to(file)
    with pytest.raises(InputError) as error:
        found(tmp_path / "in")
    assert "6 links to DICOM files are not read; give the folder of the DICOM files as the input" in str(error.value)
    with pytest.raises(InputError, match=r"LS-IMP-033.*6 links are not followed") as error:
        find_cases("dicom", Request(tmp_path / "in"))
    assert [issue.code for issue in error.value.issues] == ["LS-IMP-033", "LS-IMP-002"]


def test_names_of_public_data_may_be_kept(tmp_path: Path) -> None:
    series(tmp_path / "in" / "case 1" / "ct", box_exam("x", "P0"))
    assert ids(tmp_path / "in", ids="names") == ["case 1_ct"]
    assert ids(zipped(tmp_path / "x.zip", tmp_path / "in" / "case 1" / "ct"), ids="names") == ["ct"]
    assert ids(tmp_path / "in" / "case 1" / "ct", ids="names") == ["ct"]


@pytest.mark.parametrize("bad", ["series", "archive", "nifti"])
@pytest.mark.parametrize("packed", [False, True])
def test_names_reach_neither_issues_nor_cases(bad: str, packed: bool, tmp_path: Path, config: Path) -> None:
    source = tmp_path / f"in {SECRET}"
    files = series(source / SECRET / "ct", box_exam("x", SECRET), SeriesDescription=SECRET)
    if bad == "series":
        broken = series(source / f"{SECRET}2", box_exam("y", SECRET, seed=1), StudyInstanceUID="1.5")
        broken[2].unlink()
    elif bad == "archive":
        (source / f"{SECRET}.zip").write_bytes(b"PK")
    else:
        (source / f"{SECRET}.nii.gz").write_bytes(b"none")
    if packed:
        source = zipped(tmp_path / f"{SECRET}.zip", source)
    with open_scans(source) as scans:
        texts = [*map(str, scans.issues), *(repr(scan) for scan in scans.cases if scan.series)]
        for scan in scans.cases:
            if scan.series:
                assert scan.read().hu.shape == (6, 32, 32)
            else:  # the file name is the case_id; the folder is not printed
                with pytest.raises(InputError, match="LS-IMG-003") as error:
                    scan.read()
                texts += [str(replace(issue, case_id=None)) for issue in error.value.issues]
        assert any(scan.series for scan in scans.cases)
    assert SECRET not in "\n".join(texts)
    assert str(tmp_path) not in "\n".join(texts)
    links = "".join(file.read_text() for file in config.glob("links-*.csv"))
    assert SECRET in links
    assert scans.links in {file.name for file in config.iterdir()}
    assert len(files) == 6


def test_archives_leave_nothing_behind(tmp_path: Path) -> None:
    series(tmp_path / "in", box_exam("x", "P0"))
    archive = zipped(tmp_path / "x.zip", tmp_path / "in")
    with pytest.raises(KeyboardInterrupt), open_scans(archive) as scans:  # noqa: PT012
        assert scans.cases[0].files[0].is_file()
        assert scans.cases[0].files[0].is_relative_to(tmp_path / "temporary")
        raise KeyboardInterrupt
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_archives_leave_nothing_behind_when_the_process_is_ended(number: signal.Signals, tmp_path: Path) -> None:
    series(tmp_path / "in", box_exam("x", "P0"))
    archive = zipped(tmp_path / "x.zip", tmp_path / "in")
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom liverspleen.cohort.scans import open_scans\n"
        "with open_scans(Path(sys.argv[1])) as scans:\n    print(len(scans.cases), flush=True)\n    time.sleep(60)"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    command = [sys.executable, "-c", code, str(archive)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        assert len(list((tmp_path / "temporary").iterdir())) == 1
        process.send_signal(number)
        assert process.wait(120) != 0
    assert list((tmp_path / "temporary").iterdir()) == []


def test_archives_within_an_archive_are_reported(tmp_path: Path) -> None:
    write_ct(tmp_path / "in" / "a.nii.gz", box_exam("x").ct)
    zipped(tmp_path / "in" / "inner.zip", tmp_path / "in")
    scans = found(zipped(tmp_path / "x.zip", tmp_path / "in"))
    assert [scan.case.case_id for scan in scans.cases] == ["a"]
    assert codes(scans) == ["LS-SCN-008"]


def test_fingerprint_of_a_series_is_that_of_its_bytes(tmp_path: Path) -> None:
    files = series(tmp_path / "in", box_exam("x", "P0"))
    (scan,) = found(tmp_path / "in").cases
    lines = sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    assert scan.fingerprint() == hashlib.sha256("\n".join(lines).encode()).hexdigest()
    files[0].unlink()
    with pytest.raises(InputError, match="LS-IMG-001") as error:
        scan.fingerprint()
    assert str(tmp_path) not in str(error.value)


def test_cases_can_be_sent_to_other_processes(tmp_path: Path) -> None:
    series(tmp_path / "in" / "ct", box_exam("x", "P0"))
    write_ct(tmp_path / "in" / "a.nii.gz", box_exam("a").ct)
    for scan in found(tmp_path / "in").cases:
        again = pickle.loads(pickle.dumps(scan))
        assert again.case == scan.case
        np.testing.assert_array_equal(again.read().hu, scan.read().hu)


def test_pair_given_by_its_voxels_is_one_case(tmp_path: Path) -> None:
    exam = box_exam("b")
    write_ct(tmp_path / "a.nii", exam.ct)
    nib.save(nib.Nifti1Pair.from_image(nib.load(tmp_path / "a.nii")), tmp_path / "b.img")
    (scan,) = found(tmp_path / "b.img").cases
    assert scan.case.case_id == "b"
    assert np.array_equal(scan.read().hu, exam.ct.hu)
