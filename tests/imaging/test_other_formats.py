"""NRRD, MetaImage and NIfTI pairs: the same CT volumes and label maps as NIfTI, named segments, and rejections."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from other_formats import segments, write_metaimage, write_nrrd

from liverspleen.errors import InputError
from liverspleen.imaging import read_ct, read_grid, read_label_map
from liverspleen.imaging.files import parts, read_mask, stated_organs, strip_suffix
from liverspleen.organs import Structure

SHAPE = (7, 6, 5)
LPS = np.array([[0.0, -0.5, 0.0, 31.5], [0.75, 0.0, 0.0, -12.0], [0.0, 0.0, 2.5, -300.0], [0.0, 0.0, 0.0, 1.0]])
RAS = np.diag([-1.0, -1.0, 1.0, 1.0]) @ LPS
VOXELS = np.random.default_rng(0).integers(-1024, 3000, SHAPE).astype(np.int16)


def codes(path: Path, **options: object) -> list[str]:
    with pytest.raises(InputError) as error:
        read_label_map(path, **options)  # type: ignore[arg-type]
    return [issue.code for issue in error.value.issues]


def nifti_pair(path: Path) -> Path:
    image = nib.Nifti1Pair(VOXELS, RAS)
    image.set_qform(RAS, 1)
    nib.save(image, path)
    return path


def upper_case(path: Path) -> Path:
    image = nib.Nifti1Image(VOXELS, RAS)
    image.set_qform(RAS, 1)
    nib.save(image, path.with_name("lower.nii.gz"))
    return path.with_name("lower.nii.gz").rename(path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.nrrd", lambda path: write_nrrd(path, VOXELS, LPS)),
        ("a.mha", lambda path: write_metaimage(path, VOXELS, LPS)),
        ("a.MHA", lambda path: write_metaimage(path, VOXELS.astype(">i2"), LPS, packed=True)),
        ("a.mhd", lambda path: write_metaimage(path, VOXELS, LPS, data="other name.raw")),
        ("a.mhd", lambda path: write_metaimage(path, VOXELS, LPS, data="a.zraw", packed=True)),
        ("a.hdr", nifti_pair),
        ("A.NII.GZ", upper_case),
    ],
)
def test_a_ct_of_any_format_is_that_of_its_voxels_and_directions(tmp_path: Path, name: str, write: object) -> None:
    path = write(tmp_path / name)  # type: ignore[operator]
    ct = read_ct(path)
    assert np.array_equal(ct.geometry.to_native(ct.hu), VOXELS)
    np.testing.assert_allclose(ct.geometry.affine, RAS, atol=1e-5)
    np.testing.assert_allclose(read_grid(path).affine, RAS, atol=1e-5)
    assert strip_suffix(name) in ("a", "A")


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".nii"])
@pytest.mark.parametrize("packed", [False, True])
def test_files_of_simpleitk_are_read_with_the_grid_that_it_has(tmp_path: Path, suffix: str, packed: bool) -> None:
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.GetImageFromArray(VOXELS.T)
    image.SetOrigin(LPS[:3, 3])
    image.SetSpacing((0.75, 0.5, 2.5))
    image.SetDirection((LPS[:3, :3] / [0.75, 0.5, 2.5]).ravel())
    sitk.WriteImage(image, str(tmp_path / f"a{suffix}"), packed)
    ct = read_ct(tmp_path / f"a{suffix}")
    assert np.array_equal(ct.geometry.to_native(ct.hu), VOXELS)
    np.testing.assert_allclose(ct.geometry.affine, RAS, atol=1e-5)
    assert len(parts(tmp_path / f"a{suffix}")) == (2 if suffix in (".nhdr", ".mhd", ".hdr") else 1)


@pytest.mark.parametrize("names", [("a.hdr", "a.img"), ("A.HDR", "A.IMG"), ("a.hdr.gz", "a.img.gz")])
def test_a_pair_can_be_given_by_the_file_of_its_voxels(tmp_path: Path, names: tuple[str, str]) -> None:
    header, voxels = (tmp_path / name for name in names)
    nifti_pair(header)
    assert np.array_equal(read_ct(voxels).hu, read_ct(header).hu)
    assert parts(voxels) == parts(header) == (header, voxels)


# Segments of 3D Slicer: 24 voxels of a liver with 8 of a tumour inside, 12 of a spleen

LIVER, TUMOUR, SPLEEN = (np.zeros(SHAPE, np.uint8) for _ in range(3))
LIVER[1:4, 1:3, :4], TUMOUR[1:3, 1:3, :2], SPLEEN[5:, 2:5, :2] = 1, 1, 1
OWN = {1: Structure.LIVER, 2: Structure.SPLEEN}


def counts(path: Path, **options: object) -> dict[str, int]:
    label_map = read_label_map(path, **options)  # type: ignore[arg-type]
    return {organ.key: label_map.count(organ) for organ in label_map.covered}


def test_names_of_segments_give_the_meaning_of_values(tmp_path: Path) -> None:
    keys = segments(("Spleen", 1, 0), ("LIVER ", 7, 0), ("tumour", 3, 0))
    labels = SPLEEN + 7 * LIVER - 4 * TUMOUR
    path = write_nrrd(tmp_path / "a.seg.nrrd", labels.astype(np.uint8), LPS, keys=keys)
    assert counts(path) == {"liver": 24 - 8, "spleen": 12}
    assert stated_organs(path) == (Structure.LIVER, Structure.SPLEEN)
    assert counts(path, values={1: Structure.SPLEEN}) == {"liver": 24 - 8, "spleen": 12}
    assert codes(path, values=OWN) == ["LS-LAB-056"]


def test_layers_of_segments_are_one_label_map_unless_organs_overlap(tmp_path: Path) -> None:
    layers = np.stack([LIVER + 2 * SPLEEN, TUMOUR])
    keys = segments(("Liver", 1, 0), ("Spleen", 2, 0), ("Tumour", 1, 1))
    assert counts(write_nrrd(tmp_path / "a.seg.nrrd", layers, LPS, keys=keys)) == {"liver": 24, "spleen": 12}
    own = {key: cell for key, cell in segments(("Liver", 1, 0), ("Spleen", 1, 1)).items() if key.endswith("Name")}
    path = write_nrrd(tmp_path / "old.seg.nrrd", np.stack([LIVER, SPLEEN]), LPS, keys=own)  # before 3D Slicer 4.11
    assert counts(path) == {"liver": 24, "spleen": 12}
    overlapping = write_nrrd(tmp_path / "b.seg.nrrd", np.stack([LIVER, LIVER | SPLEEN]), LPS, keys=own)
    assert codes(overlapping) == ["LS-IMP-023"]
    assert codes(write_nrrd(tmp_path / "c.nrrd", layers, LPS)) == ["LS-IMG-006"]
    with pytest.raises(InputError, match=r"LS-IMG-006.*shape \(2, 7, 6, 5\)"):
        read_ct(tmp_path / "a.seg.nrrd")


def test_segments_without_the_name_of_an_organ_need_label_values(tmp_path: Path) -> None:
    labels = LIVER + 2 * SPLEEN
    path = write_nrrd(tmp_path / "a.seg.nrrd", labels, LPS, keys=segments(("Segment_1", 1, 0), ("Segment_2", 2, 0)))
    assert codes(path) == ["LS-LAB-057"]
    assert counts(path, values=OWN) == {"liver": 24, "spleen": 12}
    twice = write_nrrd(tmp_path / "b.seg.nrrd", labels, LPS, keys=segments(("Liver", 1, 0), ("Spleen", 1, 0)))
    assert codes(twice) == ["LS-LAB-057"]
    unknown = write_nrrd(tmp_path / "c.seg.nrrd", labels, LPS, keys=segments(("Liver", 1, 0)))
    assert codes(unknown) == ["LS-LAB-001"]  # 2 belongs to no segment


# Rejections


def test_headers_that_promise_more_voxels_than_there_are_do_not_fill_the_memory(tmp_path: Path) -> None:
    large = np.broadcast_to(np.int16(0), (40_000, 40_000, 2_000))  # 6 TB
    head = [f"sizes: {' '.join(map(str, large.shape))}" if "sizes" in line else line for line in _lines()]
    (tmp_path / "a.nrrd").write_bytes("\n".join([*head, "", ""]).encode() + gzip.compress(bytes(1 << 20)))
    assert codes(tmp_path / "a.nrrd")[0] in ("LS-IMG-004", "LS-IMG-031")
    with pytest.raises(InputError, match="LS-IMG-004"):
        read_ct(tmp_path / "a.nrrd")
    surplus = zlib.compress(bytes(VOXELS.nbytes + (1 << 29)))
    path = write_metaimage(tmp_path / "a.mha", VOXELS, LPS, packed=True)
    text = path.read_bytes().split(b"ElementDataFile = LOCAL\n")[0].decode()
    stated = text.replace(text.partition("CompressedDataSize = ")[2].partition("\n")[0], str(len(surplus)), 1)
    path.write_bytes(stated.encode() + b"ElementDataFile = LOCAL\n" + surplus)
    with pytest.raises(InputError, match="LS-IMG-030"):
        read_ct(path)


def _lines() -> list[str]:
    from other_formats import nrrd_lines

    return nrrd_lines(VOXELS, LPS)


@pytest.mark.parametrize("name", ["../a.raw", "/etc/passwd", "LIST", "a%03d.raw 1 5 1", "missing.raw", "", ".."])
def test_data_files_are_beside_their_header(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.raw").write_bytes(VOXELS.tobytes())
    path = write_metaimage(tmp_path / "below" / "a.mhd", VOXELS, LPS, data="a.raw")
    path.write_text(path.read_text().replace("a.raw", name))
    assert codes(path) == ["LS-IMG-061"]
    detached = "\n".join([*_lines(), f"data file: {name}", ""])
    (tmp_path / "below" / "a.nhdr").write_text(detached)
    assert codes(tmp_path / "below" / "a.nhdr") == ["LS-IMG-061"]


def test_a_mask_has_one_value_beside_0(tmp_path: Path) -> None:
    path = write_nrrd(tmp_path / "liver.nrrd", 255 * LIVER, LPS)
    assert read_mask(path, Structure.SPLEEN).count(Structure.SPLEEN) == 24
    with pytest.raises(InputError, match=r"LS-IMP-027.*values 1, 2 beside 0"):
        read_mask(write_nrrd(tmp_path / "b.nrrd", LIVER + TUMOUR, LPS), Structure.LIVER)
