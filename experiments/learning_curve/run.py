"""Coverage of the interval of `plan question=cases` on simulated learning curves; writes coverage.csv.

Truth: DSS = a - b n^-c at 5, 10, 20, 40 and 80 cases with 3 seeds. a is uniform in 0.90 to 0.98, c in 0.3 to 1.5, the
DSS at 5 cases is 0.03 to 0.30 below a, the SD of the noise is uniform in 0.005 to 0.02. The wanted DSS is that of a
number of cases between 10 and 320 (log-uniform): the true need. Flat curves have b = 0.

    python experiments/learning_curve/run.py
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liverspleen.errors import InputError
from liverspleen.evaluation.statistics.learning_curve import BEYOND, FLAT, MISFIT, UNBOUNDED, learning_curve
from liverspleen.storage import write_text
from liverspleen.studies import given_settings

CURVES = 500
SEED = 22  # the method was chosen on curves of seed 21, with a similar result
SIZES, SEEDS = np.array([5, 10, 20, 40, 80]), 3
NOISE = {"same for all sizes": 0, "larger with few cases": 1, "half of the variance is of the seed": 2, "flat": 3}


def simulated(rng: np.random.Generator, kind: int) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return cases, DSS, wanted DSS and the true need of one curve."""
    a, c, sd = rng.uniform(0.90, 0.98), rng.uniform(0.3, 1.5), rng.uniform(0.005, 0.02)
    b = rng.uniform(0.03, 0.30) * 5**c
    need = float(np.exp(rng.uniform(np.log(10), np.log(320))))
    wanted = a - b * need**-c
    b = 0.0 if kind == 3 else b
    n = np.tile(SIZES, (SEEDS, 1))
    noise = rng.normal(0, sd, n.shape)
    if kind == 1:
        noise *= np.sqrt(20 / n)
    if kind == 2:
        noise = np.sqrt(0.5) * (noise + rng.normal(0, sd, (SEEDS, 1)))
    return n.ravel(), np.clip(a - b * n**-c + noise, 0, 1).ravel(), wanted, need


def rows() -> Iterator[dict[str, object]]:
    """Yield a row for each kind of noise."""
    for name, kind in NOISE.items():
        rng = np.random.default_rng([SEED, kind])
        curves = [simulated(rng, kind) for _ in range(CURVES)]
        seeds = np.repeat(np.arange(SEEDS), len(SIZES))
        found = [(learning_curve(n, y, seeds, wanted_dss=wanted), need) for n, y, wanted, need in curves]
        reasons = [curve.reason for curve, _ in found]
        answered = [(curve, need) for curve, need in found if curve.cases_ci is not None]
        covered = sum(curve.cases_ci.lower <= need <= curve.cases_ci.upper for curve, need in answered)
        limited = [(curve, need) for curve, need in found if curve.reason in (BEYOND, UNBOUNDED) and curve.at_least]
        above = sum(curve.at_least <= need for curve, need in limited)
        ratios = [curve.cases_ci.upper / curve.cases_ci.lower for curve, _ in answered]
        yield {
            "noise": name,
            "curves": CURVES,
            "answered": len(answered),
            "covered": covered,
            "covered_pct": round(100 * covered / len(answered), 1) if answered else "",
            "lower_limit_only": len(limited),
            "lower_limit_true": above,
            "all_covered_pct": round(100 * (covered + above) / max(1, len(answered) + len(limited)), 1),
            "flat": reasons.count(FLAT),
            "misfit": reasons.count(MISFIT),
            "median_upper_by_lower": round(float(np.median(ratios)), 2) if ratios else "",
        }


def main(arguments: list[str]) -> int:
    """Write and print the table; return 0, or 2 if an argument was rejected."""
    if {"--help", "-h"} & set(arguments):
        print(__doc__)
        return 0
    try:
        given_settings(arguments, [])
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    table = list(rows())
    text = io.StringIO()
    writer = csv.DictWriter(text, [*table[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    write_text(Path(__file__).with_name("coverage.csv"), text.getvalue())
    print(text.getvalue(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
