"""Step 2, networks: a cohort of phantoms of mixed thickness, and one training per recipe and seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from settings import Settings

from liverspleen.cli.main import run_verb
from liverspleen.errors import InputError, Issue

RECIPES = ("adjacent", "distance")
"""Which neighbours a section is given: the adjacent ones (the paper), or those at about `distance_mm`."""


@dataclass(frozen=True)
class Network:
    """One training."""

    recipe: str
    seed: int
    folder: Path

    @property
    def checkpoint(self) -> Path:
        """The best of its checkpoints, by DSS of the validation phantoms."""
        return self.folder / "best.ckpt"


def networks(settings: Settings) -> Iterator[Network]:
    """All trainings of the study."""
    for seed in range(settings.seed, settings.seed + settings.seeds):
        for recipe in RECIPES:
            yield Network(recipe, seed, settings.output / "models" / f"{recipe}-seed{seed}")


def train(settings: Settings) -> tuple[Network, ...]:
    """Make the cohort and train what is not trained; a training that was cut off goes on.

    Raises:
        InputError: LS-EXP-016 a verb did not end well; or what it refuses.
    """
    cohort = settings.output / "phantoms"
    size = [f"development={settings.development}", "test1=0", "pairs=0", f"matrix={settings.matrix}"]
    thickness = ["thickness_min_mm=1.0", "thickness_max_mm=8.0"]
    chance = [f"seed={settings.seed}", f"workers={settings.workers}"]
    _run("phantom", [f"output={cohort}", *size, *thickness, *chance])
    for network in (chosen := tuple(networks(settings))):
        distance = "null" if network.recipe == "adjacent" else f"{settings.distance_mm}"
        length = [f"trainer.steps={settings.steps}", f"trainer.validate_every={max(settings.steps // 2, 1)}"]
        recipe = ["experiment=phantom", f"slices.section_distance_mm={distance}"]
        files = [f"cohort={cohort / 'cohort.csv'}", f"store={settings.output / 'store'}", f"output={network.folder}"]
        _run("train", [*files, *recipe, *length, f"seed={network.seed}"])
    return chosen


def _run(verb: str, words: list[str]) -> None:
    print(f"\nliverspleen {verb} {' '.join(words)}", flush=True)
    if code := run_verb(verb, words):
        hint = "see what it says; the same command goes on from here"
        raise InputError(Issue("LS-EXP-016", f"liverspleen {verb} ended with exit code {code}", hint))
