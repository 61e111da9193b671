"""Invalid input of a cohort: each issue with code, case and file; the other cases finish."""

import gzip
import struct
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from liverspleen.cohort import Case, load_case, load_reference, read_files
from liverspleen.errors import InputError
from liverspleen.organs import Structure

SHAPE = (6, 5, 4)
AFFINE = np.diag([-0.7, 0.7, 5.0, 1.0])


def ct_array():
    values = np.full(SHAPE, -1000, np.int16)
    values[1:5, 1:4] = 60
    return values


def label_array():
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:3, 1:3, 1:3] = Structure.LIVER
    labels[4, 3, 1:3] = Structure.SPLEEN
    return labels


def save(path, array, affine=AFFINE):
    nib.save(nib.Nifti1Image(array, affine), path)


@pytest.fixture
def cases(tmp_path):
    """Two valid cases."""
    cases = []
    for case_id in ("bad", "good"):
        save(tmp_path / f"{case_id}.nii.gz", ct_array())
        save(tmp_path / f"{case_id}_label.nii.gz", label_array())
        image, label = tmp_path / f"{case_id}.nii.gz", tmp_path / f"{case_id}_label.nii.gz"
        cases.append(Case(case_id, f"P-{case_id}", image, label))
    return cases


def missing(case):
    case.image.unlink()
    return case.image


def missing_label(case):
    case.label.unlink()
    return case.label


def truncated(case):
    case.image.write_bytes(case.image.read_bytes()[:-12])
    return case.image


def bit_flipped(case):
    stored = bytearray(gzip.compress(gzip.decompress(case.image.read_bytes()), compresslevel=0))
    stored[-30] ^= 1
    case.image.write_bytes(stored)
    return case.image


def other_shape(case):
    save(case.label, label_array()[:, :, :3], AFFINE @ np.diag([1, 1, 2, 1]))
    return case.label


def half_a_slice_shifted(case):
    affine = AFFINE.copy()
    affine[2, 3] += 2.5
    save(case.label, label_array(), affine)
    return case.label


def label_value(value):
    def spoil(case):
        labels = label_array().astype(np.float32)
        labels[0, 0, 0] = value
        save(case.label, labels)
        return case.label

    return spoil


def nan_voxels(case):
    values = ct_array().astype(np.float32)
    values[0] = np.nan
    save(case.image, values)
    return case.image


def four_axes(case):
    save(case.image, np.stack([ct_array()] * 2, axis=-1))
    return case.image


def zero_spacing(case):
    whole = bytearray(gzip.decompress(case.image.read_bytes()))
    whole[88:92] = struct.pack("<f", 0.0)
    case.image.write_bytes(gzip.compress(whole))
    return case.image


def sform_against_qform(case):
    image = nib.Nifti1Image(ct_array(), AFFINE)
    image.set_sform(AFFINE, code=1)
    image.set_qform(np.diag([0.7, 0.7, 5.0, 1.0]), code=1)
    nib.save(image, case.image)
    return case.image


BAD = [
    (missing, "LS-IMG-001"),
    (missing_label, "LS-IMG-001"),
    (truncated, "LS-IMG-004"),
    (bit_flipped, "LS-IMG-005"),
    (other_shape, "LS-GEO-003"),
    (half_a_slice_shifted, "LS-GEO-004"),
    (label_value(3), "LS-LAB-001"),
    (label_value(0.5), "LS-LAB-001"),
    (nan_voxels, "LS-IMG-008"),
    (four_axes, "LS-IMG-006"),
    (zero_spacing, "LS-GEO-001"),
    (sform_against_qform, "LS-GEO-005"),
]


@pytest.mark.parametrize(("spoil", "code"), BAD, ids=[f"{spoil.__name__}-{code}" for spoil, code in BAD])
def test_invalid_input_is_one_line_and_the_other_case_finishes(cases, spoil, code):
    file = spoil(cases[0])
    found = [read_files(case).issues for case in cases]
    ((issue,), others) = found
    assert others == ()
    assert (issue.code, issue.case_id, issue.file, issue.severity) == (code, "bad", file, "error")
    assert issue.hint
    with pytest.raises(InputError) as caught:
        load_case(cases[0])
    assert caught.value.issues == (issue,)
    ct, label = load_case(cases[1])
    assert ct.hu.shape == label.labels.shape == (4, 5, 6)


def test_issues_of_image_and_label_come_together(cases):
    missing(cases[0])
    label_value(7)(cases[0])
    assert [issue.code for issue in read_files(cases[0]).issues] == ["LS-IMG-001", "LS-LAB-001"]


def test_a_case_without_label_has_only_an_image(cases):
    ct, label = load_case(replace(cases[0], label=None))
    assert label is None
    assert ct.hu.max() == 60


def test_a_label_map_stored_with_other_axes_is_read_on_the_grid_of_its_ct(cases):
    affine = np.diag([0.7, 0.7, 5.0, 1.0])
    affine[0, 3] = -3.5  # the last of the six columns of AFFINE
    save(cases[0].label, label_array()[::-1], affine)
    assert np.array_equal(load_case(cases[0])[1].labels, load_case(cases[1])[1].labels)


