"""Prediction of one case: label map, sidecar, preview image, DICOM files; results that are up to date are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liverspleen import __version__
from liverspleen.cohort.manifest import Case
from liverspleen.cohort.scans import ScanCase, write_case_probabilities, write_case_segmentation
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.measure_case import DLA, measure_case
from liverspleen.evaluation.measurements.table import Measurement
from liverspleen.evaluation.metrics.attenuation import KnownCT
from liverspleen.evaluation.metrics.volume import truncated_faces
from liverspleen.formats import SIDECAR
from liverspleen.imaging.nifti import write_label_map, write_probability_map
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.inference.case_files import CaseFiles, Settings, Sidecar, read_sidecar
from liverspleen.inference.case_picture import write_case_picture
from liverspleen.inference.case_report import report_content
from liverspleen.inference.postprocessing import postprocess, reject_unknown
from liverspleen.inference.review import Review, review
from liverspleen.inference.segment import Segmented, out_of_memory, segment_volume
from liverspleen.inference.tables import remove_tables
from liverspleen.inference.tested import claim, scores
from liverspleen.organs import ORGANS, Structure, listed, organ
from liverspleen.records import write_record
from liverspleen.storage import complete_file, sha256_of

if TYPE_CHECKING:
    from liverspleen.inference.ensemble import Model


@dataclass(frozen=True)
class Outcome:
    """Result of a case: segmented, `kept` from an earlier run, or `rejected`; with its issues."""

    case_id: str
    kept: bool = False
    rejected: bool = False
    issues: tuple[Issue, ...] = ()


def predict_case(
    scan: ScanCase,
    model: Model,
    settings: Settings,
    folder: Path,
    *,
    batch_size: int | None = None,
    probabilities: bool = False,
) -> Outcome:
    """Segment a CT and write its results into `folder`; results of the same CT, model and settings are kept.

    A rejection is written to a file in the folder too, so that other tasks do not wait for the case. A case is rejected
    with an issue if the CT cannot be read or segmented, or its values are not HU (`judge_ct`); LS-PRD-003 if the folder
    has a label map of the case that predict did not write or that was edited since; LS-FMT-001 if its sidecar has
    another format; LS-FMT-005 if it is damaged; LS-PRD-015 if there is not enough memory. Warnings about the CT, and
    LS-PRD-040 if no organ was found, are in the sidecar too, so that kept results have them again.
    """
    files = CaseFiles(folder, scan.case.case_id)
    try:
        fingerprint = scan.fingerprint()
        kept = _kept(scan, files, settings, fingerprint, model.taught if probabilities else ())
        if kept is not None:
            outcome = Outcome(files.case_id, kept=True, issues=kept.warnings(scan.shown))
        else:
            done = _predict(scan, model, settings, files, fingerprint, batch_size, probabilities)
            outcome = Outcome(files.case_id, issues=done)
    except InputError as error:
        return _rejected(files, settings, error.issues)
    except MemoryError:
        return _rejected(files, settings, (out_of_memory("host"),))
    files.rejection.unlink(missing_ok=True)
    return outcome


def _rejected(files: CaseFiles, settings: Settings, issues: Sequence[Issue]) -> Outcome:
    """Write the rejection of a case and return its outcome."""
    named = tuple(issue if issue.case_id else replace(issue, case_id=files.case_id) for issue in issues)
    content = {"format": SIDECAR.number, "case_id": files.case_id, "settings": asdict(settings)}
    write_record(files.rejection, {**content, "issues": [[issue.code, str(issue)] for issue in named]})
    return Outcome(files.case_id, rejected=True, issues=named)


def _kept(
    scan: ScanCase, files: CaseFiles, settings: Settings, fingerprint: str, mapped: Sequence[Structure]
) -> Sidecar | None:
    """Return the sidecar, with the cohort's columns updated, if the results exist and are up to date; else None.

    The results include probability maps of the organs `mapped`.

    Raises:
        InputError: LS-PRD-003 a label map of another origin; LS-FMT-001, LS-FMT-005 a sidecar of another format, or
            a damaged one.
    """
    hint = "move the file to another folder, or choose another output="
    if other := next((f for f in files.other_names if f.exists() and not _is_input(f, scan)), None):
        message = "the output has a label map of the case under another name, so measure would find two"
        raise InputError(Issue("LS-PRD-003", message, hint, files.case_id, other.name))
    if not files.label_map.exists():
        return None
    sidecar = read_sidecar(files.sidecar)
    stated = {} if sidecar is None else sidecar.content["files"]
    for file in (files.label_map, files.segmentation, files.report, *files.probabilities):
        if file.exists() and sha256_of(file) != stated.get(file.name):
            message = "the output has a file of this name that predict did not write, or that was edited since"
            raise InputError(Issue("LS-PRD-003", message, hint, files.case_id, file.name))
    if (
        sidecar is None
        or sidecar.content.get("image_sha256") != fingerprint
        or not settings.agree(sidecar.content.get("settings"))
        or not all((files.folder / name).is_file() for name in stated)
        or not all(files.probability(organ).name in stated for organ in mapped)
    ):
        return None
    if (updated := sidecar.updated(scan.case)) != sidecar:
        updated.write(files.sidecar)
    return updated


def _is_input(file: Path, scan: ScanCase) -> bool:
    return any(source.exists() and file.samefile(source) for source in scan.files)


def _predict(
    scan: ScanCase,
    model: Model,
    settings: Settings,
    files: CaseFiles,
    fingerprint: str,
    batch_size: int | None,
    probabilities: bool,
) -> tuple[Issue, ...]:
    """Segment a CT and write its results; return warnings and notes."""
    ct, warnings = scan.accepted()
    segmented = segment_volume(
        ct,
        model,
        batch_size=batch_size,
        precision=settings.precision,
        flips=settings.flips,
        probabilities="uint8" if probabilities else None,
    )
    done = postprocess(segmented.label_map, _rules(settings))
    label_map = done.label_map
    if not any(label_map.count(organ) for organ in label_map.covered):
        warnings = (*warnings, _nothing_found(scan, label_map))
    rows = _measured(scan.case, label_map, segmented, ct)
    covered = [o.key for o in label_map.covered]
    signs = review(label_map, ct, segmented.flip_dss, segmented.member_dss)
    faces = {o.key: list(truncated_faces(label_map, o)) for o in label_map.covered}
    used = {**asdict(settings), "precision": segmented.precision}
    content = {
        "Description": f"{listed(keys=covered).capitalize()}, segmented by a network",
        "Manual": False,
        "covered": covered,
        "format": SIDECAR.number,
        "case_id": files.case_id,
        "image_sha256": fingerprint,
        "settings": used,
        "phantoms_only": model.phantoms_only,
        "liverspleen": __version__,
        "device": model.device.type,
        "faces": faces,
        "dropped": {o.key: asdict(found) for o, found in done.dropped.items()},
        "flip_dss": _by_key(segmented.flip_dss),
        "members": sorted(member.sha256 for member in model.members),
        "member_dss": _by_key(segmented.member_dss),
        "review": asdict(signs),
        "warnings": [[issue.code, issue.message, issue.hint] for issue in warnings],
    }
    remove_tables(files.folder)  # they no longer describe the label maps
    with complete_file(files.label_map) as temporary:
        write_label_map(temporary, label_map)
        # A label map under its name means that all other files are complete and belong to it. So the old one is removed
        # first, and the new one gets its name last.
        files.label_map.unlink(missing_ok=True)
        title, remarks = _picture_texts(files.case_id, rows, faces, signs, model)
        write_case_picture(files.picture, ct, label_map, title, remarks)
        notes = [*_write_probabilities(files, scan, segmented)]
        for file in (files.segmentation, files.report):
            file.unlink(missing_ok=True)
        if scan.series is not None:
            remarks += [issue.message for issue in warnings]
            report = (files.report, report_content(rows, model.name, used, remarks))
            notes += [write_case_segmentation(files.segmentation, scan, label_map, report=report)]
        others = (files.picture, files.segmentation, files.report, *files.probabilities)
        written = {file.name: sha256_of(file) for file in others if file.exists()}
        written[files.label_map.name] = sha256_of(temporary)
        Sidecar({**content, "files": written}, rows).write(files.sidecar)
    return (*warnings, *dict.fromkeys(note for note in notes if note is not None))


def _measured(case: Case, label_map: LabelMap, segmented: Segmented, ct: CTVolume) -> tuple[Measurement, ...]:
    """Return the rows of a case, with the attenuation, and the sums of probabilities if they were computed."""
    soft = {o.key: volume for o, volume in (segmented.volume_soft_cm3 or {}).items()}
    rows = measure_case(case, {DLA: label_map}, ct=KnownCT.of(ct))
    return tuple(replace(row, volume_soft_cm3=soft.get(row.structure)) for row in rows)


def _write_probabilities(files: CaseFiles, scan: ScanCase, segmented: Segmented) -> Iterator[Issue | None]:
    """Write the probability maps if they were computed; remove earlier ones; yield the note of the DICOM-SEG."""
    for file in files.probabilities:
        file.unlink(missing_ok=True)
    if segmented.probabilities is None:
        return
    covered, grid = segmented.label_map.covered, segmented.label_map.geometry
    for structure, values in zip(covered, segmented.probabilities, strict=True):
        write_probability_map(files.probability(structure), values, grid)
    if scan.series is not None:
        maps = dict(zip(covered, segmented.probabilities, strict=True))
        yield write_case_probabilities(files.fractional, scan, maps, grid)


def _by_key(dss: Mapping[Structure, float | None] | None) -> dict[str, float | None] | None:
    return None if dss is None else {organ.key: value for organ, value in dss.items()}


def _nothing_found(scan: ScanCase, label_map: LabelMap) -> Issue:
    organs = " or ".join(organ.key for organ in label_map.covered)
    message, hint = f"no voxel of {organs} was found", "check that the CT shows the abdomen"
    return Issue("LS-PRD-040", message, hint, scan.case.case_id, scan.shown, "warning")


def _rules(settings: Settings) -> dict[Structure, str]:
    return {organ(key): rule for key, rule in settings.postprocessing.items()}


def _picture_texts(
    case_id: str,
    rows: Sequence[Measurement],
    faces: Mapping[str, Sequence[str]],
    signs: Review,
    model: Model,
) -> tuple[str, list[str]]:
    """Return title and notes of the preview image."""
    volumes = ", ".join(f"{row.structure} {row.volume_cm3:.0f} cm3" for row in rows if row.volume_cm3 is not None)
    tested = "" if model.tested is None else f"; {claim(model.tested)}: {scores(model.tested, lowest=False)}"
    phantoms = [f"model was trained on phantoms only{tested}"] if model.phantoms_only else []
    unknown = [f"{o.key}: not taught to the model" for o in ORGANS if o not in model.taught]
    truncated = [f"{key}: truncated at the {', '.join(names)} face" for key, names in faces.items() if names]
    return f"{case_id}   {volumes}", [*phantoms, *unknown, *truncated, *signs.reasons]


def settings_of(model: Model, *, precision: str, flips: bool, postprocessing: bool) -> Settings:
    """Return the settings of a prediction with this model; `postprocessing` applies the rules in the model.

    Raises:
        InputError: LS-PRD-020 the model has an unknown rule; this is raised before any case is segmented.
    """
    if postprocessing:
        reject_unknown(model.postprocessing)
    rules: dict[str, Any] = {o.key: rule for o, rule in model.postprocessing.items()} if postprocessing else {}
    return Settings(model.sha256, model.engine, precision, flips, rules)
