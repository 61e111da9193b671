"""Surface distances compared with two other implementations and with the plain definitions, on random masks."""

import warnings

import numpy as np
import pytest
from scipy import ndimage

from liverspleen.evaluation.metrics.surface import surface_distances

# Far from every distance in these grids, so that different rounding of a peer changes no decision.
TOLERANCE_MM = 1.2345
SEEDS = range(210)


def random_pair(seed):
    """Two masks and a spacing: two thresholds of smooth noise, or a mask and a disturbed copy, or bare noise."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(2, 15, 3))
    spacing_mm = tuple(float(mm) for mm in rng.uniform(0.4, 4.0, 3))
    if seed % 3 == 0:
        test, reference = rng.random((2, *shape)) < rng.uniform(0.02, 0.9, (2, 1, 1, 1))
    else:
        field = ndimage.gaussian_filter(rng.normal(size=shape), 1.5)
        other = field + rng.choice([0.02, 0.2]) * ndimage.gaussian_filter(rng.normal(size=shape), 1.0)
        level = np.quantile(field, rng.uniform(0.2, 0.9))
        test, reference = other > level, field > level
    test.flat[rng.integers(test.size)] = reference.flat[rng.integers(reference.size)] = True  # never empty
    return test, reference, spacing_mm


def degenerate_pairs():
    shape = (4, 6, 7)

    def box(*ranges):
        mask = np.zeros(shape, bool)
        mask[tuple(slice(*limits) for limits in ranges)] = True
        return mask

    full, voxel, slice_index = np.ones(shape, bool), box((1, 2), (2, 3), (3, 4)), box((2, 3), (0, 6), (0, 7))
    return {
        "voxel_in_full": (voxel, full),
        "full_twice": (full, full),
        "voxel_twice": (voxel, voxel),
        "two_voxels": (voxel, box((3, 4), (5, 6), (6, 7))),
        "one_slice": (slice_index, box((1, 2), (0, 6), (0, 7))),
        "touching_faces": (box((0, 2), (0, 6), (0, 7)), box((2, 4), (0, 6), (0, 7))),
        "disjoint": (box((0, 1), (0, 2), (0, 2)), box((3, 4), (4, 6), (5, 7))),
        "corner_and_full": (box((0, 1), (0, 1), (0, 1)), full),
        "one_inside_the_other": (box((1, 3), (2, 4), (2, 5)), box((0, 4), (1, 5), (1, 6))),
    }


CASES = [pytest.param(*random_pair(seed), id=str(seed)) for seed in SEEDS]
CASES += [pytest.param(*pair, (3.0, 0.9, 0.7), id=name) for name, pair in degenerate_pairs().items()]


@pytest.fixture(scope="module")
def monai_metrics():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("monai.metrics", reason="MONAI, the reference, is not installed")


@pytest.fixture(scope="module")
def deepmind():
    return pytest.importorskip(
        "surface_distance", reason="surface-distance-based-measures, the reference, is not installed"
    )


@pytest.mark.parametrize(("test", "reference", "spacing_mm"), CASES)
def test_voxel_definition_agrees_with_monai(monai_metrics, test, reference, spacing_mm):
    import torch

    found = surface_distances(test, reference, np.diag([*spacing_mm, 1.0]), tolerance_mm=TOLERANCE_MM)
    pair = [torch.from_numpy(mask)[None, None] for mask in (test, reference)]
    given = {"include_background": True, "spacing": spacing_mm}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of the peer
        hd95 = monai_metrics.compute_hausdorff_distance(*pair, percentile=95, **given).item()
        assd = monai_metrics.compute_average_surface_distance(*pair, symmetric=True, **given).item()
        nsd = monai_metrics.compute_surface_dice(*pair, class_thresholds=[TOLERANCE_MM], **given).item()
    # float32: the rank of the quantile is off by 1e-5 of a step between two distances
    assert (found.hd95_mm, found.assd_mm, found.nsd) == pytest.approx((hd95, assd, nsd), rel=2e-6, abs=1e-4)


@pytest.mark.parametrize(("test", "reference", "spacing_mm"), CASES)
def test_voxel_definition_agrees_with_all_pairs(test, reference, spacing_mm):
    def border(mask):
        inner = ndimage.binary_erosion(mask, ndimage.generate_binary_structure(3, 1), border_value=0)
        return np.argwhere(mask & ~inner) * spacing_mm

    distances = np.linalg.norm(border(test)[:, None] - border(reference)[None], axis=2)
    there, back = distances.min(axis=1), distances.min(axis=0)
    both = np.concatenate([there, back])
    found = surface_distances(test, reference, np.diag([*spacing_mm, 1.0]), tolerance_mm=TOLERANCE_MM)
    assert (found.n_test, found.n_reference) == (there.size, back.size)
    assert found.hd95_mm == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), rel=1e-9)
    assert found.assd_mm == pytest.approx(both.mean(), rel=1e-9)
    assert found.nsd == pytest.approx((both <= TOLERANCE_MM).mean(), rel=1e-9)


@pytest.mark.parametrize(("test", "reference", "spacing_mm"), CASES)
def test_area_definition_agrees_with_surface_distance(deepmind, test, reference, spacing_mm):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of the peer
        theirs = deepmind.compute_surface_distances(reference, test, spacing_mm)
        hd95 = deepmind.compute_robust_hausdorff(theirs, 95)
        means = deepmind.compute_average_surface_distance(theirs)
        nsd = deepmind.compute_surface_dice_at_tolerance(theirs, TOLERANCE_MM)
    areas = theirs["surfel_areas_gt"].sum(), theirs["surfel_areas_pred"].sum()
    found = surface_distances(
        test, reference, np.diag([*spacing_mm, 1.0]), tolerance_mm=TOLERANCE_MM, definition="area"
    )
    assert (found.area_reference_mm2, found.area_test_mm2) == pytest.approx(areas)
    assert found.hd95_mm == pytest.approx(hd95, rel=1e-9)
    assert found.assd_mm == pytest.approx(np.average(means, weights=areas), rel=1e-9)
    assert found.nsd == pytest.approx(nsd, rel=1e-9)


def test_scores_of_empty_masks_differ_from_the_peers(monai_metrics):
    """MONAI gives NaN or infinity with one empty mask; here distances are undefined. The NSD of 0 is the same."""
    import torch

    mask, empty = np.ones((1, 1, 2, 3, 4), bool), np.zeros((1, 1, 2, 3, 4), bool)
    pair = [torch.from_numpy(mask), torch.from_numpy(empty)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of the peer
        hd95 = monai_metrics.compute_hausdorff_distance(*pair, percentile=95, include_background=True).item()
        nsd = monai_metrics.compute_surface_dice(*pair, class_thresholds=[1.0], include_background=True).item()
    found = surface_distances(mask[0, 0], empty[0, 0], np.eye(4), tolerance_mm=1.0)
    assert not np.isfinite(hd95)
    assert found.hd95_mm is None
    assert found.nsd == nsd == 0.0
