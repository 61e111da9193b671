import gzip
from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest

from liverspleen.imaging import CTVolume, Geometry, LabelMap, read_ct, read_grid, read_label_map, write_ct
from liverspleen.imaging.files import strip_suffix
from liverspleen.imaging.nifti import write_label_map
from liverspleen.organs import Structure

SHAPE = (3, 4, 5)
HU = np.arange(60, dtype=np.int16).reshape(SHAPE) * 20 - 1000


def saved(path, array, affine=None, kind=nib.Nifti1Image):
    nib.save(kind(array, np.diag([-0.7, 0.7, 5.0, 1.0]) if affine is None else affine), path)
    return path


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)))
def test_a_ct_in_any_orientation_reads_as_nibabels_canonical_one_seen_radiologically(tmp_path, order, signs):
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for native, (world, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world, native] = sign * (native + 1)
    path = saved(tmp_path / "ct.nii", HU, affine)
    ras = np.asarray(nib.as_closest_canonical(nib.load(path)).dataobj)
    assert np.array_equal(read_ct(path).hu, ras.transpose(2, 1, 0)[:, ::-1, ::-1])


def test_slices_grow_to_superior_rows_to_posterior_columns_to_the_left(tmp_path):
    path = saved(tmp_path / "ct.nii.gz", HU, np.diag([-0.7, 0.7, 5.0, 1.0]))  # native axes to left, anterior, superior
    ct = read_ct(path)
    assert ct.hu.shape == (5, 4, 3)
    assert ct.hu[4, 3, 2] == HU[2, 0, 4]
    assert ct.hu.dtype == np.int16
    assert ct.hu.flags.c_contiguous
    assert ct.clipped_voxels == 0


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_both_versions_are_read_compressed_or_not(tmp_path, suffix, kind):
    path = saved(tmp_path / f"ct{suffix}", HU, kind=kind)
    assert np.array_equal(read_ct(path).hu, HU.transpose(2, 1, 0)[:, ::-1, :])


def test_big_endian_files_are_read(tmp_path):
    image = nib.Nifti1Image(HU, np.eye(4), nib.Nifti1Header(endianness=">"))
    nib.save(image, tmp_path / "ct.nii")
    assert (tmp_path / "ct.nii").read_bytes()[:4] == b"\0\0\x01\x5c"
    assert read_ct(tmp_path / "ct.nii").hu.sum() == HU.sum()


def test_a_gzip_file_of_several_members_is_read(tmp_path):
    whole = saved(tmp_path / "ct.nii", HU).read_bytes()
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(whole[:400]) + gzip.compress(whole[400:]) + bytes(16))
    assert read_ct(tmp_path / "ct.nii.gz").hu.sum() == HU.sum()


def test_slope_and_intercept_are_applied_once_and_rounded_to_whole_hu(tmp_path):
    path = saved(tmp_path / "ct.nii", np.full(SHAPE, 3, np.uint8))
    content = bytearray(path.read_bytes())
    content[112:120] = np.float32([2.5, -1024]).tobytes()  # scl_slope, scl_inter
    path.write_bytes(content)
    assert set(read_ct(path).hu.ravel()) == {-1016}  # 7.5 - 1024 = -1016.5, the half to the even neighbour


@pytest.mark.parametrize("dtype", [np.int32, np.uint16, np.float32, np.float64])
def test_values_outside_int16_are_clipped_and_counted(tmp_path, dtype):
    values = np.zeros(SHAPE, dtype)
    values[0, 0, 0] = 40000
    ct = read_ct(saved(tmp_path / "ct.nii", values))
    assert (ct.hu.max(), ct.clipped_voxels) == (32767, 1)


def test_a_trailing_axis_of_one_is_dropped(tmp_path):
    assert read_ct(saved(tmp_path / "ct.nii", HU[..., None])).hu.shape == (5, 4, 3)


def test_labels_stored_as_floats_are_read(tmp_path):
    values = np.zeros(SHAPE, np.float32)
    values[0, 0, :2] = (1, 2)
    label_map = read_label_map(saved(tmp_path / "label.nii.gz", values))
    assert label_map.labels.dtype == np.uint8
    assert [label_map.count(structure) for structure in Structure] == [58, 1, 1]


