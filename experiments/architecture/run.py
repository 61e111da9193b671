"""The comparison of the paper on phantoms: all combinations of network, input slices, loss and sampler.

    python experiments/architecture/run.py [output=outputs/architecture] [development=30] [matrix=64] [key=value ...]

Creates the phantoms and trains every combination once (liverspleen sweep). The leaders, and the configuration that
paper and authors' code state, are trained again with fresh seeds. Writes effects.csv and architecture.md. The same
command resumes an interrupted run.
"""

from __future__ import annotations

import sys
from pathlib import Path

from factor_tables import write_tables

from liverspleen.api.phantoms import run_phantoms
from liverspleen.api.sweep import run_sweep
from liverspleen.config import SweepConfig, compose
from liverspleen.errors import InputError, Issue, collapsed
from liverspleen.studies import invalid_setting

CONF = Path(__file__).parent / "conf"
DEFAULTS = {"output": "outputs/architecture", "development": "30", "matrix": "64"}
RECIPE = ("experiment=phantom", "trainer.steps=200", "trainer.validate_every=200")
SWEEP = ("leaders=3", "seeds=5", "workers=2")


def main(overrides: list[str]) -> int:
    """Run the study; return 0 if it succeeds, 2 if an input was rejected."""
    if {"--help", "-h"} & set(overrides):
        print(__doc__)
        return 0
    if wrong := [override for override in overrides if "=" not in override]:
        print(invalid_setting(f"{wrong[0]!r} does not have the form key=value", "write key=value"), file=sys.stderr)
        return 2
    own = DEFAULTS | {
        name: value for name, _, value in (override.partition("=") for override in overrides) if name in DEFAULTS
    }
    rest = [override for override in overrides if override.partition("=")[0] not in DEFAULTS]
    out = Path(own["output"])
    search, stated = out / "sweep", out / "stated"
    repeated = [override for override in rest if override.partition("=")[0] not in {"trials", "leaders"}]
    table = out / "phantoms" / "cohort.csv"
    data = [f"cohort={table}", f"cache={out / 'cache'}", f"conf={CONF}", *RECIPE, *SWEEP]
    searched = [*data, f"output={search}", "search=architecture_small", *rest]
    split = f"split={search / 'split.csv'}"
    fixed = [*data, split, f"output={stated}", "search=stated", *repeated, "leaders=1"]
    counts = [f"{name}={own[name]}" for name in ("development", "matrix")]
    try:
        composed = [compose("sweep", overrides) for overrides in (searched, fixed)]  # before the phantoms are made
        run_phantoms(compose("phantom", [f"output={out / 'phantoms'}", "test1=0", "pairs=0", *counts]))
        issues = [issue for one in zip(composed, (searched, fixed), strict=True) for issue in sweep(*one)]
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(*collapsed(issues), sep="\n", file=sys.stderr)
    print(f"\n{write_tables(out, search, stated)}")
    print(f"open {search / 'leaderboard.html'}")
    return 2 if any(issue.severity == "error" for issue in issues) else 0


def sweep(config: SweepConfig, overrides: list[str]) -> list[Issue]:
    """Run a sweep and return its issues."""
    print(f"\nliverspleen sweep {' '.join(overrides)}", flush=True)
    return [*run_sweep(config, overrides)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
