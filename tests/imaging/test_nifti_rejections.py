"""Each kind of invalid file gives one issue with code, case and file."""

import gzip
import struct
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from liverspleen.errors import InputError
from liverspleen.imaging import read_ct, read_label_map

SHAPE = (6, 5, 4)
AFFINE = np.diag([-0.7, 0.7, 5.0, 1.0])
HU = np.random.default_rng(1).integers(-1000, 1000, SHAPE).astype(np.int16)


def saved(path, array=HU, affine=AFFINE):
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def patched(path, offset, content):
    """The uncompressed file with some header bytes replaced."""
    whole = bytearray(saved(path).read_bytes())
    whole[offset : offset + len(content)] = content
    path.write_bytes(whole)
    return path


def rejection(read, path):
    with pytest.raises(InputError) as caught:
        read(path, case_id="A017")
    (issue,) = caught.value.issues
    assert issue.case_id == "A017"
    assert issue.file == path
    assert issue.severity == "error"
    assert "\n" not in str(issue)
    return issue


def test_missing_file(tmp_path):
    assert rejection(read_ct, tmp_path / "none.nii.gz").code == "LS-IMG-001"


def test_folder_in_place_of_a_file(tmp_path):
    assert rejection(read_ct, tmp_path).code == "LS-IMG-002"


@pytest.mark.parametrize("content", [b"not an image at all" * 40, bytes(1000), gzip.compress(b"text" * 500, mtime=0)])
def test_other_content_is_not_nifti(tmp_path, content):
    (tmp_path / "ct.nii.gz").write_bytes(content)
    assert rejection(read_ct, tmp_path / "ct.nii.gz").code == "LS-IMG-003"


def test_bytes_after_the_magic_are_not_ignored(tmp_path):
    assert rejection(read_ct, patched(tmp_path / "ct.nii", 344, b"n+1\xcb")).code == "LS-IMG-003"


@pytest.mark.parametrize("scaling", [(0, -1024), (np.nan, 7), (0, np.inf), (1e-40, 0)])
def test_scaling_that_programs_read_differently_is_rejected(tmp_path, scaling):
    path = patched(tmp_path / "ct.nii", 112, struct.pack("<2f", *scaling))  # scl_slope, scl_inter
    assert rejection(read_ct, path).code == "LS-IMG-050"


@pytest.mark.parametrize(("edge_mm", "code"), [(5.004, ""), (5.05, "LS-GEO-008"), (50.0, "LS-GEO-008")])
def test_spacing_that_is_not_that_of_the_sform_is_rejected(tmp_path, edge_mm, code):
    path = patched(tmp_path / "ct.nii", 88, struct.pack("<f", edge_mm))  # pixdim[3]; nibabel states no qform
    if code:
        assert rejection(read_ct, path).code == code
    else:
        assert read_ct(path).geometry.spacing_mm[0] == 5.0


def test_header_of_a_two_file_image_is_not_a_single_file(tmp_path):
    assert rejection(read_ct, patched(tmp_path / "ct.nii", 344, b"ni1\0")).code == "LS-IMG-003"


@pytest.mark.parametrize("kept", [0, 5, 20, 0.5, -1, -8, -9])
def test_truncated_gzip(tmp_path, kept):
    path = saved(tmp_path / "ct.nii.gz")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))] if isinstance(kept, float) else whole[:kept])
    assert rejection(read_ct, path).code == "LS-IMG-004"


def test_truncated_uncompressed_file_gives_found_and_expected(tmp_path):
    path = saved(tmp_path / "ct.nii")
    path.write_bytes(path.read_bytes()[:-1])
    issue = rejection(read_ct, path)
    assert issue.code == "LS-IMG-004"
    assert "found 591 bytes, expected 592" in issue.message  # 352 + 6 * 5 * 4 * 2


def test_flipped_bit_that_only_the_checksum_can_find(tmp_path):
    whole = bytearray(gzip.compress(saved(tmp_path / "ct.nii").read_bytes(), compresslevel=0))  # stored, not deflated
    whole[-20] ^= 0x10  # a voxel: the stream stays valid, its CRC does not
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(whole)
    assert not np.array_equal(np.frombuffer(whole[-248:-8], np.int16), HU.ravel(order="F"))
    issue = rejection(read_ct, path)
    assert issue.code == "LS-IMG-005"
    assert "check" in issue.message


