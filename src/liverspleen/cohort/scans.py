"""From a path to CT: a cohort, NIfTI files, DICOM, a zip archive of either, or a folder of all these."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from liverspleen.cohort.folder import LABEL_SUFFIX
from liverspleen.cohort.identity import Identity, comparable, default_key, read_key, write_links
from liverspleen.cohort.layouts.dicom import Judged, judged, links_left, warnings_of
from liverspleen.cohort.layouts.source import Request
from liverspleen.cohort.manifest import Case, read_cohort
from liverspleen.cohort.privacy import private
from liverspleen.cohort.row import ManifestRow, parse_row
from liverspleen.cohort.scan_case import ScanCase, states, write_case_segmentation
from liverspleen.cohort.split import read_split
from liverspleen.cohort.unpacking import SUFFIX, temporary_folder, unpack
from liverspleen.cohort.vocabulary import Vocabulary
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.dicom import Series, find_series
from liverspleen.imaging.nifti import strip_suffix
from liverspleen.storage import StrPath

__all__ = ["ScanCase", "Scans", "open_scans", "write_case_segmentation"]

NOTHING, SAME_NAME, LABELS_LEFT = "LS-PRD-001", "LS-PRD-002", "LS-PRD-005"
SERIES_LEFT, UNUSABLE_NAME = "LS-SCN-009", "LS-SCN-010"

_NAMES = "names"
_LABEL_SUFFIXES = (LABEL_SUFFIX, "_dseg")  # ours, beside the CT or from an earlier prediction into its folder
_SEVERAL = "LS-IMP-014"


@dataclass(frozen=True)
class Scans:
    """The CT that were found, and what was found besides.

    `identity` is set where names must stay inside: for DICOM, whose folders may name patients. `issues` are told by it
    already. `links` is the name of the table, beside the key, of what its hashes stand for.
    """

    cases: tuple[ScanCase, ...]
    issues: tuple[Issue, ...] = ()
    identity: Identity | None = None
    links: str | None = None


@contextmanager
def open_scans(
    source: StrPath,
    *,
    root: StrPath | None = None,
    vocabulary: Vocabulary | None = None,
    datasets: Sequence[str] = (),
    split: StrPath | None = None,
    ids: str = "hashed",
    key: StrPath | None = None,
) -> Iterator[Scans]:
    """The CT in a source, for as long as the block lasts: archives are unpacked into a temporary folder until then.

    A source is, in this order: a `cohort.csv` or a folder that holds one (with `root`, `vocabulary`, `datasets`, and
    `split` for its validation patients only), a NIfTI file, a zip archive, or a folder. Of a folder the NIfTI files and
    zip archives at its top count, and all DICOM below it; of an archive all NIfTI and DICOM. `X_label` and `X_dseg`
    beside `X` are label maps, and left. Of each DICOM study the series are taken that `liverspleen import` takes, with
    two slices or more, under the same ids: keyed hashes by the key in the file `key`, or with `ids="names"` the names
    of folders.

    What cannot be used is among `issues`, the rest goes on.

    Raises:
        InputError: the source as a whole is none: LS-PRD-001 nothing in it is a CT, LS-CFG-016 `split`, `root` or
            `datasets` without a cohort, what `read_cohort`, `read_split` and `read_key` reject.
    """
    source = Path(source)
    if source.suffix == ".csv" or (source / "cohort.csv").is_file():
        yield _cohort(source, root, vocabulary, datasets, split)
        return
    for word, given in (("split=", split), ("root=", root), ("datasets=", datasets)):
        if given:
            message = f"{word} is given, but input= is not a cohort.csv"
            raise InputError(Issue("LS-CFG-016", message, f"give a cohort.csv as input=, or remove {word}"))
    if not source.exists() and not source.is_symlink():
        raise InputError(Issue(NOTHING, "input= is not there", "correct the path"))  # which may name a patient
    with ExitStack() as stack:
        found = _found(source, stack)
        if not found.is_private:
            yield _checked(Scans(_nifti_cases(found), tuple(found.issues)))
            return
        key_file = default_key() if key is None else Path(key)
        secret, made = read_key(key_file)
        identity = Identity(secret, ids == _NAMES, (Path(os.path.realpath(source)),))
        links = key_file.parent / f"links-{identity.hashed('name', str(identity.roots[0]))}.csv"
        try:
            with private(identity, "looking for scans"):
                scans = _checked(_told(found, identity, made=made, links=links.name))
            yield scans
        finally:
            write_links(links, identity)


@dataclass
class _Found:
    """What a source holds: NIfTI as name, file and how it may be shown; DICOM series with the folders they say."""

    nifti: list[tuple[str, Path, Path]] = field(default_factory=list)
    series: list[Judged] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    archive_rejected: bool = False

    @property
    def is_private(self) -> bool:
        """Whether names that may be a patient's are in it; those of NIfTI files are the users' own."""
        return bool(self.series) or self.archive_rejected


def _cohort(
    source: Path,
    root: StrPath | None,
    vocabulary: Vocabulary | None,
    datasets: Sequence[str],
    split: StrPath | None,
) -> Scans:
    table = source / "cohort.csv" if source.is_dir() else source
    cohort = read_cohort(table, root=root or table.parent, vocabulary=vocabulary)
    cases = cohort.select(datasets).cases
    if split is not None:
        unseen = set(read_split(split, cohort).validation)
        cases = tuple(case for case in cases if case.patient_id in unseen)
    if not cases:
        message = "no case of the cohort is in these datasets, and on the split's validation side if there is a split"
        raise InputError([*cohort.issues, Issue(NOTHING, message, "correct datasets= or split=", file=table)])
    return Scans(tuple(_nifti_case(case, case.image, case.image) for case in cases), cohort.issues)


def _found(source: Path, stack: ExitStack) -> _Found:
    found = _Found()
    with private(Identity(secrets.token_bytes()), "looking for scans"):  # a key for errors alone, and for nobody
        real = Path(os.path.realpath(source))
        if real.is_dir():
            files = sorted(real.iterdir())
            _add_nifti(found, {file: file for file in files})
            _add_series(found, find_series(real, minimum_slices=1), real)
            if found.series:
                found.issues += links_left(real)
            archives = [file for file in files if _is_archive(file)]
            _add_archives(found, archives, stack, real)
        elif _is_archive(real) or _is_archive(source):
            _add_archives(found, [real], stack, real)
        elif strip_suffix(source.name) and os.path.lexists(source):
            found.nifti.append((strip_suffix(source.name) or "", source, source))
    return found


def _is_archive(file: Path) -> bool:
    return file.suffix.lower() == SUFFIX and not file.name.startswith(".") and file.is_file()


def _add_nifti(found: _Found, files: dict[Path, Path]) -> None:
    """Files called as NIfTI, each with how it may be shown; label maps beside their CT are left."""
    named = {
        file: name
        for file, shown in files.items()
        # a link to nowhere stays: it is rejected when read, not left out without a word
        if (name := strip_suffix(shown.name)) and not name.startswith(".") and not file.is_dir()
    }
    beside = {name + suffix for name in named.values() for suffix in _LABEL_SUFFIXES} & set(named.values())
    found.nifti += [(name, file, files[file]) for file, name in named.items() if name not in beside]
    if beside:
        message = f"{len(beside)} label maps beside their CT are left"
        found.issues.append(Issue(LABELS_LEFT, message, "rename them if they are CT", severity="note"))


def _add_archives(found: _Found, archives: Sequence[Path], stack: ExitStack, top: Path) -> None:
    folder = stack.enter_context(temporary_folder()) if archives else None
    for number, archive in enumerate(archives):
        assert folder is not None
        try:
            unpacked = unpack(archive, folder / str(number))
        except InputError as error:
            found.issues += error.issues
            found.archive_rejected = True
            continue
        found.issues += unpacked.notes
        _add_nifti(found, {file: archive / name for file, name in unpacked.nifti.items()})
        # several archives are told apart as the folders would be that they unpack to
        above = PurePosixPath("." if archive == top else archive.stem)
        series = [
            replace(item, folder=str(above / unpacked.folders.get(item.folder, ".")))
            for item in find_series(unpacked.dicom, minimum_slices=1)
        ]
        _add_series(found, series, top)


def _add_series(found: _Found, series: Sequence[Series], top: Path) -> None:
    found.series += judged(series, Request(top))


def _told(found: _Found, identity: Identity, *, made: bool, links: str) -> Scans:
    """The scans of a source with names that must stay inside."""
    issues = list(found.issues)
    if made:
        message = "a new key was made: only with it do later runs give the same ids"
        issues.append(Issue("LS-IDN-004", message, "keep it, and keep it private", severity="note"))
    cases = [replace(case, shown=identity.path(case.files[0])) for case in _nifti_cases(found)]
    left: Counter[str] = Counter()
    for item in found.series:
        if item.issue is None:
            cases.append(_series_case(item, identity))
            issues += warnings_of(item.series, item.place)
        elif item.issue.severity == "error":
            several = item.issue.code == _SEVERAL
            hint = "give the folder of one of them" if several else "export the series again if it is wanted"
            issues.append(replace(item.issue, hint=hint))
        else:
            left[f"{item.issue.code}, {item.issue.message}"] += 1
    for reason, number in sorted(left.items()):
        message = f"{number} DICOM series {'is' if number == 1 else 'are'} left ({reason})"
        issues.append(Issue(SERIES_LEFT, message, "give its folder alone if it is wanted", severity="note"))
    return Scans(tuple(cases), tuple(identity.issue(issue) for issue in issues), identity, links)


def _nifti_cases(found: _Found) -> tuple[ScanCase, ...]:
    return tuple(_nifti_case(Case(name, name, file), file, shown) for name, file, shown in found.nifti)


def _nifti_case(case: Case, file: Path, shown: Path) -> ScanCase:
    return ScanCase(case, (file,), shown=shown)


def _series_case(item: Judged, identity: Identity) -> ScanCase:
    """The case of a series that is taken; its ids are those that an import gives it."""
    source, series = item.case(), item.series
    shown = identity.path(item.place)
    name = source.name if source.name != "." else identity.roots[0].stem  # DICOM in the input itself
    case = Case(
        case_id=identity.case_id(name, source.key),
        patient_id=identity.patient_id(source.patient, from_header=source.patient_from_header),
        image=Path(shown),
        sex=source.facts["sex"],
        age=float(source.facts["age"]) if source.facts["age"] else None,
        slice_thickness_mm=series.slice_thickness_mm,
        phase=series.phase,
    )
    return ScanCase(case, series.files, series, shown, states(series.files))


def _checked(scans: Scans) -> Scans:
    """Without the cases whose ids name no file, or one file; rejected if nothing is left and nothing says why."""
    cases, issues = [], list(scans.issues)
    number = Counter(comparable(scan.case.case_id) for scan in scans.cases)
    for scan in scans.cases:
        name = scan.case.case_id
        if reason := _unusable(name):
            issues.append(Issue(UNUSABLE_NAME, f"name of a scan {reason}", "rename it", name, scan.shown))
        elif number[comparable(name)] > 1:
            message = (
                f"{number[comparable(name)]} scans have this name, or one that differs in letter case or suffix only"
            )
            issues.append(Issue(SAME_NAME, message, "keep one of them", name, scan.shown))
        else:
            cases.append(scan)
    if not cases and not any(issue.severity == "error" for issue in issues):
        message = "nothing in the input is a CT: a cohort.csv, NIfTI, DICOM, or a zip archive of NIfTI or DICOM"
        hint = "give such a file, or a folder of some; for DICOM the folder of the series"
        raise InputError([*issues, Issue(NOTHING, message, hint)])
    return replace(scans, cases=tuple(cases), issues=tuple(issues))


def _unusable(name: str) -> str:
    """Why label maps cannot be named by it, by the rules of `cohort.csv`; empty if they can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "is no UTF-8"
    parsed = parse_row({"case_id": name, "patient_id": name, "image": "-"}, vocabulary=Vocabulary())
    return "" if isinstance(parsed, ManifestRow) else parsed[0].message
