"""Ensembles: the mean softmax of several networks, which share slices and memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from packages import UNET, package, save
from stand_ins import stand_in, volume
from torch import Tensor, nn

from liverspleen.data.window import IntensityWindow
from liverspleen.errors import InputError
from liverspleen.imaging.volume import CTVolume
from liverspleen.inference.ensemble import Ensemble, load_ensemble
from liverspleen.inference.model import load_model
from liverspleen.inference.ring import SliceRing
from liverspleen.inference.segment import segment, segment_volume
from liverspleen.networks.build import build_network
from liverspleen.organs import ORGANS, Structure


def noise(slices: int = 5) -> CTVolume:
    hu = np.random.default_rng(1).integers(-200, 300, (slices, 24, 20))
    hu[:, :3] = -1000  # air
    return volume(hu)


def unet(seed: int, slices: int = 3) -> nn.Module:
    """Return a network with random weights whose classes vary over an image of noise."""
    torch.manual_seed(seed)
    network = build_network(UNET, slices=slices).eval()
    for weight in network.parameters():
        weight.data.mul_(3)
    return network


@pytest.fixture
def checkpoints(tmp_path: Path) -> Callable[..., list[Path]]:
    def write(number: int = 3, **changes: Any) -> list[Path]:
        return [save(tmp_path / f"{seed}.ckpt", unet(seed), **changes) for seed in range(number)]

    return write


def reference(logits: np.ndarray) -> np.ndarray:
    """Softmax along the second axis in float64."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("flips", [False, True])
def test_probabilities_are_the_mean_of_the_single_runs_and_labels_their_highest_class(
    flips: bool, checkpoints: Callable[..., list[Path]]
) -> None:
    ct, paths = noise(), checkpoints()
    single = [segment(ct, path, probabilities=True, flips=flips)[1] for path in paths]
    labels, mean = segment(ct, paths, probabilities=True, flips=flips)
    assert mean.dtype == np.float32
    assert mean.shape == (2, 5, 24, 20)
    np.testing.assert_allclose(mean, np.mean(single, axis=0, dtype=np.float64), rtol=0, atol=1e-6)
    classes = np.concatenate([1 - mean.sum(axis=0, keepdims=True), mean]).astype(np.float64)
    clear = np.sort(classes, axis=0)[-1] - np.sort(classes, axis=0)[-2] > 1e-5  # the background is a difference here
    assert clear.mean() > 0.99
    assert (labels.labels == classes.argmax(axis=0))[clear].all()
    assert len(np.unique(labels.labels)) == 3
    without = segment(ct, paths, flips=flips)
    assert np.array_equal(without.labels, labels.labels)


def test_softmax_is_that_of_the_logits_and_changes_no_label(checkpoints: Callable[..., list[Path]]) -> None:
    (path,) = checkpoints(1)
    ct, model = noise(4), load_model(path)
    labels, maps = segment(ct, model, probabilities=True)
    assert np.array_equal(labels.labels, segment(ct, model).labels)
    padded = np.full((4, 24, 24), -1024.0)
    padded[:, :, :20] = ct.hu
    scaled = torch.from_numpy(np.clip((padded + 150) / 400, 0, 1)).float()
    stacks = torch.stack([scaled[[max(k - 1, 0), k, min(k + 1, 3)]] for k in range(4)])
    with torch.inference_mode():
        expected = reference(model.network(stacks).numpy())[:, 1:, :, :20].swapaxes(0, 1)
    np.testing.assert_allclose(maps, expected, rtol=0, atol=1e-5)


def test_members_with_other_slices_and_pixels_are_averaged_on_the_grid_of_the_ct(tmp_path: Path) -> None:
    paths = [
        save(tmp_path / "a.ckpt", unet(0)),
        save(tmp_path / "b.ckpt", unet(1, slices=1), slices=1),
        save(tmp_path / "c.ckpt", unet(2), pixel_mm=1.7),
        save(tmp_path / "d.ckpt", unet(3), window={"lower_hu": 0.0, "upper_hu": 100.0, "clip": False}),
    ]
    for flips in (False, True):
        single = [segment(noise(), path, probabilities=True, flips=flips)[1] for path in paths]
        _, mean = segment(noise(), paths, probabilities=True, flips=flips)
        np.testing.assert_allclose(mean, np.mean(single, axis=0), rtol=0, atol=1e-6)


def test_each_distinct_preparation_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    original = SliceRing.__init__
    monkeypatch.setattr(SliceRing, "__init__", lambda self, *a, **k: (made.append(a[1]), original(self, *a, **k))[1])
    window = IntensityWindow(-150.0, 250.0, clip=True)
    alike = [stand_in(unet(seed), window=window) for seed in range(3)]
    other = replace(alike[0], pixel_mm=2.0)
    segment_volume(noise(), Ensemble((*alike, other), "x"))
    assert [model.pixel_mm for model in made] == [None, 2.0]


@pytest.mark.parametrize("batch_size", [2, 8])
def test_labels_do_not_depend_on_the_batch(batch_size: int, checkpoints: Callable[..., list[Path]]) -> None:
    paths = checkpoints()
    expected = segment(noise(), paths, batch_size=3).labels
    assert (segment(noise(), paths, batch_size=batch_size).labels == expected).mean() > 0.999