def test_no_flipped_bit_changes_the_voxels_without_an_issue(tmp_path):
    right = read_ct(saved(tmp_path / "right.nii.gz", HU[:3, :3, :3])).hu
    whole = (tmp_path / "right.nii.gz").read_bytes()
    path = tmp_path / "flipped.nii.gz"
    for position in range(len(whole)):
        for bit in (0, 3, 7):
            flipped = bytearray(whole)
            flipped[position] ^= 1 << bit
            path.write_bytes(flipped)
            with suppress(InputError):
                assert np.array_equal(read_ct(path).hu, right)


def test_no_truncation_gives_voxels(tmp_path):
    whole = saved(tmp_path / "right.nii.gz", HU[:3, :3, :3]).read_bytes()
    path = tmp_path / "ct.nii.gz"
    for kept in range(2, len(whole)):
        path.write_bytes(whole[:kept])
        assert rejection(read_ct, path).code == "LS-IMG-004"


@pytest.mark.parametrize("position", [-8, -5, -4, -1])
def test_wrong_checksum_or_length_after_right_voxels(tmp_path, position):
    path = saved(tmp_path / "ct.nii.gz")
    whole = bytearray(path.read_bytes())
    whole[position] ^= 1
    path.write_bytes(whole)
    assert rejection(read_ct, path).code == "LS-IMG-005"


def test_damage_in_a_later_member_is_found_although_the_voxels_are_complete(tmp_path):
    whole = gzip.compress(saved(tmp_path / "ct.nii").read_bytes())
    later = bytearray(gzip.compress(b"more"))
    later[-5] ^= 1
    (tmp_path / "ct.nii.gz").write_bytes(whole + later)
    assert rejection(read_ct, tmp_path / "ct.nii.gz").code == "LS-IMG-005"
    (tmp_path / "ct.nii.gz").write_bytes(whole + later[:-6])
    assert rejection(read_ct, tmp_path / "ct.nii.gz").code == "LS-IMG-004"


@pytest.mark.parametrize("flags", [2, 4, 8, 16, 4 + 8 + 16])
def test_optional_fields_of_a_gzip_header_are_skipped(tmp_path, flags):
    """Header checksum, extra field, name and comment (RFC 1952)."""
    plain = gzip.compress(saved(tmp_path / "ct.nii").read_bytes())
    header = bytearray(plain[:10])
    header[3] = flags
    header += (b"\x02\0ab" if flags & 4 else b"") + (b"name\0" if flags & 8 else b"")
    header += b"comment\0" if flags & 16 else b""
    header += struct.pack("<H", zlib.crc32(header) & 0xFFFF) if flags & 2 else b""
    (tmp_path / "ct.nii.gz").write_bytes(header + plain[10:])
    assert np.array_equal(read_ct(tmp_path / "ct.nii.gz").hu, read_ct(tmp_path / "ct.nii").hu)


def test_bytes_after_the_gzip_stream(tmp_path):
    path = saved(tmp_path / "ct.nii.gz")
    path.write_bytes(path.read_bytes() + b"tail")
    assert rejection(read_ct, path).code == "LS-IMG-005"


def test_header_that_claims_more_than_the_stream_can_hold_is_rejected_without_memory(tmp_path):
    path = patched(tmp_path / "ct.nii", 42, struct.pack("<3h", 4096, 4096, 32767))
    compressed = tmp_path / "ct.nii.gz"
    compressed.write_bytes(gzip.compress(path.read_bytes()))
    assert rejection(read_ct, compressed).code == "LS-IMG-004"


def test_stream_far_longer_than_its_header_states_is_read_to_its_checksum_in_bounded_memory(tmp_path):
    whole = saved(tmp_path / "ct.nii").read_bytes()
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(whole + bytes(1 << 28), compresslevel=1))
    tracemalloc.start()
    try:
        assert read_ct(tmp_path / "ct.nii.gz").hu.sum() == HU.sum()
        assert tracemalloc.get_traced_memory()[1] < 1 << 26  # of 270 MB in the stream
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shape", [(*SHAPE, 2), (6, 5)])
def test_four_or_two_axes(tmp_path, shape):
    issue = rejection(read_ct, saved(tmp_path / "ct.nii.gz", np.zeros(shape, np.int16)))
    assert issue.code == "LS-IMG-006"
    assert str(shape) in issue.message


@pytest.mark.parametrize("dtype", [np.complex64, [("R", "u1"), ("G", "u1"), ("B", "u1")]])
def test_complex_and_coloured_voxels(tmp_path, dtype):
    assert rejection(read_ct, saved(tmp_path / "ct.nii", np.zeros(SHAPE, dtype))).code == "LS-IMG-007"


def test_unknown_data_type_code(tmp_path):
    assert rejection(read_ct, patched(tmp_path / "ct.nii", 70, struct.pack("<h", 999))).code == "LS-IMG-007"


