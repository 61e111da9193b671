"""fill the slice store that trainings read: int16 sections and labels, as plain arrays.

A case is complete in the store or absent; what is there already is kept. Several trainings may share a store.

example
  liverspleen prepare cohort=cohort.csv store=store

inputs
  cohort=    cohort.csv, or a folder of images; development cases with labels of an organ are taken

outputs, in store=
  one folder per case, named by the hash of its files; run.json

exit codes
  0 done; 2 cases refused, each listed (the others are stored); 1 failure
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from liverspleen import assemble
from liverspleen.cli.progress import processes, progress
from liverspleen.cohort.manifest import Case
from liverspleen.cohort.split import is_trainable
from liverspleen.config import PrepareConfig
from liverspleen.errors import Fault, Refused
from liverspleen.provenance import recorded


def run(config: PrepareConfig) -> Sequence[Fault]:
    """Store every development case."""
    with recorded("prepare", config, config.store) as record:
        cohort = assemble.cohort(config.cohort, config)
        record.inputs["cohort"] = cohort.hash
        record.faults.extend(cohort.faults)
        cases = [case for case in cohort.cases if is_trainable(case)]
        reused = 0
        with processes(config.workers) as pool, progress("prepare", len(cases)) as advance:
            for case, (was_there, faults) in zip(cases, pool.map(partial(_store, config.store), cases), strict=True):
                record.faults.extend(faults)
                reused += was_there
                advance(case.case_id)
        print(f"prepare: {len(cases)} cases, {reused} of them were in the store already")
        return tuple(record.faults)


def _store(store: Path, case: Case) -> tuple[bool, tuple[Fault, ...]]:
    from liverspleen.data.store import open_case, store_case

    try:
        if open_case(case, store) is not None:
            return True, ()
        store_case(case, store)
    except Refused as error:
        return False, error.faults
    return False, ()
