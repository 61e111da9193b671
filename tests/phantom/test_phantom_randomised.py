"""Randomised phantoms: fields, partial volume, ranges of anatomy and technique, files."""

import csv
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from liverspleen.cohort import read_cohort
from liverspleen.errors import InputError
from liverspleen.imaging import read_ct, read_label_map
from liverspleen.phantom.cohort import write_phantom_cohort
from liverspleen.phantom.randomised.canvas import Canvas
from liverspleen.phantom.randomised.densities import PHASES, draw_tissues
from liverspleen.phantom.randomised.fields import doubled, smooth_field
from liverspleen.phantom.randomised.scan import RandomisedScan
from liverspleen.phantom.randomised.space import Pose, Space
from liverspleen.phantom.randomised.technique import draw_technique
from liverspleen.phantom.traits import Condition

AXES = (np.arange(-40.0, 40.0, 4.0), np.arange(60.0, -60.0, -3.0), np.arange(50.0, -50.0, -3.0))


def scan(number, **changes):
    return replace(RandomisedScan(Condition.HEALTHY, (number, 1), (number, 2), 32, (10.0, 10.0)), **changes)


@pytest.mark.parametrize("knots_mm", [10.0, 60.0])
def test_field_is_a_function_of_the_position(knots_mm):
    whole = smooth_field((3,), AXES, knots_mm)
    part = smooth_field((3,), (AXES[0][5:9], AXES[1][10:30], AXES[2][4:24]), knots_mm)
    np.testing.assert_allclose(part, whole[5:9, 10:30, 4:24], atol=0.1)


def test_field_has_unit_sd_and_is_smooth():
    field = smooth_field((4,), (np.arange(-300.0, 300.0, 4.0), *AXES[1:]), 10.0)
    assert field.std() == pytest.approx(1, abs=0.1)
    steps = np.diff(smooth_field((4,), AXES, 60.0), axis=0)
    assert np.abs(steps).max() < 4 * 3 * 4 / 60  # 4 SD, slope at most 3 per knot distance, steps of 4 mm


@pytest.mark.parametrize("size", [(7, 9), (8, 9), (7, 10)])
def test_doubling_keeps_a_plane(size):
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    plane = (2 * rows - 3 * columns)[None]
    np.testing.assert_allclose(doubled(plane[:, ::2, ::2], size), plane, atol=1e-5)


@pytest.mark.parametrize(("slope", "overlap", "filled"), [(0.0, 1.0, 0.75), (4.0, 1.0, 0.5 + 1 / np.hypot(4, 16))])
def test_voxel_at_a_surface_gets_a_part_of_the_density(slope, overlap, filled):
    rest = Pose((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0.0, 0.0), 10.0, 10.0, (0,))
    space = Space.of(rest, (np.arange(3) * 4.0, np.arange(3) * -4.0, np.arange(3) * -4.0), 4.0, overlap)
    canvas = Canvas(space, np.zeros((3, 3), np.float32))
    canvas.paint(space.x - 1.0 * (slope == 0) + slope * (space.z - 4.0) - 1.0 * (slope != 0), 100.0)
    # depth -1 at the middle voxel: a quarter of a pixel inside; with the slope the surface crosses 16 mm of depth
    assert canvas.hu[1, 1, 0] == pytest.approx(100 * filled, rel=1e-5)


def test_phases_have_their_order_of_enhancement():
    rng = np.random.default_rng(0)
    drawn = [draw_tissues(Condition.HEALTHY, rng) for _ in range(400)]
    mean = {
        (phase, tissue): np.mean([t[tissue] for t in drawn if t.phase == phase])
        for phase in PHASES
        for tissue in ("artery", "liver", "spleen", "cortex")
    }
    assert min(Counter(t.phase for t in drawn).values()) > 30
    assert mean["arterial", "artery"] > mean["portal venous", "artery"] > mean["delayed", "artery"] > 80
    assert mean["unenhanced", "artery"] < 60
    assert mean["portal venous", "liver"] > mean["arterial", "liver"] > mean["unenhanced", "liver"]
    assert mean["arterial", "spleen"] > mean["arterial", "liver"] + 20
    fatty = [draw_tissues(Condition.FATTY, rng) for _ in range(100)]
    assert np.median([t["liver"] for t in fatty if t.phase == "unenhanced"]) < 40


def test_techniques_cover_chest_abdomen_and_pelvis_and_differ_in_spacing():
    drawn = [draw_technique((n,), matrix=64, thickness_mm=(0.5, 10.0), width_mm=350.0, height=1.0) for n in range(200)]
    assert {t.thickness_mm for t in drawn} >= {0.5, 1.0, 5.0, 10.0}
    assert any(t.spacing_mm < t.thickness_mm for t in drawn)
    assert any(t.spacing_mm > t.thickness_mm for t in drawn)
    assert all(1 <= t.slices <= 160 for t in drawn)
    tops = [t.axes_mm[0][-1] for t in drawn]
    bottoms = [t.axes_mm[0][0] for t in drawn]
    assert min(tops) < -150  # below the liver
    assert max(bottoms) > -60  # no lower part of the liver
    assert min(t.pixel_mm * 64 for t in drawn) < 350 < max(t.pixel_mm * 64 for t in drawn) / 1.3