def test_a_structure_not_listed_as_labelled_is_an_error(cases):
    (issue,) = read_files(replace(cases[0], labelled_structures=(Structure.SPLEEN,))).issues
    assert (issue.code, issue.severity) == ("LS-LAB-002", "error")
    assert "8 voxels of liver" in issue.message


def test_a_labelled_organ_without_voxels_is_a_warning_unless_the_spleen_is_absent(cases):
    labels = label_array()
    labels[labels == Structure.SPLEEN] = 0
    save(cases[0].label, labels)
    (issue,) = read_files(cases[0]).issues
    assert (issue.code, issue.severity) == ("LS-LAB-003", "warning")
    assert load_case(cases[0])[1].count(Structure.SPLEEN) == 0
    assert read_files(replace(cases[0], spleen_absent=True)).issues == ()


def test_a_spleen_label_of_a_case_without_spleen_is_a_warning(cases):
    (issue,) = read_files(replace(cases[0], spleen_absent=True)).issues
    assert (issue.code, issue.severity) == ("LS-LAB-004", "warning")


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (np.full(SHAPE, 7, np.int16), "LS-IMG-010"),
        (ct_array() + np.int16(1024), "LS-IMG-013"),  # no intercept
        (np.where(ct_array() < 0, -1000, -700).astype(np.int16), "LS-IMG-040"),
        (np.where(ct_array() < 0, -1000.0, 40000.0).astype(np.float32), "LS-IMG-042"),
        (np.where(ct_array() < 0, 0, 1).astype(np.uint8), "LS-IMG-041"),
    ],
)
def test_a_ct_that_is_not_in_hu_is_rejected(cases, values, code):
    save(cases[0].image, values)
    with pytest.raises(InputError) as caught:
        load_case(cases[0])
    (issue,) = caught.value.issues
    assert (issue.code, issue.severity, issue.case_id, issue.file) == (code, "error", "bad", cases[0].image)


def test_implausible_values_below_air_are_a_warning(cases):
    save(cases[0].image, np.where(ct_array() < 0, -20000, 60).astype(np.int16))
    assert [(issue.code, issue.severity) for issue in read_files(cases[0]).issues] == [("LS-IMG-011", "warning")]
    load_case(cases[0])


@pytest.mark.parametrize("padding", [-1024, -2000, -3024])
def test_usual_padding_is_plausible(cases, padding):
    save(cases[0].image, np.where(ct_array() < 0, padding, 60).astype(np.int16))
    assert read_files(cases[0]).issues == ()


def test_the_reference_is_checked_against_the_header_of_its_ct(cases):
    grid, label = load_reference(cases[0])
    assert grid.spacing_mm == pytest.approx((5.0, 0.7, 0.7))
    assert label.count(Structure.LIVER) == 8
    half_a_slice_shifted(cases[0])
    with pytest.raises(InputError, match="LS-GEO-004 case 'bad'"):
        load_reference(cases[0])
    missing(cases[0])
    with pytest.raises(InputError, match="LS-IMG-001 case 'bad'"):
        load_reference(cases[0])


def test_the_real_cases_have_no_issue_except_copied_slices(shared):
    """`msd_spleen_8` repeats each of its slices four times."""
    from liverspleen.cohort import read_cohort

    found = [issue for case in read_cohort(shared / "data" / "cohort.csv").cases for issue in read_files(case).issues]
    assert [(issue.case_id, issue.code, issue.severity) for issue in found] == [
        ("msd_spleen_8", "LS-IMG-017", "warning")
    ]


def test_exchanged_labels_are_not_trained_on(tmp_path):
    from liverspleen.data.cache import cache_case

    labels = np.zeros((48, 40, 8), np.uint8)  # columns to the patient's right: the large organ is that of the right
    labels[26:44, 10:30, 1:7], labels[4:10, 10:20, 2:5] = Structure.SPLEEN, Structure.LIVER
    affine = np.diag([8.0, 8.0, 20.0, 1.0])
    save(tmp_path / "a.nii.gz", np.where(labels, 60, -1000).astype(np.int16), affine)
    for name, values in (("exchanged", labels), ("right", np.choose(labels, (0, 2, 1)).astype(np.uint8))):
        save(tmp_path / f"{name}.nii.gz", values, affine)
    case = Case("a", "p", tmp_path / "a.nii.gz", tmp_path / "exchanged.nii.gz")
    with pytest.raises(InputError, match=r"LS-LAB-019 case 'a' .*exchanged\.nii\.gz"):
        load_case(case)
    (tmp_path / "cache").mkdir()
    with pytest.raises(InputError, match="LS-LAB-019"):  # prepare and train
        cache_case(case, tmp_path / "cache")
    assert load_case(replace(case, label=tmp_path / "right.nii.gz"))[1] is not None
