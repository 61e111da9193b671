"""A study in a database: the only place that speaks to Optuna while a sweep runs."""

from __future__ import annotations

import hashlib
import json
import re
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from liverspleen.changed_keys import changed_keys
from liverspleen.errors import InputError, Issue
from liverspleen.formats import STUDY
from liverspleen.sweep.plan import Begin, Phase, State, TrialRecord
from liverspleen.sweep.results import OBJECTIVES
from liverspleen.sweep.space import Space

if TYPE_CHECKING:
    from collections.abc import Iterator

    import optuna
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import RDBStorage

SAMPLERS: Final = ("tpe", "random", "grid")
PRUNERS: Final = ("none", "median", "halving")
_TRIES: Final = 5
_TRY_AGAIN_S: Final = 0.3
_BUSY_S: Final = 120  # a SQLite file is locked while another worker writes
_ABOUT, _OUTCOME, _SEEN, _IDENTITY, _FORMAT = "about", "outcome", "seen", "identity", "format"


class Study:
    """One worker's view of a study; several, on any machines, may have one each.

    Args:
        url: SQLAlchemy URL of the database; tables are made where they are missing.
        name: of the study; begun if there is none of that name.
        objectives: out of `OBJECTIVES`.
        sampler, pruner: out of `SAMPLERS` and `PRUNERS`.
        warmup_steps: training steps before which no trial is pruned.
        seed: of the sampler.

    Raises:
        InputError: LS-SWP-006 the database cannot be used.
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
        with _rejecting_a_bad_database(url):
            import optuna

            optuna.logging.set_verbosity(optuna.logging.ERROR)
            # a connection that a server has closed since it was last used is made anew
            server: dict[str, Any] = {"pool_pre_ping": True}
            arguments = {"connect_args": {"timeout": _BUSY_S}} if url.startswith("sqlite") else server
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

    @contextmanager
    def reached(self) -> Iterator[None]:
        """A block in which the study is used.

        Raises:
            ConnectionError: its database failed in the block, in one line.
        """
        from optuna.exceptions import StorageInternalError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (StorageInternalError, SQLAlchemyError) as error:
            message = (
                f"the database of the study failed: {_reason(self._url, error)}; then run the same command to go on"
            )
            raise ConnectionError(message) from error

    def agree(self, identity: Mapping[str, Any], neutral: Mapping[str, Any]) -> None:
        """Check that the study was started with these values; the first worker records them.

        `neutral` holds the values that stand for keys that the study does not know (see `changed_keys`).

        Raises:
            InputError: LS-SWP-007 with every difference; LS-FMT-001 a study of another format.
        """
        known = self._study.user_attrs.get(_IDENTITY)
        asked = {_FORMAT: STUDY.number, **json.loads(json.dumps(identity))}
        if known is None:
            self._study.set_user_attr(_IDENTITY, asked)
            return
        STUDY.check(known.get(_FORMAT))
        if differences := changed_keys(known, asked, neutral):
            message = f"the study {self._study.study_name!r} was started with other values: {'; '.join(differences)}"
            raise InputError(Issue("LS-SWP-007", message, "ask for the same again, or give another output= or study="))

    def records(self) -> list[TrialRecord]:
        """All trials by number, without those that were one too many; what is not finished is `running`."""
        found = [_record(trial) for trial in self._study.get_trials(deepcopy=False)]
        return [record for record in found if not record.about.get("surplus")]

    def begin(self, begin: Begin, space: Space, about: Mapping[str, Any]) -> TrialRecord:
        """A new trial, its values chosen by the sampler if it has none.

        It is in the database with all that is said of it or not at all, whenever the worker is killed: without its
        phase a training of the confirmation would be one of the search.
        """
        import optuna

        now = time.time()
        told = {**about, "phase": begin.phase, "repeat": begin.repeat, "begun": now}
        trial = self._storage.create_new_trial(
            self._id,
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                params=dict(begin.values or {}),
                distributions=space.distributions() if begin.values else {},
                user_attrs={_ABOUT: told, _SEEN: now},
            ),
        )
        return self.completed(self._storage.get_trial(trial).number, space)

    def completed(self, number: int, space: Space) -> TrialRecord:
        """A trial with a value for each parameter: a worker that was killed may have left some of them open."""
        record = self._one(number)
        if len(record.values) < len(space.parameters):
            import optuna

            self._study.sampler = _sampler(self._sampler, f"{self._seed} {number}")
            self._study.get_trials(deepcopy=False)  # so that its cache knows of the trial
            space.suggest(optuna.trial.Trial(self._study, self._trial(number)))
            record = self._one(number)
        # in the order of the space, which is that of the overrides
        return replace(record, values={one.name: record.values[one.name] for one in space.parameters})

    def note(self, number: int, about: Mapping[str, Any]) -> bool:
        """Add to what is said of a trial, as somebody who is at work on it; False if another worker has ended it."""
        from optuna.exceptions import UpdateFinishedTrialError

        trial = self._trial(number)
        known = self._storage.get_trial(trial).user_attrs.get(_ABOUT, {})
        with suppress(UpdateFinishedTrialError):
            self._storage.set_trial_user_attr(trial, _ABOUT, {**known, **about})
        return self.seen(number)

    def seen(self, number: int) -> bool:
        """Tell the others that somebody is at work on a trial; False if one of them has ended it."""
        from optuna.exceptions import UpdateFinishedTrialError

        try:
            self._storage.set_trial_user_attr(self._trial(number), _SEEN, time.time())
        except UpdateFinishedTrialError:
            return False
        return True

    def report(self, number: int, step: int, dss: float) -> bool:
        """Take note of a validation; whether the trial is to be pruned, or has been ended by another worker."""
        from optuna.exceptions import UpdateFinishedTrialError

        trial = self._trial(number)
        try:
            self._storage.set_trial_intermediate_value(trial, step, dss)
        except UpdateFinishedTrialError:
            return True
        return self._study.pruner.prune(self._study, self._storage.get_trial(trial))

    def reported(self, number: int) -> set[int]:
        """Steps whose validations were reported."""
        return set(self._storage.get_trial(self._trial(number)).intermediate_values)

    def end(
        self, number: int, state: State, outcome: Mapping[str, Any], objectives: Sequence[float] | None = None
    ) -> None:
        """A trial is over. Of one that has been ended by another worker meanwhile nothing is changed."""
        import optuna
        from optuna.exceptions import UpdateFinishedTrialError

        states = {State.COMPLETE: "COMPLETE", State.PRUNED: "PRUNED", State.FAILED: "FAIL"}
        with suppress(UpdateFinishedTrialError):
            self._storage.set_trial_user_attr(self._trial(number), _OUTCOME, dict(outcome))
            final = optuna.trial.TrialState[states[state]]
            self._study.tell(number, objectives, state=final, skip_if_finished=True)

    def give_back(self, number: int) -> None:
        """A trial that was one too many; it appears nowhere."""
        self.note(number, {"surplus": True})
        self.end(number, State.FAILED, {})

    def _one(self, number: int) -> TrialRecord:
        return _record(self._storage.get_trial(self._trial(number)))

    def _trial(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)


def _storage(url: str, arguments: Mapping[str, Any]) -> RDBStorage:
    """The database, its tables made where they are missing; of two workers that make them at once one fails."""
    import optuna
    from sqlalchemy.exc import DBAPIError

    for _ in range(_TRIES):
        try:
            return optuna.storages.RDBStorage(url, engine_kwargs=dict(arguments))
        except (DBAPIError, optuna.exceptions.StorageInternalError) as error:
            if not any(word in str(error).lower() for word in ("exist", "unique", "duplicate")):
                raise
            time.sleep(_TRY_AGAIN_S)
    return optuna.storages.RDBStorage(url, engine_kwargs=dict(arguments))


def _record(trial: optuna.trial.FrozenTrial) -> TrialRecord:
    states = {"RUNNING": State.RUNNING, "COMPLETE": State.COMPLETE, "PRUNED": State.PRUNED, "FAIL": State.FAILED}
    about = {**trial.user_attrs.get(_ABOUT, {}), **trial.user_attrs.get(_OUTCOME, {})}
    started = trial.datetime_start or datetime.now()
    about.setdefault("begun", started.astimezone(UTC).timestamp())  # Optuna's is of whose clock's zone it does not say
    about["seen"] = trial.user_attrs.get(_SEEN, about["begun"])
    complete = trial.state.name == "COMPLETE"
    return TrialRecord(
        trial.number,
        states[trial.state.name],
        Phase(about.get("phase", Phase.SEARCH)),
        dict(trial.params),
        tuple(trial.values or ()) if complete else (),
        int(about.get("repeat", 0)),
        about,
    )


def _sampler(name: str, seed: str) -> BaseSampler:
    """A sampler for one trial: its draws depend on the trials so far and on `seed`, not on who asks how often."""
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
def _rejecting_a_bad_database(url: str) -> Iterator[None]:
    """The line names the kind of database only: a URL may hold a password."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    kind = url.partition(":")[0]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna's and SQLAlchemy's notes to programmers
            yield
    except (SQLAlchemyError, OptunaError, ImportError, ValueError) as error:
        reason = "it is no SQLAlchemy URL" if isinstance(error, ValueError) else _reason(url, error)
        message = f"the database of the study ({kind}) cannot be used: {reason}"
        hint = "correct storage=, start the database, or install its driver (postgresql+psycopg: psycopg)"
        raise InputError(Issue("LS-SWP-006", message, hint)) from error


def _reason(url: str, error: Exception) -> str:
    """An error's first line without the URL and the words of its password, of which one may be taken for the host."""
    told = str(error.__cause__ or error).splitlines() or [type(error).__name__]
    text = told[0].replace(url, f"{url.partition(':')[0]}:...")
    login = url.partition("://")[2].rpartition("@")[0]
    for part in filter(None, re.split("[:@]", login)[1:]):
        text = text.replace(part, "***")
    return text