def test_the_grid_is_read_from_the_header_alone(tmp_path):
    path = saved(tmp_path / "ct.nii.gz", HU)
    path.write_bytes(path.read_bytes()[:300])  # without the voxels
    assert read_grid(path).spacing_mm == pytest.approx((5.0, 0.7, 0.7))


def source_with_its_own_header(path):
    """sform and qform that differ by rounding only, uncommon codes, and a time unit."""
    affine = np.diag([-0.7, 0.7, 5.0, 1.0])
    affine[:3, 3] = (100.1, -90.2, 30.3)
    image = nib.Nifti1Image(HU, affine)
    image.set_sform(affine, code=2)
    affine[2, 3] += 0.002
    image.set_qform(affine, code=3)
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, path)
    return path


SPATIAL = ("sform_code", "qform_code", "xyzt_units", "srow_x", "srow_y", "srow_z")
QUATERNION = ("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")


@pytest.mark.parametrize("message", ["label map", "ct"])
def test_a_written_file_keeps_the_header_space_of_its_ct(tmp_path, message):
    source = source_with_its_own_header(tmp_path / "ct.nii.gz")
    ct = read_ct(source)
    if message == "ct":
        write_ct(tmp_path / "out.nii.gz", ct)
    else:
        write_label_map(tmp_path / "out.nii.gz", LabelMap((ct.hu > 0).astype(np.uint8), ct.geometry))
    before, after = nib.load(source), nib.load(tmp_path / "out.nii.gz")
    for name in (*SPATIAL, *QUATERNION):
        assert np.array_equal(before.header[name], after.header[name]), name
    assert np.array_equal(before.header["pixdim"][:4], after.header["pixdim"][:4])
    assert np.array_equal(np.asarray(after.dataobj), HU if message == "ct" else HU > 0)
    assert after.get_data_dtype() == (np.int16 if message == "ct" else np.uint8)


def test_a_written_label_map_reads_back_the_same(tmp_path):
    geometry = Geometry(SHAPE, np.diag([0.7, -0.7, -5.0, 1.0]))
    labels = np.random.default_rng(0).integers(0, 3, geometry.canonical_shape).astype(np.uint8)
    write_label_map(tmp_path / "a.nii.gz", LabelMap(labels, geometry))
    read = read_label_map(tmp_path / "a.nii.gz")
    assert np.array_equal(read.labels, labels)
    np.testing.assert_allclose(read.geometry.affine, geometry.affine, rtol=1e-7)


def test_a_sheared_grid_made_in_memory_can_be_read_again(tmp_path):
    affine = np.eye(4)
    affine[1, 2] = 0.3
    write_ct(tmp_path / "a.nii", CTVolume(np.zeros((50, 4, 3), np.int16), Geometry((3, 4, 50), affine)))
    np.testing.assert_allclose(read_ct(tmp_path / "a.nii").geometry.affine, affine, rtol=1e-6)


def test_the_same_label_map_gives_the_same_bytes_under_any_name(tmp_path):
    label_map = LabelMap(np.ones((5, 4, 3), np.uint8), Geometry(SHAPE, np.eye(4)))
    for name in ("a.nii.gz", "b.nii.gz"):
        write_label_map(tmp_path / name, label_map)
    first = (tmp_path / "a.nii.gz").read_bytes()
    assert first == (tmp_path / "b.nii.gz").read_bytes()
    assert first[3:8] == bytes(5)  # gzip: no name, time 0


def test_a_file_that_cannot_be_finished_is_absent(tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_label_map(tmp_path / "a.nii.gz", LabelMap(np.ones((5, 4, 3), np.uint8), Geometry(SHAPE, np.eye(4))))
    assert list(tmp_path.iterdir()) == []


def test_other_file_names_are_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"\.nii"):
        write_ct(tmp_path / "a.mha", CTVolume(np.zeros((5, 4, 3), np.int16), Geometry(SHAPE, np.eye(4))))
    assert strip_suffix("a.b.nii.gz") == "a.b"


def test_volumes_hold_arrays_of_their_grid_only():
    geometry = Geometry(SHAPE, np.eye(4))
    with pytest.raises(ValueError, match="int16"):
        CTVolume(np.zeros((5, 4, 3), np.float32), geometry)
    with pytest.raises(ValueError, match="uint8"):
        LabelMap(np.zeros((3, 4, 5), np.uint8), geometry)
