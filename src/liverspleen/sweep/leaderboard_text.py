"""Tables of the leaderboard: `leaderboard.csv` and `leaderboard.md`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from liverspleen import spreadsheet
from liverspleen.errors import counted, one_line
from liverspleen.evaluation.reporting.formatting import UNDEFINED, fixed, interval_text
from liverspleen.evaluation.reporting.writers.csv_markdown import escaped
from liverspleen.organs import ORGAN_KEYS, ORGANS, listed
from liverspleen.sweep.importance import importances
from liverspleen.sweep.leaderboard_decision import SCORE_DIGITS, decision, names, remarks
from liverspleen.sweep.leaderboard_study import Row, StudyFiles, choice_of, pareto, rows_of
from liverspleen.sweep.learning_curve import HEADS, SUBSET, curve_decision, curve_rows, trainings

DEFINITIONS: Final[dict[str, str]] = {
    "DSS": f"Mean over the validation cases of the mean DSS of {listed()}, each per case in 3D. It is the mean of the "
    "confirmation runs, whose seeds the search did not use.",
    "95 % CI": "The interval is valid for other seeds and other cases of the same kind. Its variances are mean squares "
    "of the table of seeds by cases, each with the t quantile of its own degrees of freedom. It is undefined with one "
    "seed or one case.",
    "Winner": "The configuration that is better than every other leader: each 95 % interval of the difference of "
    "means, paired by case, excludes 0. At most 5 % of sweeps of equally good configurations have a winner.",
    "Worst condition": "The condition with the lowest mean DSS over its cases and all seeds; n is the number of cases.",
    "Volume bias": "Mean of 200 (predicted − reference) / (predicted + reference) over cases and seeds, with the same "
    "interval.",
    "Search score": "DSS of the search trial that selected the configuration. The best of many scores is too high, "
    "so the decision does not use it.",
}

_HEADS: Final = (
    *("Rank", "Configuration", "Seeds", "DSS (95 % CI)", "Worst condition"),
    *(f"{organ.title} bias, % (95 % CI)" for organ in ORGANS),
    *("s / slice", "Search score", "Failed"),
)
_SEARCHED_HEADS: Final = ("Configuration", "s / slice", "Search score", "Failed")
_FAILURE_HEADS: Final = ("Trial", "Phase", "Configuration", "Seed", "Reason")
_IMPORTANCE_HEADS: Final = ("Parameter", "Importance", "95th percentile for shuffled scores", "Above it")


@dataclass(frozen=True)
class Table:
    """A table of texts."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


class Leaderboard:
    """A study with its choice, rows, Pareto front and importances, and the texts that describe them."""

    def __init__(self, study: StudyFiles) -> None:
        self.study = study
        self.choice = choice_of(study)
        self.rows = rows_of(study, self.choice)
        self.front = pareto(study)
        self.importance = importances(study)
        self.names = names(self.rows)
        self.trainings = trainings(study)
        has_curve = SUBSET in {axis.name for axis in study.axes} and not study.seeds
        usual = decision(study, self.choice, self.rows)
        self.decision = curve_decision(study, self.trainings) if has_curve else usual
        self.remarks = remarks(study, self.choice)

    @property
    def leaders(self) -> Table:
        """The confirmed configurations."""
        return Table(_HEADS, [self._leader_cells(row) for row in self.rows if row.rank])

    @property
    def searched(self) -> Table:
        """The configurations that were searched and not confirmed."""
        rows = [[self.names[row.configuration], *_search_cells(row)] for row in self.rows if not row.rank]
        return Table(_SEARCHED_HEADS, rows)

    @property
    def curve(self) -> Table:
        """The learning curve; no rows if subsets of the patients are not searched."""
        return Table(HEADS, curve_rows(self.trainings))

    @property
    def failures(self) -> Table:
        """The failed trials with their reasons."""
        trials = self.study.trials[self.study.trials["state"] == "failed"]
        named = trials.assign(configuration=trials["configuration"].map(self.names))
        rows = named[["number", "phase", "configuration", "seed", "reason"]].to_numpy()
        return Table(_FAILURE_HEADS, [[one_line(cell) for cell in row] for row in rows])

    @property
    def importances(self) -> Table:
        """The importance of each parameter and that for shuffled scores; no rows if it is undefined."""
        found = self.importance
        return Table(
            _IMPORTANCE_HEADS,
            [
                [name, fixed(value, 2), fixed(found.noise[name], 2), "yes" if value > found.noise[name] else "no"]
                for name, value in found.fractions.items()
            ],
        )

    def _leader_cells(self, row: Row) -> list[str]:
        found = row.confirmed
        assert found is not None  # only confirmed configurations have a rank
        worst = UNDEFINED
        if found.worst_condition is not None:
            worst = f"{found.worst_condition} {fixed(found.worst_mean, SCORE_DIGITS)} (n = {found.worst_n_cases})"
        biases = [interval_text(bias.mean, bias.mean_ci, 2) for bias in row.volume_bias_pct.values()]
        dss = interval_text(found.mean, found.mean_ci, SCORE_DIGITS)
        return [
            str(row.rank),
            self.names[row.configuration],
            str(row.n_seeds or UNDEFINED),
            dss,
            worst,
            *biases,
            *_search_cells(row),
        ]

    @property
    def n_searched(self) -> str:
        """Number of configurations without confirmation, with its noun."""
        return counted(len(self.searched.rows), "configuration")

    @property
    def front_text(self) -> str:
        """The Pareto front of a search with several objectives; empty for one objective."""
        if len(self.study.objectives) < 2:
            return ""
        if not self.front:
            return "No complete search trial has all objectives."
        numbers = ", ".join(map(str, self.front))
        objectives = ", ".join(self.study.objectives)
        return (
            f"Trials {numbers}. No other complete search trial is at least as good in {objectives} and better in one."
        )


