"""The page of the results as Markdown, and the figure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from plan import BASE, CHANGES, FOLDS, PATIENTS, PHANTOMS, Settings
from summary import BOTH, STRUCTURES, decisions

from liverspleen.errors import counted
from liverspleen.evaluation.reporting.figures.bland_altman import INK, own_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES = {PHANTOMS: "Randomised phantoms", PATIENTS: "Patients"}
COLOURS = dict(zip(STRUCTURES, ("#0072B2", "#E69F00", INK), strict=False))  # Okabe and Ito 2008

METHOD = (
    "Each arm differs from the base in one factor. The DSS is per case in 3D on the grid of the CT, of the weights "
    "after the last step; the test cases select nothing. Differences are arm minus base on the same test patients, "
    "with 95 % intervals over seeds and patients. An organ without a DSS in one of the compared trainings (absent, and "
    "not predicted) is excluded for that patient in all of them, and counted in brackets; the mean of both organs "
    "needs both. "
    f"There are {len(CHANGES)} comparisons in each part. The simultaneous intervals contain all {len(CHANGES)} true "
    "differences of an organ together in at least 95 % of studies (Bonferroni); the 95 % intervals do not. So a single "
    '"better" may be due to chance, and a factor changes the recommended recipe only after a confirmation with fresh '
    'seeds. "No difference shown" does not mean that two arms are equal.'
)
FOLD_LIMIT = (
    "The intervals treat patients as independent, although the patients of a fold have the same model, and the models "
    "of different folds share training patients."
)
RULE = (
    "A factor passes to the confirmation if the 95 % interval of the mean of both organs is above 0 in one part, and "
    "not below 0 in the other. All other factors stay as in the base."
)

_HEAD = ("arm", "organ", "seeds", "patients", "mean DSS (95 % CI)", "difference from the base (95 % CI)")
_MORE = ("simultaneous interval", "verdict", "worst case", "empty", "absent, but predicted", "s per step")


def page(
    arms: pd.DataFrame, trials: pd.DataFrame, tested: Mapping[str, tuple[int, int, int]], settings: Settings
) -> str:
    """Return the page; `tested` are the numbers of test patients, test cases and unused cases of each part."""
    lines = [
        "# Which parts of the training recipe matter?",
        f"Base: `experiment=recipe_base`, {settings.steps} steps, {counted(settings.seeds, 'seed')}.",
        _table(("arm", "factor", "change"), ((arm.name, arm.factor, arm.change) for arm in (BASE, *CHANGES))),
        METHOD,
        "![Difference of the mean DSS from the base, with 95 % intervals, for each arm and part](recipe.svg)",
    ]
    for part, (patients, images, unused) in tested.items():
        how = "other phantoms for the training" if part == PHANTOMS else f"{FOLDS} folds, each patient is tested once"
        rows = [row for row in _records(arms) if row["part"] == part]
        lines += [
            f"## {TITLES[part]}",
            f"{counted(patients, 'test patient')}, {counted(images, 'test case')}; {how}.",
            *([f"{counted(unused, 'case')} of other datasets are not used."] if unused else []),
            *([FOLD_LIMIT] if part == PATIENTS else []),
            *_failures(trials[trials["part"] == part]),
            _table((*_HEAD, *_MORE), map(_arm, rows)),
        ]
    decided = decisions(arms)
    rows = [(arm.name, arm.factor, decided[arm.name]) for arm in CHANGES]
    lines += ["## Decision", RULE, _table(("arm", "factor", "decision"), rows)]
    if PATIENTS not in tested:
        lines.append("The part with patients was not run, because `cohort=` was not given.")
    return "\n\n".join(lines) + "\n"


def _failures(trials: pd.DataFrame) -> Iterator[str]:
    failed = trials[trials["state"] != "complete"]
    if len(failed):
        listed = (f"{row.arm}, seed {row.seed}: {row.state}, {row.reason}" for row in failed.itertuples())
        yield f"{counted(len(failed), 'trial')} without a result: {'; '.join(listed)}."


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _arm(row: Mapping[str, Any]) -> Iterable[str]:
    organ = "mean of both" if row["structure"] == BOTH else row["structure"]
    excluded = f" ({row['excluded']} excluded)" if row["excluded"] else ""
    cells = [row["arm"], organ, str(row["seeds"]), f"{row['patients']}{excluded}", _estimate(row, "dss", ".3f")]
    if row["arm"] == BASE.name:
        cells += ["", "", ""]
    else:
        why = f" ({row['reason']})" if row["reason"] else ""
        simultaneous = _interval(row, "simultaneous", "+.3f")
        cells += [_estimate(row, "difference", "+.3f"), simultaneous, f"{row['verdict']}{why}"]
    seconds = "" if row["step_s"] is None else f"{row['step_s']:.2f}"
    if row["structure"] == BOTH or not row["seeds"]:
        return [*cells, "", "", "", seconds]
    worst = "undefined" if row["worst_dss"] is None else f"{row['worst_dss']:.3f} ({row['worst_case']})"
    return [*cells, worst, f"{row['empty']:g} of {row['tests']:g}", f"{row['absent_predicted']:g}", seconds]


def _estimate(row: Mapping[str, Any], name: str, style: str) -> str:
    if row[name] is None:
        return "undefined"
    limits = _interval(row, name, style)
    return f"{row[name]:{style}}{f' ({limits})' if limits else ''}"


def _interval(row: Mapping[str, Any], name: str, style: str) -> str:
    lower, upper = row[f"{name}_lower"], row[f"{name}_upper"]
    return "" if lower is None else f"{lower:{style}} to {upper:{style}}"


def _table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))


def difference_figure(arms: pd.DataFrame) -> Figure:
    """Return the differences from the base with their 95 % intervals, a panel for each part."""
    from matplotlib.figure import Figure

    parts = [*dict.fromkeys(arms["part"])]
    numbers = ["difference", "difference_lower", "difference_upper"]
    arms = arms.astype(dict.fromkeys(numbers, float))
    with own_style():
        figure = Figure(figsize=(2.4 + 3.6 * len(parts), 1.6 + 0.45 * len(CHANGES)), layout="constrained")
        panels = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
        for axes, part in zip(panels, parts, strict=True):
            _differences(axes, arms[arms["part"] == part])
            axes.set_title(TITLES[part], loc="left", fontweight="bold")
        panels[0].set_yticks(range(len(CHANGES)), [f"{arm.factor}: {arm.name}" for arm in CHANGES])
        panels[0].set_ylim(len(CHANGES) - 0.5, -0.5)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(STRUCTURES), frameon=False, fontsize=8.5)
    return figure


def _differences(axes: Axes, arms: pd.DataFrame) -> None:
    axes.axvline(0, color=INK, linewidth=0.8)
    for shift, structure in enumerate(STRUCTURES):
        rows = arms[arms["structure"] == structure].set_index("arm").reindex([arm.name for arm in CHANGES])
        places = [number + 0.2 * (shift - 1) for number in range(len(CHANGES))]
        found = rows["difference"]
        bars = [found - rows["difference_lower"], rows["difference_upper"] - found]  # undefined ones are not drawn
        label = "mean of both" if structure == BOTH else structure
        style = {"fmt": "o", "markersize": 4, "capsize": 2, "color": COLOURS.get(structure, INK), "label": label}
        axes.errorbar(found, places, xerr=bars, **style)
    axes.set_xlabel("Difference of the mean DSS from the base")
    axes.tick_params(colors=INK)
    axes.spines[["top", "right"]].set_visible(False)
