"""CT scans of a path: a cohort, NIfTI files, DICOM, zip archives of NIfTI or DICOM, or a folder of these."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath, PurePosixPath

from liverspleen.cohort.file_names import key_of
from liverspleen.cohort.identity import Identity, default_key, read_key, write_links
from liverspleen.cohort.image_files import (
    NiftiFile,
    case_names,
    divided,
    in_case_folders_or_not,
    nifti_file,
    nifti_files,
)
from liverspleen.cohort.layouts.dicom import SeriesDecision, link_warnings, series_decisions, warnings_of
from liverspleen.cohort.layouts.source import Request
from liverspleen.cohort.manifest import Case, read_cohort
from liverspleen.cohort.pairing import pair
from liverspleen.cohort.privacy import redacted_errors
from liverspleen.cohort.row import ManifestRow, file_name_key, parse_row
from liverspleen.cohort.scan_case import ScanCase, states, write_case_probabilities, write_case_segmentation
from liverspleen.cohort.skipped_files import skipped_files
from liverspleen.cohort.split import read_split
from liverspleen.cohort.unpacking import SUFFIX, temporary_folder, unpack
from liverspleen.cohort.vocabulary import Vocabulary
from liverspleen.errors import InputError, Issue, Severity, counted
from liverspleen.imaging.dicom import Series, find_series
from liverspleen.imaging.files import header_of, parts
from liverspleen.storage import StrPath

__all__ = ["ScanCase", "Scans", "open_scans", "write_case_probabilities", "write_case_segmentation"]

NO_SCAN, SAME_NAME, LABELS_SKIPPED = "LS-PRD-001", "LS-PRD-002", "LS-PRD-005"
SERIES_SKIPPED, INVALID_NAME = "LS-SCN-009", "LS-SCN-010"

_NAMES = "names"
_SEVERAL = "LS-IMP-014"


@dataclass(frozen=True)
class Scans:
    """The CT scans that were found, and issues.

    `identity` is set if names must be redacted: for DICOM, because names of folders may be those of patients. `issues`
    are already redacted. `links` is the name of the table with the text of each hash, in the folder of the key.
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
    series_by: str = "uid",
    ids: str = "hashed",
    key: StrPath | None = None,
) -> Iterator[Scans]:
    """Find the CT scans in a source; archives are unpacked into a temporary folder until the end of the block.

    A source is, in this order: a `cohort.csv` or a folder with one (with `root`, `vocabulary`, `datasets`, and `split`
    for its validation patients only), a NIfTI file, a zip archive, or a folder. In a folder, NIfTI files are read from
    the top level and from folders such as `images`, or if there are none from the folders of the cases; zip archives
    from the top level, and DICOM from all levels; in an archive, all from all levels. Label maps, such as `X_seg` next
    to `X`, are skipped; files that are not read are listed. Cases of NIfTI files have the names of an import
    (`case_names`). The series of a DICOM study are selected as by `liverspleen import` with the same `series_by`, with
    two slices or more, and get the same ids: hashes with the key in the file `key`, or names of folders with
    `ids="names"`.

    Scans that cannot be used are listed in `issues`.

    Raises:
        InputError: the source as a whole cannot be used: LS-PRD-001 it has no CT, LS-CFG-016 `split`, `root` or
            `datasets` without a cohort; as `read_cohort`, `read_split` and `read_key`.
    """
    source = header_of(Path(source))
    if source.suffix == ".csv" or (source / "cohort.csv").is_file():
        yield _cohort(source, root, vocabulary, datasets, split)
        return
    for option, given in (("split=", split), ("root=", root), ("datasets=", datasets)):
        if given:
            message = f"{option} is given, but input= is not a cohort.csv"
            raise InputError(Issue("LS-CFG-016", message, f"give a cohort.csv as input=, or remove {option}"))
    if not source.exists() and not source.is_symlink():
        # without the path, which may contain a name
        raise InputError(Issue(NO_SCAN, "input= does not exist", "correct the path"))
    with ExitStack() as stack:
        found = _found(source, stack, by_folder=series_by == "folder")
        if not found.is_private:
            yield _checked(Scans(tuple(found.nifti), tuple(found.issues)))
            return
        key_file = default_key() if key is None else Path(key)
        secret, created = read_key(key_file)
        identity = Identity(secret, ids == _NAMES, (Path(os.path.realpath(source)),))
        links = key_file.parent / f"links-{identity.hashed('name', str(identity.roots[0]))}.csv"
        try:
            with redacted_errors(identity, "looking for scans"):
                scans = _checked(_redacted(found, identity, new_key=created, links=links.name))
            yield scans
        finally:
            write_links(links, identity)


