"""two CT of one patient: the change in percent, held against the percentage RC.

Change = 200 (second - first) / (second + first): in percent of the mean of both, because a percentage RC is that. Two
CT of an unchanged organ differ by less than the RC in 95 % of patients, so 5 % of unchanged ones lie beyond it. With
the interval of the RC the verdict is one of three: beyond measurement error (larger than its upper end), within (not
larger than its lower end), between. A volume that is truncated, absent or implausible makes the change undefined.

example
  liverspleen change measurements=measurements.csv first=A017 second=A052 report=outputs/report/report.json
  liverspleen change before=1500 after=1230 rc_pct=16.7 "rc_ci_pct=[13.1,19.8]"

inputs
  measurements=   a measurements.csv that holds both CT, with first= and second= their case_id
  before=, after= or the two volumes in cm³ (or ratios) themselves
  structure=      liver, spleen or ratio; needed with rc_pct= and measurements=, since each has an RC of its own
  report=         report.json of a study whose patients had two CT: its table reproducibility has the RC of each reader
  rc_pct=, rc_ci_pct=   or an RC and its 95 % interval, as published

outputs, in output= if given
  change.json     volumes, statuses, change, band and verdict at full precision
  run.json        what made it

exit codes
  0 done, an undefined change with its reason included; 2 the input is rejected, every issue listed; 1 failure
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from liverspleen import __version__
from liverspleen.config import ChangeConfig
from liverspleen.errors import InputError, Issue, one_line
from liverspleen.evaluation.measurements.examination_pair import Reading, examination_pair
from liverspleen.evaluation.measurements.readings import INDICES
from liverspleen.evaluation.measurements.table import read_measurements
from liverspleen.evaluation.reporting.definitions import RESEARCH_USE
from liverspleen.evaluation.reporting.formatting import LOA_DIGITS, PERCENT_DIGITS, UNDEFINED, fixed, rc_text
from liverspleen.evaluation.reporting.rc_table import KnownRC, read_rc_table
from liverspleen.evaluation.statistics.volume_change import MEANINGS, VolumeChange, volume_change
from liverspleen.organs import RATIO_KEY
from liverspleen.provenance import Run, recorded
from liverspleen.storage import sha256_of, write_json

_UNNAMED = "volume"


def run(config: ChangeConfig) -> Sequence[Issue]:
    """Print the change of each index, and write it if there is a place for it."""
    with nullcontext() if config.output is None else recorded("change", config, config.output) as record:
        readings, reader, notes = _readings(config, record)
        known = _known(config, readings, reader, record)
        changes: dict[str, VolumeChange] = {}
        for index, (first, second) in readings.items():
            rc = known.get(index)
            changes[index] = found = _changed(first, second, rc)
            notes += _notes(index, found)
            print("\n".join(map(one_line, _told(index, found))))
        if config.output is not None and record is not None:
            write_json(config.output / "change.json", _json(config, reader, changes))
            record.outputs.append(config.output / "change.json")
            record.issues.extend(notes)
        return tuple(notes)


def _readings(
    config: ChangeConfig, record: Run | None
) -> tuple[Mapping[str, tuple[Reading, Reading]], str | None, list[Issue]]:
    """The two readings by index, who read them, and what is to be said of them."""
    if config.measurements is None:
        return {config.structure or _UNNAMED: (Reading(config.before), Reading(config.after))}, config.reader, []
    measurements = read_measurements(config.measurements)
    if record is not None:
        record.inputs["measurements"] = str(measurements.sha256)
    pair = examination_pair(measurements, str(config.first), str(config.second), reader=config.reader)
    wanted = [config.structure] if config.structure else INDICES
    notes = []
    if not pair.same_patient:
        message = "the measurements do not say that both CT are of one patient"
        notes.append(Issue("LS-CHG-012", message, "name the patient in patient_id", severity="note"))
    return {index: pair.readings[index] for index in wanted}, pair.reader, notes


def _known(
    config: ChangeConfig, indices: Mapping[str, Any], reader: str | None, record: Run | None
) -> dict[str, KnownRC]:
    """The RC by index."""
    if config.report is None:
        interval = None if not config.rc_ci_pct else (config.rc_ci_pct[0], config.rc_ci_pct[1])
        return dict.fromkeys(indices, KnownRC(float(config.rc_pct or 0), interval, 0))
    table = read_rc_table(config.report)
    if record is not None:
        record.inputs["report"] = sha256_of(config.report)
    readers = sorted({name for _, name in table})
    chosen = readers[0] if reader is None and len(readers) == 1 else reader
    if chosen not in readers:
        whose = "which reader measured is not said" if chosen is None else f"no RC of reader {chosen!r}"
        message = f"{whose}; the report has that of {', '.join(map(repr, readers))}"
        raise InputError(
            Issue("LS-CHG-006", message, "measure with such a reader, or name one by reader=", file=config.report)
        )
    return {index: rc for (index, name), rc in table.items() if name == chosen and index in indices}


def _changed(first: Reading, second: Reading, rc: KnownRC | None) -> VolumeChange:
    try:
        return volume_change(
            first.value,
            second.value,
            rc_pct=None if rc is None else rc.rc_pct,
            rc_ci_pct=None if rc is None else rc.rc_ci_pct,
            before_status=first.status,
            after_status=second.status,
        )
    except ValueError as error:
        raise InputError(Issue("LS-CHG-007", str(error), "correct the number")) from error


def _notes(index: str, found: VolumeChange) -> Iterator[Issue]:
    if found.verdict is None:
        hint = "look at both label maps" if found.change_pct is None else "give a report that holds it, or rc_pct="
        yield Issue("LS-CHG-010", f"{index}: no verdict, because {found.reason}", hint, severity="note")
    for which, status in (("first", found.before_status), ("second", found.after_status)):
        if "multi_part" in status.split(";"):
            message = f"{index}: the {which} label map is in several parts"
            yield Issue("LS-CHG-011", message, "look at it; its volume is that of all parts", severity="note")


def _told(index: str, found: VolumeChange) -> Iterator[str]:
    """One index in two lines."""
    ratio = index == RATIO_KEY
    unit, digits = ("", LOA_DIGITS) if ratio else (" cm³", PERCENT_DIGITS)
    states = [f" ({status})" if status != "ok" else "" for status in (found.before_status, found.after_status)]
    before, after = (f"{fixed(v, digits)}{unit}{s}" for v, s in zip((found.before, found.after), states, strict=True))
    change, of_first = fixed(found.change_pct, PERCENT_DIGITS), fixed(found.change_of_first_pct, PERCENT_DIGITS)
    yield f"{index}: {before} to {after}, change {change} % of the mean, {of_first} % of the first"
    lower, upper = found.rc_ci_pct or (None, None)
    rc = f"%RC {rc_text(found.rc_pct, lower, upper)}" if found.rc_pct is not None else f"%RC {UNDEFINED}"
    if found.verdict is None:
        yield f"  {rc}: undefined because {found.reason}"
    else:
        yield f"  {rc}: {MEANINGS[found.verdict]}"


def _json(config: ChangeConfig, reader: str | None, changes: Mapping[str, VolumeChange]) -> dict[str, Any]:
    return {
        "generator": {"name": "liverspleen", "version": __version__},
        "notice": RESEARCH_USE,
        "first": config.first,
        "second": config.second,
        "reader": reader,
        "changes": {index: found.to_dict() for index, found in changes.items()},
    }
