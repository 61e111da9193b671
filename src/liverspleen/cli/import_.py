"""bring a dataset in: images and label maps as NIfTI, one cohort.csv, each case told why it is taken or left.

Names stay outside: ids are keyed hashes, files are named by hashes of their path, headers lose all text. The key and
the table that leads from hashes back to names lie in your config folder ($XDG_CONFIG_HOME/liverspleen).
Killed anywhere, the same command goes on where it stopped; files that changed are imported anew. Cases of an earlier
import into output= that are not in the source (any more) are removed; files that no import wrote are never touched.

example
  liverspleen import source=dicom input=pacs_export covariates=patients.csv output=cohort
  liverspleen import source=msd input=Task03_Liver label_values=names ids=names output=cohort
  liverspleen import source=nifti input=scans labels=masks label_values='{1: liver, 2: spleen}' output=cohort

inputs
  source=            input= is
    nifti            a folder of CT, or with images/; labels= a folder of files of the same names
    msd              a task of the Medical Segmentation Decathlon, with dataset.json
    nnunet           raw data of nnU-Net, version 1 or 2; imagesTs become dataset test1 unless covariates= say otherwise
    totalsegmentator the TotalSegmentator dataset: <case>/ct.nii.gz, <case>/segmentations/liver.nii.gz, meta.csv
    chaos            CHAOS: <patient>/DICOM_anon/*.dcm and Ground/*.png (label_values=chaos_ct)
    dicom            any folder of DICOM; of each study the only eligible series is taken, else the one that covariates=
                     name, else the portal venous one by its header, else none, and it is said. labels= a folder of
                     DICOM-SEG, or of <source>.nii.gz
  label_values=      what label values mean, needed wherever numbers are all there is: names (dataset.json says), a
                     preset (liverspleen, totalsegmentator, amos, btcv, flare, msd_liver, msd_spleen, chaos_ct,
                     chaos_mr), or a map such as {1: liver}; an organ that is not named is not labelled. DICOM-SEG say
                     it by their codes; a map of segment numbers goes over them
  covariates=        CSV with the key `source` (name of the case in its layout: file or folder without suffix; for dicom
                     the series' folder relative to input=) or `patient`, optionally `series` (UID or number: the series
                     to take), and columns of cohort.csv; with both keys, `patient` says whose the case is
  key=               key file of the hashes (mode 0600); the same key gives the same ids

outputs, in output=
  images/, labels/   <case_id>.nii.gz; labels 0 background, 1 liver, 2 spleen
  cohort.csv         ready for check, split, prepare, train
  import.csv         every case of the source: taken or not, code, why, hashes of decoded voxels
  series.csv         every DICOM series: taken or not, code, why, geometry
  run.json           what made it

exit codes
  0 done (warnings included); 2 cases refused, each listed (the others are imported); 1 failure
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from liverspleen import assemble
from liverspleen.cli.progress import progress
from liverspleen.cli.redaction import redacted
from liverspleen.cohort.covariates import Covariates, read_covariates
from liverspleen.cohort.identity import Identity, default_key, inside, read_key, write_links
from liverspleen.cohort.import_tables import write_import, write_series_table
from liverspleen.cohort.importing import Outcome, Plan, Task, carry_out, plan, remove_strangers
from liverspleen.cohort.layouts import LAYOUTS, WITH_OWN_LABELS, Found, Meaning, Request, find_cases
from liverspleen.cohort.manifest import read_cohort, write_cohort
from liverspleen.cohort.privacy import private
from liverspleen.config import ImportConfig
from liverspleen.errors import InputError, Issue
from liverspleen.processes import spread
from liverspleen.provenance import Run, recorded

_NAMES = "names"


def run(config: ImportConfig) -> Sequence[Issue]:
    """Import every case, and write the tables."""
    if issues := contradictions(config):
        raise InputError(issues)
    key_file = config.key or default_key()
    if inside(key_file, [config.output]):
        raise InputError(Issue("LS-IDN-005", "the key lies in the output", "keep it elsewhere: it undoes the hashes"))
    key, made = read_key(key_file)
    roots = tuple(Path(os.path.realpath(path)) for path in (config.input, config.labels, config.output) if path)
    identity = Identity(key, config.ids == _NAMES, roots)
    hidden, command = redacted("import", config, identity)
    with private(identity, "importing"), recorded("import", hidden, config.output, command=command) as record:
        if made:
            message = "a new key was made: only with it do later imports give the same ids"
            record.issues.append(Issue("LS-IDN-004", message, "keep it, and keep it private", severity="note"))
        links = key_file.parent / f"links-{identity.hashed('name', str(roots[0]))}.csv"
        try:
            with private(identity, "importing"), _alone(config.output):
                _import(config, identity, record)
        finally:  # the names of what is refused are wanted too
            write_links(links, identity)
            print(f"import: what the hashes stand for is in {links.name}, beside the key")
    return tuple(record.issues)


def contradictions(config: ImportConfig) -> list[Issue]:
    """What cannot be meant; no path is in it."""
    made = [config.output / name for name in ("images", "labels")]
    found = [
        (config.source not in LAYOUTS, f"source={config.source}", f"use one of {', '.join(LAYOUTS)}"),
        (config.ids not in {"hashed", _NAMES}, f"ids={config.ids}", f"use hashed or {_NAMES}"),
        (config.minimum_sections < 1, f"minimum_sections={config.minimum_sections}", "use 1 or more"),
        (config.workers < 0, f"workers={config.workers}", "use 0 (one per core) or more"),
        (
            config.labels is not None and config.source in WITH_OWN_LABELS,
            f"labels= is given, but source={config.source} holds its own label maps",
            "leave it out",
        ),
        (not config.input.exists(), "input= is not there", "correct the path"),
        (
            os.path.realpath(config.input) == os.path.realpath(config.output),
            "output= is the input",
            "name another folder",
        ),
        (
            any(path and inside(path, made) for path in (config.input, config.labels)),
            "the source lies in images/ or labels/ of output=, which the import fills",
            "name another folder",
        ),
        (
            config.input.is_file() and config.source != "nifti",
            "input= is a file",
            "give the folder",
        ),
    ]
    return [Issue("LS-CFG-006", message, hint) for wrong, message, hint in found if wrong]


def _import(config: ImportConfig, identity: Identity, record: Run) -> None:
    vocabulary = assemble.vocabulary(config.vocabulary)
    covariates = read_covariates(config.covariates, vocabulary=vocabulary) if config.covariates else Covariates()
    request = Request(
        input=Path(os.path.realpath(config.input)),
        labels=None if config.labels is None else Path(os.path.realpath(config.labels)),
        meaning=_meaning(config.label_values),
        minimum_sections=config.minimum_sections,
        named=covariates.named,
    )
    found = find_cases(config.source, request)
    planned = plan(
        found,
        covariates,
        identity=identity,
        vocabulary=vocabulary,
        output=config.output,
        request=f"{config.source} {request.meaning}",
    )
    remove_strangers(config.output, [task.case_id for task in planned.tasks])
    outcomes = _carried_out(planned.tasks, config.workers)
    outcomes = [replace(o, issues=tuple(identity.issue(issue) for issue in o.issues)) for o in outcomes]
    record.issues += [identity.issue(issue) for issue in (*found.notes, *planned.notes)]
    _tables(config, identity, record, found, planned, outcomes)
    taken = sum(outcome.row is not None for outcome in outcomes)
    reused = sum(outcome.reused for outcome in outcomes)
    print(f"import: {taken} of {len(found.cases) + len(found.left)} taken, {reused} of them were there already")
    if not taken:
        raise InputError(Issue("LS-IMP-024", "no case is taken", "see import.csv in the output"))


def _tables(
    config: ImportConfig, identity: Identity, record: Run, found: Found, planned: Plan, outcomes: Sequence[Outcome]
) -> None:
    vocabulary = assemble.vocabulary(config.vocabulary)
    told = write_import(config.output / "import.csv", found, planned, outcomes, identity)
    record.issues += told
    record.outputs.append(config.output / "import.csv")
    if found.series:
        write_series_table(config.output / "series.csv", found, planned, outcomes, identity)
        record.outputs.append(config.output / "series.csv")
    table = config.output / "cohort.csv"
    rows = [outcome.row for outcome in outcomes if outcome.row is not None]
    if not rows:
        table.unlink(missing_ok=True)
        return
    write_cohort(table, rows)
    cohort = read_cohort(table, vocabulary=vocabulary)
    record.issues += cohort.issues
    record.inputs["cohort"] = cohort.hash
    record.outputs.append(table)


def _carried_out(tasks: Sequence[Task], workers: int) -> list[Outcome]:
    number = min(workers or os.cpu_count() or 1, len(tasks))
    outcomes = []
    with progress("import", len(tasks)) as advance:
        if number < 2:
            for task in tasks:
                outcomes.append(carry_out(task))
                advance(task.case_id)
            return outcomes
        with spread(carry_out, tasks, number) as futures:
            for task, future in zip(tasks, futures, strict=True):
                outcomes.append(_result(task, future))
                advance(task.case_id)
    return outcomes


def _result(task: Task, future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        message = "a process ended before its case was done, perhaps for want of memory"
        hint = "run the same command with fewer workers=; finished cases are kept"
        return Outcome(task.case_id, None, (Issue("LS-IMP-016", message, hint, task.case_id),))


def _meaning(asked: object) -> Meaning | None:
    if asked is None:
        return None
    if asked == _NAMES:
        return Meaning(by_name=True)
    return Meaning(assemble.label_values("label_values", asked))


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Two imports into one folder would remove each other's unfinished files."""
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        yield
        return
    with (output / ".import.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = "another import is writing into the output"
            raise InputError(Issue("LS-IMP-018", message, "wait for it, or name another folder")) from None
        yield
