"""Timing of steps on steps whose parts take a known time, and counting of work known by hand."""

import time
from itertools import repeat
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from liverspleen.training import throughput
from liverspleen.training.limits import work_of
from liverspleen.training.throughput import Row, StepTimes, TrainingStep, medians, rows_of, time_steps

NAP_S = 0.02


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that advances only during `sleep`."""
    now = [0.0]
    monkeypatch.setattr(throughput, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.append(now.pop() + seconds))


class Pair(NamedTuple):
    slices: Tensor
    labels: Tensor


class Nap(nn.Module):
    """Sleeps, then multiplies by its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, slices: Tensor) -> Tensor:
        time.sleep(2 * NAP_S)
        return slices * self.weight


def napping_step() -> TrainingStep:
    network = Nap()

    def prepare(batch: Pair, _: int) -> tuple[Tensor, Tensor]:
        time.sleep(NAP_S)
        return batch.slices, batch.labels

    return TrainingStep(
        network,
        prepare=prepare,  # type: ignore[arg-type]
        loss=lambda output, labels, _: ((output - labels) ** 2).mean(),
        optimizer=torch.optim.SGD(network.parameters(), lr=0.25),
        device=torch.device("cpu"),
    )


def test_each_part_gets_its_own_time() -> None:
    batch = Pair(torch.ones(2), torch.zeros(2))
    times = time_steps(napping_step(), repeat(batch), warmup=1, steps=3)  # type: ignore[arg-type]
    assert times.parts_s["augment"] == pytest.approx(NAP_S)
    assert times.parts_s["forward"] == pytest.approx(2 * NAP_S)
    assert [times.parts_s[name] for name in ("transfer", "backward", "optimizer")] == [0.0] * 3
    assert times.step_s == pytest.approx(3 * NAP_S)
    assert times.bound == "compute"


def test_a_slow_loader_is_the_bottleneck() -> None:
    def slow() -> object:
        while True:
            time.sleep(NAP_S)
            yield Pair(torch.ones(2), torch.zeros(2))

    times = time_steps(napping_step(), slow(), warmup=1, steps=3)  # type: ignore[arg-type]
    assert times.load_s == pytest.approx(NAP_S)
    assert times.bound == "loader"


def test_a_step_trains() -> None:
    step = napping_step()
    loss = step(Pair(torch.ones(2), torch.zeros(2)), 0)  # type: ignore[arg-type]
    # loss w² at w = 1, gradient 2, learning rate 1/4
    assert float(loss) == 1.0
    (weight,) = step.network.parameters()
    assert weight.tolist() == [0.5]
    assert weight.grad is None


def test_every_step_gets_a_row() -> None:
    batch = Pair(torch.ones(2), torch.zeros(2))
    rows = rows_of(napping_step(), repeat(batch), steps=2)  # type: ignore[arg-type]
    assert [len(row.parts_s) for row in rows] == [5, 5]
    assert all(row.step_s >= sum(row.parts_s) for row in rows)


def test_idle_is_the_step_minus_the_parts() -> None:
    rows = [Row(0.25, 2.0, [0.0, 0.25, 0.5, 0.5, 0.25])] * 3
    assert medians(rows, overlaps=False).idle_s == pytest.approx(0.25)
    assert medians(rows, overlaps=True).idle_s == pytest.approx(0.5)


def test_an_idle_device_is_bound_by_the_host_unless_it_waits_for_batches() -> None:
    parts = {"forward": 0.5}
    assert StepTimes(1.0, 0.0, parts, 0.5, 1, overlaps=True).bound == "host"
    assert StepTimes(1.0, 0.4, parts, 0.5, 1, overlaps=True).bound == "loader"


def test_work_of_a_convolution_and_its_gradients_is_that_counted_by_hand() -> None:
    layer = nn.Conv2d(2, 4, 3, padding=1, bias=False)
    image = torch.ones(1, 2, 8, 8, requires_grad=True)
    forward = 2 * 4 * 2 * 3 * 3 * 8 * 8  # 2 per multiply-add
    assert work_of(lambda: layer(image)).flops == forward
    assert work_of(lambda: layer(image).backward(torch.ones(1, 4, 8, 8))).flops == 3 * forward
    # input, weights, output, of 4 bytes
    assert work_of(lambda: layer(image)).bytes == 4 * (2 * 64 + 4 * 2 * 9 + 4 * 64)


def test_gradients_of_a_depthwise_convolution_count_as_twice_its_forward_pass() -> None:
    layer = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
    image = torch.ones(1, 8, 4, 4, requires_grad=True)
    forward = 2 * 8 * 3 * 3 * 4 * 4
    assert work_of(lambda: layer(image).backward(torch.ones(1, 8, 4, 4))).flops == 3 * forward
