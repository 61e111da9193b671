"""Optimizers, learning rates and clipping: hand computation, formulas of the sources, and a resumed training."""

import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.plugins.precision import MixedPrecision
from test_resuming import at_step
from tiny import assert_same_result, train, weights
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, PolynomialLR, StepLR

from liverspleen import assemble
from liverspleen.api.sweep import search_issues
from liverspleen.cli.main import main
from liverspleen.config import compose
from liverspleen.training.optimization import Schedule, ScheduledRate

TRAIN = ["cohort=c", "output=o"]
STRONG = (
    "scheduler.warmup=2",
    "trainer.clip_norm=0.5",
    "loss.class_weights={spleen: 4}",
    "trainer.accumulate=2",
)


def optimizer(lr: float = 1.0) -> Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)


def scheduler_of(*overrides: str, lr: float = 1.0) -> Any:
    make = assemble.scheduler(compose("train", [*TRAIN, *overrides]))
    return None if make is None else make(optimizer(lr))


def rates(scheduler: Any, steps: int) -> list[float]:
    """Return the rate of each step, as a training follows it."""
    found = []
    for _ in range(steps):
        found.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return found


def test_nnunet_like_has_nnunets_rate_at_each_of_its_250_000_iterations() -> None:
    config = compose("train", [*TRAIN, "experiment=nnunet_like"])
    make = assemble.scheduler(config)
    assert make is not None
    scheduler = make(optimizer(config.optimizer.lr))
    assert isinstance(scheduler, ScheduledRate)
    assert config.trainer.steps == 250_000
    (fraction,) = scheduler.lr_lambdas
    for step in range(250_000):
        expected = 0.01 * (1 - (step // 250) / 1000) ** 0.9  # PolyLRScheduler, stepped once per epoch of 250 iterations
        assert abs(0.01 * fraction(step) - expected) < 1e-7
    assert rates(scheduler, 502) == pytest.approx(250 * [0.01] + 250 * [0.01 * 0.999**0.9] + 2 * [0.01 * 0.998**0.9])


def test_nnunet_like_has_its_optimizer_and_loss() -> None:
    config = compose("train", [*TRAIN, "experiment=nnunet_like", "network.width=2"])
    module = assemble.module(config, {})
    (group,) = module.configure_optimizers()["optimizer"].param_groups
    assert {name: group[name] for name in ("lr", "momentum", "nesterov", "weight_decay", "dampening")} == {
        "lr": 0.01,
        "momentum": 0.99,
        "nesterov": True,
        "weight_decay": 3e-5,
        "dampening": 0,
    }
    assert config.trainer.clip_norm == 12
    logits = module.network.train()(torch.zeros(1, 3, 32, 32))
    assert [one.shape[-1] for one in logits] == [32, 16, 8]  # nnU-Net gives its lowest resolution, here 4, no weight


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["scheduler=constant"], [1.0, 1.0, 1.0, 1.0]),
        (["scheduler=polynomial", "scheduler.power=1"], [1.0, 0.75, 0.5, 0.25]),
        (["scheduler=polynomial", "scheduler.power=1", "scheduler.every=2"], [1.0, 1.0, 0.5, 0.5]),
        (["scheduler=cosine"], [1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]),
        (["scheduler=paper", "scheduler.factor=0.5", "scheduler.every=3"], [1.0, 1.0, 1.0, 0.5]),
    ],
    ids=lambda value: value[0].partition("=")[2] if isinstance(value[0], str) else "",
)
def test_warm_up_rises_in_equal_steps_to_the_full_rate_and_the_schedule_follows(
    overrides: list[str], expected: list[float]
) -> None:
    warm = scheduler_of(*overrides, "scheduler.warmup=3", "trainer.steps=7")
    assert rates(warm, 7) == pytest.approx([0.25, 0.5, 0.75, *expected])
    if (plain := scheduler_of(*overrides, "trainer.steps=4")) is not None:
        assert rates(plain, 4) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "peer"),
    [("cosine", lambda one: CosineAnnealingLR(one, 50)), ("polynomial", lambda one: PolynomialLR(one, 50, power=2.0))],
)
def test_schedules_equal_those_of_torch(name: str, peer: Callable[[Optimizer], Any]) -> None:
    ours = ScheduledRate(optimizer(), Schedule(name, steps=50, power=2.0))
    assert rates(ours, 51) == pytest.approx(rates(peer(optimizer()), 51), abs=1e-12)


def test_recipes_without_warm_up_keep_the_schedulers_of_earlier_trainings() -> None:
    assert type(scheduler_of()) is PolynomialLR
    assert type(scheduler_of("experiment=kjr2020")) is StepLR
    assert scheduler_of("scheduler=constant") is None


def test_a_schedule_that_is_resumed_with_more_steps_has_the_rate_of_the_new_plan() -> None:
    short = ScheduledRate(optimizer(0.4), Schedule("cosine", steps=10))
    assert rates(short, 10)
    longer = ScheduledRate(optimizer(0.4), Schedule("cosine", steps=20))
    longer.load_state_dict(short.state_dict())
    assert rates(longer, 1) == pytest.approx([0.2])  # half of 20 steps: 0.4 (1 + cos(pi / 2)) / 2


