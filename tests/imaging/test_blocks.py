"""Images larger than a block are read and written by blocks: same voxels, same issues, little memory."""

import gzip
import struct
import tracemalloc
from itertools import pairwise

import nibabel as nib
import numpy as np
import pytest

from liverspleen.errors import InputError
from liverspleen.imaging import Geometry, LabelMap, nifti, read_ct, stream, write_label_map

SHAPE = (6, 5, 23)
HU = np.random.default_rng(2).integers(-1000, 1000, SHAPE).astype(np.int16)
AFFINES = {
    "axial": np.diag([-0.7, 0.7, 5.0, 1.0]),
    "coronal": np.array([[0.7, 0, 0, 0], [0, 0, 0.7, 0], [0, -5.0, 0, 0], [0, 0, 0, 1]]),
    "sagittal": np.array([[0, 0, -0.7, 0], [0.7, 0, 0, 0], [0, 5.0, 0, 0], [0, 0, 0, 1]]),
}


@pytest.fixture(params=[1, 150, 1 << 20], ids=["a plane", "two planes", "the whole"])
def block(request, monkeypatch):
    """Bytes of voxels converted at a time; the stream is read and inflated in small pieces too."""
    monkeypatch.setattr(nifti, "_BLOCK", request.param)
    monkeypatch.setattr(stream, "_CHUNK", 97)
    monkeypatch.setattr(stream, "_BLOCK", 41)
    return request.param


def saved(path, values, name="axial", slope=None):
    nib.save(nib.Nifti1Image(values, AFFINES[name]), path.with_name("plain.nii"))
    whole = bytearray(path.with_name("plain.nii").read_bytes())
    if slope is not None:
        whole[112:120] = struct.pack("<2f", *slope)
    path.write_bytes(gzip.compress(whole) if path.suffix == ".gz" else whole)
    return path


def canonical(values, name):
    """By nibabel: (slice to superior, row to posterior, column to the left)."""
    ras = nib.as_closest_canonical(nib.Nifti1Image(values, AFFINES[name]))
    return np.asarray(ras.dataobj).transpose(2, 1, 0)[:, ::-1, ::-1]


@pytest.mark.parametrize("name", AFFINES)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(("dtype", "slope"), [("<i2", None), (">i2", None), ("<i2", (0.5, -24.25)), ("<f4", None)])
def test_voxels_are_those_of_the_file(tmp_path, block, name, suffix, dtype, slope):
    stored = (HU + (0.3 if dtype == "<f4" else 0)).astype(dtype)
    expected = np.rint(stored.astype(np.float64) * (slope or (1, 0))[0] + (slope or (1, 0))[1]).astype(np.int16)
    found = read_ct(saved(tmp_path / f"ct{suffix}", stored, name, slope))
    assert np.array_equal(found.hu, canonical(expected, name))
    assert found.hu.flags.c_contiguous
    assert found.hu.flags.writeable


def test_values_beyond_int16_are_counted_over_all_blocks(tmp_path, block):
    values = HU.astype(np.int32)
    values[0, 0, [0, 11, 22]] = (40000, -40000, 40000)
    ct = read_ct(saved(tmp_path / "ct.nii.gz", values))
    assert (ct.clipped_voxels, ct.hu.min(), ct.hu.max()) == (3, -32768, 32767)


def test_nan_and_infinite_voxels_are_counted_over_all_blocks(tmp_path, block):
    values = HU.astype(np.float32)
    values[0, 0, [0, 11, 22]] = (np.nan, np.inf, np.nan)
    with pytest.raises(InputError, match=r"LS-IMG-008.*3 of 690 voxels"):
        read_ct(saved(tmp_path / "ct.nii.gz", values))


def test_a_stream_in_members_of_any_length_is_read(tmp_path, block):
    whole = saved(tmp_path / "ct.nii", HU).read_bytes()
    cuts = [0, 541, 542, 543, 900, len(whole)]  # the header is in the first member
    members = [gzip.compress(whole[a:b]) for a, b in pairwise(cuts)]
    (tmp_path / "ct.nii.gz").write_bytes(b"".join(members) + bytes(500))
    assert np.array_equal(read_ct(tmp_path / "ct.nii.gz").hu, canonical(HU, "axial"))
    (tmp_path / "ct.nii.gz").write_bytes(b"".join(members) + bytes(500) + b"x")
    with pytest.raises(InputError, match="LS-IMG-005"):
        read_ct(tmp_path / "ct.nii.gz")


@pytest.mark.parametrize("kept", [0.3, 0.7, -1, -8, -9])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_truncation_in_any_block_is_found(tmp_path, block, kept, suffix):
    path = saved(tmp_path / f"ct{suffix}", HU)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))] if isinstance(kept, float) else whole[:kept])
    with pytest.raises(InputError, match="LS-IMG-004"):
        read_ct(path)


def test_damage_behind_the_last_block_is_found(tmp_path, block):
    path = saved(tmp_path / "ct.nii.gz", HU)
    whole = bytearray(path.read_bytes())
    whole[-6] ^= 1
    path.write_bytes(whole)
    with pytest.raises(InputError, match="LS-IMG-005"):
        read_ct(path)


@pytest.mark.parametrize("name", AFFINES)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nibabel_reads_what_was_written(tmp_path, block, name, suffix):
    geometry = Geometry(SHAPE, AFFINES[name])
    native = np.random.default_rng(3).integers(0, 3, SHAPE).astype(np.uint8)
    write_label_map(tmp_path / f"a{suffix}", LabelMap(geometry.to_canonical(native), geometry))
    assert np.array_equal(np.asarray(nib.load(tmp_path / f"a{suffix}").dataobj), native)


@pytest.mark.parametrize(("dtype", "slope"), [("<i2", (2.0, -1024.0)), ("<f4", None), ("<f8", None)])
def test_memory_is_the_volume_and_a_few_blocks_whatever_the_file_stores(tmp_path, dtype, slope):
    values = np.zeros((256, 256, 300), dtype)  # 39 MB as int16, 157 MB as float64
    path = saved(tmp_path / "ct.nii.gz", values, slope=slope)
    volume = values.size * 2
    del values
    tracemalloc.start()
    try:
        assert read_ct(path).hu.nbytes == volume
        assert tracemalloc.get_traced_memory()[1] < 1.5 * volume  # 39 MB, and blocks as stored and as float64
    finally:
        tracemalloc.stop()
