import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor, nn

from liverspleen import assemble
from liverspleen.cohort.manifest import read_cohort
from liverspleen.config import compose
from liverspleen.data.cache import cache_case
from liverspleen.data.window import IntensityWindow
from liverspleen.errors import InputError, InputWarning
from liverspleen.formats import CHECKPOINT
from liverspleen.imaging.dicom import write_series
from liverspleen.imaging.files import read_ct
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.nifti import write_ct
from liverspleen.imaging.volume import CTVolume
from liverspleen.inference.model import TrainedModel, load_model
from liverspleen.inference.segment import _read, segment, segment_volume
from liverspleen.networks.build import build_network
from liverspleen.networks.checkpoint import PACKAGE_KEY
from liverspleen.training.checkpoint_files import with_checksum


class NeighbourSum(nn.Module):
    """Calls a voxel liver where the slices below and above add up to 0.5 or more, else background."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, slices: Tensor) -> Tensor:
        assert slices.shape[-1] % 16 == 0
        score = slices[:, 0] + slices[:, 2] - 0.5 + 1e-4
        return torch.stack([torch.zeros_like(score), score, torch.full_like(score, -1.0)], dim=1)


def model() -> TrainedModel:
    return TrainedModel(NeighbourSum().eval(), IntensityWindow(0.0, 100.0, clip=True), 3, 16, {}, "")


def ct(values: Sequence[int], rows: int = 5, columns: int = 7, spacing_mm: float = 5.0) -> CTVolume:
    hu = np.broadcast_to(np.array(values, np.int16)[:, None, None], (len(values), rows, columns)).copy()
    return CTVolume(hu, Geometry((columns, rows, len(values)), np.diag([-1.0, -1.0, spacing_mm, 1.0])))


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8])
def test_each_slice_has_its_own_neighbours_for_any_batch_size(batch_size: int) -> None:
    # by hand, neighbours' sums in HU: (0+50, 0+0, 50+10, 0+60, 10+60), liver from 50 on; the ends repeat
    labels = segment_volume(ct([0, 50, 0, 10, 60]), model(), batch_size=batch_size).label_map.labels
    assert labels[:, 0, 0].tolist() == [1, 0, 1, 1, 1]
    assert (labels == labels[:, :1, :1]).all()


# by hand: slices 2.5 mm apart, so a distance of 5 mm is two slices; sums of the second neighbours in HU are
# (0+0, 0+10, 0+60, 50+60, 0+60), and of the first, where the distance is below the spacing, those above
@pytest.mark.parametrize(
    ("distance_mm", "expected"), [(5.0, [0, 0, 1, 1, 1]), (None, [1, 0, 1, 1, 1]), (0.1, [1, 0, 1, 1, 1])]
)
@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_neighbours_are_as_far_apart_as_in_training(
    distance_mm: float | None, expected: list[int], batch_size: int
) -> None:
    volume = ct([0, 50, 0, 10, 60], spacing_mm=2.5)
    distant = replace(model(), slice_distance_mm=distance_mm)
    assert segment_volume(volume, distant, batch_size=batch_size).label_map.labels[:, 0, 0].tolist() == expected


class Brightness(nn.Module):
    """Calls a voxel liver where the slice of interest is at 0.5 or more, by logits that grow with it."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, slices: Tensor) -> Tensor:
        score = slices[:, 1] - 0.5
        return torch.stack([-score, score, torch.full_like(score, -9.0)], dim=1)


@pytest.mark.parametrize("pixel_mm", [0.5, 1.0, 2.0, 1.7])
def test_slice_is_segmented_at_the_pixel_size_of_the_model_and_resampled_back(pixel_mm: float) -> None:
    """A disc of 24 mm in pixels of 1 mm is found, except for pixels on its edge."""
    row, column = np.mgrid[:50, :40]
    disc = (row - 24.0) ** 2 + (column - 19.0) ** 2 <= 12**2
    volume = ct([0, 0, 0], rows=50, columns=40)
    volume.hu[:] = np.where(disc, 100, 0)
    bright = replace(model(), network=Brightness().eval(), pixel_mm=pixel_mm)
    labels = segment_volume(volume, bright, batch_size=2).label_map.labels
    assert labels.shape == volume.hu.shape
    assert (labels == labels[0]).all()
    wrong = np.abs(labels[0].astype(int) - disc)
    edge = ndimage.binary_dilation(disc) & ~ndimage.binary_erosion(disc)
    assert not wrong[~edge].any()
    assert abs(int(labels[0].sum()) - int(disc.sum())) <= 0.03 * disc.sum()
    assert pixel_mm > 1 or wrong.sum() == 0