def test_infinite_slope(tmp_path):
    assert rejection(read_ct, patched(tmp_path / "ct.nii", 112, struct.pack("<f", np.inf))).code == "LS-IMG-007"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_or_infinite_voxels_are_counted(tmp_path, value):
    values = HU.astype(np.float32)
    values[0, 0, :2] = value
    issue = rejection(read_ct, saved(tmp_path / "ct.nii.gz", values))
    assert issue.code == "LS-IMG-008"
    assert "2 of 120 voxels" in issue.message


@pytest.mark.parametrize("edge", [0.0, -5.0, np.nan])
def test_spacing_that_is_not_positive(tmp_path, edge):
    assert rejection(read_ct, patched(tmp_path / "ct.nii", 88, struct.pack("<f", edge))).code == "LS-GEO-001"


def test_singular_affine(tmp_path):
    issue = rejection(read_ct, patched(tmp_path / "ct.nii", 312, struct.pack("<4f", 0, 0, 0, 0)))  # srow_z
    assert issue.code == "LS-GEO-002"


def test_quaternion_that_is_not_a_rotation(tmp_path):
    path = patched(tmp_path / "ct.nii", 252, struct.pack("<hhf", 1, 0, 5.0))  # qform only, and b, which is 1 at most
    assert rejection(read_ct, path).code == "LS-GEO-002"


def both_forms(path, shift_mm, codes=(1, 1)):
    image = nib.Nifti1Image(HU, AFFINE)
    moved = AFFINE.copy()
    moved[2, 3] += shift_mm
    image.set_sform(AFFINE, code=codes[0])
    image.set_qform(moved, code=codes[1])
    nib.save(image, path)
    return path


def test_sform_and_qform_that_differ(tmp_path):
    issue = rejection(read_ct, both_forms(tmp_path / "ct.nii.gz", 2.5))
    assert issue.code == "LS-GEO-005"
    assert "2.5 mm" in issue.message


def test_mirrored_qform_over_the_same_box(tmp_path):
    image = nib.Nifti1Image(HU, AFFINE)
    mirrored = np.diag([0.7, 0.7, 5.0, 1.0])
    mirrored[0, 3] = -3.5
    image.set_sform(AFFINE, code=1)
    image.set_qform(mirrored, code=1)
    nib.save(image, tmp_path / "ct.nii")
    assert rejection(read_ct, tmp_path / "ct.nii").code == "LS-GEO-005"


def test_a_form_without_a_code_is_ignored(tmp_path):
    assert read_ct(both_forms(tmp_path / "s.nii", 9.0, codes=(2, 0))).geometry.affine[2, 3] == 0
    assert read_ct(both_forms(tmp_path / "q.nii", 9.0, codes=(0, 1))).geometry.affine[2, 3] == 9


def test_no_orientation(tmp_path):
    assert rejection(read_ct, both_forms(tmp_path / "ct.nii", 0.0, codes=(0, 0))).code == "LS-GEO-006"


def test_spacing_in_metres(tmp_path):
    assert rejection(read_ct, patched(tmp_path / "ct.nii", 123, b"\x01")).code == "LS-GEO-007"


@pytest.mark.parametrize(
    ("value", "named"),
    [(3, "values (3) in 1 voxel,"), (0.5, "(0.5) in"), (-1, "(-1) in"), (np.nan, "nan")],
)
def test_label_values_other_than_those_of_the_structures(tmp_path, value, named):
    labels = np.zeros(SHAPE, np.float32)
    labels[1, 1, 1] = value
    issue = rejection(read_label_map, saved(tmp_path / "label.nii.gz", labels))
    assert issue.code == "LS-LAB-001"
    assert named in issue.message
    assert "0 background, 1 liver, 2 spleen" in issue.message


def test_planes_that_no_scanner_makes_are_rejected_before_they_are_read(tmp_path):
    saved(tmp_path / "ct.nii.gz", np.zeros((4097, 4096, 1), np.uint8))
    assert rejection(read_ct, tmp_path / "ct.nii.gz").code == "LS-IMG-032"


@pytest.mark.skipif(not Path("/proc/meminfo").is_file(), reason="the system does not report its free memory")
def test_an_image_larger_than_the_free_memory_is_rejected(tmp_path):
    path = patched(tmp_path / "ct.nii", 42, struct.pack("<3h", 4096, 4096, 32767))  # 1 TiB of 16-bit voxels
    with path.open("r+b") as file:
        file.truncate(352 + 2 * 4096 * 4096 * 32767)  # a sparse file
    assert rejection(read_ct, path).code == "LS-IMG-031"
