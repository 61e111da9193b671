"""hand a cohort on in another layout, so that a peer can be trained on the same cases and the same split.

Development cases with both organs labelled become training cases, those of test datasets test cases. A training case on
whose label map an organ is unknown is left out: these layouts cannot say so, and a peer would learn that it is absent.

example
  liverspleen export cohort=cohort/cohort.csv layout=nnunet split=split output=nnUNet_raw/Dataset501_LiverSpleen
  liverspleen export cohort=cohort/cohort.csv layout=msd output=Task501_LiverSpleen

inputs
  cohort=            cohort.csv
  split=             of nnunet: split.csv, or a folder of fold0.csv, fold1.csv, ...

outputs, in output=
  imagesTr/, labelsTr/, imagesTs/, and labelsTs/ of nnunet; dataset.json
  splits_final.json  the split, for nnUNet_preprocessed/<dataset>
  covariates.csv     what the layout cannot hold; import takes it back by covariates=
  run.json           what made it

exit codes
  0 done (warnings included); 2 cases refused, each listed (the others are exported); 1 failure
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

from liverspleen import assemble
from liverspleen.cli.progress import progress
from liverspleen.cohort.exporting import (
    EXPORTS,
    Place,
    clear_for,
    export_case,
    places,
    write_covariates,
    write_description,
    write_splits,
)
from liverspleen.cohort.manifest import Cohort, read_cohort
from liverspleen.cohort.split import Split, read_split
from liverspleen.config import ExportConfig
from liverspleen.errors import Fault, Refused
from liverspleen.processes import spread
from liverspleen.provenance import recorded


def run(config: ExportConfig) -> Sequence[Fault]:
    """Write every case, then what describes them."""
    if config.layout not in EXPORTS:
        raise Refused(Fault("LS-CFG-006", f"layout={config.layout}", f"use one of {', '.join(EXPORTS)}"))
    if config.split is not None and config.layout != "nnunet":
        raise Refused(Fault("LS-CFG-006", f"layout={config.layout} has no place for a split", "leave split= out"))
    with recorded("export", config, config.output) as record:
        cohort = read_cohort(config.cohort, root=config.root, vocabulary=assemble.vocabulary(config.vocabulary))
        record.inputs["cohort"] = cohort.hash
        record.faults.extend(cohort.faults)
        splits = _splits(config.split, cohort) if config.split else []
        found, notes = places(cohort, config.layout)
        record.faults += notes
        if config.layout == "nnunet" and not re.fullmatch(r"Dataset\d{3}_.+", config.output.absolute().name):
            what = f"nnU-Net expects a folder named DatasetNNN_Name, not '{config.output.name}'"
            record.faults.append(Fault("LS-XPT-003", what, "rename it before training", severity="warning"))
        clear_for(config.output, found)
        done = []
        for place, faults in zip(found, _exported(config, found), strict=True):
            record.faults.extend(faults)
            if not faults:
                done.append(place)
        if not done:
            raise Refused([*record.faults, Fault("LS-XPT-004", "no case is exported", "see the cases' faults")])
        write_description(config.output, config.layout, done)
        write_covariates(config.output / "covariates.csv", done)
        record.outputs += [config.output / "dataset.json", config.output / "covariates.csv"]
        if splits:
            write_splits(config.output / "splits_final.json", splits, cohort, done)
            record.outputs.append(config.output / "splits_final.json")
        print(f"export: {len(done)} of {len(cohort.cases)} cases in {config.output}")
        return tuple(record.faults)


def _exported(config: ExportConfig, found: Sequence[Place]) -> Iterator[tuple[Fault, ...]]:
    """The faults of each case, once its files are written."""
    number = min(config.workers or os.cpu_count() or 1, len(found))
    work = partial(export_case, config.output)
    with progress("export", len(found)) as advance:
        if number < 2:
            for place in found:
                yield work(place)
                advance(place.case.case_id)
            return
        with spread(work, found, number) as futures:
            for place, future in zip(found, futures, strict=True):
                yield _result(place, future)
                advance(place.case.case_id)


def _result(place: Place, future: Future[tuple[Fault, ...]]) -> tuple[Fault, ...]:
    try:
        return future.result()
    except BrokenProcessPool:
        what = "a process ended before its case was done, perhaps for want of memory"
        return (Fault("LS-XPT-006", what, "run the same command with fewer workers=", place.case.case_id),)


def _splits(path: Path, cohort: Cohort) -> list[Split]:
    """The split in a file, or the folds in a folder, in the order of their numbers."""
    if not path.is_dir():
        return [read_split(path, cohort)]
    files = {int(match[1]): file for file in path.iterdir() if (match := re.fullmatch(r"fold(\d+)\.csv", file.name))}
    if not files and (path / "split.csv").is_file():
        files = {0: path / "split.csv"}
    if not files:
        raise Refused(Fault("LS-XPT-005", "folder has neither fold0.csv nor split.csv", "draw the split", file=path))
    return [read_split(files[number], cohort) for number in sorted(files)]
