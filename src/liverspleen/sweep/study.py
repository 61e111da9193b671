"""A study in a database of Optuna. `worker` describes the protocol that its workers follow."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from liverspleen.changed_keys import changed_keys
from liverspleen.errors import InputError, Issue
from liverspleen.formats import STUDY
from liverspleen.records import DamagedRecordError, opened, sealed
from liverspleen.sweep.database import reason_of
from liverspleen.sweep.plan import NextTrial, Outcome, Phase, State, TrialRecord
from liverspleen.sweep.results import OBJECTIVES
from liverspleen.sweep.space import Space
from liverspleen.sweep.trial_record import OUTCOME, has_damaged_pages, outcome_of, sealed_outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    import optuna
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import RDBStorage

SAMPLERS: Final = ("tpe", "random", "grid")
PRUNERS: Final = ("none", "median", "halving")
_TRIES: Final = 5
_RETRY_S: Final = 0.3
_SQLITE_TIMEOUT_S: Final = 120  # another worker locks the file while it writes
_STATES: Final = {"RUNNING": State.RUNNING, "COMPLETE": State.COMPLETE, "PRUNED": State.PRUNED, "FAIL": State.FAILED}


class Study:
    """Connection of one worker to a study; workers on any machines may be connected at the same time.

    Args:
        url: SQLAlchemy URL of the database; missing tables are created.
        name: of the study; it is created if there is none of that name.
        objectives: names of `OBJECTIVES`.
        sampler, pruner: names of `SAMPLERS` and `PRUNERS`.
        warmup_steps: training steps before which the median pruner ends no trial.
        seed: of the sampler.

    Raises:
        InputError: LS-SWP-006, the database cannot be used; LS-SWP-040, it is damaged.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        objectives: Sequence[str],
        sampler: str,
        pruner: str,
        warmup_steps: int = 0,
        seed: int = 0,
    ) -> None:
        with _database_issues(url):
            import optuna

            _reject_damaged_file(url)
            optuna.logging.set_verbosity(optuna.logging.ERROR)
            # replace a connection that the server has closed since its last use
            server: dict[str, Any] = {"pool_pre_ping": True}
            arguments = {"connect_args": {"timeout": _SQLITE_TIMEOUT_S}} if url.startswith("sqlite") else server
            self._storage = _storage(url, arguments)
            self._study: optuna.Study = optuna.create_study(
                storage=self._storage,
                study_name=name,
                directions=[OBJECTIVES[objective] for objective in objectives],
                pruner=_pruner(pruner, warmup_steps),
                load_if_exists=True,
            )
            self._id = self._storage.get_study_id_from_name(name)
            self._sampler, self._seed, self._url = sampler, seed, url
            with _damage_rejected():
                _ = self._study.directions
            numbers = [record.number for record in self._records(all_trials=True)]
        if numbers != [*range(len(numbers))]:
            raise InputError(_damaged("its trials are not numbered without gaps"))

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Raise errors of the database in this block as ConnectionError.

        Raises:
            ConnectionError: the database failed; the message is one line.
        """
        from optuna.exceptions import StorageInternalError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (StorageInternalError, SQLAlchemyError) as error:
            reason = reason_of(self._url, error)
            message = f"the database of the study failed: {reason}; then run the same command to resume"
            raise ConnectionError(message) from None

    def check_identity(self, identity: Mapping[str, Any], neutral: Mapping[str, Any]) -> None:
        """Check that the study was started with these values; the first worker stores them.

        `neutral` contains the values to use for keys that the study does not have (see `changed_keys`).

        Raises:
            InputError: LS-SWP-007, with every difference; LS-FMT-001, a study of another format; LS-SWP-040, the
                stored values are damaged.
        """
        with _damage_rejected():
            stored = self._study.user_attrs.get("identity")
        requested = {"format": STUDY.number, **json.loads(json.dumps(identity))}
        if stored is None:
            self._study.set_user_attr("identity", sealed(requested))
            return
        with _damage_rejected():
            stored = opened(stored, None, STUDY)
        if differences := changed_keys(stored, requested, neutral):
            message = f"the study {self._study.study_name!r} was started with other values: {'; '.join(differences)}"
            raise InputError(Issue("LS-SWP-007", message, "use the same values, or another output= or study="))

    def records(self) -> list[TrialRecord]:
        """Return all trials by number, without surplus trials; unfinished trials are `running`.

        Raises:
            InputError: LS-SWP-040, a trial is damaged.
        """
        return self._records(all_trials=False)

    def _records(self, *, all_trials: bool) -> list[TrialRecord]:
        with _damage_rejected():
            trials = self._study.get_trials(deepcopy=False)
            return [_record(trial) for trial in trials if all_trials or not trial.user_attrs.get("surplus")]

    def ask(self, new: NextTrial, space: Space, *, folder_id: str, host: str) -> TrialRecord:
        """Register a trial and return it; the sampler chooses its values if it has none.

        The trial and its user attributes are written in one transaction. If the worker is killed here, no trial without
        a phase remains, which would count as a search trial.
        """
        import optuna

        now = time.time()
        trial = self._storage.create_new_trial(
            self._id,
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                params=dict(new.values or {}),
                distributions=space.distributions() if new.values else {},
                user_attrs={
                    "phase": new.phase,
                    "repeat": new.repeat,
                    "folder_id": folder_id,
                    "host": host,
                    "created": now,
                    "heartbeat": now,
                },
            ),
        )
        return self.sampled(self._storage.get_trial(trial).number, space)

    def sampled(self, number: int, space: Space) -> TrialRecord:
        """Return a trial with a value for each parameter; values that a killed worker did not sample are sampled."""
        record = self._one(number)
        if len(record.values) < len(space.parameters):
            import optuna

            self._study.sampler = _sampler(self._sampler, f"{self._seed} {number}")
            self._study.get_trials(deepcopy=False)  # adds the trial to the cache of the study
            space.suggest(optuna.trial.Trial(self._study, self._trial_id(number)))
            record = self._one(number)
        # in the order of the space, which is the order of the overrides
        return replace(record, values={one.name: record.values[one.name] for one in space.parameters})

    def heartbeat(self, number: int, seconds: float) -> bool:
        """Store the time of now and the training time so far; return False if another worker has ended the trial."""
        from optuna.exceptions import UpdateFinishedTrialError

        trial = self._trial_id(number)
        try:
            self._storage.set_trial_user_attr(trial, "seconds", seconds)
            self._storage.set_trial_user_attr(trial, "heartbeat", time.time())
        except UpdateFinishedTrialError:
            return False
        return True

    def report(self, number: int, step: int, dss: float) -> bool:
        """Store a validation; return whether the trial should be pruned, or has been ended by another worker."""
        from optuna.exceptions import UpdateFinishedTrialError

        trial = self._trial_id(number)
        try:
            self._storage.set_trial_intermediate_value(trial, step, dss)
        except UpdateFinishedTrialError:
            return True
        return self._study.pruner.prune(self._study, self._storage.get_trial(trial))

    def reported_steps(self, number: int) -> set[int]:
        """Return the steps whose validations were reported."""
        return set(self._storage.get_trial(self._trial_id(number)).intermediate_values)

    def tell(
        self,
        number: int,
        state: State,
        outcome: Outcome,
        objectives: Sequence[float] | None = None,
        *,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        """Finish a trial that was trained with `values`; a trial that another worker has ended is not changed."""
        import optuna
        from optuna.exceptions import UpdateFinishedTrialError

        final = next(name for name, value in _STATES.items() if value == state)
        with suppress(UpdateFinishedTrialError):
            trial = self._storage.get_trial(self._trial_id(number))
            stated = sealed_outcome(trial, outcome, trial.params if values is None else values, objectives)
            self._storage.set_trial_user_attr(self._trial_id(number), OUTCOME, stated)
            self._study.tell(number, objectives, state=optuna.trial.TrialState[final], skip_if_finished=True)

    def discard(self, number: int) -> None:
        """Mark a trial as surplus, so that `records` does not return it."""
        from optuna.exceptions import UpdateFinishedTrialError

        with suppress(UpdateFinishedTrialError):
            self._storage.set_trial_user_attr(self._trial_id(number), "surplus", True)
        self.tell(number, State.FAILED, Outcome())

    def _one(self, number: int) -> TrialRecord:
        with _damage_rejected():
            return _record(self._storage.get_trial(self._trial_id(number)))

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)


def _reject_damaged_file(url: str) -> None:
    """Raise LS-SWP-040 if an SQLite database has damaged pages."""
    from sqlalchemy.engine import make_url

    place = make_url(url)
    if place.get_backend_name() == "sqlite" and place.database and has_damaged_pages(Path(place.database)):
        raise InputError(_damaged("its pages or indices contradict each other"))


def _damaged(reason: str) -> Issue:
    message = f"the database of the study is damaged: {reason}"
    return Issue("LS-SWP-040", message, "restore a copy of it, or sweep again with another output= or study=")


@contextmanager
def _damage_rejected() -> Iterator[None]:
    """Raise LS-SWP-040 for values in the database that this package does not write."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        text = str(error.__cause__ or error)
        if not any(term in text for term in ("malformed", "decode")):
            raise  # the connection failed
        raise InputError(_damaged("it cannot be read")) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        reason = (
            str(error) if isinstance(error, DamagedRecordError) else f"a value is not valid ({type(error).__name__})"
        )
        raise InputError(_damaged(reason)) from error


