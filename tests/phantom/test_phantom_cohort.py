"""The cohort on disk: files, reproducibility and invalid parameters."""

import csv
import gzip
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from liverspleen.cohort import read_cohort
from liverspleen.errors import InputError
from liverspleen.imaging import read_ct, read_label_map, same_grid
from liverspleen.imaging.dicom import find_segmentations, find_series, read_segmentation, read_series
from liverspleen.phantom import examination
from liverspleen.phantom.cohort import write_phantom_cohort

SMALL = {"development": 1, "test1": 1, "pairs": 1, "seed": 3, "matrix": 32, "thickness_mm": (8.0, 8.0)}


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module", autouse=True)
def each_phantom_is_rendered_once():
    """Cache renderings, because NIfTI and DICOM hold the same phantoms; worker processes render again."""

    def once(work, scans):
        def found(*given):
            key = pickle.dumps(given)
            if key not in scans:
                scans[key] = work(*given)
            return scans[key]

        return found

    with pytest.MonkeyPatch.context() as patch:
        for name in ("render", "true_volumes_cm3"):
            patch.setattr(examination, name, once(getattr(examination, name), {}))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    output = tmp_path_factory.mktemp("phantoms")
    write_phantom_cohort(output, **SMALL, workers=1)
    return output


def test_cohort_reads_without_issues_and_has_the_given_cases(folder):
    cohort = read_cohort(folder / "cohort.csv")
    assert cohort.issues == ()
    assert [case.dataset for case in cohort.cases] == ["development", "test1", "test2", "test2"]
    for case in cohort.cases:
        ct, labels = read_ct(case.image), read_label_map(case.label)
        assert same_grid(ct.geometry, labels.geometry)
        assert ct.geometry.axis_codes == ("L", "P", "S")
        assert ct.geometry.spacing_mm[0] == case.slice_thickness_mm == 8.0


def test_phantoms_are_marked_as_phantoms(folder, dicom_folder):
    assert {case.covariates["origin"] for case in read_cohort(folder / "cohort.csv").cases} == {"phantom"}
    with (dicom_folder / "covariates.csv").open() as handle:
        assert {row["origin"] for row in csv.DictReader(handle)} == {"phantom"}


def test_default_style_stays_as_it_was(folder):
    """Values of the version before `style=randomised`, whose files had equal bytes on one machine.

    Not the bytes: float32 sines and FFT differ in the last digit between processors.
    """
    before = {  # mean and SD of HU, voxels of liver and spleen
        "dev001": (-547.425, 477.111, 1005, 102),
        "test1-001": (-456.558, 470.415, 1334, 189),
        "test2-001-external": (-507.914, 466.628, 1092, 113),
        "test2-001-internal": (-538.914, 470.446, 1006, 111),
    }
    found = {}
    for case in read_cohort(folder / "cohort.csv").cases:
        hu, labels = read_ct(case.image).hu, read_label_map(case.label).labels
        found[case.case_id] = (hu.mean(), hu.std(), (labels == 1).sum(), (labels == 2).sum())
    assert found.keys() == before.keys()
    for case_id, values in before.items():
        assert found[case_id] == pytest.approx(values, rel=1e-3)


def test_pair_shows_one_patient_on_two_scanners(folder):
    external, internal = [case for case in read_cohort(folder / "cohort.csv").cases if case.dataset == "test2"]
    assert external.patient_id == internal.patient_id
    assert (external.site, internal.site) == ("external", "internal")
    truth = {}
    with (folder / "truth.csv").open() as handle:
        for row in csv.DictReader(handle):
            truth.setdefault(row["case_id"], {})[row["structure"]] = float(row["volume_cm3"])
    assert truth[external.case_id] == truth[internal.case_id]
    assert external.image.read_bytes() != internal.image.read_bytes()
    # a loose bound, because voxels are about 12 x 12 x 8 mm
    for case in (external, internal):
        labels = read_label_map(case.label)
        voxels = int((labels.labels == 1).sum())
        assert voxels * labels.geometry.voxel_volume_mm3 / 1000 == pytest.approx(truth[case.case_id]["liver"], rel=0.1)