@dataclass
class _Found:
    """Content of a source: cases of NIfTI files; decisions about DICOM series."""

    nifti: list[ScanCase] = field(default_factory=list)
    series: list[SeriesDecision] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    archive_rejected: bool = False

    @property
    def is_private(self) -> bool:
        """Whether names must be redacted; those of NIfTI files are given by the user and are not."""
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
        validation = set(read_split(split, cohort).validation)
        cases = tuple(case for case in cases if case.patient_id in validation)
    if not cases:
        side = "" if split is None else " and on the validation side of split="
        message = f"cohort has no case in these datasets{side}"
        raise InputError([*cohort.issues, Issue(NO_SCAN, message, "correct datasets= or split=", file=table)])
    return Scans(tuple(_nifti_case(case, case.image, case.image) for case in cases), cohort.issues)


def _found(source: Path, stack: ExitStack, *, by_folder: bool) -> _Found:
    found = _Found()
    # a random key, for errors only
    with redacted_errors(Identity(secrets.token_bytes()), "looking for scans"):
        real = Path(os.path.realpath(source))
        if real.is_dir():
            files = in_case_folders_or_not(nifti_files(real))
            _add_nifti(found, files, {})
            series = find_series(real, minimum_slices=1, by_folder=by_folder)
            _add_series(found, series, real)
            if found.series:
                found.issues += link_warnings(real)
            archives = [file for file in sorted(real.iterdir()) if _is_archive(file)]
            _add_archives(found, archives, stack, real, by_folder)
            read = (
                {file.path for file in files}
                | {file for item in series for file in (*item.files, *item.skipped)}
                | {*archives}
            )
            found.issues += skipped_files(real, read, dicom=bool(series))
        elif _is_archive(real) or _is_archive(source):
            _add_archives(found, [real], stack, real, by_folder)
        elif (file := nifti_file(source, PurePath(source.name))) and os.path.lexists(source):
            found.nifti += _nifti_cases([file], {})
    return found


def _is_archive(file: Path) -> bool:
    return file.suffix.lower() == SUFFIX and not file.name.startswith(".") and file.is_file()


def _add_nifti(found: _Found, files: Sequence[NiftiFile], shown: Mapping[Path, Path]) -> None:
    """Add CT scans, each with its file in issues; label maps are skipped, and channels of one case rejected."""
    images, labels = divided(files)
    channels = pair(images, labels).channels
    rejected = {image for group in channels for image in group}
    found.nifti += [
        case for image, case in zip(images, _nifti_cases(images, shown), strict=True) if image not in rejected
    ]
    for group in channels:
        message = f"files look like {len(group)} channels of one case, expected one (CT)"
        hint = "keep only the CT channel, or rename the files if they are different cases"
        found.issues.append(_listed("LS-IMP-008", message, hint, group, shown, "error"))
    if labels:
        message = f"{counted(len(labels), 'label map')} skipped, by name or by voxel values"
        hint = "rename the files if they are CT scans"
        found.issues.append(_listed(LABELS_SKIPPED, message, hint, labels, shown, "note"))


def _listed(
    code: str, message: str, hint: str, files: Sequence[NiftiFile], shown: Mapping[Path, Path], severity: Severity
) -> Issue:
    first, *others = (shown.get(file.path, file.path) for file in files[:3])
    return Issue(code, message, hint, file=first, severity=severity, further_files=tuple(others))


def _archived(names: Mapping[Path, PurePosixPath]) -> list[NiftiFile]:
    """Return the NIfTI files of an archive, of all levels; only the innermost folder is that of a case.

    A folder that holds the whole archive is none of a case, unless it is needed for a name.
    """
    tops = {name.parts[0] for name in names.values() if len(name.parts) > 1}
    inner = {file: PurePosixPath(*name.parts[1:]) for file, name in names.items() if len(name.parts) > 1}
    bare = (file for path, name in inner.items() if len(name.parts) == 1 and (file := nifti_file(path, name)))
    if len(tops) == 1 and len(inner) == len(names) and all(key_of(file.name) for file in bare):
        names = inner
    found = (nifti_file(p, n) or nifti_file(p, PurePosixPath(*n.parts[-2:])) for p, n in names.items())
    return [file for file in found if file]


def _add_archives(found: _Found, archives: Sequence[Path], stack: ExitStack, top: Path, by_folder: bool) -> None:
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
        shown = {file: archive / name for file, name in unpacked.nifti.items()}
        _add_nifti(found, _archived(unpacked.nifti), shown)
        # series of several archives have the names of folders that the archives would be unpacked to
        above = PurePosixPath("." if archive == top else archive.stem)
        series = [
            replace(item, folder=str(above / unpacked.folders.get(item.folder, ".")))
            for item in find_series(unpacked.dicom, minimum_slices=1, by_folder=by_folder)
        ]
        _add_series(found, series, top)


