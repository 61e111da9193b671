"""Slices stream through the network: each is prepared once, and none of it depends on how many go at a time."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from stand_ins import WINDOW, Pointwise, SliceBelow, stand_in, volume
from torch import Tensor, nn

from liverspleen.data.slices import native_classes, neighbours, slice_step
from liverspleen.data.window import IntensityWindow
from liverspleen.errors import InputError
from liverspleen.imaging import write_ct
from liverspleen.imaging.dicom import write_series
from liverspleen.inference import segment, segment_volume
from liverspleen.organs import Structure


class WeightedSum(nn.Module):
    """Another logit for each order of the same slices."""

    def __init__(self, slices: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weights = nn.Parameter(torch.randn(3, slices, generator=generator))

    def forward(self, slices: Tensor) -> Tensor:
        return torch.einsum("cs,bshw->bchw", self.weights, slices)


def noise(count: int, rows: int = 20, columns: int = 33) -> np.ndarray:
    hu = np.random.default_rng(count).integers(-20, 120, (count, rows, columns)).astype(np.int16)
    hu[:, 0] = -1000  # air in front
    return hu


@pytest.mark.parametrize(("slices", "distance_mm"), [(1, None), (3, None), (5, 7.5), (7, 5.0)])
@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
def test_labels_do_not_depend_on_the_batch(slices: int, distance_mm: float | None, batch_size: int) -> None:
    hu, network = noise(17), WeightedSum(slices)
    model = stand_in(network, slices=slices, slice_distance_mm=distance_mm)
    found = segment_volume(volume(hu, spacing_mm=2.5), model, batch_size=batch_size).label_map.labels
    step = slice_step(distance_mm, 2.5)
    for slice_index in range(17):
        stack = torch.from_numpy(hu[neighbours(slice_index, 17, slices, step=step)])
        expected = network(WINDOW(stack)[None]).argmax(1)[0]
        assert np.array_equal(found[slice_index], expected)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
@pytest.mark.parametrize("distance_mm", [None, 20.0])
def test_each_slice_is_scaled_once(batch_size: int, distance_mm: float | None) -> None:
    seen: Counter[int] = Counter()

    class Watched(IntensityWindow):
        def __call__(self, hu: Tensor) -> Tensor:
            seen.update(hu.unique().tolist())
            return super().__call__(hu)

    hu = np.broadcast_to(np.arange(20, dtype=np.int16)[:, None, None], (20, 16, 16))  # its number in each slice
    model = stand_in(SliceBelow(), window=Watched(0.0, 100.0, clip=True), slice_distance_mm=distance_mm)
    segment_volume(volume(hu), model, batch_size=batch_size)
    assert seen == dict.fromkeys(range(20), 1)


@pytest.mark.parametrize("count", [1, 2, 3, 2000])
def test_any_number_of_slices(count: int) -> None:
    hu = noise(count, rows=6, columns=5)
    found = segment(volume(hu), stand_in(SliceBelow())).labels
    below = hu[np.maximum(np.arange(count) - 1, 0)]
    # by hand: intensity is HU / 100; at 25 HU liver's logit is background's, which counts, and at 75 spleen's liver's
    assert np.array_equal(found, np.select([below > 75, below > 25], [Structure.SPLEEN, Structure.LIVER]))


def test_classes_are_those_of_argmax_with_ties_to_the_first() -> None:
    logits = torch.randint(-1, 2, (4, 3, 30, 30), generator=torch.Generator().manual_seed(0)).float()
    top = logits.amax(1, keepdim=True)
    assert ((logits == top).sum(1) > 1).float().mean() > 0.3  # there are ties to decide
    assert torch.equal(native_classes(logits, (30, 30), (30, 30)), logits.argmax(1).to(torch.uint8))
    rounded = logits.to(memory_format=torch.channels_last).bfloat16()
    assert torch.equal(native_classes(rounded, (30, 30), (30, 30)), logits.argmax(1).to(torch.uint8))


class TwoOrders(nn.Module):
    """Where slices go up: probabilities 0.1, 0.6, 0.3; where they go down: 0.3, 0.1, 0.6; else background."""

    def forward(self, slices: Tensor) -> Tensor:
        up, down = (p.log().reshape(1, 3, 1, 1) for p in torch.tensor([[0.1, 0.6, 0.3], [0.3, 0.1, 0.6]]))
        rises = (slices[:, 2] - slices[:, 0])[:, None]
        same = torch.tensor([0.0, -9.0, -9.0]).reshape(1, 3, 1, 1)
        return torch.where(rises > 0, up, torch.where(rises < 0, down, same))


def test_flips_give_the_mean_and_the_dss_of_both_orders() -> None:
    hu = np.zeros((4, 16, 16), np.int16)
    hu[:, :, :8] = np.array([0, 10, 20, 30])[:, None, None]  # rises everywhere, at the ends too
    found = segment_volume(volume(hu), stand_in(TwoOrders()), flips=True)
    # by hand: means 0.2, 0.35, 0.45, so spleen; in order it was liver, in reversed order spleen: no voxel in common
    assert np.array_equal(found.label_map.labels, np.where(hu[-1:] > 0, 2, 0).repeat(4, 0))
    assert found.flip_dss == {Structure.LIVER: 0.0, Structure.SPLEEN: 0.0}
    plain = segment_volume(volume(hu), stand_in(TwoOrders()))
    assert np.array_equal(plain.label_map.labels, np.where(hu[-1:] > 0, 1, 0).repeat(4, 0))
    assert plain.flip_dss is None


def test_orders_that_agree_have_a_dss_of_one_and_an_organ_in_neither_has_none() -> None:
    class Middle(nn.Module):
        def forward(self, slices: Tensor) -> Tensor:
            score = slices[:, 1] - 0.5
            return torch.stack([-score, score, torch.full_like(score, -9.0)], dim=1)

    hu = np.where(np.arange(16) < 5, 100, 0) * np.ones((3, 16, 1))
    found = segment_volume(volume(hu), stand_in(Middle()), flips=True)
    assert found.flip_dss == {Structure.LIVER: 1.0, Structure.SPLEEN: None}
    assert np.array_equal(found.label_map.labels, segment_volume(volume(hu), stand_in(Middle())).label_map.labels)


def test_flips_of_a_model_with_one_input_slice_have_no_dss() -> None:
    assert segment_volume(volume(noise(3)), stand_in(WeightedSum(1), slices=1), flips=True).flip_dss is None


def rejection(**more: object) -> str:
    model = stand_in(Pointwise(), **({"engine": more.pop("engine")} if "engine" in more else {}))
    with pytest.raises(InputError) as caught:
        segment_volume(volume(noise(2)), model, **more)  # type: ignore[arg-type]
    return caught.value.issues[0].code


@pytest.mark.parametrize("more", [{"precision": "fp16"}, {"batch_size": 0}])
def test_invalid_options_are_rejected(more: dict[str, object]) -> None:
    assert rejection(**more) == "LS-PRD-010"


def test_bf16_without_hardware_or_engine_support_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liverspleen.inference.streaming.has_bf16_instructions", lambda: False)
    assert rejection(precision="bf16") == "LS-PRD-011"
    monkeypatch.setattr("liverspleen.inference.streaming.has_bf16_instructions", lambda: True)
    assert rejection(precision="bf16", engine="onnxruntime") == "LS-PRD-011"


def test_on_a_cpu_bf16_is_used_only_if_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liverspleen.inference.streaming.has_bf16_instructions", lambda: True)
    types = []

    class Watcher(Pointwise):
        def forward(self, slices: Tensor) -> Tensor:
            logits = super().forward(slices)
            types.append(logits.dtype)
            return logits

    model = stand_in(Watcher())
    assert [segment_volume(volume(noise(1)), model, precision=p).precision for p in ("auto", "bf16", "fp32")] == [
        "fp32",
        "bf16",
        "fp32",
    ]
    assert types == [torch.float32, torch.bfloat16, torch.float32]


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_logits_that_are_nan_or_inf_are_rejected(value: float) -> None:
    class Broken(Pointwise):
        def forward(self, slices: Tensor) -> Tensor:
            logits = torch.zeros_like(slices)
            logits[0, 1, 3, 3] = value if slices.mean() > 0.5 else 0.0  # in the last slice only
            return logits

    hu = np.zeros((3, 16, 16), np.int16)
    segment_volume(volume(hu), stand_in(Broken()))
    hu[2] = 100
    with pytest.raises(InputError, match="LS-PRD-012"):
        segment_volume(volume(hu), stand_in(Broken()))


def test_a_nifti_file_is_segmented(tmp_path: Path) -> None:
    ct = volume(noise(4))
    write_ct(tmp_path / "ct.nii.gz", ct)
    model = stand_in(SliceBelow())
    assert np.array_equal(segment(str(tmp_path / "ct.nii.gz"), model).labels, segment(ct, model).labels)


def test_a_folder_with_one_dicom_series_is_segmented_and_with_two_rejected(tmp_path: Path) -> None:
    ct, model = volume(noise(4)), stand_in(SliceBelow())
    write_series(tmp_path / "first", ct, tags={"PatientID": "P"})
    assert np.array_equal(segment(tmp_path, model).labels, segment(ct, model).labels)
    write_series(tmp_path / "second", ct, tags={"PatientID": "P", "SeriesInstanceUID": "1.2.3.4"})
    with pytest.raises(InputError, match=r"LS-PRD-013.*2 usable CT series"):
        segment(tmp_path, model)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"LS-PRD-013.*0 usable CT series"):
        segment(tmp_path / "empty", model)


def test_the_package_names_segment_without_loading_torch() -> None:
    code = "import sys, liverspleen.inference; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False"]


@pytest.mark.parametrize(
    ("shape", "pixel_mm"),
    [((1, 2048, 2049), None), ((1 + (1 << 14), 1, 1), None), ((1, 30, 30), 0.01)],  # pixels of 1 mm
)
def test_more_or_larger_slices_than_any_ct_has_are_rejected(shape: tuple[int, ...], pixel_mm: float | None) -> None:
    class Never(nn.Module):
        def forward(self, slices: Tensor) -> Tensor:
            raise AssertionError

    with pytest.raises(InputError, match="LS-PRD-014"):
        segment_volume(volume(np.zeros(shape, np.int16)), stand_in(Never(), pixel_mm=pixel_mm))


def test_out_of_memory_fails_the_case_and_not_the_run() -> None:
    class Greedy(nn.Module):
        def forward(self, slices: Tensor) -> Tensor:
            raise torch.OutOfMemoryError

    with pytest.raises(InputError, match="LS-PRD-015"):
        segment_volume(volume(noise(3)), stand_in(Greedy()))
