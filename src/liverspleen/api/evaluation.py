"""Measure, report and compare, with a configuration and a run.json."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from liverspleen import assemble
from liverspleen.cohort.label_values import requested_values
from liverspleen.cohort.spellings import spelling_issues, spellings_between
from liverspleen.cohort.split import read_splits, split_hashes
from liverspleen.config import CompareConfig, MeasureConfig, ReportConfig
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.calibration_table import FILE as CALIBRATION
from liverspleen.evaluation.measurements.calibration_table import (
    CaseCalibration,
    mean_calibration,
    read_calibration,
    write_calibration,
)
from liverspleen.evaluation.measurements.label_folder import measure_folder
from liverspleen.evaluation.measurements.map_findings import mean_dss
from liverspleen.evaluation.measurements.measure_case import SurfaceMetrics
from liverspleen.evaluation.measurements.merge import merge_measurements
from liverspleen.evaluation.measurements.table import Measurement, read_measurements, write_measurements, write_volumes
from liverspleen.evaluation.metrics.body_size import body_sizes
from liverspleen.evaluation.reporting.compare import ReaderComparison, compare_readers, write_comparison
from liverspleen.evaluation.reporting.flow import read_exclusions
from liverspleen.evaluation.reporting.paper_tables import StatisticalReport
from liverspleen.evaluation.reporting.report import write_report
from liverspleen.evaluation.reporting.study import Study
from liverspleen.processes import progress
from liverspleen.provenance import Run, recorded
from liverspleen.storage import sha256_of


@dataclass(frozen=True)
class Measured:
    """Finished measurements: the rows, the file `measurements.csv`, the issues, and sums of probability maps."""

    rows: tuple[Measurement, ...]
    file: Path
    issues: tuple[Issue, ...]
    calibrations: tuple[CaseCalibration, ...] = ()

    @property
    def mean_dss(self) -> dict[str, tuple[float, int]]:
        """Mean DSS over the cases, and their number, by structure; empty without a reference."""
        return mean_dss(self.rows)

    @property
    def mean_calibration(self) -> dict[str, tuple[float, float, int]]:
        """Mean ECE and Brier score over the cases, and their number, by structure; empty without probability maps."""
        return mean_calibration(self.calibrations)


@dataclass(frozen=True)
class Reported:
    """A finished report: its tables, its page, and the issues."""

    report: StatisticalReport
    page: Path
    issues: tuple[Issue, ...]


@dataclass(frozen=True)
class Compared:
    """A finished comparison of readers, and the issues."""

    comparison: ReaderComparison
    issues: tuple[Issue, ...]


def run_measurement(config: MeasureConfig) -> Measured:
    """Measure every case and write the tables.

    Raises:
        InputError: a folder, the cohort or an option cannot be used. Cases that cannot be used are in `issues`.
    """
    with recorded("measure", config, config.output) as record:
        values = requested_values("label_values", config.label_values)
        reference_values = requested_values("reference_values", config.reference_values)
        surface = _surface_metrics(config)
        cohort = None
        if config.cohort is not None:
            cohort = assemble.cohort(config.cohort, config)
            record.inputs["cohort"] = cohort.hash
            record.issues.extend(cohort.issues)
        total = None if cohort is None else len(cohort.select(config.datasets).cases)
        with progress("measure", total) as advance:
            measured = measure_folder(
                config.labels,
                reference=config.reference,
                cohort=cohort,
                datasets=config.datasets,
                reader=config.reader,
                reference_reader=config.reference_reader,
                label_values=values,
                reference_values=reference_values,
                probabilities=config.probabilities,
                percent=config.probability_unit == "percent",
                allow_missing=config.allow_missing,
                surface=surface,
                workers=config.workers or os.cpu_count() or 1,
                on_case=advance,
            )
        record.issues.extend(measured.issues)
        file, volumes = config.output / "measurements.csv", config.output / "volumes.csv"
        write_measurements(file, measured.rows)
        write_volumes(volumes, measured.rows, body_sizes=None if cohort is None else body_sizes(cohort.cases))
        record.outputs += [file, volumes]
        calibration = config.output / CALIBRATION
        if measured.calibrations:
            write_calibration(calibration, measured.calibrations)
            record.outputs.append(calibration)
        else:  # that of an earlier run does not belong to these measurements
            calibration.unlink(missing_ok=True)
        return Measured(tuple(measured.rows), file, tuple(record.issues), measured.calibrations)


def _surface_metrics(config: MeasureConfig) -> SurfaceMetrics | None:
    """Return how surfaces are compared, or None for no comparison."""
    if config.surface == "none":
        return None
    return SurfaceMetrics("area" if config.surface == "area" else "voxel", config.nsd_tolerance_mm)


def run_report(config: ReportConfig) -> Reported:
    """Write tables, figures and the page.

    Raises:
        InputError: a table, the cohort or an option cannot be used.
    """
    with recorded("report", config, config.output) as record:
        vocabulary = assemble.vocabulary(config.vocabulary)
        measurements = read_measurements(config.measurements, vocabulary=vocabulary)
        record.inputs["measurements"] = sha256_of(config.measurements)
        record.issues.extend(measurements.issues)
        calibration = config.measurements.with_name(CALIBRATION)
        calibrations = None
        if calibration.exists():
            calibrations = read_calibration(calibration, measurements.table)
            record.inputs["calibration"] = sha256_of(calibration)
        study = _study(config, record)
        if study is not None:
            cases = {case.case_id for case in study.cohort.cases}
            found = spellings_between({"measurements": set(measurements.table["case_id"]), "cohort": cases})
            record.issues.extend(spelling_issues("case_id", found, file=config.measurements))
        report = write_report(
            measurements,
            config.output,
            reader=config.reader,
            reference=config.reference,
            study=study,
            calibrations=calibrations,
        )
        for folder in (config.output / "tables", config.output / "figures"):
            record.outputs += sorted(folder.glob("*"))
        page = config.output / "report.html"
        record.outputs += [config.output / "report.json", page]
        record.issues.extend(note.issue for note in report.notes)
        return Reported(report, page, tuple(record.issues))


def _study(config: ReportConfig, record: Run) -> Study | None:
    """Return the cohort with split, exclusions and label maps; None without a cohort."""
    if config.cohort is None:
        dependent = {name: getattr(config, name) for name in ("split", "exclusions", "labels", "cases")}
        if given := [f"{name}=" for name, value in dependent.items() if value]:
            message = f"{', '.join(given)} cannot be used without cohort="
            raise InputError(Issue("LS-REP-052", message, "give cohort="))
        return None
    cohort = assemble.cohort(config.cohort, config)
    record.inputs["cohort"] = cohort.hash
    record.issues.extend(cohort.issues)
    if config.labels is not None and not config.labels.is_dir():
        raise InputError(
            Issue("LS-LAB-023", "the folder of label maps does not exist", "correct the path", file=config.labels)
        )
    splits = {} if config.split is None else read_splits(config.split, cohort)
    record.inputs |= {} if config.split is None else split_hashes(config.split)
    exclusions = None
    if config.exclusions is not None:
        exclusions = read_exclusions(config.exclusions)
        record.inputs["exclusions"] = sha256_of(config.exclusions)
    values = requested_values("label_values", config.label_values)
    return Study(cohort, splits, exclusions, config.labels, values, tuple(config.cases), config.viewer_cases)


def run_comparison(config: CompareConfig) -> Compared:
    """Compare readers and write tables and figures.

    Raises:
        InputError: a table, a reader or the reference cannot be used.
    """
    with recorded("compare", config, config.output) as record:
        vocabulary = assemble.vocabulary(config.vocabulary)
        tables = [read_measurements(path, vocabulary=vocabulary) for path in dict.fromkeys(config.measurements)]
        for number, table in enumerate(tables, 1):
            name = "measurements" if len(tables) == 1 else f"measurements{number}"
            record.inputs[name] = str(table.sha256)
        merged = merge_measurements(tables)
        record.issues.extend(merged.issues)
        comparison = compare_readers(
            merged, readers=config.readers, reference=config.reference, datasets=config.datasets
        )
        files = write_comparison(comparison, config.output, sources=tables)
        record.outputs += [config.output / name for name in files]
        record.issues.extend(note.issue for note in comparison.notes)
        return Compared(comparison, tuple(record.issues))
