import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from liverspleen.cohort.manifest import read_cohort
from liverspleen.data.cache import cache_case, case_key, open_case, store_voxel_hash, stored_voxel_hash
from liverspleen.data.module import reject_leaks
from liverspleen.errors import InputError
from liverspleen.formats import SLICE_CACHE
from liverspleen.imaging.files import read_ct
from liverspleen.imaging.nifti import write_ct
from liverspleen.organs import ORGANS, Structure


def test_cache_holds_the_voxels_of_the_file(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    case = read_cohort(box_cohort(slices=(4,))).cases[0]
    cached = cache_case(case, tmp_path / "cache")
    # affine diag(-2, -2, 5) in RAS: columns grow to the left, rows to posterior, slices to superior
    native = np.asarray(nib.nifti1.load(case.image).dataobj)
    np.testing.assert_array_equal(cached.slices, native.transpose(2, 1, 0))
    assert cached.labels.dtype == np.uint8
    for name in ("slices", "labels", "present"):  # as numpy writes them, so that other programs can read them
        np.save(tmp_path / "again.npy", getattr(cached, name))
        assert (cached.folder / f"{name}.npy").read_bytes() == (tmp_path / "again.npy").read_bytes()
    assert sorted(p.name for p in (tmp_path / "cache").iterdir()) == [case_key(case)]


def test_cache_has_spacing_labelled_structures_and_the_organs_of_each_slice(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    manifest = box_cohort(slices=(4,))
    full = cache_case(read_cohort(manifest).cases[0], tmp_path / "cache")
    assert full.slice_spacing_mm == 5.0
    assert full.labelled == ORGANS
    # liver from the second slice up, spleen in the second and third (tests/conftest.py)
    assert full.present.tolist() == [[False, False], [True, True], [True, True], [True, False]]


def test_labelled_structures_come_from_the_manifest_and_without_a_label_map_there_are_none(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    case = read_cohort(box_cohort(slices=(4,))).cases[0]
    cache_case(case, tmp_path)
    only_spleen = open_case(replace(case, labelled_structures=(Structure.SPLEEN,)), tmp_path)
    assert only_spleen is not None
    assert only_spleen.labelled == (Structure.SPLEEN,)
    assert cache_case(replace(case, label=None), tmp_path).labelled == ()


def test_changed_label_gets_another_key(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    case = read_cohort(box_cohort(slices=(4,))).cases[0]
    cache_case(case, tmp_path / "cache")
    assert case.label is not None
    case.label.write_bytes(case.label.read_bytes()[::-1])
    assert open_case(case, tmp_path / "cache") is None


def test_changed_parameters_never_use_old_slices(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Image, label map, pixel size and format are part of the key."""
    cache = tmp_path / "cache"
    case, other = read_cohort(box_cohort(slices=(4, 5))).cases
    first = cache_case(case, cache)
    assert open_case(case, cache, pixel_mm=4.0) is None
    coarse = cache_case(case, cache, pixel_mm=4.0)
    assert (first.slices.shape, coarse.slices.shape) == ((4, 32, 32), (4, 16, 16))
    assert open_case(case, cache, pixel_mm=4.1) is None
    keys = {case_key(one) for one in (case, other, replace(case, label=other.label), replace(case, label=None))}
    assert len(keys) == 4
    monkeypatch.setattr("liverspleen.data.cache.SLICE_CACHE", replace(SLICE_CACHE, number=99))
    assert open_case(case, cache) is None


def test_resampled_case_keeps_the_hash_of_its_ct_and_its_native_labels(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    case = read_cohort(box_cohort(slices=(4,))).cases[0]
    native, coarse = cache_case(case, tmp_path), cache_case(case, tmp_path, pixel_mm=4.0)
    assert coarse.voxels_sha256 == native.voxels_sha256
    assert coarse.slice_spacing_mm == 5.0
    assert coarse.labels.shape == coarse.slices.shape == (4, 16, 16)
    np.testing.assert_array_equal(coarse.native_labels, native.labels)
    assert coarse.present.tolist() == native.present.tolist()


def test_pixel_size_of_the_ct_itself_stores_the_same_bytes(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    case = read_cohort(box_cohort(slices=(4,))).cases[0]
    native, same = cache_case(case, tmp_path), cache_case(case, tmp_path, pixel_mm=2.0)
    assert not same.resampled
    assert {file.name for file in same.folder.iterdir()} == {file.name for file in native.folder.iterdir()}
    for file in native.folder.glob("*.npy"):
        assert file.read_bytes() == (same.folder / file.name).read_bytes()
    assert native.content_sha256 == same.content_sha256


def test_voxels_of_a_test_case_are_decoded_once_for_the_bytes_of_its_file(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, cache = read_cohort(box_cohort(slices=(4,))).cases[0], tmp_path / "cache"
    assert stored_voxel_hash(case, cache) is None
    found = store_voxel_hash(case, cache)
    hu = np.asarray(nib.nifti1.load(case.image).dataobj).transpose(2, 1, 0)
    assert found == hashlib.sha256(hu.astype("<i2").tobytes()).hexdigest() == cache_case(case, cache).voxels_sha256
    monkeypatch.setattr("liverspleen.imaging.files.read_ct", lambda *_, **__: pytest.fail("decoded again"))
    assert store_voxel_hash(case, cache) == found
    case.image.write_bytes(case.image.read_bytes()[:-1])
    assert stored_voxel_hash(case, cache) is None


def test_complete_cache_is_read_without_the_readers_of_images() -> None:
    code = "import sys, liverspleen.data.cache; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"nibabel", "isal", "scipy", "pydantic", "torch"} & set(run.stdout.split())


def test_interrupted_case_is_absent(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = read_cohort(box_cohort(slices=(4,))).cases[0]

    def no_space(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(OSError, match="no space"):
        cache_case(case, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_same_voxels_under_another_name_on_both_sides_are_rejected(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    cohort = read_cohort(box_cohort(slices=(4, 5)))
    first = cache_case(cohort.cases[0], tmp_path / "cache")
    write_ct(cohort.cases[1].image, read_ct(cohort.cases[0].image))
    assert cohort.cases[1].label is not None
    cohort.cases[1].label.write_bytes(cohort.cases[0].label.read_bytes())  # type: ignore[union-attr]
    second = cache_case(cohort.cases[1], tmp_path / "cache")
    with pytest.raises(InputError, match=r"LS-TRN-003 case 'c1'.*'c0'"):
        reject_leaks([first], [second])


def test_voxels_of_a_test_case_on_either_side_are_rejected(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    cohort = read_cohort(box_cohort(slices=(4, 5, 6)))
    first, second, _ = cached = [cache_case(case, tmp_path / "cache") for case in cohort.cases]
    reject_leaks([first], [second], {"t": cached[2].voxels_sha256})
    with pytest.raises(InputError, match=r"LS-TRN-013 case 't'.*training case 'c0'"):
        reject_leaks([first], [second], {"t": first.voxels_sha256})
    with pytest.raises(InputError, match=r"LS-TRN-013 case 't'.*validation case 'c1'"):
        reject_leaks([first], [second], {"t": second.voxels_sha256})


def test_same_patient_on_both_sides_is_rejected(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    cohort = read_cohort(box_cohort(slices=(4, 5), patient_id=("p", "p")))
    cached = [cache_case(case, tmp_path / "cache") for case in cohort.cases]
    with pytest.raises(InputError, match="LS-TRN-002"):
        reject_leaks(cached[:1], cached[1:])
