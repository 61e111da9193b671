"""Six box cases whose predictions have errors that can be counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from liverspleen.cohort.manifest import read_cohort, write_cohort
from liverspleen.evaluation.measurements.label_folder import measure_folder
from liverspleen.evaluation.measurements.table import read_measurements, write_measurements
from liverspleen.evaluation.reporting.report import write_report
from liverspleen.evaluation.reporting.study import Study
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.nifti import write_ct, write_label_map
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import Structure

CASES = 6
SLICES = 9
NO_SPLEEN = 2
"""The case without a predicted spleen; its spleen DSS is 0."""


def liver_dss(case: int) -> float:
    """The reference has 12 columns of liver; the prediction of case k does not have the first k of them."""
    return 2 * (12 - case) / (24 - case)


def write_study(folder: Path) -> Study:
    """Write cohort and predictions. Slices have 32 x 32 pixels of 2 mm; the liver is on the left of the image."""
    rows = []
    geometry = Geometry((32, 32, SLICES), np.diag([-2.0, -2.0, 5.0, 1.0]))
    for case in range(CASES):
        labels = np.zeros((SLICES, 32, 32), np.uint8)
        labels[1:, 8:24, 4:16] = Structure.LIVER
        labels[1:-1, 16:24, 20:28] = Structure.SPLEEN
        hu = np.select([labels == Structure.LIVER, labels == Structure.SPLEEN], [110, 180], -50).astype(np.int16)
        hu[:, :2] = -1000
        hu[:, 30, 30] = case  # scans differ
        predicted = labels.copy()
        predicted[:, :, 4 : 4 + case] = Structure.BACKGROUND
        if case == NO_SPLEEN:
            predicted[predicted == Structure.SPLEEN] = Structure.BACKGROUND
        names = {"image": f"c{case}.nii.gz", "label": f"c{case}_label.nii.gz"}
        write_ct(folder / names["image"], CTVolume(hu, geometry))
        write_label_map(folder / names["label"], LabelMap(labels, geometry))
        write_label_map(folder / f"labels/c{case}.nii.gz", LabelMap(predicted, geometry))
        condition = "cld" if case % 2 else "healthy"
        about = {"patient_id": f"p{case}", "dataset": "test1", "condition": condition}
        rows.append({"case_id": f"c{case}", **about, **names})
    write_cohort(folder / "cohort.csv", rows)
    return Study(read_cohort(folder / "cohort.csv"), labels=folder / "labels", viewer_cases=3)


def write_box_report(study: Study, output: Path) -> Path:
    """Measure, write the report, and return its page."""
    assert study.labels is not None
    write_measurements(output / "m.csv", measure_folder(study.labels, cohort=study.cohort).rows)
    write_report(read_measurements(output / "m.csv"), output, study=study)
    return output / "report.html"