def test_the_network_sees_the_slices_that_the_cache_holds(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    """Training and prediction preprocess a CT equally."""
    case = read_cohort(box_cohort(slices=(4,))).cases[0]
    stored = cache_case(case, tmp_path, pixel_mm=3.0)
    seen: list[Tensor] = []

    class Watcher(Brightness):
        def forward(self, slices: Tensor) -> Tensor:
            seen.append(slices[:, 1, :21, :21].clone())
            return super().forward(slices)

    window = IntensityWindow(-1000.0, 1000.0, clip=False)
    watching = replace(model(), network=Watcher().eval(), window=window, pixel_mm=3.0)
    segment_volume(read_ct(case.image), watching, batch_size=3)
    assert torch.equal(torch.cat(seen), window(torch.from_numpy(np.array(stored.slices))))


def write_checkpoint(file: Path, trained: nn.Module, **about: Any) -> None:
    plain = {
        "format": CHECKPOINT.number,
        "structures": {"background": 0, "liver": 1, "spleen": 2},
        "taught_organs": ["liver", "spleen"],
        "slices": 3,
        "window": {"lower_hu": 0.0, "upper_hu": 100.0, "clip": True},
    }
    weights = {f"network.{name}": value for name, value in trained.state_dict().items()}
    torch.save(with_checksum({"state_dict": weights, PACKAGE_KEY: plain | about}), file)


@pytest.mark.parametrize("choice", ["small", "unet_2d", "unet_3d"])
def test_each_kind_of_network_is_loaded_from_its_checkpoint(tmp_path: Path, choice: str) -> None:
    config = compose("info", [f"network={choice}", "network.output_stride=8"])
    plain = assemble.architecture(config.network)
    network = build_network(plain, slices=3).eval()
    write_checkpoint(tmp_path / "a.ckpt", network, network=plain, slice_distance_mm=5.0)
    loaded = load_model(tmp_path / "a.ckpt")
    assert (loaded.stride, loaded.slices, loaded.slice_distance_mm) == (8, 3, 5.0)
    with torch.inference_mode():
        stack = torch.rand(1, 3, 32, 32)
        assert torch.equal(loaded.network(stack), network(stack))


def test_checkpoint_without_a_slice_distance_has_adjacent_slices(tmp_path: Path) -> None:
    plain = {"encoder": "test_resnet", "skip_stride": 2}
    write_checkpoint(tmp_path / "a.ckpt", build_network(plain, slices=3), network=plain)
    assert load_model(tmp_path / "a.ckpt").slice_distance_mm is None


def test_a_volume_of_one_slice_is_segmented() -> None:
    assert segment_volume(ct([30]), model()).label_map.labels[0, 0, 0] == 1  # 30 + 30 HU


def test_label_map_is_on_the_grid_of_the_ct() -> None:
    volume = ct([0, 0])
    found = segment_volume(volume, model()).label_map
    assert found.geometry is volume.geometry
    assert found.labels.shape == volume.hu.shape


def test_path_volume_image_and_array_give_the_same_label_map(tmp_path: Path) -> None:
    volume = ct([0, 50, 0, 10, 60])
    volume.hu[:, 0] = -1000  # air in front
    file = tmp_path / "ct.nii.gz"
    write_ct(file, volume)
    image = nib.load(file)
    array = np.asarray(image.dataobj)
    expected = segment(volume, model())
    assert expected.labels[:, 1, 0].tolist() == [1, 0, 1, 1, 1]  # as above
    found = [segment(given, model()) for given in (file, str(file), image)]
    found.append(segment(array, model(), affine=image.affine))
    for label_map in found:
        assert np.array_equal(label_map.labels, expected.labels)
        assert np.array_equal(label_map.geometry.affine, volume.geometry.affine)
    # columns of the array are those of the file, and slices its last axis
    assert found[-1].to_native().shape == array.shape
    assert found[-1].to_native()[0, 1].tolist() == [1, 0, 1, 1, 1]


def test_an_affine_is_accepted_only_for_an_array(tmp_path: Path) -> None:
    volume = ct([0, 50, 0])
    with pytest.raises(ValueError, match="needs affine="):
        segment(volume.hu, model())
    for own in (volume, tmp_path / "ct.nii.gz", str(tmp_path / "ct.nii.gz")):
        with pytest.raises(ValueError, match="has its own"):
            segment(own, model(), affine=np.eye(4))


def test_missing_checkpoint_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="LS-MOD-001"):
        load_model(tmp_path / "none.ckpt")


class _Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_checkpoint_that_would_run_code_is_rejected_and_nothing_runs(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    torch.save({"state_dict": {}, "liverspleen": _Canary(canary)}, tmp_path / "evil.ckpt")
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(_Canary(canary)))
    for name in ("evil.ckpt", "plain.ckpt"):
        with pytest.raises(InputError, match="LS-MOD-002"):
            load_model(tmp_path / name)
    assert not canary.exists()


def test_file_that_is_not_a_checkpoint_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "text.ckpt").write_text("weights")
    with pytest.raises(InputError, match="LS-MOD-002"):
        load_model(tmp_path / "text.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(InputError, match="LS-MOD-003"):
        load_model(tmp_path / "foreign.ckpt")


def test_warnings_about_a_dicom_series_are_python_warnings(tmp_path: Path) -> None:
    ct = CTVolume(np.zeros((3, 8, 8), np.int16), Geometry((8, 8, 3), np.diag([-1.0, -1, 2, 1])))
    write_series(tmp_path, ct, tags={"PatientID": "P", "ImageType": ["DERIVED", "SECONDARY"]})
    with pytest.warns(InputWarning, match="LS-DCM-060"):
        read = _read(tmp_path)
    assert read.hu.shape == (3, 8, 8)