def test_same_seed_gives_the_same_bytes_with_any_number_of_workers(folder, tmp_path):
    write_phantom_cohort(tmp_path, **SMALL, workers=2)
    assert files(tmp_path) == files(folder)


def test_another_seed_gives_other_patients(folder, tmp_path):
    write_phantom_cohort(tmp_path, **{**SMALL, "seed": 4, "test1": 0, "pairs": 0}, workers=1)
    assert (tmp_path / "images/dev001.nii.gz").read_bytes() != (folder / "images/dev001.nii.gz").read_bytes()


def test_more_cases_do_not_change_the_first_ones(folder, tmp_path):
    write_phantom_cohort(tmp_path, **{**SMALL, "development": 2, "test1": 0, "pairs": 0}, workers=1)
    assert (tmp_path / "images/dev001.nii.gz").read_bytes() == (folder / "images/dev001.nii.gz").read_bytes()


def test_finished_cases_are_kept_and_missing_ones_are_written_again(tmp_path):
    one = {**SMALL, "test1": 0, "pairs": 0}
    write_phantom_cohort(tmp_path, **one, workers=1)
    before = files(tmp_path)
    kept = (tmp_path / "images/dev001.nii.gz").stat().st_mtime_ns
    done = []
    write_phantom_cohort(tmp_path, **one, workers=1, on_case=done.append)
    assert (tmp_path / "images/dev001.nii.gz").stat().st_mtime_ns == kept
    assert done == ["dev001"]
    (tmp_path / "labels/dev001.nii.gz").unlink()
    (tmp_path / "truth.csv").unlink()
    write_phantom_cohort(tmp_path, **one, workers=1)
    assert files(tmp_path) == before


def test_other_parameters_replace_the_earlier_cohort(tmp_path):
    one = {**SMALL, "test1": 0, "pairs": 0}
    write_phantom_cohort(tmp_path, **{**one, "development": 2}, workers=1)
    before = files(tmp_path)["images/dev001.nii.gz"]
    write_phantom_cohort(tmp_path, **{**one, "matrix": 40}, workers=1)
    after = files(tmp_path)
    assert after["images/dev001.nii.gz"] != before
    assert "images/dev002.nii.gz" not in after


def test_gzip_header_has_neither_name_nor_time(folder):
    for path in folder.glob("*/*.nii.gz"):
        head = path.read_bytes()[:10]
        assert head[3] == 0  # no flags: no file name, no comment
        assert head[4:8] == bytes(4)  # no time
        gzip.decompress(path.read_bytes())


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"development": -1}, "development is -1"),
        ({"seed": -5}, "seed is -5"),
        ({"matrix": 8}, "matrix is 8"),
        ({"thickness_mm": (0.5, 5.0)}, "from 0.5 to 5.0 mm"),
        ({"thickness_mm": (6.0, 5.0)}, "from 6.0 to 5.0 mm"),
        ({"development": 0, "test1": 0, "pairs": 0}, "number of cases is 0"),
    ],
)
def test_invalid_parameters_are_rejected_before_files_are_written(wrong, named, tmp_path):
    with pytest.raises(InputError, match="LS-PHA-001") as rejected:
        write_phantom_cohort(tmp_path / "new", **{**SMALL, **wrong}, workers=1)
    assert named in str(rejected.value)
    assert not (tmp_path / "new").exists()


@pytest.fixture(scope="module")
def dicom_folder(tmp_path_factory):
    output = tmp_path_factory.mktemp("dicom")
    assert write_phantom_cohort(output, **SMALL, file_format="dicom", workers=1) == output / "covariates.csv"
    return output