def csv_text(board: Leaderboard) -> str:
    """Return leaderboard.csv: one row per configuration at full precision; undefined values are empty fields.

    A spreadsheet reads no text as a formula.
    """
    ci = ("", "_ci_lower", "_ci_upper")
    names = [axis.name for axis in board.study.axes]
    header = ["rank", "configuration", *names, "n_seeds", "n_failed", *(f"dss{part}" for part in ci)]
    header += ["dss_seed_sd", "worst_condition", "worst_condition_dss", "worst_condition_n_cases"]
    header += [f"volume_bias_{organ}_pct{part}" for organ in ORGAN_KEYS for part in ci]
    return spreadsheet.csv_text([[*header, "seconds_per_slice", "search_dss"], *map(_csv_cells, board.rows)])


def markdown_text(board: Leaderboard) -> str:
    """Return leaderboard.md: decision, tables, failed trials, limits of the result, and definitions."""
    head, *more = board.decision
    failures = board.failures
    parts = [f"# Leaderboard of {escaped(board.study.name)}", f"**{escaped(head)}**", *map(escaped, more)]
    parts += ["## DSS by number of training patients", _markdown_table(board.curve)] if board.curve.rows else []
    parts += [
        "## Leaders",
        _markdown_table(board.leaders) if board.leaders.rows else "No configuration is confirmed yet.",
    ]
    parts += ["## Configurations without confirmation", _markdown_table(board.searched)] if board.searched.rows else []
    parts += ["## Pareto front of the search", board.front_text] if board.front_text else []
    if board.importances.rows:
        parts += ["## Parameter importance", _markdown_table(board.importances), escaped(board.importance.method)]
    parts += ["## Failed trials", _markdown_table(failures) if failures.rows else "None."]
    parts += ["## Limits of this result", _markdown_list(board.remarks)]
    parts += ["## Definitions", _markdown_list(f"{term}: {meaning}" for term, meaning in DEFINITIONS.items())]
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: Table) -> str:
    lines = [[*map(escaped, table.heads)], ["---"] * len(table.heads), *([*map(escaped, row)] for row in table.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _markdown_list(texts: Iterable[str]) -> str:
    return "\n".join(f"- {escaped(text)}" for text in texts)


def _search_cells(row: Row) -> list[str]:
    return [fixed(row.seconds_per_slice, 4), fixed(row.search_dss, SCORE_DIGITS), str(row.n_failed or UNDEFINED)]


def _csv_cells(row: Row) -> list[object]:
    found = row.confirmed
    values: list[object] = [row.rank, row.configuration, *row.parameters.values()]
    values += [row.n_seeds, row.n_failed]
    if found is None:
        values += [None] * 7
    else:
        values += [
            found.mean,
            *(found.mean_ci or (None, None)),
            found.seed_sd,
            found.worst_condition,
            found.worst_mean,
            found.worst_n_cases,
        ]
    for bias in row.volume_bias_pct.values():
        values += [bias.mean, *(bias.mean_ci or (None, None))]
    return [*values, row.seconds_per_slice, row.search_dss]
