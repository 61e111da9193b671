"""The paper's choice again, on phantoms: network, sections in, loss and order of sections, all combinations.

    python experiments/architecture/run.py [output=outputs/architecture] [development=30] [matrix=64] [words of sweep]

Makes the phantoms, trains every combination once (liverspleen sweep), the leaders and what paper and authors' code
state again with fresh seeds, and writes effects.csv and architecture.md. The same command goes on where it was stopped.
"""

from __future__ import annotations

import sys
from pathlib import Path

from factor_tables import write_tables

from liverspleen.cli.main import run_verb
from liverspleen.errors import InputError, Issue

CONF = Path(__file__).parent / "conf"
USUAL = {"output": "outputs/architecture", "development": "30", "matrix": "64"}
RECIPE = ("experiment=phantom", "trainer.steps=200", "trainer.validate_every=200")
SWEEP = ("leaders=3", "seeds=5", "workers=2")


def main(words: list[str]) -> int:
    """Run the verbs in turn; the highest exit code of them is returned."""
    given = [word for word in words if "=" in word]
    if given != words:
        print(Issue("LS-EXP-020", "a word is not of the form key=value", "write key=value"), file=sys.stderr)
        return 2
    own = USUAL | {name: value for name, _, value in (word.partition("=") for word in words) if name in USUAL}
    rest = [word for word in words if word.partition("=")[0] not in USUAL]
    out = Path(own["output"])
    data = [f"cohort={out / 'phantoms' / 'cohort.csv'}", f"store={out / 'store'}", f"conf={CONF}"]
    search, stated = out / "sweep", out / "stated"
    again = [word for word in rest if word.partition("=")[0] not in {"trials", "leaders"}]
    counts = [f"{name}={own[name]}" for name in ("development", "matrix")]
    steps = [
        ("phantom", [f"output={out / 'phantoms'}", "test1=0", "pairs=0", *counts]),
        ("sweep", [*data, f"output={search}", "search=architecture_small", *RECIPE, *SWEEP, *rest]),
        (
            "sweep",
            [
                *data,
                f"split={search / 'split.csv'}",
                f"output={stated}",
                "search=stated",
                *RECIPE,
                *SWEEP,
                *again,
                "leaders=1",
            ],
        ),
    ]
    codes = []
    try:
        for verb, overrides in steps:
            print(f"\nliverspleen {verb} {' '.join(overrides)}", flush=True)
            codes.append(run_verb(verb, overrides))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"\n{write_tables(out, search, stated)}")
    print(f"open {search / 'leaderboard.html'}")
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