def test_dicom_cohort_holds_the_same_voxels_and_volumes(folder, dicom_folder):
    found = find_segmentations(dicom_folder / "dicom")
    segmentations = {uid: each for each in found for uid in each.referenced_series}
    series = [each for each in find_series(dicom_folder / "dicom") if not each.exclusions]
    assert len(series) == 4
    for each in series:
        patient_id, case_id = each.folder.split("/")
        assert each.patient_id == patient_id
        assert (each.phase, each.warnings) == ("portal_venous", ())
        ct = read_series(each, case_id=case_id)
        labels = read_segmentation(segmentations[each.series_uid], ct.geometry, case_id=case_id)
        nifti = read_ct(folder / f"images/{case_id}.nii.gz")
        np.testing.assert_array_equal(ct.hu, nifti.hu)
        np.testing.assert_array_equal(labels.labels, read_label_map(folder / f"labels/{case_id}.nii.gz").labels)
        assert same_grid(ct.geometry, nifti.geometry)
        assert ct.geometry.voxel_volume_mm3 == pytest.approx(nifti.geometry.voxel_volume_mm3, rel=1e-6)


def test_examinations_of_a_pair_share_only_the_patient(dicom_folder):
    external, internal = [s for s in find_series(dicom_folder / "dicom/test2-001") if not s.exclusions]
    assert external.patient_id == internal.patient_id == "test2-001"
    assert external.study_uid != internal.study_uid
    assert external.series_uid != internal.series_uid


def test_covariates_of_folders_equal_those_of_the_cases(folder, dicom_folder):
    with (folder / "cohort.csv").open() as handle:
        cohort = {row["case_id"]: row for row in csv.DictReader(handle)}
    with (dicom_folder / "covariates.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == len(cohort)
    for row in rows:
        source = row.pop("source")
        assert (dicom_folder / "dicom" / source / "segmentation.dcm").is_file()
        assert row.items() <= cohort[source.split("/")[1]].items()
    assert (folder / "truth.csv").read_bytes() == (dicom_folder / "truth.csv").read_bytes()


@pytest.fixture
def quick_scan(monkeypatch):
    """Replace the rendering by a small scan, for tests of files."""
    labels = np.zeros((6, 8, 9), np.uint8)
    labels[2:4, 3:5, 3:5] = 1
    scan = SimpleNamespace(hu=labels.astype(np.int16) * 100, labels=labels, affine=np.diag([-2.0, -2.0, 5.0, 1.0]))
    monkeypatch.setattr("liverspleen.phantom.examination.render", lambda *_: scan)


@pytest.mark.usefixtures("quick_scan")
def test_dicom_cohort_is_kept_and_incomplete_cases_are_written_again(tmp_path):
    one = {**SMALL, "test1": 0, "pairs": 0, "file_format": "dicom"}
    write_phantom_cohort(tmp_path, **one, workers=1)
    before = files(tmp_path)
    case = tmp_path / "dicom/dev001/dev001"
    kept = (case / "0001.dcm").stat().st_mtime_ns
    write_phantom_cohort(tmp_path, **one, workers=1)
    assert (case / "0001.dcm").stat().st_mtime_ns == kept
    for name in (case / "segmentation.dcm", case / "0005.dcm", tmp_path / "covariates.csv"):  # killed between slices
        name.unlink()
    write_phantom_cohort(tmp_path, **one, workers=1)
    assert files(tmp_path) == before


@pytest.mark.usefixtures("quick_scan")
def test_other_format_or_parameters_replace_the_earlier_cohort_and_keep_other_files(tmp_path):
    one = {**SMALL, "test1": 0, "pairs": 0}
    write_phantom_cohort(tmp_path, **one, file_format="dicom", workers=1)
    (tmp_path / "dicom/dev001/notes.txt").write_text("mine")
    write_phantom_cohort(tmp_path, **one, workers=1)
    assert not (tmp_path / "covariates.csv").exists()
    assert files(tmp_path / "dicom") == {"dev001/notes.txt": b"mine"}
    write_phantom_cohort(tmp_path, **{**one, "matrix": 40}, file_format="dicom", workers=1)
    assert not (tmp_path / "cohort.csv").exists()
    assert files(tmp_path / "images") == files(tmp_path / "labels") == {}


def test_unknown_format_is_rejected(tmp_path):
    with pytest.raises(InputError, match="LS-PHA-001: format is 'nrrd', expected nifti or dicom"):
        write_phantom_cohort(tmp_path, **SMALL, file_format="nrrd", workers=1)
