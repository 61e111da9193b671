"""Settings of the study, read from the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from liverspleen.config import compose
from liverspleen.errors import InputError, Issue
from liverspleen.shipped import FOLDER, NAME, is_shipped, model_path
from liverspleen.studies import given_settings, invalid_setting

DEVICES = {"cpu": "cpu", "cuda": "gpu"}
"""Names of a device: that of nnU-Net, and that of `trainer.accelerator=`."""

LOWER_RATE = 10
"""A training that starts from a model has the learning rate of the experiment over this number, as
`experiment=finetune`."""


@dataclass(frozen=True)
class Settings:
    """Settings of the study."""

    cohort: Path
    """table of patients with labels of both organs"""
    start: Path = FOLDER
    """model package or checkpoint: the start model; by default the shipped model"""
    output: Path = Path("outputs/public_ct")
    experiment: str = "phantom_randomised"
    """recipe of our trainings: network, loss, augmentation, learning rate"""
    steps: int = 3907
    """of our trainings. With batches of 8 they have the slices of 1250 iterations of nnU-Net, whose plans have batches
    of 25 for twelve CT scans at 3 mm"""
    pixel_mm: float = 3.0
    """pixel size of our trainings, and spacing of nnU-Net's plans in the plane"""
    folds: int = 3
    sizes: tuple[int, ...] = (1, 2, 4, 8)
    """numbers of training patients; the smaller subsets are parts of the larger ones"""
    seeds: int = 1
    """each has other random numbers and another order of the training patients"""
    nnunet: Path | None = None
    """Python of the environment with nnU-Net; None: the study has no arms of nnU-Net"""
    nnunet_sizes: tuple[int, ...] | None = None
    """those of the `sizes` that nnU-Net is trained with; None: all"""
    device: str = "cpu"
    threads: int = 1
    """of each training; trainings are run one after the other"""

    @property
    def decisive(self) -> dict[str, Any]:
        """The settings that each result depends on; further sizes, seeds and arms only add results."""
        names = ("experiment", "steps", "pixel_mm", "folds", "device")
        start = NAME if is_shipped(self.start) else str(self.start)
        return {"start": start, **{name: str(getattr(self, name)) for name in names}}

    @property
    def sizes_of_nnunet(self) -> tuple[int, ...]:
        """The sizes that nnU-Net is trained with; none without `nnunet=`."""
        return () if self.nnunet is None else self.nnunet_sizes or self.sizes

    @cached_property
    def recipe(self) -> Any:
        """The configuration of `liverspleen train` with the experiment.

        Raises:
            InputError: the experiment does not exist.
        """
        return compose("train", [f"experiment={self.experiment}", "cohort=cohort.csv", "output=run"])

    @property
    def slices_seen(self) -> int:
        """Training slices of each of our trainings: batch size times steps."""
        choice = self.recipe.trainer
        return self.steps * choice.batch_size * choice.accumulate * choice.devices * choice.nodes


def _whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ValueError(f"expected a whole number of at least {least}")
        return int(text)

    return read


def _sizes(text: str) -> tuple[int, ...]:
    sizes = [_whole(1)(part.strip()) for part in text.strip("[]()").split(",")]
    if len({*sizes}) < len(sizes):
        raise ValueError("expected different numbers")
    return tuple(sorted(sizes))


def _pixel(text: str) -> float:
    if not 0.1 <= (value := float(text)) <= 20:
        raise ValueError("expected 0.1 to 20")
    return value


def _device(text: str) -> str:
    if text not in DEVICES:
        raise ValueError(f"expected {' or '.join(DEVICES)}")
    return text


def _file(text: str) -> Path:
    if not Path(text).exists():
        raise ValueError("the file does not exist")
    return Path(text).absolute()


def _model(text: str) -> Path:
    return _file(str(model_path(text)))


_READERS: dict[str, Callable[[str], Any]] = {
    "cohort": _file,
    "start": _model,
    "output": lambda text: Path(text).absolute(),
    "experiment": str,
    "steps": _whole(1),
    "pixel_mm": _pixel,
    "folds": _whole(2),
    "sizes": _sizes,
    "seeds": _whole(1),
    "nnunet": _file,
    "nnunet_sizes": _sizes,
    "device": _device,
    "threads": _whole(1),
}


def read_settings(arguments: Sequence[str]) -> Settings:
    """Return the settings of the command line.

    Raises:
        InputError: LS-EXP-014, with all issues: unknown settings, and values outside their limits; as `compose`, the
            experiment does not exist.

    >>> read_settings([f"cohort={__file__}", f"start={__file__}", "sizes=4,1"]).sizes
    (1, 4)
    """
    issues: list[Issue] = []
    given: dict[str, Any] = {}
    for key, text in given_settings(arguments, _READERS).items():
        try:
            given[key] = _READERS[key](text)
        except ValueError as error:
            issues.append(invalid_setting(f"{key}={text}: {error}", f"correct {key}="))
    texts = {argument.partition("=")[0] for argument in arguments}
    if "cohort" not in texts:
        issues.append(invalid_setting("cohort= is not given", "give cohort=COHORT.csv"))
    if "nnunet_sizes" in given and "nnunet" not in texts:
        message = "nnunet_sizes= has no effect without nnunet="
        issues.append(invalid_setting(message, "give nnunet=PYTHON, or remove nnunet_sizes="))
    if issues:
        raise InputError(issues)
    settings = Settings(**given)
    if others := {*settings.sizes_of_nnunet} - {*settings.sizes}:
        message = f"nnunet_sizes has {min(others)}, which is not one of the sizes"
        raise InputError(invalid_setting(message, "add it to sizes=, or remove it from nnunet_sizes="))
    _ = settings.recipe
    return settings
