"""Texts of the leaderboard: names of configurations, the decision, and the limits of the result."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Final

from liverspleen.errors import counted
from liverspleen.evaluation.reporting.formatting import DSS_DIGITS, fixed, interval_text
from liverspleen.evaluation.statistics.model_choice import Choice
from liverspleen.sweep.leaderboard_study import LEARNT_DSS, NOTHING_LEARNT, UNFINISHED, Row, StudyFiles

SCORE_DIGITS: Final = DSS_DIGITS + 1  # leaders differ in the fourth decimal

_LEARN_MORE: Final = (
    "There is no winner, because differences between such scores mean nothing. Train longer: run the sweep with a "
    "larger trainer.steps= and another output=.",
)


def names(rows: Sequence[Row]) -> dict[str, str]:
    """Return the parameters of each configuration, such as `optimizer.lr=0.0003, loss=dice_ce`, by its id.

    Numbers have four digits, or all if two configurations would have the same name. Without parameters the name is
    the id.
    """
    short = {row.configuration: _parameters(row, _short) for row in rows}
    if len(set(short.values())) < len(rows):
        short = {row.configuration: _parameters(row, str) for row in rows}
    return {configuration: name or configuration for configuration, name in short.items()}


def _parameters(row: Row, written: Callable[[str], str], only: Container[str] | None = None) -> str:
    given = ((name, value) for name, value in row.parameters.items() if value and (only is None or name in only))
    return ", ".join(f"{name}={written(value)}" for name, value in given)


def _short(value: str) -> str:
    """Return a number with four digits, and other text unchanged."""
    try:
        number = float(value)
    except ValueError:
        return value
    return value if len(value) <= 6 else f"{number:.4g}"


def decision(study: StudyFiles, choice: Choice | None, rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the decision as a headline, and the sentences that explain it."""
    nothing = _nothing_learnt(study, rows)
    if choice is None:
        head, *why = _no_choice(study)
        if nothing and study.searched and not study.seeds:
            return (nothing, *_LEARN_MORE)
        return (head, *([nothing, *_LEARN_MORE] if nothing else why))
    called = _called([row for row in rows if row.rank])
    differences = "; ".join(
        f"{called[other.configuration]} {interval_text(other.difference, other.difference_ci, SCORE_DIGITS)}"
        + ("" if other.reason is None else f", {other.reason}")
        for other in choice.differences
    )
    why = []
    if choice.winner is not None:
        head = (
            f"{called[choice.winner]} is better than every other leader by more than the variation of seeds and cases."
        )
    elif not study.finished:
        head = "No choice yet: the sweep is not finished."
        why = [nothing, *_LEARN_MORE] if nothing else [f"There is no winner yet: {UNFINISHED}."]
    elif nothing:
        head, why = nothing, [*_LEARN_MORE]
    elif len(choice.not_shown_worse) < 2:
        head = f"No choice: {choice.reason}."
    else:
        head = f"No difference shown between {_listed([called[one] for one in choice.not_shown_worse])}."
        why = [f"Reason: {choice.reason}."] if choice.reason else []
        why += _cheapest(choice, rows, called)
    seeds = sorted({one.n_seeds for one in choice.configurations})
    each = counted(seeds[0], "fresh seed") if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} fresh seeds"
    n_leaders, n_cases = counted(len(choice.configurations), "leader"), counted(choice.n_cases, "validation case")
    why.append(f"{n_leaders}, {each} each, {n_cases}.")
    why += [f"Mean DSS of {called[choice.best or '']} minus that of {differences}."] if differences else []
    cautions = [f"Caution: {caution}." for caution in choice.cautions]
    for configuration, name in called.items():
        cautions = [caution.replace(configuration, name) for caution in cautions]
    return (head, *why, *cautions)


def _nothing_learnt(study: StudyFiles, rows: Sequence[Row]) -> str:
    """Return that no leader has learnt anything, by the confirmation or else by the search; empty if one has."""
    confirmed = [row.confirmed.mean for row in rows if row.confirmed is not None and row.confirmed.mean is not None]
    scores = confirmed or [row.search_dss for row in rows if row.search_dss is not None]
    if not scores or max(scores) >= LEARNT_DSS:
        return ""
    so_far = "" if study.finished else " so far"
    highest = f"the highest mean DSS is {fixed(max(scores), SCORE_DIGITS)}, below {LEARNT_DSS}"
    return f"{NOTHING_LEARNT.capitalize()}{so_far}: {highest}."


def _called(rows: Sequence[Row]) -> dict[str, str]:
    """Return a name of each leader for a sentence, by its id: the parameters in which the leaders differ."""
    differing = [name for name in rows[0].parameters if len({row.parameters[name] for row in rows}) > 1] if rows else []
    full = names(rows)
    brief = {row.configuration: _parameters(row, _short, differing) for row in rows}
    unique = len(set(brief.values())) == len(rows) and all(brief.values())
    return {configuration: f"({name})" for configuration, name in (brief if unique else full).items()}


def _no_choice(study: StudyFiles) -> tuple[str, ...]:
    if not study.seeds:
        head = "No choice: the study has no confirmation (seeds=0)."
    elif study.trials.empty:
        return ("No choice yet: no trial has started.",)
    elif study.phase("search", "complete").empty:
        return ("No choice yet: no trial of the search is complete.",)
    else:
        head = "No choice yet: no training of the confirmation is complete."
    why = (
        "The highest search score is partly chance. Other seeds give another order, also if all configurations are "
        "equally good."
    )
    return (head, why)


def _cheapest(choice: Choice, rows: Sequence[Row], called: Mapping[str, str]) -> list[str]:
    timed = {row.configuration: row.seconds_per_slice for row in rows if row.seconds_per_slice is not None}
    candidates = [name for name in choice.not_shown_worse if name in timed]
    if len(candidates) < 2:
        return []
    cheapest = min(candidates, key=lambda name: timed[name])
    return [
        f"Choose the cheaper or simpler one (fewest seconds per slice: {called[cheapest]}, "
        f"{fixed(timed[cheapest], 4)}), or run another confirmation with more seeds. 'Not shown' does not mean 'equal'."
    ]


def remarks(study: StudyFiles, choice: Choice | None) -> list[str]:
    """Return the missing steps of the study and the limits of its numbers."""
    found = [
        "Test sets were not used: all numbers are from the validation side of the split. After the choice, evaluate "
        "the chosen configuration on a test set once.",
        "The same validation cases selected the leaders, and the highest of several means is slightly too high. Expect "
        "lower scores on other cases.",
    ]
    if not study.searched:
        found.insert(0, f"The search is not finished: {study.n_searched} of {counted(study.planned_trials, 'trial')}.")
    elif not study.confirmed:
        found.insert(
            0, f"The confirmation is not finished: {study.n_confirmed} of {counted(study.n_to_confirm, 'training')}."
        )
    if not study.seeds:
        found.insert(0, "There is no confirmation (seeds=0), so no configuration was trained again with fresh seeds.")
    if study.objectives != ("dss",):
        objectives = _listed(study.objectives)
        found.append(f"The objectives of the search were {objectives}; the choice uses DSS only.")
    if choice is not None and choice.winner is not None:
        found.append("A better DSS does not imply a better volume bias or time. Compare their columns.")
    return found


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
