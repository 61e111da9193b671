"""Import a dataset, with a configuration and a run.json without names of the source."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from liverspleen import assemble
from liverspleen.api.redaction import redacted
from liverspleen.cohort.covariates import Covariates, read_covariates
from liverspleen.cohort.identity import Identity, default_key, inside, read_key, write_links
from liverspleen.cohort.import_run import Imported, import_cases
from liverspleen.cohort.label_values import label_values
from liverspleen.cohort.layouts import WITH_OWN_LABELS, Meaning, Request
from liverspleen.cohort.privacy import redacted_errors
from liverspleen.config import ImportConfig
from liverspleen.errors import InputError, Issue
from liverspleen.processes import say
from liverspleen.provenance import Run, recorded

NAMES = "names"
"""Value of `ids=` that keeps names, and of `label_values=` if the source gives the meaning of its labels."""


@dataclass(frozen=True)
class ImportRun:
    """A finished import, and its issues."""

    imported: Imported
    issues: tuple[Issue, ...]


def run_import(config: ImportConfig) -> ImportRun:
    """Import every case, and write the tables; the links file is written even if the import fails.

    Raises:
        InputError: LS-IDN-005 the key is in the output folder; LS-IMP-024 no case is imported; the paths or the source
            cannot be used.
    """
    if issues := _path_issues(config):
        raise InputError(issues)
    key_file = config.key or default_key()
    if inside(key_file, [config.output]):
        raise InputError(
            Issue(
                "LS-IDN-005",
                "the key file is in output=, but it can reverse the hashes",
                "give key= outside of output=",
            )
        )
    key, is_new = read_key(key_file)
    roots = tuple(Path(os.path.realpath(path)) for path in (config.input, config.labels, config.output) if path)
    identity = Identity(key, config.ids == NAMES, roots)
    links = key_file.parent / f"links-{identity.hashed('name', str(roots[0]))}.csv"
    hidden, command = redacted("import", config, identity)
    with redacted_errors(identity, "importing"), recorded("import", hidden, config.output, command=command) as record:
        if is_new:
            message = "a new key was made; later imports give the same ids only with this key"
            record.issues.append(Issue("LS-IDN-004", message, "keep the key, and keep it private", severity="note"))
        try:
            with redacted_errors(identity, "importing"):
                imported = _import(config, identity, record)
        finally:  # the links of rejected cases are needed too
            write_links(links, identity)
            say(f"import: the names of all hashes are in {links.name}, in the folder of the key")
    return ImportRun(imported, tuple(record.issues))


def _path_issues(config: ImportConfig) -> list[Issue]:
    """Return the issues of the paths; they contain no path."""
    written = [config.output / name for name in ("images", "labels")]
    checks = [
        (
            config.labels is not None and config.source in WITH_OWN_LABELS,
            f"labels= is given, but source={config.source} has its own label maps",
            "remove labels=",
        ),
        (
            config.pairs is not None and config.source != "nifti",
            f"pairs= is given, but source={config.source} pairs its own files",
            "remove pairs=",
        ),
        (
            config.pairs is not None and config.labels is not None,
            "pairs= and labels= are both given, expected one of them",
            "remove labels=",
        ),
        (
            os.path.realpath(config.input) == os.path.realpath(config.output),
            "output= and input= are the same folder",
            "give another output=",
        ),
        (
            any(path and inside(path, written) for path in (config.input, config.labels)),
            "the source is in images/ or labels/ of output=, where the import writes",
            "give another output=",
        ),
        (
            config.input.is_file() and config.source != "nifti",
            f"input= is a file, but source={config.source} needs a folder",
            "give the folder",
        ),
    ]
    issues = [Issue("LS-CFG-016", message, hint) for occurs, message, hint in checks if occurs]
    for name, path in (("input", config.input), ("labels", config.labels)):
        if path is not None and path.exists() and not path.is_dir() and not path.is_file():
            message = f"{name}= is a pipe, a socket or a device, expected a folder or a file"
            issues.append(Issue("LS-CFG-020", message, "write its content to a file, and give that file"))
    if not config.input.exists():
        issues.append(Issue("LS-IMP-036", "input= does not exist", "correct the path"))
    return issues


def _import(config: ImportConfig, identity: Identity, record: Run) -> Imported:
    vocabulary = assemble.vocabulary(config.vocabulary)
    request = Request(
        input=Path(os.path.realpath(config.input)),
        labels=None if config.labels is None else Path(os.path.realpath(config.labels)),
        meaning=_meaning(config.label_values),
        minimum_slices=config.minimum_slices,
        series_by=config.series_by,
        covariate_rows=(covariates := _covariates(config)).for_selection,
        pairs=config.pairs,
    )
    imported = import_cases(
        config.source,
        request,
        config.output,
        identity=identity,
        vocabulary=vocabulary,
        covariates=covariates,
        workers=config.workers,
    )
    record.issues += imported.issues
    record.outputs += imported.files
    if not imported.cases:
        raise InputError(
            Issue("LS-IMP-024", "no case could be imported", "see the reasons in import.csv in the output")
        )
    record.inputs["cohort"] = imported.cohort_hash
    return imported


def _covariates(config: ImportConfig) -> Covariates:
    if config.covariates is None:
        return Covariates()
    return read_covariates(config.covariates, vocabulary=assemble.vocabulary(config.vocabulary))


def _meaning(value: object) -> Meaning | None:
    if value is None:
        return None
    if value == NAMES:
        return Meaning(by_name=True)
    return Meaning(label_values("label_values", value))
