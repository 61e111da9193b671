"""Step 2, networks: a cohort of phantoms of mixed thickness, and one training per recipe and seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from settings import Settings

from liverspleen import api

RECIPES = ("adjacent", "distance")
"""Input slices beside the central one: the adjacent ones (paper), or those at a distance of about `distance_mm`."""


@dataclass(frozen=True)
class Network:
    """One training."""

    recipe: str
    seed: int
    folder: Path

    @property
    def checkpoint(self) -> Path:
        """The checkpoint with the best DSS of the validation phantoms."""
        return self.folder / "best.ckpt"


def networks(settings: Settings) -> Iterator[Network]:
    """Yield all trainings of the study."""
    for seed in range(settings.seed, settings.seed + settings.seeds):
        for recipe in RECIPES:
            yield Network(recipe, seed, settings.output / "models" / f"{recipe}-seed{seed}")


def train(settings: Settings) -> tuple[Network, ...]:
    """Create the cohort and run all trainings; finished ones are skipped and interrupted ones are resumed.

    Raises:
        InputError: the phantoms or a training cannot be used.
    """
    folder = settings.output / "phantoms"
    table = api.phantom(
        output=folder,
        development=settings.development,
        test1=0,
        pairs=0,
        seed=settings.seed,
        matrix=settings.matrix,
        thickness_min_mm=1.0,
        thickness_max_mm=8.0,
        workers=settings.workers,
    )
    for network in (trained := tuple(networks(settings))):
        print(f"\ntrain {network.folder}", flush=True)
        api.train(
            cohort=table,
            cache=settings.output / "cache",
            output=network.folder,
            experiment="phantom",
            seed=network.seed,
            slices={"distance_mm": None if network.recipe == "adjacent" else settings.distance_mm},
            trainer={"steps": settings.steps, "validate_every": max(settings.steps // 2, 1)},
        )
    return trained
