"""test whether the volume change between CT scans of a patient exceeds the measurement error.

Change = 200 (second - first) / (second + first), in percent of the mean of both, as in the percentage reproducibility
coefficient (%RC). For 95 % of patients, two CT scans of an unchanged organ differ by less than the %RC. The verdict
uses the 95 % interval of the %RC: beyond measurement error (above the upper limit), within measurement error (at most
the lower limit), or between (not decided). The change is undefined if a volume is truncated, absent or implausible.
With cases=, each CT scan is compared with the first one, and a figure shows the course with the %RC as a band.

examples
  liverspleen change measurements=measurements.csv first=A017 second=A052 report=outputs/report/report.json
  liverspleen change measurements=measurements.csv "cases=[A017,A052,A101]" report=report/report.json output=course
  liverspleen change before=1500 after=1230 rc_pct=16.7 "rc_ci_pct=[13.1,19.8]"

inputs
  measurements=         measurements.csv with both CT scans, first= and second= with their case_id
  cases=                or three or more CT scans in the order of time, in place of first= and second=
  before=, after=       or the two volumes in cm³, or two ratios
  structure=            liver, spleen or ratio; required with rc_pct= and measurements=, because each has its own %RC
  report=               report.json of a study with two CT scans per patient; its table `reproducibility` has the %RC
                        of each reader
  rc_pct=, rc_ci_pct=   or a published %RC and its 95 % interval

outputs, in output= if given
  change.json           volumes, statuses, change, limits and verdict at full precision; with cases=, each CT scan
                        against the first and against the one before it
  course.svg, .pdf, .png  with cases=: volumes of the CT scans, and the first volume ± %RC as a band
  run.json              command, configuration, versions and hashes

exit codes
  0: finished, even if the change is undefined; 2: the input was rejected, each issue listed; 1: failure
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from liverspleen import __version__
from liverspleen.config import ChangeConfig
from liverspleen.errors import InputError, Issue, one_line
from liverspleen.evaluation.measurements.patient_course import Reading, patient_course
from liverspleen.evaluation.measurements.readings import INDICES
from liverspleen.evaluation.measurements.table import read_measurements
from liverspleen.evaluation.reporting.definitions import RESEARCH_USE
from liverspleen.evaluation.reporting.formatting import LOA_DIGITS, PERCENT_DIGITS, UNDEFINED, fixed, rc_text
from liverspleen.evaluation.reporting.rc_table import KnownRC, read_rc_table
from liverspleen.evaluation.statistics.intervals import Interval
from liverspleen.evaluation.statistics.volume_change import (
    MEANINGS,
    VolumeChange,
    false_alarm_probability,
    volume_change,
)
from liverspleen.organs import RATIO_KEY
from liverspleen.provenance import Run, recorded
from liverspleen.storage import sha256_of, write_json

_UNNAMED = "volume"


def run(config: ChangeConfig) -> Sequence[Issue]:
    """Print the change of each index, and write it if an output folder is given."""
    with nullcontext() if config.output is None else recorded("change", config, config.output) as record:
        readings, reader, notes = _readings(config, record)
        known = _known(config, readings, reader, record)
        changes: dict[str, list[VolumeChange]] = {}
        for index, (first, *later) in readings.items():
            changes[index] = [_changed(first, reading, known.get(index)) for reading in later]
            for place, found in enumerate(changes[index], 1):
                names = (config.cases[0], config.cases[place]) if config.cases else None
                notes += _notes(index, found, names)
                print("\n".join(map(one_line, _lines(index, found, names))))
        notes += _several(len(config.cases) - 1)
        if config.output is not None and record is not None:
            content = _json(config, reader, readings, changes, known)
            write_json(config.output / "change.json", content)
            record.outputs.append(config.output / "change.json")
            record.outputs += _write_course(config, config.output, readings, changes)
            record.issues.extend(notes)
        return tuple(notes)


def _several(comparisons: int) -> Iterator[Issue]:
    """Yield a note on several comparisons, of which one is more often beyond the RC by chance."""
    if comparisons > 1:
        chance = fixed(100 * false_alarm_probability(comparisons), PERCENT_DIGITS)
        message = (
            f"{comparisons} CT scans are compared with the first one: without any change, the probability that at "
            f"least one differs by more than the %RC is {chance} %, not 5 %"
        )
        yield Issue("LS-CHG-013", message, "confirm a single change beyond the %RC by another CT scan", severity="note")


def _write_course(
    config: ChangeConfig,
    output: Path,
    readings: Mapping[str, Sequence[Reading]],
    changes: Mapping[str, Sequence[VolumeChange]],
) -> list[Path]:
    """Write the figure of a course and return its files; without one, remove that of an earlier run."""
    from liverspleen.evaluation.reporting.figures.bland_altman import FORMS, figure_bytes
    from liverspleen.evaluation.reporting.figures.course import course_figure
    from liverspleen.evaluation.reporting.writers.output_files import write_files

    files = {}
    if config.cases:
        figure = course_figure(config.cases, readings, changes)
        files = {f"course.{form}": figure_bytes(figure, form) for form in FORMS}
    write_files(output, files, possible=[f"course.{form}" for form in FORMS])
    return [output / name for name in files]


def _readings(
    config: ChangeConfig, record: Run | None
) -> tuple[Mapping[str, tuple[Reading, ...]], str | None, list[Issue]]:
    """Return the readings of each index in the order of time, the reader, and notes."""
    if config.measurements is None:
        return {config.structure or _UNNAMED: (Reading(config.before), Reading(config.after))}, config.reader, []
    measurements = read_measurements(config.measurements)
    if record is not None:
        record.inputs["measurements"] = str(measurements.sha256)
    cases = config.cases or [str(config.first), str(config.second)]
    course = patient_course(measurements, cases, reader=config.reader)
    indices = [config.structure] if config.structure else INDICES
    notes = [*measurements.issues]
    if not course.same_patient:
        message = "the measurements do not state that all CT scans are of one patient"
        notes.append(Issue("LS-CHG-012", message, "give the patient in patient_id", severity="note"))
    return {index: course.readings[index] for index in indices}, course.reader, notes


def _known(
    config: ChangeConfig, indices: Mapping[str, Any], reader: str | None, record: Run | None
) -> dict[str, KnownRC]:
    """Return the RC of each index."""
    if config.report is None:
        interval = None if not config.rc_ci_pct else Interval(*config.rc_ci_pct)
        return dict.fromkeys(indices, KnownRC(float(config.rc_pct or 0), interval, 0))
    table = read_rc_table(config.report)
    if record is not None:
        record.inputs["report"] = sha256_of(config.report)
    readers = sorted({name for _, name in table})
    chosen = readers[0] if reader is None and len(readers) == 1 else reader
    if chosen not in readers:
        missing = "no reader is given" if chosen is None else f"no RC of reader {chosen!r}"
        message = f"{missing}, expected one of {', '.join(map(repr, readers))}"
        raise InputError(
            Issue(
                "LS-CHG-006", message, "use measurements of one of these readers, or give reader=", file=config.report
            )
        )
    return {index: rc for (index, name), rc in table.items() if name == chosen and index in indices}


def _changed(first: Reading, second: Reading, rc: KnownRC | None) -> VolumeChange:
    try:
        return volume_change(
            first.value,
            second.value,
            rc_pct=None if rc is None else rc.rc_pct,
            rc_ci=None if rc is None else rc.rc_ci,
            before_status=first.status,
            after_status=second.status,
        )
    except ValueError as error:
        raise InputError(Issue("LS-CHG-007", str(error), "correct the value")) from error


def _notes(index: str, found: VolumeChange, names: tuple[str, str] | None) -> Iterator[Issue]:
    case = None if names is None else names[1]
    if found.verdict is None:
        hint = "inspect both label maps" if found.change_pct is None else "give a report with its RC, or rc_pct="
        yield Issue("LS-CHG-010", f"{index}: no verdict, because {found.reason}", hint, case, severity="note")
    for which, status in (("first", found.before_status), ("second", found.after_status)):
        if "multi_part" in status.split(";"):
            message = f"{index}: the {which} label map has several parts, and its volume is that of all parts"
            yield Issue("LS-CHG-011", message, "inspect the label map", case, severity="note")


def _lines(index: str, found: VolumeChange, names: tuple[str, str] | None) -> Iterator[str]:
    """Yield the two lines of a comparison; `names` are the cases of a course."""
    ratio = index == RATIO_KEY
    unit, digits = ("", LOA_DIGITS) if ratio else (" cm³", PERCENT_DIGITS)
    states = [f" ({status})" if status != "ok" else "" for status in (found.before_status, found.after_status)]
    before, after = (f"{fixed(v, digits)}{unit}{s}" for v, s in zip((found.before, found.after), states, strict=True))
    change, of_first = fixed(found.change_pct, PERCENT_DIGITS), fixed(found.change_of_first_pct, PERCENT_DIGITS)
    cases = "" if names is None else f", {names[0]} to {names[1]}"
    yield f"{index}{cases}: {before} to {after}, change {change} % of the mean, {of_first} % of the first"
    rc = f"%RC {rc_text(found.rc_pct, found.rc_ci)}" if found.rc_pct is not None else f"%RC {UNDEFINED}"
    if found.verdict is None:
        yield f"  {rc}: undefined because {found.reason}"
    else:
        yield f"  {rc}: {MEANINGS[found.verdict]}"


def _json(
    config: ChangeConfig,
    reader: str | None,
    readings: Mapping[str, Sequence[Reading]],
    changes: Mapping[str, Sequence[VolumeChange]],
    known: Mapping[str, KnownRC],
) -> dict[str, Any]:
    about = {"generator": {"name": "liverspleen", "version": __version__}, "notice": RESEARCH_USE}
    if not config.cases:
        both = {index: found[0].to_dict() for index, found in changes.items()}
        return {**about, "first": config.first, "second": config.second, "reader": reader, "changes": both}
    course = {
        index: [
            {
                "case_id": case,
                "against_first": found.to_dict(),
                "against_previous": _changed(previous, reading, known.get(index)).to_dict(),
            }
            for case, found, previous, reading in zip(
                config.cases[1:], changes[index], readings[index][:-1], readings[index][1:], strict=True
            )
        ]
        for index in changes
    }
    return {**about, "cases": config.cases, "reader": reader, "course": course}
