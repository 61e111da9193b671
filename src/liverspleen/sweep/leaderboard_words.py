"""What the leaderboard says in words: the decision first, and what was not done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from liverspleen.evaluation.reporting.formatting import DSS_DIGITS, UNDEFINED, fixed, interval_text
from liverspleen.evaluation.statistics.model_choice import Choice
from liverspleen.organs import ORGANS, listed
from liverspleen.sweep.leaderboard_rows import UNFINISHED, Row
from liverspleen.sweep.leaderboard_study import StudyFiles

SCORE_DIGITS: Final = DSS_DIGITS + 1  # leaders differ in the fourth decimal

DEFINITIONS: Final[dict[str, str]] = {
    "DSS": f"Mean over the validation cases of the mean DSS of {listed()}, each per case in 3D; of confirmation "
    "runs, by seeds that no search has seen.",
    "95 % CI": "For other seeds and other cases of the same kind: variances from the mean squares of the table of "
    "seeds by cases, each with the t quantile of its own degrees of freedom. Undefined with one seed or one case.",
    "Winner": "The configuration whose 95 % interval of the difference of means, paired by case, excludes 0 against "
    "every other leader. Of sweeps of equally good configurations at most 5 % name one.",
    "Worst condition": "The condition with the lowest mean DSS over its cases and all seeds; n is its number of cases.",
    "Volume bias": "Mean of 200 (predicted − reference) / (predicted + reference) over cases and seeds, with the same "
    "interval.",
    "Search score": "DSS of the search trial by which a configuration was picked. The best of many draws is too high; "
    "it takes no part in the choice.",
}

HEADS: Final = (
    *("Rank", "Configuration", "Seeds", "DSS (95 % CI)", "Worst condition"),
    *(f"{organ.title} bias, % (95 % CI)" for organ in ORGANS),
    *("s / slice", "Search score", "Failed"),
)
"""Of the table of confirmed configurations."""

OTHER_HEADS: Final = ("Configuration", "s / slice", "Search score", "Failed")
"""Of the table of those that were searched alone."""


def label(study: StudyFiles, row: Row) -> str:
    """A configuration by its digits and parameters."""
    told = ", ".join(
        f"{axis.name}={_short(value)}" for axis, value in zip(study.axes, row.values, strict=True) if value
    )
    return f"{row.configuration} ({told})" if told else row.configuration


def cells(row: Row) -> list[str]:
    """A confirmed row, under `HEADS` but for its configuration."""
    found = row.confirmed
    worst = UNDEFINED
    if found is not None and found.worst_condition is not None:
        worst = f"{found.worst_condition} {fixed(found.worst_mean, SCORE_DIGITS)} (n = {found.worst_n_cases})"
    return [
        str(row.rank or UNDEFINED),
        str(row.n_seeds or UNDEFINED),
        UNDEFINED if found is None else interval_text(found.mean, found.ci, SCORE_DIGITS),
        worst,
        *(interval_text(bias.mean, bias.ci, 2) for bias in row.volume_bias_pct.values()),
        *other_cells(row),
    ]


def other_cells(row: Row) -> list[str]:
    """A row that was searched alone, under `OTHER_HEADS` but for its configuration."""
    return [fixed(row.seconds_per_slice, 4), fixed(row.search_dss, SCORE_DIGITS), str(row.n_failed or UNDEFINED)]


def decision(study: StudyFiles, choice: Choice | None, rows: Sequence[Row]) -> tuple[str, ...]:
    """The decision as a headline and what explains it."""
    if choice is None:
        return _no_choice(study)
    labels = {row.configuration: label(study, row) for row in rows}
    against = "; ".join(
        f"{other.configuration} {interval_text(other.difference, other.ci, SCORE_DIGITS)}"
        + ("" if other.reason is None else f", {other.reason}")
        for other in choice.differences
    )
    against = f"Mean DSS of {choice.best} minus that of {against}." if against else ""
    told = [_counts(choice), against, *(f"Caution: {caution}." for caution in choice.cautions)]
    if choice.winner is not None:
        head = f"{labels[choice.winner]} is better than every other leader, beyond the noise of seeds and cases."
        return (head, *filter(None, told))
    if choice.reason == UNFINISHED:
        head = "No choice yet: the sweep is not finished."
        return (head, f"Why no winner is named before: {UNFINISHED}.", *filter(None, told))
    head = f"No difference shown between {_listed(choice.not_shown_worse)}."
    if len(choice.not_shown_worse) < 2:
        head = f"No choice: {choice.reason}."
    return (head, *_what_now(choice, rows), *filter(None, told))


def remarks(study: StudyFiles, choice: Choice | None) -> list[str]:
    """What was not done, and what the numbers are not."""
    said = [
        "Test sets were not touched: every number is of the validation side of the split. Report the chosen "
        "configuration from a test set, once, after the choice.",
        "The validation cases that score the leaders have picked them too, and the highest of several means is a "
        "little too high itself; on other cases expect less.",
    ]
    if not study.searched:
        said.insert(0, f"The search is not finished: {study.n_searched} of {study.planned_trials} trials.")
    elif not study.confirmed:
        said.insert(0, f"The confirmation is not finished: {study.n_confirmed} of {study.n_to_confirm} trainings.")
    if not study.seeds:
        said.insert(0, "There is no confirmation (seeds=0): no configuration was trained more than once.")
    if len(study.objectives) > 1 or study.objectives[:1] != ("dss",):
        named = _listed(list(study.objectives))
        said.append(
            f"The search had as objectives {named}; the choice is by DSS alone. The front below is of search trials."
        )
    if choice is not None and choice.reason is None and len(choice.not_shown_worse) == 1:
        said.append("Better in DSS is not better in volume bias or time: both stand beside it.")
    return said


def _no_choice(study: StudyFiles) -> tuple[str, ...]:
    if not study.seeds:
        head = "No choice: the study has no confirmation (seeds=0)."
    elif study.trials.empty:
        return ("No choice yet: no trial has been begun.",)
    elif study.phase("search", "complete").empty:
        return ("No choice yet: no trial of the search is complete.",)
    else:
        head = "No choice yet: no training of the confirmation has ended."
    why = (
        "The highest search score is the best of many draws: with other seeds the order would be another, also where "
        "all configurations are equally good."
    )
    return (head, why)


def _what_now(choice: Choice, rows: Sequence[Row]) -> list[str]:
    said = [f"Why: {choice.reason}."] if choice.reason and len(choice.not_shown_worse) > 1 else []
    timed = {row.configuration: row.seconds_per_slice for row in rows if row.seconds_per_slice is not None}
    among = [name for name in choice.not_shown_worse if name in timed]
    if len(among) > 1:
        cheapest = min(among, key=lambda name: timed[name])
        said.append(
            f"Take the one that is cheaper or simpler (fewest seconds a slice: {cheapest}, "
            f"{fixed(timed[cheapest], 4)}), or confirm anew with more seeds. Not shown is not equal."
        )
    return said


def _counts(choice: Choice) -> str:
    seeds = sorted({one.n_seeds for one in choice.configurations})
    many = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return f"{len(choice.configurations)} leaders, {many} fresh seeds each, {choice.n_cases} validation cases."


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _short(value: str) -> str:
    """A number to four digits, anything else as it is."""
    try:
        number = float(value)
    except ValueError:
        return value
    return value if len(value) <= 6 else f"{number:.4g}"
