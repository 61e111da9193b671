import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from liverspleen.data.window import IntensityWindow
from liverspleen.errors import Refused
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.volume import CTVolume
from liverspleen.inference.model import TrainedModel, load_model
from liverspleen.inference.segment import segment


class NeighbourSum(nn.Module):
    """Calls a voxel liver where the sections below and above add up to 0.5 or more, else background."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, sections: Tensor) -> Tensor:
        assert sections.shape[-1] % 16 == 0
        score = sections[:, 0] + sections[:, 2] - 0.5 + 1e-4
        return torch.stack([torch.zeros_like(score), score, torch.full_like(score, -1.0)], dim=1)


def model() -> TrainedModel:
    return TrainedModel(NeighbourSum().eval(), IntensityWindow(0.0, 100.0, clip=True), 3, 16, {}, "")


def ct(values: Sequence[int], rows: int = 5, columns: int = 7) -> CTVolume:
    hu = np.broadcast_to(np.array(values, np.int16)[:, None, None], (len(values), rows, columns)).copy()
    return CTVolume(hu, Geometry((columns, rows, len(values)), np.diag([-1.0, -1.0, 5.0, 1.0])))


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8])
def test_each_section_sees_its_own_neighbours_whatever_the_batch(batch_size: int) -> None:
    # by hand, neighbours' sums in HU: (0+50, 0+0, 50+10, 0+60, 10+60), liver from 50 on; the ends repeat
    labels = segment(ct([0, 50, 0, 10, 60]), model(), batch_size=batch_size).labels
    assert labels[:, 0, 0].tolist() == [1, 0, 1, 1, 1]
    assert (labels == labels[:, :1, :1]).all()


def test_a_volume_of_one_section_is_segmented() -> None:
    assert segment(ct([30]), model()).labels[0, 0, 0] == 1  # 30 + 30 HU


def test_label_map_is_on_the_grid_of_the_ct() -> None:
    volume = ct([0, 0])
    found = segment(volume, model())
    assert found.geometry is volume.geometry
    assert found.labels.shape == volume.hu.shape


def test_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="LS-MOD-001"):
        load_model(tmp_path / "none.ckpt")


class _Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_checkpoint_that_would_run_code_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    torch.save({"state_dict": {}, "liverspleen": _Canary(canary)}, tmp_path / "evil.ckpt")
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(_Canary(canary)))
    for name in ("evil.ckpt", "plain.ckpt"):
        with pytest.raises(Refused, match="LS-MOD-002"):
            load_model(tmp_path / name)
    assert not canary.exists()


def test_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.ckpt").write_text("weights")
    with pytest.raises(Refused, match="LS-MOD-002"):
        load_model(tmp_path / "text.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(Refused, match="LS-MOD-003"):
        load_model(tmp_path / "foreign.ckpt")
