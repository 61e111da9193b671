"""Figure 3: cases, slices, orientation, and colours of the errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liverspleen.cohort import Cohort, read_cohort
from liverspleen.evaluation.measurements.readings import readings_of
from liverspleen.evaluation.measurements.table import Measurement, read_measurements, write_measurements
from liverspleen.evaluation.reporting.figures.bland_altman import figure_bytes
from liverspleen.evaluation.reporting.figures.overlay import overlay_figure
from liverspleen.evaluation.reporting.overlay import Overlay, overlay_of, overlays, representative_cases
from liverspleen.imaging.files import read_label_map
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.nifti import write_label_map
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import Structure


def rows_of(case: str, condition: str, liver: float | None, spleen: float | None) -> list[Measurement]:
    rows = []
    for structure, dss in (("liver", liver), ("spleen", spleen)):
        about = (case, case, "test1", condition, "", structure)
        rows += [Measurement(*about, "manual", 100.0), Measurement(*about, "dla", 100.0, "ok", "manual", dss)]
    return rows


def selected(folder: Path, rows: list[Measurement]) -> tuple[str, ...]:
    write_measurements(folder / "m.csv", rows)
    return representative_cases(readings_of(read_measurements(folder / "m.csv")), "dla", "manual")


@pytest.fixture
def predicted(box_cohort: Callable[..., Path], tmp_path: Path) -> tuple[Cohort, Path]:
    """The box cohort, and predictions equal to the references but for three voxels of slice 1 of the first case."""
    cohort = read_cohort(box_cohort())
    for case in cohort.cases:
        assert case.label is not None
        reference = read_label_map(case.label)
        labels = reference.labels.copy()
        if case.case_id == "c0":
            labels[1, 0, 0] = Structure.LIVER  # false positive in air
            labels[1, 10, 5] = Structure.BACKGROUND  # false negative within the liver
            labels[1, 18, 22] = Structure.LIVER  # liver within the spleen
        write_label_map(tmp_path / "labels" / f"{case.case_id}.nii.gz", LabelMap(labels, reference.geometry))
    return cohort, tmp_path / "labels"


def test_the_case_with_the_median_dss_represents_its_condition(tmp_path: Path) -> None:
    scores = {"a": (0.90, 0.90), "b": (0.99, 0.99), "c": (0.95, 0.93), "d": (0.80, 0.97)}  # means 90, 99, 94, 88.5
    rows = [row for case, pair in scores.items() for row in rows_of(case, "cld", *pair)]
    rows += (
        rows_of("e", "healthy", 0.9, None) + rows_of("f", "budd_chiari", 0.5, 0.5) + rows_of("g", "fatty", None, None)
    )
    assert selected(tmp_path, rows) == ("e", "a", "f")


def test_the_slice_is_the_one_with_the_largest_reference(predicted: tuple[Cohort, Path]) -> None:
    cohort, labels = predicted
    overlay = overlay_of(cohort.cases[0], labels)
    # The liver is in slices 1 to 4, the spleen in 1 to 3 (from 0); the first of equal slices is selected.
    assert (overlay.slice_index, overlay.slices) == (2, 5)
    assert overlay.spacing_mm == (2.0, 2.0)


def test_errors_and_dss_are_those_of_the_voxels(predicted: tuple[Cohort, Path]) -> None:
    cohort, labels = predicted
    overlay = overlay_of(cohort.cases[0], labels)
    assert overlay.errors[0, 0] == 1
    assert overlay.errors[10, 5] == 2
    assert overlay.errors[18, 22] == 3
    assert np.count_nonzero(overlay.errors) == 3
    # Liver: 16 x 12 pixels in 4 slices are 768; one missed, two too many. Spleen: 8 x 8 in 3 are 192, one missed.
    assert overlay.dss["liver"] == pytest.approx(2 * 767 / (768 + 769))
    assert overlay.dss["spleen"] == pytest.approx(2 * 191 / (192 + 191))


def test_slices_have_radiological_orientation(predicted: tuple[Cohort, Path]) -> None:
    cohort, labels = predicted
    ct, *_ = overlay_figure([overlay_of(cohort.cases[0], labels)]).axes
    image = ct.images[0]
    assert image.origin == "upper"  # row 0, the most anterior one, on top
    assert ct.get_xlim()[0] < ct.get_xlim()[1]  # column 0, the patient's right, at the left
    assert [text.get_text() for text in ct.texts] == ["R", "L"]
    # The liver of the box cohort is at low columns, on the patient's right.
    liver = np.argwhere(overlay_of(cohort.cases[0], labels).reference == Structure.LIVER)
    assert liver[:, 1].max() < 16


def test_pixels_keep_their_aspect(predicted: tuple[Cohort, Path]) -> None:
    cohort, labels = predicted
    overlay = replace(overlay_of(cohort.cases[0], labels), spacing_mm=(3.0, 1.0))
    figure = overlay_figure([overlay])
    axes = figure.axes[0]
    rows, columns = axes.images[0].get_array().shape
    width, height = figure.get_size_inches() * axes.get_position().size
    assert axes.get_aspect() == pytest.approx(3.0)
    assert height / width == pytest.approx(3.0 * rows / columns)


def test_case_slice_and_dss_are_printed(predicted: tuple[Cohort, Path]) -> None:
    cohort, labels = predicted
    figure = overlay_figure([overlay_of(cohort.cases[0], labels)])
    assert "Condition not stated · c0 · slice 2 of 5 · DSS liver 0.998, spleen 0.997" in [
        text.get_text() for text in figure.texts
    ]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["liver", "spleen", "false positive", "false negative", "other organ"]


def test_false_positives_are_red_and_false_negatives_blue(predicted: tuple[Cohort, Path]) -> None:
    cohort, labels = predicted
    overlay = overlay_of(cohort.cases[0], labels)
    errors = overlay_figure([replace(overlay, hu=np.full_like(overlay.hu, 40))]).axes[3].images[1].get_array()
    red, blue = errors[0, 0], errors[10, 5]
    assert red[0] > 0.9 > 0.3 > red[2]
    assert blue[2] > 0.9 > 0.3 > blue[0]


def test_a_structure_that_is_not_labelled_is_no_error(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    cohort = read_cohort(box_cohort(labelled_structures=["spleen"] * 4))
    case = cohort.cases[0]
    assert case.label is not None
    reference = read_label_map(case.label)
    spleen = np.where(reference.labels == Structure.SPLEEN, reference.labels, 0).astype(np.uint8)
    write_label_map(case.label, LabelMap(spleen, reference.geometry))
    write_label_map(tmp_path / "labels" / "c0.nii.gz", reference)
    overlay = overlay_of(case, tmp_path / "labels")
    assert dict(overlay.dss) == {"spleen": 1.0}
    assert not overlay.errors.any()


def test_cases_that_cannot_be_shown_are_noted_and_the_others_shown(predicted: tuple[Cohort, Path]) -> None:
    cohort, labels = predicted
    (labels / "c1.nii.gz").unlink()
    other = Geometry((32, 32, 4), np.diag([-2.0, -2.0, 4.0, 1.0]))
    write_label_map(labels / "c2.nii.gz", LabelMap(np.zeros((4, 32, 32), np.uint8), other))
    found = overlays(cohort, labels, ["c0", "c1", "c2", "unknown"])
    assert [overlay.case_id for overlay in found.shown] == ["c0"]
    assert [note.cases for note in found.notes] == [("c1",), ("c2",), ("unknown",)]
    assert {note.code for note in found.notes} == {"LS-REP-048"}


def test_label_maps_that_changed_since_the_measurement_are_noted(predicted: tuple[Cohort, Path]) -> None:
    cohort, labels = predicted
    measured = {("c0", "liver"): 0.5, ("c1", "liver"): 1.0}
    (note,) = overlays(cohort, labels, ["c0", "c1"], measured=measured).notes
    assert (note.code, note.cases) == ("LS-REP-049", ("c0",))


def test_the_figure_is_reproducible_and_inert(predicted: tuple[Cohort, Path]) -> None:
    cohort, labels = predicted
    hostile = replace(overlay_of(cohort.cases[0], labels), case_id="<script>$x^2$\n", condition="\u202e漢{")

    def plotted(overlay: Overlay) -> list[bytes]:
        return [figure_bytes(overlay_figure([overlay]), form) for form in ("svg", "pdf")]

    assert plotted(hostile) == plotted(hostile)
    assert b"<script" not in plotted(hostile)[0]


def test_a_slice_of_air_is_shown_completely(predicted: tuple[Cohort, Path]) -> None:
    cohort, labels = predicted
    overlay = overlay_of(cohort.cases[0], labels)
    empty = np.zeros_like(overlay.reference)
    air = replace(overlay, hu=np.full_like(overlay.hu, -1000), reference=empty, prediction=empty)
    assert overlay_figure([air]).axes[0].images[0].get_array().shape == (32, 32)


def test_the_frame_excludes_the_table_and_includes_labels_outside_the_body() -> None:
    hu = np.full((100, 100), -1000, np.int16)
    hu[30:60, 20:80] = 40  # the body
    hu[90, :] = 500  # the table
    empty = np.zeros((100, 100), np.uint8)
    overlay = Overlay("a", "", 1, 1, (2.0, 4.0), {}, hu, empty, empty)
    # A margin of 8 mm is 4 rows and 2 columns.
    assert overlay_figure([overlay]).axes[0].images[0].get_array().shape == (30 + 8, 60 + 4)
    outside = empty.copy()
    outside[5, 95] = Structure.SPLEEN
    shown = overlay_figure([replace(overlay, prediction=outside)]).axes[3].images[1].get_array()
    assert shown.shape[:2] == (63, 80)  # rows 1 to 63, columns 18 to 97
    assert (shown[..., 3] > 0).sum() == 1


def test_no_case_is_rejected() -> None:
    with pytest.raises(ValueError, match="no case"):
        overlay_figure([])
