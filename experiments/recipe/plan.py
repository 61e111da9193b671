"""Settings, arms, commands and cost of the study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from liverspleen.errors import InputError
from liverspleen.studies import given_settings, invalid_setting, whole_numbers

CONF: Final = Path(__file__).parent / "conf"
FOLDS: Final = 3
PHANTOMS, PATIENTS = "phantoms", "patients"
"""The parts of the study."""

LEAST: Final = {"seeds": 2, "steps": 1, "phantoms": 10, "matrix": 32, "workers": 1}
KEYS: Final = ("output", "cohort", *LEAST)

_ONE_IN: Final = 5  # phantoms is a test phantom
_START_S: Final = 10.0  # of a training
_TEST_S: Final = 1.0  # of a test case
_PHANTOM_S: Final = 1.2  # to generate one


@dataclass(frozen=True)
class Settings:
    """Settings of the study."""

    output: Path
    cohort: Path | None = None
    """patients with labels of both organs; None: the study has no part with patients"""
    seeds: int = 3
    steps: int = 2000
    """of every training"""
    phantoms: int = 240
    """one in five of them is a test phantom"""
    matrix: int = 256
    """pixels of a phantom per side. They are smaller than those of the networks, so that the pixel size matters"""
    workers: int = 1
    """trainings at once, each with one thread"""

    @property
    def decisive(self) -> dict[str, Any]:
        """The settings that each result depends on; the part with patients may be added later."""
        return {name: getattr(self, name) for name in ("seeds", "steps", "phantoms", "matrix")}


@dataclass(frozen=True)
class Arm:
    """One recipe: the base, or the base with one factor changed."""

    name: str
    factor: str
    change: str
    step_s: float = 0.14
    """processor seconds of a step, measured on one core with 8 slices"""

    @property
    def experiment(self) -> str:
        """The choice of `experiment=` in the folder `conf/`."""
        return f"recipe_{self.name}"


BASE: Final = Arm("base", "", "`phantom_randomised`")
CHANGES: Final = (
    Arm("affine", "augmentation", "`augmentation=affine` instead of `full`"),
    Arm("nnunet_augmentation", "augmentation", "`augmentation=nnunet` instead of `full`", 0.17),
    Arm("tversky", "loss", "`loss=tversky` instead of `dice_ce`"),
    Arm("sgd", "optimizer and rate", "`optimizer=sgd scheduler=nnunet trainer.clip_norm=12`, rate 0.01"),
    Arm("no_ema", "EMA", "no moving average of the weights"),
    Arm("balanced", "sampler", "`sampler=balanced` instead of `by_size`", 0.17),
    Arm("one_slice", "input slices", "`slices.count=1` instead of 3"),
    Arm("regnetx", "network", "`network.encoder=regnetx_002 network.pyramid_channels=64 optimizer.lr=2e-3`", 0.27),
    Arm("two_mm", "resolution", "`slices.pixel_mm=2` instead of 3", 0.27),
)
"""The arms that are compared with the base."""


def read_settings(arguments: Sequence[str]) -> Settings:
    """Return the settings of the command line.

    Raises:
        InputError: LS-EXP-014, with all issues: unknown settings, and values outside their limits.

    >>> read_settings(["output=o", "seeds=4"]).seeds
    4
    """
    given = given_settings(arguments, KEYS)
    numbers, issues = whole_numbers(given, LEAST)
    values: dict[str, Any] = {name: Path(given[name]).absolute() for name in ("output", "cohort") if name in given}
    if "output" not in values:
        issues.append(invalid_setting("output= is missing", "give output=FOLDER"))
    if "cohort" in values and not values["cohort"].is_file():
        issues.append(invalid_setting(f"cohort={given['cohort']}: the file does not exist", "correct cohort="))
    if issues:
        raise InputError(issues)
    return Settings(**values, **numbers)


def phantom_arguments(settings: Settings) -> list[str]:
    """Return the arguments of `liverspleen phantom`; the seed is not that of the shipped model."""
    kind = ["style=randomised", f"matrix={settings.matrix}", "thickness_min_mm=1", "thickness_max_mm=8", "seed=22"]
    count = [f"development={settings.phantoms}", "test1=0", "pairs=0", f"workers={settings.workers}"]
    return [f"output={settings.output / 'phantoms'}", *kind, *count]


def cohorts(settings: Settings) -> dict[str, Path]:
    """Return the table of the cases of each part."""
    found = {PHANTOMS: settings.output / "phantoms" / "cohort.csv"}
    return found if settings.cohort is None else found | {PATIENTS: settings.cohort}


def sweep_folder(part: str, settings: Settings) -> Path:
    """Return the folder of the sweep of a part."""
    return settings.output / f"sweep_{part}"


def sweep_arguments(part: str, settings: Settings) -> list[str]:
    """Return the arguments of `liverspleen sweep`: each arm with each seed.

    The test cases are the validation side. They are segmented once, after the last step, so they select nothing.
    """
    seeds = ", ".join(map(str, range(settings.seeds)))
    arms = ", ".join(arm.experiment for arm in (BASE, *CHANGES))
    return [
        f"cohort={cohorts(settings)[part]}",
        f"output={sweep_folder(part, settings)}",
        f"cache={settings.output / 'cache'}",
        f"conf={CONF}",
        "search=own",
        "search.sampler=grid",
        f"search.parameters={{seed: [{seeds}], experiment: [{arms}]}}",
        f"trainer.steps={settings.steps}",
        f"trainer.validate_every={settings.steps}",
        f"workers={settings.workers}",
        f"train_fraction={1 - 1 / _ONE_IN:g}" if part == PHANTOMS else f"folds={FOLDS}",
    ]


def hours(part: str, cases: int, settings: Settings) -> float:
    """Return the computed processor hours of a part with this number of cases.

    >>> few = Settings(Path("o"), seeds=2, steps=1000, phantoms=50)
    >>> round(hours(PHANTOMS, 50, few) * 3600)  # 1.72 s per step of all ten arms, 10 + 10 s per training, 1.2 s each
    3900
    """
    folds, tests = (1, cases // _ONE_IN) if part == PHANTOMS else (FOLDS, cases / FOLDS)
    steps_s = settings.steps * sum(arm.step_s for arm in (BASE, *CHANGES))
    around_s = (1 + len(CHANGES)) * (_START_S + _TEST_S * tests)
    made_s = _PHANTOM_S * cases if part == PHANTOMS else 0.0
    return (settings.seeds * folds * (steps_s + around_s) + made_s) / 3600
