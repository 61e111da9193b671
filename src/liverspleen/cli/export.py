"""hand a model on as a bundle, or a cohort in another layout.

model=: a trained model as one folder or .zip that loads anywhere, with a model card that says what it was trained on,
how, and how well it did; what was not recorded the card says so. With cohort= and split= its validation cases are
segmented: DSS and bias of volumes enter, and whether dropping small parts helps. Loading a bundle runs nothing from it.

layout=: a cohort for a peer that is trained on the same cases and the same split. Development cases with both organs
labelled become training cases, those of test datasets test cases. A training case on whose label map an organ is
unknown is left out: these layouts cannot say so, and a peer would learn that it is absent.

example
  liverspleen export model=run/best.ckpt output=bundle licence=CC-BY-4.0 cohort=cohort.csv split=split/split.csv
  liverspleen export model=run/best.ckpt output=bundle.zip onnx=true
  liverspleen export cohort=cohort/cohort.csv layout=nnunet split=split output=nnUNet_raw/Dataset501_LiverSpleen
  liverspleen export cohort=cohort/cohort.csv layout=msd output=Task501_LiverSpleen

inputs
  model=             checkpoint of liverspleen train; run.json and metrics.csv beside it enter the card
  cohort=            cohort.csv
  split=             of model: the split it was trained with; of nnunet: split.csv, or a folder of fold0.csv, ...

outputs of model=, in output= or in one file if that ends in .zip
  model.safetensors, bundle.json, MODEL_CARD.md, LICENSE; with onnx=true model.onnx, if ONNX Runtime agrees with torch.
  No run.json: a bundle goes to others, and holds no path, no name of a case and no command of this machine

outputs of layout=, in output=
  imagesTr/, labelsTr/, imagesTs/, and labelsTs/ of nnunet; dataset.json
  splits_final.json  the split, for nnUNet_preprocessed/<dataset>
  covariates.csv     what the layout cannot hold; import takes it back by covariates=
  run.json           what made it

exit codes
  0 done (warnings included); 2 cases or the model refused, each listed (the other cases are exported); 1 failure
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
from liverspleen.errors import InputError, Issue
from liverspleen.processes import spread
from liverspleen.provenance import recorded


def run(config: ExportConfig) -> Sequence[Issue]:
    """Write the model's bundle, or every case of the cohort."""
    if wrong := _contradictions(config):
        raise InputError([Issue("LS-CFG-006", message, hint) for message, hint in wrong])
    if config.model is not None:
        from liverspleen.cli.bundling import export_model

        return export_model(config)
    return _export_cohort(config)


def _contradictions(config: ExportConfig) -> list[tuple[str, str]]:
    """What cannot be meant, and what to do about it."""
    if config.model is None:
        words = [f"{key}=" for key in ("name", "licence", "onnx") if getattr(config, key)]
        found = [(f"{word} is of a model, but there is no model=", f"leave {word} out") for word in words]
        if config.layout is None:
            found.append(("neither model= nor layout= is given", "give model= to hand on a model, layout= a cohort"))
        elif config.cohort is None:
            found.append((f"layout={config.layout} needs a cohort", "give cohort="))
        return found
    found = []
    if config.layout is not None:
        found.append((f"model= and layout={config.layout}", "hand on the model and the cohort by two commands"))
    if (config.cohort is None) != (config.split is None):
        found.append(("of cohort= and split= only one is given", "give both to have the validation cases segmented"))
    return found


def _export_cohort(config: ExportConfig) -> Sequence[Issue]:
    """Write every case, then what describes them."""
    assert config.cohort is not None
    assert config.layout is not None
    if config.layout not in EXPORTS:
        raise InputError(Issue("LS-CFG-006", f"layout={config.layout}", f"use one of {', '.join(EXPORTS)}"))
    if config.split is not None and config.layout != "nnunet":
        raise InputError(Issue("LS-CFG-006", f"layout={config.layout} has no place for a split", "leave split= out"))
    with recorded("export", config, config.output) as record:
        cohort = read_cohort(config.cohort, root=config.root, vocabulary=assemble.vocabulary(config.vocabulary))
        record.inputs["cohort"] = cohort.hash
        record.issues.extend(cohort.issues)
        splits = _splits(config.split, cohort) if config.split else []
        found, notes = places(cohort, config.layout)
        record.issues += notes
        if config.layout == "nnunet" and not re.fullmatch(r"Dataset\d{3}_.+", config.output.absolute().name):
            message = f"nnU-Net expects a folder named DatasetNNN_Name, not '{config.output.name}'"
            record.issues.append(Issue("LS-XPT-003", message, "rename it before training", severity="warning"))
        clear_for(config.output, found)
        done = []
        for place, issues in zip(found, _exported(config, found), strict=True):
            record.issues.extend(issues)
            if not issues:
                done.append(place)
        if not done:
            raise InputError([*record.issues, Issue("LS-XPT-004", "no case is exported", "see the cases' faults")])
        write_description(config.output, config.layout, done)
        write_covariates(config.output / "covariates.csv", done)
        record.outputs += [config.output / "dataset.json", config.output / "covariates.csv"]
        if splits:
            write_splits(config.output / "splits_final.json", splits, cohort, done)
            record.outputs.append(config.output / "splits_final.json")
        print(f"export: {len(done)} of {len(cohort.cases)} cases in {config.output}")
        return tuple(record.issues)


def _exported(config: ExportConfig, found: Sequence[Place]) -> Iterator[tuple[Issue, ...]]:
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


def _result(place: Place, future: Future[tuple[Issue, ...]]) -> tuple[Issue, ...]:
    try:
        return future.result()
    except BrokenProcessPool:
        message = "a process ended before its case was done, perhaps for want of memory"
        return (Issue("LS-XPT-006", message, "run the same command with fewer workers=", place.case.case_id),)


def _splits(path: Path, cohort: Cohort) -> list[Split]:
    """The split in a file, or the folds in a folder, in the order of their numbers."""
    if not path.is_dir():
        return [read_split(path, cohort)]
    files = {int(match[1]): file for file in path.iterdir() if (match := re.fullmatch(r"fold(\d+)\.csv", file.name))}
    if not files and (path / "split.csv").is_file():
        files = {0: path / "split.csv"}
    if not files:
        raise InputError(Issue("LS-XPT-005", "folder has neither fold0.csv nor split.csv", "draw the split", file=path))
    return [read_split(files[number], cohort) for number in sorted(files)]
