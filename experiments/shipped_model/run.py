"""Make the shipped model: phantoms, training, results on CT scans of patients, model package.

    python experiments/shipped_model/run.py output=FOLDER [test=COHORT name=NAME] [phantoms=N] [steps=N] [workers=N]

test= is the cohort.csv of CT scans of patients with reference label maps, and name= what the model card calls them;
without them the model card has no results. phantoms= and steps= are for trials; their defaults are those of the shipped
model. The output of each command is in FOLDER/commands.log. After an interruption the same command resumes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from liverspleen.errors import InputError
from liverspleen.studies import given_settings, invalid_setting, run_command, start_or_resume, whole_numbers

KEYS = ("output", "test", "name", "phantoms", "steps", "workers")
LEAST = {"phantoms": 20, "steps": 1, "workers": 0}
"""Smallest values of the settings that are numbers."""

SEED = 21
"""Of the phantoms."""


@dataclass(frozen=True)
class Settings:
    """What is made, and where."""

    output: Path
    test: Path | None
    name: str
    phantoms: int = 2000
    steps: int | None = None
    workers: int = 0

    @classmethod
    def of(cls, given: dict[str, str]) -> Settings:
        """Return the settings of a command line.

        Raises:
            InputError: LS-EXP-014.
        """
        numbers, issues = whole_numbers(given, LEAST)
        if "output" not in given:
            issues.append(invalid_setting("output= is missing", "give output=FOLDER"))
        if ("test" in given) != ("name" in given):
            issues.append(invalid_setting("test= and name= belong together", "give both, or none of them"))
        if issues:
            raise InputError(issues)
        test = Path(given["test"]) if "test" in given else None
        return cls(Path(given["output"]), test, given.get("name", ""), **numbers)

    def commands(self) -> list[list[str]]:
        """Return the arguments of `liverspleen`, in order."""
        out = self.output
        phantoms, model, package = out / "phantoms", out / "model", out / "package"
        several = f"workers={self.workers}"
        cohort, split = f"cohort={phantoms / 'cohort.csv'}", f"split={model / 'split.csv'}"
        kind = ["style=randomised", "matrix=128", "thickness_min_mm=1", "thickness_max_mm=8"]
        count = [f"development={self.phantoms}", "test1=0", "pairs=0", f"seed={SEED}"]
        steps = [] if self.steps is None else [f"trainer.steps={self.steps}", f"trainer.validate_every={self.steps}"]
        export = ["export", f"model={model / 'last.ckpt'}", "license=Apache-2.0", "name=phantom", cohort, split]
        made = [
            ["phantom", f"output={phantoms}", *kind, *count, several],
            ["train", cohort, f"output={model}", f"cache={out / 'cache'}", "experiment=phantom_randomised", *steps],
            [*export, f"output={package}"],
        ]
        if self.test is None:
            return made
        labels, measured = out / "test" / "labels", out / "test" / "measured"
        tested = [f"tested={measured}", f"tested_cohort={self.test}", f"tested_on={self.name}", "tested_design=true"]
        return [
            *made,
            ["predict", f"model={package}", f"input={self.test}", f"output={labels}", several],
            ["measure", f"labels={labels}", f"cohort={self.test}", f"output={measured}", several],
            [*export, f"output={out / 'tested_package'}", *tested],
        ]


def main(arguments: list[str]) -> int:
    """Run the commands that are not finished; return 0 if all succeed, 2 if an input was rejected."""
    if {"--help", "-h"} & set(arguments):
        print(__doc__)
        return 0
    try:
        settings = Settings.of(given_settings(arguments, KEYS))
        decisive = {"phantoms": settings.phantoms, "steps": settings.steps, "seed": SEED}
        start_or_resume(settings.output, decisive)
        for command in settings.commands():
            print("liverspleen", *command, flush=True)
            run_command([sys.executable, "-m", "liverspleen", *command], settings.output / "commands.log")
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