def _add_series(found: _Found, series: Sequence[Series], top: Path) -> None:
    found.series += series_decisions(series, Request(top))


def _redacted(found: _Found, identity: Identity, *, new_key: bool, links: str) -> Scans:
    """Return the scans of a source with redacted names."""
    issues = list(found.issues)
    if new_key:
        message = "a new key was created; only this key gives the same ids in later runs"
        issues.append(Issue("LS-IDN-004", message, "keep the key, and keep it private", severity="note"))
    cases = [replace(case, shown=identity.path(case.files[0])) for case in found.nifti]
    skipped: dict[str, list[Path]] = {}
    for item in found.series:
        if item.issue is None:
            cases.append(_series_case(item, identity))
            issues += warnings_of(item.series, item.folder)
        elif item.issue.severity == "error":
            several = item.issue.code == _SEVERAL
            hint = "give the folder of one of them" if several else "export the series again if it should be segmented"
            own = item.series.exclusions[0].hint if item.series.exclusions else ""
            issues.append(replace(item.issue, hint=own or hint))
        else:
            skipped.setdefault(f"{item.issue.code}, {item.issue.message}", []).append(item.folder)
    for reason, folders in sorted(skipped.items()):
        message = f"{len(folders)} DICOM series {'is' if len(folders) == 1 else 'are'} skipped ({reason})"
        hint, others = "give the folder of a series alone if it should be segmented", tuple(folders[1:3])
        issues.append(Issue(SERIES_SKIPPED, message, hint, file=folders[0], severity="note", further_files=others))
    return Scans(tuple(cases), tuple(identity.issue(issue) for issue in issues), identity, links)


def _nifti_cases(images: Sequence[NiftiFile], shown: Mapping[Path, Path]) -> list[ScanCase]:
    """Return CT scans as cases; several in the folder of a case are of one patient."""
    names, several = case_names(images), Counter(image.case for image in images if image.case)
    cases = []
    for image in images:
        name = names[image].replace("/", "_")
        patient = image.case if several[image.case] > 1 else name
        cases.append(_nifti_case(Case(name, patient, image.path), image.path, shown.get(image.path, image.path)))
    return cases


def _nifti_case(case: Case, file: Path, shown: Path) -> ScanCase:
    return ScanCase(case, parts(file), shown=shown)


def _series_case(item: SeriesDecision, identity: Identity) -> ScanCase:
    """Return the case of a selected series, with the ids that an import gives it."""
    source, series = item.case(), item.series
    shown = identity.path(item.folder)
    case = Case(
        case_id=identity.case_id(source.name, source.key),
        patient_id=identity.patient_id(source.patient, from_header=source.patient_from_header),
        image=Path(shown),
        sex=source.facts["sex"],
        age=float(source.facts["age"]) if source.facts["age"] else None,
        slice_thickness_mm=series.slice_thickness_mm,
        phase=series.phase,
    )
    return ScanCase(case, series.files, series, shown, states(series.files))


def _checked(scans: Scans) -> Scans:
    """Remove cases with invalid or repeated ids; raises if no case remains and no issue gives the reason."""
    cases, issues = [], list(scans.issues)
    number = Counter(file_name_key(scan.case.case_id) for scan in scans.cases)
    for scan in scans.cases:
        name = scan.case.case_id
        if reason := _invalid_name(name):
            hint = "rename the file or folder"
            issues.append(Issue(INVALID_NAME, f"name of a scan {reason}", hint, name, scan.shown))
        elif (same := number[file_name_key(name)]) > 1:
            message = f"{same} scans have this name, or one that differs only in letter case or suffix"
            issues.append(Issue(SAME_NAME, message, "keep one of them", name, scan.shown))
        else:
            cases.append(scan)
    if not cases and not any(issue.severity == "error" for issue in issues):
        message = "input= has no CT, expected a cohort.csv, NIfTI, DICOM, or a zip archive of NIfTI or DICOM"
        hint = "give such a file, or a folder of such files; for DICOM the folder of the series"
        raise InputError([*issues, Issue(NO_SCAN, message, hint)])
    return replace(scans, cases=tuple(cases), issues=tuple(issues))


def _invalid_name(name: str) -> str:
    """Return the reason why a name is not a valid case_id of `cohort.csv`; empty if it is valid."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    parsed = parse_row({"case_id": name, "patient_id": name, "image": "-"}, vocabulary=Vocabulary())
    return "" if isinstance(parsed, ManifestRow) else parsed[0].message
