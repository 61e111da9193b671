"""Weights, statistics, average or optimizer that are not finite are never saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny import train, weights
from torch import Tensor, nn

from liverspleen.data.window import IntensityWindow
from liverspleen.training.finite import FiniteGuard, NotFiniteError
from liverspleen.training.losses import SegmentationLoss
from liverspleen.training.module import SegmentationModule


def spoil_after(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Set weights to inf after the optimizer step, whose loss and gradient were finite."""
    whole = SegmentationModule.on_train_batch_end

    def spoiled(self: SegmentationModule, outputs: Any, batch: Any, index: int) -> None:
        whole(self, outputs, batch, index)
        if self.global_step == step:
            next(self.network.parameters()).data.fill_(torch.inf)

    monkeypatch.setattr(SegmentationModule, "on_train_batch_end", spoiled)


@pytest.mark.parametrize(("step", "earlier"), [(1, None), (4, 2)])
def test_a_last_step_with_infinite_weights_is_not_saved_and_earlier_checkpoints_stay(
    step: int,
    earlier: int | None,
    box_cohort: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil_after(monkeypatch, step)
    run = tmp_path / "run"
    assert train(box_cohort(), run, steps=step, every=2) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "LS-" in line]
    assert line.startswith("LS-TRN-006: the network or its optimizer has 1 tensor with NaN or inf after step ")
    assert f"after step {step}, first 'network." in line
    names = {"last.ckpt", "best.ckpt"} if earlier else set()
    assert {file.name for file in run.glob("*.ckpt")} == names
    assert not (run / "model.safetensors").exists()
    for name in names:
        assert torch.load(run / name, weights_only=True)["global_step"] == earlier
        assert all(torch.isfinite(value).all() for value in weights(run, name).values())


def module() -> SegmentationModule:
    return SegmentationModule(
        nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)),
        loss=SegmentationLoss([]),
        window=IntensityWindow(-100.0, 100.0, clip=True),
        seed=0,
        optimizer=torch.optim.AdamW,
        description={},
        ema_decay=0.9,
    )


@pytest.mark.parametrize(
    ("spoiled", "name"),
    [
        (lambda m, o: m.network[0].weight, "network.0.weight"),
        (lambda m, o: m.network[1].running_var, "network.1.running_var"),
        (lambda m, o: m.average.network[0].bias, "average.0.bias"),
        (lambda m, o: o.state[m.network[0].bias]["exp_avg_sq"], "optimizer.1.exp_avg_sq"),
    ],
)
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_every_tensor_of_a_checkpoint_is_checked(spoiled: Callable[..., Tensor], name: str, value: float) -> None:
    one = module()
    optimizer = one.configure_optimizers()
    one.network(torch.ones(2, 1, 2, 2)).sum().backward()
    optimizer.step()
    trainer: Any = SimpleNamespace(lightning_module=one, optimizers=[optimizer], global_step=7)
    FiniteGuard().check_state(trainer)
    spoiled(one, optimizer).data.view(-1)[-1] = value
    with pytest.raises(NotFiniteError, match=f"1 tensor with NaN or inf after step 7, first '{name}'; "):
        FiniteGuard().check_state(trainer)


def test_large_finite_weights_are_saved() -> None:
    one = module()
    one.network[0].weight.data.fill_(3e38)  # type: ignore[index,union-attr]
    FiniteGuard().check_state(SimpleNamespace(lightning_module=one, optimizers=[], global_step=7))  # type: ignore[arg-type]
