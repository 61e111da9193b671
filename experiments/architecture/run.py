"""The paper's choice again, on phantoms: network, slices in, loss and order of slices, all combinations.

    python experiments/architecture/run.py [output=outputs/architecture] [development=30] [matrix=64] [words of sweep]

Makes the phantoms, trains every combination once (liverspleen sweep), the leaders and what paper and authors' code
state again with fresh seeds, and writes effects.csv and architecture.md. The same command goes on where it was stopped.
"""

from __future__ import annotations

import sys
from pathlib import Path

from factor_tables import write_tables

from liverspleen.api.phantoms import run_phantoms
from liverspleen.api.sweep import run_sweep
from liverspleen.config import compose
from liverspleen.errors import InputError, Issue, collapsed

CONF = Path(__file__).parent / "conf"
USUAL = {"output": "outputs/architecture", "development": "30", "matrix": "64"}
RECIPE = ("experiment=phantom", "trainer.steps=200", "trainer.validate_every=200")
SWEEP = ("leaders=3", "seeds=5", "workers=2")


def main(words: list[str]) -> int:
    """Make the phantoms, run both sweeps, write the tables; 0 if all went well, 2 if something was rejected."""
    given = [word for word in words if "=" in word]
    if given != words:
        print(Issue("LS-EXP-020", "a word is not of the form key=value", "write key=value"), file=sys.stderr)
        return 2
    own = USUAL | {name: value for name, _, value in (word.partition("=") for word in words) if name in USUAL}
    rest = [word for word in words if word.partition("=")[0] not in USUAL]
    out = Path(own["output"])
    search, stated = out / "sweep", out / "stated"
    again = [word for word in rest if word.partition("=")[0] not in {"trials", "leaders"}]
    try:
        counts = [f"{name}={own[name]}" for name in ("development", "matrix")]
        table = run_phantoms(compose("phantom", [f"output={out / 'phantoms'}", "test1=0", "pairs=0", *counts]))
        data = [f"cohort={table}", f"cache={out / 'store'}", f"conf={CONF}", *RECIPE, *SWEEP]
        issues = sweep([*data, f"output={search}", "search=architecture_small", *rest])
        split = f"split={search / 'split.csv'}"
        issues += sweep([*data, split, f"output={stated}", "search=stated", *again, "leaders=1"])
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(*collapsed(issues), sep="\n", file=sys.stderr)
    print(f"\n{write_tables(out, search, stated)}")
    print(f"open {search / 'leaderboard.html'}")
    return 2 if any(issue.severity == "error" for issue in issues) else 0


def sweep(overrides: list[str]) -> list[Issue]:
    """One sweep; its trials are given the same overrides."""
    print(f"\nliverspleen sweep {' '.join(overrides)}", flush=True)
    return [*run_sweep(compose("sweep", overrides), overrides)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