@pytest.fixture(scope="module")
def many():
    """Scans of 30 patients at low resolution."""
    return [scan(n, condition=tuple(Condition)[n % 5]).render() for n in range(30)]


def test_anatomy_varies_far(many):
    organs = [np.bincount(s.labels.ravel(), minlength=3) * abs(np.linalg.det(s.affine)) / 1000 for s in many]
    liver, spleen = np.array(organs)[:, 1], np.array(organs)[:, 2]
    assert liver.max() > 2000
    assert np.median(liver) > 700
    assert spleen.max() > 500
    assert (spleen == 0).any()
    empty = [not s.labels[z].any() for s in many for z in range(len(s.labels))]
    assert 0.1 < np.mean(empty) < 0.7


def test_organs_lie_on_their_sides_and_have_soft_tissue_density(many):
    behind = []
    for s in many:
        _, rows, columns = np.nonzero(s.labels == 1)
        _, rows_of_spleen, others = np.nonzero(s.labels == 2)
        if min(columns.size, others.size) > 30:
            assert columns.mean() < others.mean()  # columns run to the patient's left
            assert -60 < np.median(s.hu[s.labels > 0]) < 260
            behind.append(rows.mean() < rows_of_spleen.mean())  # rows run to the back
    assert np.mean(behind) > 0.8


def test_some_scans_are_clipped(many):
    assert {int(s.hu.min()) for s in many} >= {-1024}
    assert any(s.hu.min() >= -175 for s in many)
    assert not any(-600 <= s.hu.min() <= -200 for s in many)  # air there would look like a damaged scale
    assert all(s.hu.dtype == np.int16 and s.labels.dtype == np.uint8 for s in many)


def test_two_scans_of_a_patient_show_the_same_organs():
    first, second = scan(7, matrix=64), scan(7, matrix=64, scan_seed=(99,))
    one, two = first.render(), second.render()
    assert one.hu.shape != two.hu.shape or (one.hu != two.hu).any()
    indices = np.argwhere(one.labels >= 0)[:, ::-1]
    placed = np.c_[indices, np.ones(len(indices))] @ (np.linalg.inv(two.affine) @ one.affine).T
    at = np.rint(placed[:, :3]).astype(int)
    shown = ((at >= 0) & (at < two.labels.shape[::-1])).all(axis=1)
    a = one.labels.transpose(2, 1, 0)[tuple(indices[shown].T)]
    b = two.labels.transpose(2, 1, 0)[tuple(at[shown].T)]
    assert (a > 0).sum() > 300
    assert 2 * ((a == b) & (a > 0)).sum() / ((a > 0).sum() + (b > 0).sum()) > 0.85  # voxels of 6 x 6 x 10 mm


COHORT = {
    "development": 2,
    "test1": 0,
    "pairs": 1,
    "seed": 2,
    "matrix": 40,
    "thickness_mm": (8.0, 10.0),
    "style": "randomised",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    output = tmp_path_factory.mktemp("randomised")
    write_phantom_cohort(output, **COHORT, workers=1)
    return output


def test_volumes_are_those_of_the_label_maps(folder):
    with (folder / "truth.csv").open() as handle:
        truth = {(row["case_id"], row["structure"]): float(row["volume_cm3"]) for row in csv.DictReader(handle)}
    cohort = read_cohort(folder / "cohort.csv")
    assert cohort.issues == ()
    assert len(truth) == 2 * len(cohort.cases) == 8
    for case in cohort.cases:
        labels = read_label_map(case.label)
        assert case.phase in PHASES
        for value, organ in ((1, "liver"), (2, "spleen")):
            volume = (labels.labels == value).sum() * labels.geometry.voxel_volume_mm3 / 1000
            assert truth[case.case_id, organ] == pytest.approx(volume, rel=1e-5, abs=1e-4)
        assert read_ct(case.image).hu.shape == labels.labels.shape


def test_same_bytes_with_any_number_of_processes(folder, tmp_path):
    write_phantom_cohort(tmp_path, **COHORT, workers=2)
    names = [p.relative_to(folder) for p in sorted(folder.rglob("*")) if p.is_file()]
    assert len(names) == 11
    assert all((folder / name).read_bytes() == (tmp_path / name).read_bytes() for name in names)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"style": "random"}, "style is 'random', expected paper or randomised"),
        ({"thickness_mm": (0.4, 5.0)}, "expected a range within 0.5 to 10 mm"),
        ({"thickness_mm": (0.5, 5.0), "style": "paper"}, "expected a range within 1 to 8 mm"),
    ],
)
def test_invalid_styles_and_ranges_are_rejected(wrong, named, tmp_path):
    with pytest.raises(InputError, match="LS-PHA-001") as rejected:
        write_phantom_cohort(tmp_path, **{**COHORT, **wrong}, workers=1)
    assert named in str(rejected.value)


def test_painting_in_chunks_gives_the_same_scan(monkeypatch):
    case = scan(3, matrix=64)
    whole = case.render()
    monkeypatch.setattr("liverspleen.phantom.randomised.scan._CHUNK_VOXELS", 9000)
    chunks = case.render()
    assert (whole.labels > 0).sum() > 500
    assert (whole.labels != chunks.labels).sum() < 0.01 * (whole.labels > 0).sum()
    assert np.abs(whole.hu.astype(int) - chunks.hu).mean() < 1
