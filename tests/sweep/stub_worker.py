"""A worker whose trainings are stubs: `stub_worker.py FOLDER JSON`, where JSON has the arguments of `worker`."""

import json
import sys
from pathlib import Path

from liverspleen.sweep.plan import Plan
from liverspleen.sweep.space import Space
from liverspleen.sweep.study import Study
from liverspleen.sweep.training import Interrupted, StopSignals
from liverspleen.sweep.worker import Sweep, Worker

STUB = Path(__file__).with_name("stub_training.py")


def worker(
    folder: Path,
    *,
    parameters: dict[str, object],
    trials: int,
    leaders: int = 1,
    seeds: int = 0,
    sampler: str = "random",
    pruner: str = "none",
    objectives: tuple[str, ...] = ("dss",),
    overrides: tuple[str, ...] = (),
    url: str | None = None,
) -> Worker:
    folder.mkdir(parents=True, exist_ok=True)
    study = Study(
        url or f"sqlite:///{folder / 'study.db'}", "stub", objectives=objectives, sampler=sampler, pruner=pruner, seed=3
    )
    space = Space.of(parameters)
    grid = tuple(space.grid()) if sampler == "grid" else ()
    plan = Plan(trials, leaders, seeds, highest_is_best=True, grid=grid)
    command = (sys.executable, str(STUB), *overrides)
    lines: list[str] = []
    sweep = Sweep(folder, study, space, plan, objectives, command, {"c0": "healthy"}, pruner != "none", lines.append)
    return Worker(sweep, StopSignals())


if __name__ == "__main__":
    arguments = json.loads(sys.argv[2])
    own = worker(Path(sys.argv[1]), **arguments)
    with own.stop:
        try:
            own.work()
        except Interrupted:
            sys.exit(1)