def _storage(url: str, arguments: Mapping[str, Any]) -> RDBStorage:
    """Return the storage; its creation fails, and is tried again, if another worker creates its tables now."""
    import optuna
    from sqlalchemy.exc import DBAPIError

    url = url.replace("{", "{{").replace("}", "}}")  # Optuna calls str.format with it
    for _ in range(_TRIES):
        try:
            return optuna.storages.RDBStorage(url, engine_kwargs=dict(arguments))
        except (DBAPIError, optuna.exceptions.StorageInternalError) as error:
            if not any(term in str(error).lower() for term in ("exist", "unique", "duplicate")):
                raise
            time.sleep(_RETRY_S)
    return optuna.storages.RDBStorage(url, engine_kwargs=dict(arguments))


def _record(trial: optuna.trial.FrozenTrial) -> TrialRecord:
    attributes = trial.user_attrs
    # Optuna's time has no time zone; it is used only for trials that a worker did not register
    started = (trial.datetime_start or datetime.now()).astimezone(UTC).timestamp()
    created = attributes.get("created", started)
    outcome = outcome_of(trial)
    return TrialRecord(
        number=trial.number,
        state=_STATES[trial.state.name],
        phase=Phase(attributes.get("phase", Phase.SEARCH)),
        values=dict(trial.params),
        objectives=tuple(trial.values or ()) if trial.state.name == "COMPLETE" else (),
        repeat=int(attributes.get("repeat", 0)),
        folder_id=attributes.get("folder_id", ""),
        host=attributes.get("host", "an unknown machine"),
        created=created,
        heartbeat=attributes.get("heartbeat", created),
        seconds=attributes.get("seconds") if outcome.seconds is None else outcome.seconds,
        outcome=outcome,
    )