def test_a_gradient_above_the_limit_is_scaled_to_it_over_all_batches_of_a_step(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    cohort, momentum, clip = box_cohort(), 0.5, 0.01
    given = ("optimizer=sgd", f"optimizer.momentum={momentum}", "optimizer.weight_decay=0", f"trainer.clip_norm={clip}")
    for rate in (1, 3):
        one = (f"optimizer.lr={rate}", "trainer.accumulate=2", "trainer.batch_size=2")
        assert train(cohort, tmp_path / f"{rate}", *given, *one, steps=1) == 0
    first, third = weights(tmp_path / "1"), weights(tmp_path / "3")
    moved = torch.cat([(third[name] - value).flatten().double() for name, value in first.items()])
    # the first step of Nesterov's momentum is rate x (1 + momentum) x gradient
    assert moved.norm().item() == pytest.approx((3 - 1) * (1 + momentum) * clip, rel=1e-3)


@pytest.mark.parametrize("choice", ["adamw", "sgd"])
def test_gradients_of_a_loss_scaler_are_clipped_without_their_scale(choice: str) -> None:
    overrides = ["network=small", f"optimizer={choice}", "trainer.precision=16-mixed", "trainer.clip_norm=2"]
    config = compose("train", [*TRAIN, *overrides])
    module = assemble.module(config, {})
    made = module.configure_optimizers()["optimizer"]
    plugin = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=1024.0))
    parameters = list(module.network.parameters())
    plugin.scaler.scale(sum(parameter.sum() for parameter in parameters)).backward()
    plugin.scaler.unscale_(made)
    assert parameters[0].grad.max() == 1
    plugin.clip_gradients(made, config.trainer.clip_norm)  # raises for an optimizer that removes the scale itself
    assert nn.utils.get_total_norm([parameter.grad for parameter in parameters]).item() == pytest.approx(2, rel=1e-4)


UNET = ("experiment=nnunet_like", "network.width=2", "trainer=cpu")
DEEPLAB = ("experiment=phantom", "network.pyramid_channels=8", "network.skip_channels=8")


@pytest.mark.parametrize(
    "recipe",
    [
        (*UNET, "scheduler=cosine", *STRONG),
        pytest.param((*DEEPLAB, "optimizer=sgd", "scheduler=cosine", *STRONG), marks=pytest.mark.slow),
        pytest.param((*UNET, "network=unet_3d", "scheduler.every=2"), marks=pytest.mark.slow),
        pytest.param((*DEEPLAB, "scheduler=paper", "scheduler.warmup=3", "loss=focal"), marks=pytest.mark.slow),
    ],
    ids=["all", "deeplab", "deep 3d", "staircase"],
)
def test_a_recipe_resumes_to_the_uninterrupted_result(
    recipe: tuple[str, ...], box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, whole, cut = box_cohort(), tmp_path / "whole", tmp_path / "cut"
    command = ["train", f"cohort={cohort}", *recipe, "trainer.steps=5", "trainer.validate_every=2"]
    command += ["trainer.batch_size=2", f"cache={tmp_path / 'cache'}"]
    assert main([*command, f"output={whole}"]) == 0
    for step in (1, 3):  # within the warm-up, and after it
        with monkeypatch.context() as patch:
            at_step(patch, step, lambda: os.kill(os.getpid(), signal.SIGTERM))
            assert main([*command, f"output={cut}"]) == 1
    assert main([*command, f"output={cut}"]) == 0
    assert_same_result(whole, cut)


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["optimizer.name=sgd"], "LS-CFG-016: optimizer.name=sgd needs optimizer.momentum="),
        (["optimizer.momentum=0.9"], "LS-CFG-016: optimizer.momentum= has no effect on optimizer.name=adamw"),
        (["scheduler.warmup=9", "trainer.steps=9"], "LS-CFG-016: scheduler.warmup=9 is not below trainer.steps=9"),
        (["loss.class_weights={kidney: 2}"], "LS-CFG-006: loss.class_weights={kidney: 2} is not a class with a weight"),
        (["loss.class_weights={liver: 0}"], "LS-CFG-006: loss.class_weights={liver: 0} is not a class with a weight"),
        (["loss=tversky", "loss.class_weights={liver: 2}"], "LS-CFG-016: loss.class_weights= has no effect without"),
        (["network.deep_supervision=true"], "LS-CFG-016: network.deep_supervision= has no effect on network.name"),
    ],
)
def test_options_that_contradict_each_other_are_one_line(
    overrides: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "cohort=none.csv", f"output={tmp_path}", *overrides]) == 2
    (issue,) = [found for found in capsys.readouterr().err.splitlines() if found.startswith("LS-")]
    assert issue.startswith(line)


def test_a_sweep_searches_the_new_choices_and_rejects_a_warm_up_of_all_steps() -> None:
    def issues(text: str) -> list[str]:
        given = [*TRAIN, "trials=2", "search=own", f"search.parameters={text}"]
        return [str(issue) for issue in search_issues(compose("sweep", given), ["cohort=c", "trainer.steps=50"])]

    space = "scheduler: [cosine, nnunet], scheduler.warmup: {low: 0, high: 49}, optimizer: [sgd]"
    assert issues(f"{{{space}, loss.class_weights: [{{spleen: 4}}], trainer.clip_norm: [12]}}") == []
    (line,) = issues("{scheduler.warmup: [0, 50]}")
    assert line.startswith("LS-CFG-016: scheduler.warmup=50 is not below trainer.steps=50")
