"""Tables of the study: effects of the levels, explained fractions, and configurations with fresh seeds."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from factor_effects import Effect, Estimate, Repeats, complete, effects, fractions, read_trials, repeats, seed_sd

from liverspleen.storage import write_text

STATED = {"network": "small", "slices.count": "3", "loss": "boundary", "sampler": "balanced"}
"""DeepLabV3+ and three slices: paper; loss and sampler: authors' code."""


def write_tables(out: Path, search: Path, stated: Path) -> str:
    """Write effects.csv and architecture.md into `out` from the tables of two sweeps; return the text of the latter."""
    trials, factors = read_trials(search / "trials.csv")
    grid = complete(trials, "search")
    found = effects(grid, factors, STATED) if len(grid) else []
    leaders = repeats(trials, factors)
    others = [
        one
        for one in repeats(*read_trials(stated / "trials.csv"))
        if one.levels not in {leader.levels for leader in leaders}
    ]
    explained, residual_sd = fractions(grid, factors) if len(grid) else ({}, math.nan)
    parts = [
        f"{len(grid)} of {(trials['phase'] == 'search').sum()} trials of the search have a score.",
        "## Effect of each level\n\n" + effect_table(found, grid),
        "## Explained fractions\n\n" + fraction_table(explained, residual_sd, seed_sd([*leaders, *others])),
        "## Networks by slices\n\n" + crossed(grid, "network", "slices.count"),
        "## Configurations with fresh seeds\n\n" + repeat_table(leaders, others, factors, grid),
    ]
    text = "\n\n".join(parts) + "\n"
    write_text(out / "effects.csv", effects_csv(found))
    write_text(out / "architecture.md", text)
    return text


def effect_table(found: Sequence[Effect], grid: pd.DataFrame) -> str:
    """Return a table with a row per level; times and volume biases are means over its trials."""
    rows = []
    for one in found:
        own = grid[grid[one.factor] == one.level]
        rows.append(
            [
                one.factor if not rows or rows[-1][-1] != one.factor else "",
                f"{one.level} (stated)" if STATED[one.factor] == one.level else one.level,
                str(one.score.n),
                number(one.score.mean),
                number(own["dss_liver"].mean()),
                number(own["dss_spleen"].mean()),
                interval(one.difference, sign=True) if one.difference else "",
                str(one.difference.n) if one.difference else "",
                number(own["volume_bias_pct"].abs().mean(), 1),
                number(1000 * own["seconds_per_slice"].mean(), 1),
                one.factor,
            ]
        )
    header = ("factor", "level", "n", "mean DSS", "liver", "spleen", "difference from stated (95 % CI)", "pairs")
    return markdown((*header, "abs. volume bias, %", "ms per slice"), [row[:-1] for row in rows])


def fraction_table(explained: Mapping[str, float], residual_sd: float, seeds: float) -> str:
    """Return the fractions of the sum of squares, the residual SD, and the SD between seeds."""
    rows = [[factor, percent(fraction)] for factor, fraction in explained.items()]
    rows.append(["interactions and seeds", percent(1 - math.fsum(explained.values())) if explained else ""])
    text = markdown(("factor", "fraction of the sum of squares"), rows)
    return f"{text}\n\nResidual SD {number(residual_sd)}; SD between seeds of one configuration {number(seeds)}."


def crossed(grid: pd.DataFrame, rows: str, columns: str) -> str:
    """Return the mean DSS by two factors."""
    levels = list(dict.fromkeys(grid[columns]))
    body = []
    for name in dict.fromkeys(grid[rows]):
        cells = (grid.loc[(grid[rows] == name) & (grid[columns] == level), "dss"].mean() for level in levels)
        body.append([name, *map(number, cells)])
    return markdown((rows, *(f"{columns}={level}" for level in levels)), body)


def repeat_table(
    leaders: Sequence[Repeats], others: Sequence[Repeats], factors: Sequence[str], grid: pd.DataFrame
) -> str:
    """Return the leaders and the stated configuration; the rank is that of the search trial in the grid."""
    scores = dict(zip(grid[list(factors)].itertuples(index=False, name=None), grid["dss"], strict=True))
    stated = tuple(STATED[name] for name in factors)
    rows = [
        [
            *one.levels,
            "stated" if one.levels == stated else "leader",
            str(1 + (grid["dss"] > scores[one.levels]).sum()) if one.levels in scores else "",
            number(scores.get(one.levels, math.nan)),
            str(one.score.n),
            interval(one.score),
            number(one.sd),
        ]
        for one in [*leaders, *others]
    ]
    header = ("", "rank in the search", "DSS in the search", "seeds", "mean DSS (95 % CI over seeds)", "SD of seeds")
    return markdown((*factors, *header), rows)


def effects_csv(found: Sequence[Effect]) -> str:
    """Return effects.csv: full precision, a row per level; undefined values are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    fields = ("mean", "low", "high")
    writer.writerow(["factor", "level", "n", *fields, "pairs", *(f"difference_{name}" for name in fields)])
    for one in found:
        pairs = one.difference or Estimate(0, math.nan, math.nan, math.nan)
        estimates = [
            [count.n, *("" if math.isnan(v) else v for v in (count.mean, count.low, count.high))]
            for count in (one.score, pairs)
        ]
        writer.writerow([one.factor, one.level, *estimates[0], *estimates[1]])
    return text.getvalue()


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(header)} |", "|" + "---|" * len(header), *body])


def number(value: float, places: int = 3) -> str:
    """Return the number as text; empty if it is undefined."""
    return "" if math.isnan(value) else f"{value:.{places}f}"


def percent(fraction: float) -> str:
    """Return the number as text; empty if it is undefined."""
    return "" if math.isnan(fraction) else f"{100 * fraction:.0f} %"


def interval(found: Estimate, *, sign: bool = False) -> str:
    """Return mean and interval as `0.800 (0.790 to 0.810)`."""
    if not found.n:
        return ""
    style = "+.3f" if sign else ".3f"
    limits = "" if math.isnan(found.low) else f" ({found.low:{style}} to {found.high:{style}})"
    return f"{found.mean:{style}}{limits}"