def _sampler(name: str, seed: str) -> BaseSampler:
    """Return a sampler for one trial; its choice depends only on the trials before it and on `seed`."""
    import optuna

    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big")
    if name == "tpe":
        return optuna.samplers.TPESampler(seed=number)
    return optuna.samplers.RandomSampler(seed=number)


def _pruner(name: str, warmup_steps: int) -> BasePruner:
    import optuna

    if name == "median":
        return optuna.pruners.MedianPruner(n_warmup_steps=warmup_steps)
    return optuna.pruners.SuccessiveHalvingPruner() if name == "halving" else optuna.pruners.NopPruner()


@contextmanager
def _database_issues(url: str) -> Iterator[None]:
    """Raise errors of the database in this block as LS-SWP-006, without a password of the URL."""
    from sqlalchemy.exc import ArgumentError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings of Optuna and SQLAlchemy for programmers
            yield
    except InputError:
        raise
    except LookupError as error:  # an unknown name of a state or direction
        raise InputError(_damaged(f"a value is not valid ({type(error).__name__})")) from error
    except Exception as error:  # noqa: BLE001 - a driver raises errors of any type for a URL that it does not know
        reason = (
            "it is not a SQLAlchemy URL" if isinstance(error, ArgumentError | ValueError) else reason_of(url, error)
        )
        message = f"the database of the study cannot be used: {reason}"
        hint = "correct storage=, start the database, or install its driver (postgresql+psycopg: psycopg)"
        raise InputError(Issue("LS-SWP-006", message, hint)) from None  # the text of the error may have the password
