"""The sealed copy of a finished trial in the database of a study, by which a damaged row is found."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from liverspleen.records import DamagedRecordError, sealed, unsealed
from liverspleen.sweep.plan import Outcome

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

OUTCOME: Final = "outcome"
"""User attribute of a trial with its outcome and the sealed copy."""

_OUTCOME_FIELDS: Final = frozenset(item.name for item in fields(Outcome))
_COPIED: Final = ("phase", "repeat", "folder_id", "created")


def sealed_outcome(
    trial: FrozenTrial, outcome: Outcome, values: Mapping[str, Any], objectives: Sequence[float] | None
) -> dict[str, Any]:
    """Return the user attribute `OUTCOME`: the outcome and a copy of the trial, with a checksum.

    `values` are those that the worker trained with, `objectives` those of a complete trial.
    """
    return sealed({**asdict(outcome), **_copy(trial, values), "objectives": objectives and list(objectives)})


def outcome_of(trial: FrozenTrial) -> Outcome:
    """Return the outcome of a trial; an empty one if no worker has finished it.

    A worker may end a trial as stale while its own worker stores the outcome, so the final state is not compared.

    Raises:
        ValueError: the trial is not what was written.
    """
    if OUTCOME not in trial.user_attrs:
        return Outcome()
    stated = unsealed(trial.user_attrs[OUTCOME])
    copy = sealed({**_copy(trial, trial.params), "objectives": stated["objectives"]})
    complete = trial.state.name == "COMPLETE" and stated["objectives"] is not None
    if any(stated.get(name) != value for name, value in unsealed(copy).items()):
        raise DamagedRecordError(f"trial {trial.number} is not what was written")
    if complete and list(trial.values) != stated["objectives"]:
        raise DamagedRecordError(f"the objectives of trial {trial.number} are not what was written")
    return Outcome(**{name: value for name, value in stated.items() if name in _OUTCOME_FIELDS})


def _copy(trial: FrozenTrial, values: Mapping[str, Any]) -> dict[str, Any]:
    about = {name: trial.user_attrs.get(name) for name in _COPIED}
    steps = {str(step): value for step, value in trial.intermediate_values.items()}
    return {"number": trial.number, "values": dict(values), "validations": steps, **about}


def has_damaged_pages(file: Path) -> bool:
    """Return whether the pages or indices of an SQLite database contradict each other; False if it cannot be opened."""
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=120)) as database:
            return database.execute("PRAGMA integrity_check").fetchall() != [("ok",)]
    except sqlite3.OperationalError:  # it does not exist, or is locked
        return False
    except sqlite3.DatabaseError:  # malformed
        return True