def test_an_ensemble_of_one_is_the_model(tmp_path: Path, checkpoints: Callable[..., list[Path]]) -> None:
    (path,) = checkpoints(1)
    alone, of_one = load_model(path), load_ensemble([path])
    assert of_one.sha256 == alone.sha256
    first, second = (segment(noise(), model, probabilities=True) for model in (alone, of_one))
    assert np.array_equal(first[0].labels, second[0].labels)
    assert np.array_equal(first[1], second[1])


def test_order_of_the_members_does_not_matter(checkpoints: Callable[..., list[Path]]) -> None:
    paths = checkpoints()
    found = {load_ensemble(order).sha256 for order in (paths, paths[::-1], [*paths[1:], paths[0]])}
    assert len(found) == 1
    maps = [segment(noise(), order, probabilities=True)[1] for order in (paths, paths[::-1])]
    assert np.array_equal(*maps)


class Fixed(nn.Module):
    """Calls rows below `stop` liver, and no voxel spleen."""

    def __init__(self, stop: int) -> None:
        super().__init__()
        self.stop = stop

    def forward(self, slices: Tensor) -> Tensor:
        logits = torch.zeros(len(slices), 3, *slices.shape[2:])
        logits[:, 1] = -1
        logits[:, 1, : self.stop] = 1
        logits[:, 2] = -9
        return logits


def test_disagreement_is_pooled_over_all_pairs_of_members() -> None:
    # by hand, per column of a slice: 4, 8 and 8 rows; pairs share 4, 4 and 8 rows, and have 12, 12 and 16 rows
    members = tuple(stand_in(Fixed(stop)) for stop in (4, 8, 8))
    found = segment_volume(noise(3), Ensemble(members, "x"))
    assert found.member_dss == {
        Structure.LIVER: pytest.approx(2 * (4 + 4 + 8) / (12 + 12 + 16)),
        Structure.SPLEEN: None,
    }
    assert segment_volume(noise(3), members[0]).member_dss is None
    apart = segment_volume(noise(3), Ensemble((stand_in(Fixed(0)), stand_in(Fixed(8))), "x"))
    assert apart.member_dss == {Structure.LIVER: 0.0, Structure.SPLEEN: None}


def test_soft_volume_is_the_sum_of_probabilities(checkpoints: Callable[..., list[Path]]) -> None:
    ct, paths = noise(), checkpoints(2)
    _, maps = segment(ct, paths, probabilities=True)
    found = segment_volume(ct, load_ensemble(paths), probabilities="uint8")
    assert found.probabilities is not None
    assert found.volume_soft_cm3 is not None
    assert found.probabilities.dtype == np.uint8
    assert np.abs(found.probabilities / 255 - maps).max() <= 1 / 510 + 1e-6
    for organ, values in zip(ORGANS, maps, strict=True):
        # voxels of 1 x 1 x 5 mm
        assert found.volume_soft_cm3[organ] == pytest.approx(values.sum(dtype=np.float64) * 5 / 1000, rel=1e-6)
    assert segment_volume(ct, load_ensemble(paths)).volume_soft_cm3 is None


def test_nan_of_one_member_is_rejected() -> None:
    class Broken(nn.Module):
        def forward(self, slices: Tensor) -> Tensor:
            return torch.full((len(slices), 3, *slices.shape[2:]), torch.nan)

    with pytest.raises(InputError, match="LS-PRD-012"):
        segment_volume(noise(), Ensemble((stand_in(Fixed(3)), stand_in(Broken()), stand_in(Fixed(5))), "x"))


def test_what_cannot_be_averaged_is_rejected_in_one_line(
    tmp_path: Path, checkpoints: Callable[..., list[Path]]
) -> None:
    paths = checkpoints(2)
    package(tmp_path / "package", save(tmp_path / "n.ckpt"))
    again = save(tmp_path / "again.ckpt", unet(0), cohort="d" * 64)  # the same weights in another file
    liver = save(tmp_path / "liver.ckpt", unet(5), taught_organs=["liver"])
    rejected = {
        "LS-MOD-027": ([paths[0], paths[0]], [tmp_path / "n.ckpt", tmp_path / "package"], [paths[0], again]),
        "LS-MOD-028": ([paths[0], liver],),
        "LS-MOD-001": ([paths[0], tmp_path / "absent"],),
    }
    for code, cases in rejected.items():
        for case in cases:
            with pytest.raises(InputError) as error:
                load_ensemble(case)
            (line,) = str(error.value).splitlines()
            assert line.startswith(code)
            assert "; give" in line


def test_postprocessing_is_what_the_members_agree_on() -> None:
    liver, both = {Structure.LIVER: "main_parts"}, dict.fromkeys(ORGANS, "main_parts")
    first, second = stand_in(Fixed(3), postprocessing=liver), stand_in(Fixed(5), postprocessing=both)
    ensemble = Ensemble((first, second), "x")
    assert ensemble.postprocessing == liver
    (note,) = ensemble.issues
    assert str(note) == (
        "LS-PRD-041: 1 of 2 members have postprocessing of the spleen, so it is not applied; "
        "use postprocess=none to segment without any postprocessing"
    )
    assert Ensemble((first, first), "x").issues == ()
