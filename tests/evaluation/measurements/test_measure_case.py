import shutil
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from liverspleen.cohort import read_cohort, write_cohort
from liverspleen.errors import InputError
from liverspleen.evaluation.measurements.label_folder import measure_folder
from liverspleen.evaluation.measurements.measure_case import SurfaceMetrics, measure_case
from liverspleen.evaluation.measurements.table import write_volumes
from liverspleen.imaging import Geometry, LabelMap, read_label_map
from liverspleen.organs import LABEL_VALUES, Structure

SHAPE = (10, 8, 6)  # native
AFFINE = np.diag([-1.0, 1.0, 5.0, 1.0])


def labels_of(liver=4, spleen=2):
    """A liver of `liver` x 10 voxels of 5 mm³ and a spleen of `spleen` x 2, inside the grid."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[1 : 1 + liver, 1:6, 1:3] = Structure.LIVER
    labels[6 : 6 + spleen, 1:2, 3:5] = Structure.SPLEEN
    return labels


def label_map(labels):
    geometry = Geometry(SHAPE, AFFINE)
    return LabelMap(np.ascontiguousarray(geometry.to_canonical(labels)), geometry)


def save(path, array, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)


@pytest.fixture
def study(tmp_path):
    """Three cases with manual labels in a cohort, and predictions of them in a folder."""
    rows = []
    for number in (1, 2, 3):
        case_id = f"C{number}"
        save(tmp_path / f"{case_id}.nii.gz", np.where(labels_of() > 0, 60, -1000).astype(np.int16))
        save(tmp_path / "manual" / f"{case_id}.nii.gz", labels_of())
        save(tmp_path / "dla" / f"{case_id}.nii.gz", labels_of(liver=3, spleen=2))
        rows.append(
            {
                "case_id": case_id,
                "patient_id": f"P{number}",
                "image": f"{case_id}.nii.gz",
                "label": f"manual/{case_id}.nii.gz",
                "dataset": "test1" if number < 3 else "test2",
                "condition": "fatty",
                "site": "internal",
            }
        )
    write_cohort(tmp_path / "cohort.csv", rows)
    return tmp_path


def problems(measured):
    """Return the issues except those of small volumes: the organs of this file have few voxels."""
    return [issue for issue in measured.issues if issue.code != "LS-LAB-011"]


def cells(rows):
    return [(r.case_id, r.structure, r.reader, r.volume_cm3, r.reference, r.dss) for r in rows]


def rows_of(case_id):
    # liver 30 against 40 voxels, all shared: 60 / 70; spleen 4 of 4
    return [
        (case_id, "liver", "dla", 0.15, "manual", 60 / 70),
        (case_id, "spleen", "dla", 0.02, "manual", 1.0),
        (case_id, "liver", "manual", 0.2, "", None),
        (case_id, "spleen", "manual", 0.02, "", None),
    ]


def test_cohort_cases_are_measured_against_their_labels(study):
    reported = []
    measured = measure_folder(study / "dla", cohort=read_cohort(study / "cohort.csv"), on_case=reported.append)
    assert problems(measured) == []
    assert cells(measured.rows) == [*rows_of("C1"), *rows_of("C2"), *rows_of("C3")]
    first = measured.rows[0]
    assert (first.patient_id, first.dataset, first.condition, first.site) == ("P1", "test1", "fatty", "internal")
    assert first.volume_status == "implausible"  # 0.15 cm³
    assert reported == ["C1", "C2", "C3"]


def test_datasets_select_the_expected_cases_without_a_warning_about_others(study):
    measured = measure_folder(study / "dla", cohort=read_cohort(study / "cohort.csv"), datasets=["test2"])
    assert cells(measured.rows) == rows_of("C3")
    assert problems(measured) == []


def test_two_folders_are_measured_without_cohort(study):
    measured = measure_folder(study / "dla", reference=study / "manual", reference_reader="nnunet")
    assert problems(measured) == []
    assert len(measured.rows) == 12
    assert {row.reference for row in measured.rows if row.reader == "dla"} == {"nnunet"}
    assert all(row.patient_id == row.case_id for row in measured.rows)


def test_a_folder_alone_gives_volumes(study):
    measured = measure_folder(study / "dla", reader="manual")
    assert len(measured.rows) == 6
    assert {(row.reader, row.reference, row.dss) for row in measured.rows} == {("manual", "", None)}


def test_references_in_a_folder_replace_those_of_the_cohort(study):
    shutil.copytree(study / "dla", study / "other")
    (study / "manual" / "C1.nii.gz").write_bytes(b"")  # not needed
    cohort = read_cohort(study / "cohort.csv")
    measured = measure_folder(study / "dla", reference=study / "other", cohort=cohort)
    assert problems(measured) == []
    assert {row.dss for row in measured.rows if row.reader == "dla"} == {1.0}


def issues_of(study, **options):
    measured = measure_folder(study / "dla", cohort=read_cohort(study / "cohort.csv"), **options)
    assert cells(measured.rows) == [*rows_of("C2"), *rows_of("C3")]
    return [(issue.code, issue.case_id, issue.severity) for issue in problems(measured)]


def test_missing_prediction_is_an_error_of_its_case(study):
    (study / "dla" / "C1.nii.gz").unlink()
    assert issues_of(study) == [("LS-LAB-005", "C1", "error")]


def test_missing_ct_is_an_error_of_its_case(study):
    (study / "C1.nii.gz").unlink()
    assert issues_of(study) == [("LS-IMG-001", "C1", "error")]


def test_all_issues_of_a_case_are_reported_together(study):
    (study / "manual" / "C1.nii.gz").unlink()
    (study / "dla" / "C1.nii.gz").write_bytes(b"nothing")
    assert issues_of(study) == [("LS-IMG-001", "C1", "error"), ("LS-IMG-003", "C1", "error")]


@pytest.mark.parametrize(
    ("array", "shift", "code"),
    [
        (labels_of(), 2.5, "LS-GEO-004"),
        (labels_of()[:, :, :5], 2.5, "LS-GEO-003"),
        (labels_of() * np.uint8(3), 0, "LS-LAB-001"),
    ],
)
def test_prediction_off_the_grid_or_with_other_labels_is_an_error_of_its_case(study, array, shift, code):
    affine = AFFINE.copy()
    affine[2, 3] = shift
    save(study / "dla" / "C1.nii.gz", array, affine)
    assert issues_of(study) == [(code, "C1", "error")]
    without_cohort = measure_folder(study / "dla", reference=study / "manual")
    assert [issue.code for issue in problems(without_cohort)] == [code]
    assert len(without_cohort.rows) == 8


def test_a_label_map_without_case_is_a_warning(study):
    save(study / "dla" / "stray.nii", labels_of())
    measured = measure_folder(study / "dla", cohort=read_cohort(study / "cohort.csv"))
    (issue,) = problems(measured)
    assert (issue.code, issue.severity, issue.file) == ("LS-LAB-006", "warning", study / "dla" / "stray.nii")
    assert len(measured.rows) == 12


def test_two_files_for_one_case_are_an_error(study):
    save(study / "dla" / "C1.nii", labels_of())
    assert issues_of(study) == [("LS-LAB-007", "C1", "error")]


def test_unfinished_and_other_files_are_not_label_maps(study):
    (study / "dla" / ".part-12345678-C9.nii.gz").write_bytes(b"half")
    (study / "dla" / "run.json").write_text("{}")
    assert problems(measure_folder(study / "dla", cohort=read_cohort(study / "cohort.csv"))) == []


def test_a_missing_folder_and_equal_readers_are_rejected(study):
    with pytest.raises(InputError, match="LS-LAB-023"):
        measure_folder(study / "none")
    with pytest.raises(InputError, match="LS-LAB-008"):
        measure_folder(study / "dla", cohort=read_cohort(study / "cohort.csv"), reader="manual")


def unlabelled_liver(study):
    """The first case, with an unlabelled liver."""
    cohort = read_cohort(study / "cohort.csv")
    return replace(cohort.cases[0], labelled_structures=(Structure.SPLEEN,))


def test_the_reference_has_no_row_for_a_structure_it_does_not_cover(study):
    rows = measure_case(
        unlabelled_liver(study), {"dla": label_map(labels_of())}, reference=label_map(labels_of(liver=0))
    )
    assert cells(rows) == [
        ("C1", "liver", "dla", 0.2, "", None),
        ("C1", "spleen", "dla", 0.02, "manual", 1.0),
        ("C1", "spleen", "manual", 0.02, "", None),
    ]


def test_no_reader_has_a_row_for_an_unknown_structure_without_voxels(study):
    spleen_only = label_map(labels_of(liver=0))
    rows = measure_case(unlabelled_liver(study), {"expert": spleen_only}, reference=spleen_only)
    assert {row.structure for row in rows} == {"spleen"}


def test_undefined_scores_stay_empty_and_one_sided_ones_are_zero():
    empty, full = label_map(labels_of(spleen=0)), label_map(labels_of())
    both, one = (measure_case("A", {"dla": empty}, reference=r)[1] for r in (empty, full))
    assert (both.structure, both.dss, both.volume_cm3, both.volume_status) == ("spleen", None, 0.0, "absent")
    assert one.dss == 0.0


def test_each_reader_has_its_own_rows():
    maps = {"a": label_map(labels_of()), "b": label_map(labels_of(liver=2))}
    rows = measure_case("A", maps, reference=label_map(labels_of(liver=1)), reference_reader="c")
    assert [(r.reader, r.dss) for r in rows if r.structure == "liver"] == [("a", 0.4), ("b", 2 / 3), ("c", None)]


def test_readers_on_another_grid_are_rejected():
    moved = LabelMap(label_map(labels_of()).labels, Geometry(SHAPE, np.diag([-1.0, 1.0, 5.1, 1.0])))
    with pytest.raises(InputError, match="LS-GEO-004 case 'A'"):
        measure_case("A", {"dla": moved}, reference=label_map(labels_of()))


def test_volumes_of_all_real_cases_are_the_recorded_ones(shared, tmp_path):
    cohort = read_cohort(shared / "data" / "cohort.csv")
    for case in cohort.cases:
        shutil.copy(case.label, tmp_path / f"{case.case_id}.nii.gz")
    measured = measure_folder(tmp_path, cohort=cohort, reader="copy")
    # its header has the spleen on the right
    assert {(issue.code, issue.case_id) for issue in measured.issues} == {("LS-LAB-018", "msd_spleen_8")}
    found = {(row.case_id, row.structure): row.volume_cm3 for row in measured.rows if row.reader == "manual"}
    expected = {
        (case.case_id, organ): float(case.covariates[f"{organ}_cm3"])
        for case in cohort.cases
        for organ in ("liver", "spleen")
        if case.covariates[f"{organ}_cm3"]
    }
    assert len(expected) == 7
    assert found == pytest.approx(expected, abs=0.0051)
    assert not [row for row in measured.rows if (row.case_id, row.structure) == ("msd_spleen_8", "liver")]


def test_volumes_of_the_real_label_maps_without_ct_are_the_recorded_ones(shared):
    slab = read_label_map(shared / "data" / "dcmqi_ct3" / "label_liver_only.nii.gz")
    whole = read_label_map(shared / "data" / "labels_only" / "ts_s0327_label.nii.gz")
    (liver, _) = measure_case("slab", {"a": slab})
    assert liver.volume_cm3 == pytest.approx(70.36, abs=0.0051)
    volumes = [row.volume_cm3 for row in measure_case("whole", {"a": whole})]
    assert volumes == pytest.approx([1291.09, 194.98], abs=0.0051)


def test_the_real_readers_have_the_recorded_agreement(shared):
    folder = shared / "data" / "ts_example"
    maps = {
        "v2": read_label_map(folder / "label.nii.gz"),
        "2022-08": read_label_map(folder / "label_rater_v1_2022-08.nii.gz"),
        "2022-09": read_label_map(folder / "label_rater_v1_2022-09.nii.gz"),
    }
    expected = {  # liver, spleen
        ("v2", "2022-08"): (0.9857, 0.9833),
        ("v2", "2022-09"): (0.9850, 0.9797),
        ("2022-09", "2022-08"): (0.9838, 0.9822),
    }
    for (reader, reference), scores in expected.items():
        rows = measure_case("x", {reader: maps[reader]}, reference=maps[reference], reference_reader=reference)
        assert tuple(round(row.dss, 4) for row in rows if row.reader == reader) == scores


def test_overlap_and_surfaces_of_a_case_by_hand():
    # reference: 4 x 5 x 2 voxels of 1 x 1 x 5 mm, the reader's one column shorter along x
    (liver, _, manual, _) = measure_case("A", {"dla": label_map(labels_of(liver=3))}, reference=label_map(labels_of()))
    assert (liver.voxels, liver.shared_voxels, manual.voxels) == (30, 30, 40)
    assert liver.iou == 30 / 40
    assert liver.volume_error_cm3 == pytest.approx(-10 * 0.005)
    assert liver.volume_error_pct == -25
    # two slices thick: all voxels are border voxels. The 30 voxels of the reader have distance 0; of the 40 voxels of
    # the reference, 10 are 1 mm away.
    assert liver.assd_mm == pytest.approx(10 / 70)
    assert liver.hd95_mm == 1.0
    assert (liver.nsd, liver.nsd_tolerance_mm, liver.surface) == (1.0, 3.0, "voxel")


def test_surface_metrics_follow_their_settings_and_can_be_omitted():
    maps, reference = {"dla": label_map(labels_of(liver=3))}, label_map(labels_of())
    strict = measure_case("A", maps, reference=reference, surface=SurfaceMetrics("voxel", 0.5))[0]
    assert strict.nsd == pytest.approx(60 / 70)
    without = measure_case("A", maps, reference=reference, surface=None)[0]
    assert (without.hd95_mm, without.nsd, without.nsd_tolerance_mm, without.surface) == (None, None, None, "")
    assert without.iou is not None


def totalsegmentator_like(labels):
    """Liver 5, spleen 1, and other organs, which are not measured."""
    other = np.zeros_like(labels)
    other[labels == Structure.LIVER], other[labels == Structure.SPLEEN] = 5, 1
    other[9, 7, 5], other[0, 0, 0] = 2, 117
    return other


@pytest.mark.parametrize(
    ("name", "liver", "spleen"),
    [("totalsegmentator", 5, 1), ("amos", 6, 1), ("btcv", 6, 1), ("flare", 1, 3), ("chaos_mr", 63, 252)],
)
def test_label_maps_of_other_systems_are_read_by_their_values(study, name, liver, spleen):
    for file in (study / "dla").iterdir():
        array = np.full(SHAPE, 9, np.uint8)
        array[labels_of(liver=3) == Structure.LIVER] = liver
        array[labels_of(liver=3) == Structure.SPLEEN] = spleen
        save(file, array)
    cohort = read_cohort(study / "cohort.csv")
    measured = measure_folder(study / "dla", cohort=cohort, label_values=LABEL_VALUES[name])
    assert problems(measured) == []
    assert cells(measured.rows) == [*rows_of("C1"), *rows_of("C2"), *rows_of("C3")]


def test_values_of_both_folders_are_translated_independently(study):
    for file in (study / "manual").iterdir():
        save(file, totalsegmentator_like(labels_of()))
    measured = measure_folder(
        study / "dla", reference=study / "manual", reference_values={5: Structure.LIVER, 1: Structure.SPLEEN}
    )
    assert cells(measured.rows) == [*rows_of("C1"), *rows_of("C2"), *rows_of("C3")]


def test_a_structure_that_a_label_map_does_not_cover_is_unknown_in_it(study):
    for file in (study / "dla").iterdir():
        save(file, (labels_of() == Structure.SPLEEN).astype(np.uint8))
    spleens = LABEL_VALUES["msd_spleen"]
    by_reader = measure_folder(study / "dla", cohort=read_cohort(study / "cohort.csv"), label_values=spleens)
    assert {row.structure for row in by_reader.rows if row.reader == "dla"} == {"spleen"}
    assert {row.structure for row in by_reader.rows if row.reader == "manual"} == {"liver", "spleen"}
    as_reference = measure_folder(study / "manual", reference=study / "dla", reference_values=spleens)
    livers = [row for row in as_reference.rows if row.structure == "liver"]
    assert {(row.reader, row.volume_cm3, row.reference, row.dss) for row in livers} == {("dla", 0.2, "", None)}


def test_fractions_are_rejected_as_label_values(study):
    save(study / "dla" / "C1.nii.gz", labels_of() * np.float32(0.5))
    measured = measure_folder(study / "dla", reference=study / "manual", label_values=LABEL_VALUES["amos"])
    assert [(f.code, f.case_id) for f in problems(measured) if f.severity == "error"] == [("LS-LAB-001", "C1")]


def test_a_missing_prediction_scores_zero_and_is_a_warning_if_allowed(study):
    (study / "dla" / "C1.nii.gz").unlink()
    measured = measure_folder(study / "dla", cohort=read_cohort(study / "cohort.csv"), allow_missing=True)
    assert [(f.code, f.case_id, f.severity) for f in problems(measured)] == [("LS-LAB-005", "C1", "warning")]
    liver = measured.rows[0]
    assert (liver.reader, liver.volume_cm3) == ("dla", None)
    assert (liver.dss, liver.iou, liver.nsd, liver.hd95_mm) == (0.0, 0.0, 0.0, None)
    assert (liver.volume_status, liver.volume_error_cm3, liver.voxels) == ("absent", None, None)
    assert len(measured.rows) == 12


def test_a_missing_prediction_of_an_empty_reference_is_undefined(study):
    save(study / "manual" / "C1.nii.gz", labels_of(spleen=0))
    (study / "dla" / "C1.nii.gz").unlink()
    measured = measure_folder(study / "dla", reference=study / "manual", allow_missing=True)
    assert [(row.structure, row.dss) for row in measured.rows[:2]] == [("liver", 0.0), ("spleen", None)]


def test_several_processes_give_the_same_rows_in_the_same_order(study):
    (study / "dla" / "C2.nii.gz").write_bytes(b"nothing")
    cohort = read_cohort(study / "cohort.csv")
    reported = []
    assert measure_folder(study / "dla", cohort=cohort, workers=2, on_case=reported.append) == measure_folder(
        study / "dla", cohort=cohort
    )
    assert reported == ["C1", "C2", "C3"]


def test_the_wide_table_has_one_row_per_case(study):
    (study / "dla" / "C3.nii.gz").unlink()
    save(study / "dla" / "C2.nii.gz", labels_of(spleen=0))
    cohort = read_cohort(study / "cohort.csv")
    rows = measure_folder(study / "dla", cohort=cohort, allow_missing=True, surface=None).rows
    write_volumes(study / "volumes.csv", rows)
    header, *lines = (study / "volumes.csv").read_text().splitlines()
    names = [f"{name}_{reader}" for reader in ("dla", "manual") for name in ("liver", "spleen", "ratio")]
    assert header.split(",") == ["case_id", "patient_id", "dataset", "condition", "site", *names]
    found = [[float(x) if x else None for x in line.split(",")[5:]] for line in lines]
    manual = [0.2, 0.02, 10.0]
    assert found[0] == pytest.approx([0.15, 0.02, 7.5, *manual])
    assert found[1:] == [[0.2, 0.0, None, *manual], [None, None, None, *manual]]


def test_a_missing_map_has_scores_only_for_structures_of_its_system(study):
    for file in (study / "dla").iterdir():
        save(file, (labels_of() == Structure.LIVER).astype(np.uint8))
    (study / "dla" / "C2.nii.gz").unlink()
    cohort = read_cohort(study / "cohort.csv")
    measured = measure_folder(study / "dla", cohort=cohort, label_values=LABEL_VALUES["msd_liver"], allow_missing=True)
    assert [(r.case_id, r.structure, r.dss) for r in measured.rows if r.reader == "dla"] == [
        *(("C1", "liver", 1.0), ("C2", "liver", 0.0), ("C3", "liver", 1.0)),
    ]


def test_two_maps_shifted_in_opposite_directions_are_an_error_of_their_case(study):
    # each within a tenth of a voxel of the CT, but further from each other
    for folder, shift in (("dla", 0.08), ("manual", -0.08)):
        affine = AFFINE.copy()
        affine[0, 3] = shift
        save(study / folder / "C1.nii.gz", labels_of(), affine)
    assert issues_of(study) == [("LS-GEO-004", "C1", "error")]


def test_an_empty_folder_is_rejected(tmp_path):
    with pytest.raises(InputError, match="LS-LAB-009"):
        measure_folder(tmp_path)


def test_infinite_label_values_are_rejected(study):
    broken = labels_of().astype(np.float32)
    broken[0, 0, 0] = np.inf
    save(study / "dla" / "C1.nii.gz", broken)
    measured = measure_folder(study / "dla", reference=study / "manual", label_values=LABEL_VALUES["amos"])
    assert [(f.code, f.case_id) for f in problems(measured) if f.severity == "error"] == [("LS-LAB-001", "C1")]
