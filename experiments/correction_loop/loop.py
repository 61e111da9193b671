"""One loop: a start model, then rounds of prediction, selection, correction, training and scoring.

    python experiments/correction_loop/loop.py POLICY SEED [SETTINGS]

`run.py` starts this for each loop. POLICY is `start` (the model that all loops of a seed begin with), `random`, `worst`
or `proposed`.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from annotator import correct_cases, minutes
from patients import patients, split, table
from settings import Settings, read_settings

from liverspleen import api
from liverspleen.cohort import read_cohort
from liverspleen.correction.history import histories
from liverspleen.errors import InputError, InputWarning
from liverspleen.storage import write_text

START: Final = "start"
RANDOM, WORST, PROPOSED = "random", "worst", "proposed"
POLICIES: Final = (RANDOM, WORST, PROPOSED)
"""The orders: random, that of review.csv, and that of `liverspleen correct top=`."""

FINETUNED_LR: Final = 5e-4
"""A tenth of the rate of `experiment=phantom`, as in `experiments/warm_start`."""


@dataclass(frozen=True)
class Loop:
    """The files of one policy and seed."""

    policy: str
    seed: int
    settings: Settings

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.policy}-seed{self.seed}"

    @property
    def folder(self) -> Path:
        """Its models, predictions and correction folder."""
        return self.settings.output / "loops" / self.name

    @property
    def todo(self) -> Path:
        """Its correction folder."""
        return self.folder / "todo"

    def scores(self, number: int) -> Path:
        """Return the table of scores after a round; 0 is the start model, which all policies of a seed share."""
        name = f"{START}-seed{self.seed}" if number == 0 else f"{self.name}-round{number}"
        return self.settings.output / "scores" / f"{name}.csv"

    def model(self, number: int) -> Path:
        """Return the model after a round."""
        if number == 0:
            return Loop(START, self.seed, self.settings).folder / "last.ckpt"
        return self.folder / f"round{number}" / "last.ckpt"


def run_loop(loop: Loop) -> None:
    """Run the rounds that are not finished; only the start model for the policy `start`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # they are in run.json
        if loop.policy == START:
            if not loop.scores(0).exists():
                _train_start(loop)
                _score(loop, 0)
            return
        for number in range(1, loop.settings.rounds + 1):
            if not loop.scores(number).exists():
                _run_round(loop, number)


def _run_round(loop: Loop, number: int) -> None:
    settings, spent = loop.settings, dict[str, float]()
    with _clocked(spent, "predict"):
        pool = table("pool", loop.seed, settings)
        out = api.predict(
            model=loop.model(number - 1), input=pool, output=loop.folder / f"pool{number}", workers=1
        ).output
    missing = number * settings.cases - _judged(loop.todo)
    with _clocked(spent, "correct"):
        if missing > 0:
            _correct(loop, out, number, missing)
        original = {"cohort": table("start", loop.seed, settings), "split": split(loop.seed, settings)}
        merged = api.correct(folder=loop.todo, reader="simulated", state="confirmed", **original).merged
        assert merged is not None
    with _clocked(spent, "train"):
        frozen = min(200, max(settings.steps // 5, 1))  # 200 are those of the experiment
        api.train(
            cohort=merged.cohort,
            root=merged.root,
            split=merged.split,
            output=loop.model(number).parent,
            start=loop.model(number - 1),
            experiment="finetune",
            freeze_steps=frozen,
            **{"optimizer.lr": FINETUNED_LR, "scheduler.warmup": frozen},
            **_common(loop, settings.steps),
        )
    _score(loop, number, spent)


def _judged(todo: Path) -> int:
    """Return the number of cases that were edited or judged; a killed round may have some of them."""
    return sum(not history.is_open for history in histories(todo)[0].values())


def _correct(loop: Loop, out: Path, number: int, missing: int) -> None:
    """Copy the cases of a round, and let the simulated reader save their label maps."""
    selection: dict[str, Any] = {"top": missing}
    if loop.policy == RANDOM:
        per_round = loop.settings.cases
        selection = {"cases": random_order(loop)[(number - 1) * per_round : number * per_round]}
    elif loop.policy == WORST:
        selection["cases"] = [str(out / "review.csv")]
    made = api.correct(folder=loop.todo, input=out, **selection)
    correct_cases(loop.todo, loop.settings.output / "phantoms" / "labels", made.cases)
    # A prediction that equals the reference is no edit, and is confirmed by its id.
    api.correct(folder=loop.todo, reader="simulated", state="confirmed", cases=[*made.cases])


def random_order(loop: Loop) -> list[str]:
    """Return the cases of the pool in the random order of a seed."""
    cases = [one.case_id for one in patients("pool", loop.seed, loop.settings)]
    return [cases[index] for index in np.random.default_rng((loop.seed, 9)).permutation(len(cases))]


def _train_start(loop: Loop) -> None:
    api.train(
        cohort=table("start", loop.seed, loop.settings),
        split=split(loop.seed, loop.settings),
        output=loop.folder,
        experiment="phantom",
        **_common(loop, loop.settings.start_steps),
    )


def _common(loop: Loop, steps: int) -> dict[str, Any]:
    trainer = {"trainer.steps": steps, "trainer.validate_every": steps, "trainer.batch_size": 8, "trainer.threads": 1}
    same = {"network": "small", "slices": "abdomen", "trainer": "cpu", "seed": loop.seed}
    return {**same, **trainer, "cache": loop.folder / "cache"}


def _score(loop: Loop, number: int, spent: dict[str, float] | None = None) -> None:
    """Write the DSS of each test case after a round, with corrections, minutes and processor seconds."""
    began, tests = time.process_time(), table("test", 0, loop.settings)
    name = loop.scores(number).stem
    folders = [loop.settings.output / kind / name for kind in ("predictions", "measurements")]
    labels = api.predict(model=loop.model(number), input=tests, output=folders[0], workers=1).output
    measured = api.measure(
        labels=labels, cohort=tests, datasets=["test1"], output=folders[1], surface="none", workers=1
    ).file
    found = pd.read_csv(measured)
    found = found[found["reader"] == "dla"][["case_id", "structure", "dss"]]
    done = (0, 0.0) if number == 0 else _done(loop.todo)
    about = {"policy": loop.policy, "seed": loop.seed, "round": number, "corrections": done[0], "minutes": done[1]}
    seconds = {f"{part}_s": value for part, value in {**(spent or {}), "score": time.process_time() - began}.items()}
    finished = found.assign(**about, **seconds)
    write_text(loop.scores(number), finished.to_csv(index=False, lineterminator="\n", float_format="%.6g"))


def _done(todo: Path) -> tuple[int, float]:
    """Return the number of corrections and their minutes."""
    return len(read_cohort(todo / "cohort.csv").cases), minutes(pd.read_csv(todo / "corrections.csv"))


@contextmanager
def _clocked(spent: dict[str, float], part: str) -> Iterator[None]:
    began = time.process_time()
    yield
    spent[part] = time.process_time() - began


def main(arguments: Sequence[str]) -> int:
    """Run one loop, and return the exit code."""
    policy, seed, *settings = arguments
    try:
        run_loop(Loop(policy, int(seed), read_settings(settings)))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
