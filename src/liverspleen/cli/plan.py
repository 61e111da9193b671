"""compute the number of cases that a study needs.

The study estimates limits of agreement or a percentage reproducibility coefficient (%RC), or shows the equivalence of
two readers. The width of an interval is itself estimated, so two numbers are printed: the cases for which the expected
half-width is half_width=, and the cases for which it is reached with a probability of assurance=. With n= the precision
or power of n cases is printed. question=cases fits a learning curve, a power law, and prints how many training cases a
mean DSS needs, with a 95 % interval, or that the curve does not tell.

examples
  liverspleen plan question=loa sd=1.6 half_width=0.5
  liverspleen plan question=rc rc_pct=6.5 half_width=1.5
  liverspleen plan question=tost sd=1.6 margin=1 bias=0.2 power=0.9
  liverspleen plan question=cases curve=outputs/curve/learning_curve.csv dss=0.95

inputs
  question=   loa: pairs of readings for limits bias ± 1.96 SD; sd= and half_width= in one unit, such as percent
              rc: patients with repeats= CT scans each for a %RC; rc_pct= and half_width= in percent
              tost: pairs of readings for two one-sided t-tests, alpha 0.05; sd=, margin= and bias= in one unit
              cases: training cases for a mean DSS of dss=, from the trainings in curve=, such as learning_curve.csv of
              liverspleen sweep search=cases

outputs, in output= if given
  plan.json   the table at full precision, with methods
  run.json    command, configuration, versions and hashes

exit codes
  0: finished; 2: a value is missing, out of range or not used by the question, each listed; 1: failure
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Final

from liverspleen import __version__
from liverspleen.cli.plan_cases import plan_cases
from liverspleen.config import PlanConfig
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.reporting.definitions import RESEARCH_USE
from liverspleen.evaluation.reporting.formatting import UNDEFINED, fixed
from liverspleen.evaluation.statistics.sample_size import PlannedPower, PlannedWidth, plan_loa, plan_rc, plan_tost
from liverspleen.provenance import recorded
from liverspleen.storage import write_json

_PLANS: Final[Mapping[str, Callable[..., Sequence[PlannedWidth | PlannedPower]]]] = {
    "loa": plan_loa,
    "rc": plan_rc,
    "tost": plan_tost,
}
_TRUSTED_RC_PCT: Final = 28.0  # wCV 10 %: up to it the χ² interval holds its level, see docs/statistics.md


def run(config: PlanConfig) -> Sequence[Issue]:
    """Print the table, and write it if an output folder is given."""
    if config.question == "cases":
        return plan_cases(config)
    given = config.given()
    renamed = {"half_width_pct" if (config.question, k) == ("rc", "half_width") else k: v for k, v in given.items()}
    try:
        rows = _PLANS[config.question](**renamed)
    except ValueError as error:
        raise InputError(Issue("LS-PLN-003", str(error), "correct the value")) from error
    notes = []
    if config.rc_pct is not None and config.rc_pct > _TRUSTED_RC_PCT:
        message = f"rc_pct={config.rc_pct:g}: above about {_TRUSTED_RC_PCT:g} % the chi-square interval is too narrow"
        notes.append(Issue("LS-PLN-010", message, "treat the numbers as lower bounds", severity="note"))
    with nullcontext() if config.output is None else recorded("plan", config, config.output) as record:
        print("\n".join(_lines(config.question, given, rows)))
        if config.output is not None and record is not None:
            write_json(config.output / "plan.json", _json(config.question, given, rows))
            record.outputs.append(config.output / "plan.json")
            record.issues.extend(notes)
    return tuple(notes)


def _lines(question: str, given: Mapping[str, Any], rows: Sequence[PlannedWidth | PlannedPower]) -> Iterator[str]:
    """Yield the given values, and a line for each method."""
    yield f"plan: {question}, {', '.join(f'{name}={value:g}' for name, value in given.items())}"
    if question == "tost":
        table: list[tuple[str, ...]] = [("method", "n", "power")]
        table += [(row.name, str(row.n), fixed(row.power, 4)) for row in rows if isinstance(row, PlannedPower)]
    else:
        table = [("method", "n", "expected half-width", "P(reached)")]
        table += [
            (
                row.name,
                str(row.n),
                f"{row.half_width:.4g}",
                UNDEFINED if row.probability is None else fixed(row.probability, 3),
            )
            for row in rows
            if isinstance(row, PlannedWidth)
        ]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        first, *others = (cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        yield f"  {line[0].ljust(len(first))}  {'  '.join(others)}"


def _json(question: str, given: Mapping[str, Any], rows: Sequence[PlannedWidth | PlannedPower]) -> dict[str, Any]:
    return {
        "generator": {"name": "liverspleen", "version": __version__},
        "notice": RESEARCH_USE,
        "question": question,
        "given": dict(given),
        "rows": [row.to_dict() for row in rows],
    }
