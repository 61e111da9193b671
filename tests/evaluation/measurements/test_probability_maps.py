"""Probability maps beside label maps: soft volume, calibration.csv, report, and what is rejected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from liverspleen.cli.main import main
from liverspleen.cohort.probability_files import probability_files
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.calibration_table import read_calibration, write_calibration
from liverspleen.evaluation.measurements.label_folder import Measured, measure_folder
from liverspleen.evaluation.measurements.table import read_measurements, write_measurements
from liverspleen.evaluation.reporting.paper_tables import statistical_report
from liverspleen.imaging.probability_map import open_probability_map
from liverspleen.imaging.stream import Source
from liverspleen.organs import Structure

AFFINE = np.diag([4.0, 4.0, 5.0, 1.0])  # voxels of 0.08 cm³
SHAPE = (20, 16, 12)
LIVER, SPLEEN = (slice(2, 12), slice(4, 12), slice(3, 9)), (slice(15, 18), slice(5, 9), slice(4, 7))

Edit = Callable[[np.ndarray], np.ndarray]


def save(file: Path, array: np.ndarray, affine: np.ndarray = AFFINE, *, slope: float = 1.0) -> None:
    """Write an array as it is, with a slope in the header."""
    file.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(array, affine)
    nibabel.save(image, file)
    content = bytearray(file.read_bytes())
    content[112:120] = np.array([slope, 0], "<f4").tobytes()
    file.write_bytes(content)


def label_array() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[LIVER], labels[SPLEEN] = Structure.LIVER, Structure.SPLEEN
    return labels


def probability_array(organ: Structure) -> np.ndarray:
    """0.8 inside the organ, and 0.2 in the plane of columns before it."""
    box = LIVER if organ is Structure.LIVER else SPLEEN
    array = np.zeros(SHAPE, np.float32)
    array[box] = 0.8
    array[box[0].start - 1, box[1], box[2]] = 0.2
    return array


def study(folder: Path, *cases: str, edit: Edit = np.asarray) -> Path:
    for case in cases or ("a",):
        for name in ("labels", "reference"):
            save(folder / name / f"{case}.nii", label_array())
        for organ in (Structure.LIVER, Structure.SPLEEN):
            save(folder / "maps" / f"{case}_{organ.key}_probability.nii", edit(probability_array(organ)))
    return folder


def measured(folder: Path, maps: str = "maps", **options: bool) -> Measured:
    return measure_folder(
        folder / "labels", reference=folder / "reference", probabilities=folder / maps, surface=None, **options
    )


def of_maps(found: Measured) -> list[Issue]:
    """The issues without those about the small organs of these tests."""
    return [issue for issue in found.issues if issue.code[:6] in ("LS-MEA", "LS-GEO", "LS-COH")]


def test_soft_volume_and_scores_by_hand(tmp_path: Path) -> None:
    found = measured(study(tmp_path))
    liver = next(row for row in found.rows if (row.structure, row.reader) == ("liver", "dla"))
    # 480 voxels with 0.8 and 48 with 0.2
    assert liver.volume_soft_cm3 == pytest.approx((480 * 0.8 + 48 * 0.2) * 0.08, rel=1e-7)
    assert liver.volume_cm3 == pytest.approx(480 * 0.08)
    assert [row.volume_soft_cm3 for row in found.rows if row.reader == "manual"] == [None, None]
    sums = found.calibrations[0]
    # box: 3 columns and 3 rows of 4 mm, 2 slices of 5 mm beyond the liver: columns 0-15, rows 1-15, slices 1-11
    assert sum(sums.box.n) == 15 * 14 * 10
    assert sum(sums.image.n) == 20 * 16 * 12
    # the float32 of 0.2 is above 3/15, that of 0.8 above 12/15
    assert (sums.box.n[3], sums.box.ones[3], sums.box.n[12], sums.box.ones[12]) == (48, 0, 480, 480)
    assert sum(sums.box.squared_error) / (1 << 32) == pytest.approx(480 * 0.04 + 48 * 0.04, rel=1e-6)
    assert not of_maps(found)


def test_axis_order_and_data_type_of_a_map_change_no_sum(tmp_path: Path) -> None:
    first = measured(study(tmp_path, edit=lambda p: np.rint(255 * p).astype(np.float64) / 255))
    flipped = AFFINE.copy()
    flipped[0, 0], flipped[0, 3] = -4.0, 4.0 * (SHAPE[0] - 1)
    for organ in (Structure.LIVER, Structure.SPLEEN):
        array = np.rint(255 * probability_array(organ)).astype(np.uint8)[::-1].transpose(2, 1, 0)
        save(tmp_path / "other" / f"a_{organ.key}.nii", array, flipped[:, [2, 1, 0, 3]], slope=1 / 255)
    second = measured(tmp_path, "other")
    for one, other in zip(first.calibrations, second.calibrations, strict=True):
        assert (other.box, other.image) == (one.box, one.image)
    assert [row.volume_soft_cm3 for row in second.rows] == [row.volume_soft_cm3 for row in first.rows]


def test_stored_bytes_with_a_slope_are_exact_fractions(tmp_path: Path) -> None:
    stored = np.arange(256, dtype=np.uint8).reshape(16, 4, 4)
    save(tmp_path / "x.nii", stored, slope=1 / 255)
    (block,) = open_probability_map(Source(tmp_path / "x.nii")).blocks()
    assert (block == stored / 255).all()
    save(tmp_path / "y.nii", np.minimum(stored, 100))
    (block,) = open_probability_map(Source(tmp_path / "y.nii"), percent=True).blocks()
    assert (block == np.minimum(stored, 100) / 100).all()


def test_maps_in_folders_of_organs_and_of_cases(tmp_path: Path) -> None:
    names = (
        "liver/liver_1.nii",
        "b/spleen.nii.gz",
        "b_label-liver_probseg.nii",
        "img_c_liver_softmax.nii.gz",
        "d_liver.nii",
    )
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = probability_files(tmp_path, ["liver_1", "b", "c"])
    assert {case: [organ.key for organ in maps] for case, maps in found.found.items()} == {
        "b": ["spleen", "liver"],
        "c": ["liver"],
        "liver_1": ["liver"],
    }
    assert [file.name for file in found.unused] == ["d_liver.nii"]


def test_maps_of_predict_beside_label_maps_are_no_label_maps(tmp_path: Path) -> None:
    study(tmp_path)
    for file in (tmp_path / "maps").iterdir():
        file.rename(tmp_path / "labels" / file.name)
    for options in ({"probabilities": tmp_path / "labels"}, {}):
        found = measure_folder(tmp_path / "labels", surface=None, **options)
        assert {row.case_id for row in found.rows} == {"a"}
        assert not [issue for issue in of_maps(found) if issue.code != "LS-MEA-021"]


@pytest.mark.parametrize(
    ("edit", "message", "hint"),
    [
        (lambda p: 100 * p, "values are from 0 to 80", "give probability_unit=percent"),
        (lambda p: np.rint(255 * p).astype(np.uint8), "values are from 0 to 204", "slope (scl_slope) of 1/255"),
        (lambda p: 10 * p - 5, "values are from -5 to 3", "write probabilities from 0 to 1"),
        (lambda p: np.where(p > 0.5, np.nan, p), "values are not finite", "write probabilities from 0 to 1"),
    ],
)
def test_values_that_are_no_probabilities_are_rejected(tmp_path: Path, edit: Edit, message: str, hint: str) -> None:
    found = measured(study(tmp_path, edit=edit))
    (issue,) = of_maps(found)
    assert (issue.code, found.rows) == ("LS-MEA-029", ())
    assert message in issue.message
    assert hint in issue.hint


def test_percent_is_read_if_it_is_stated(tmp_path: Path) -> None:
    found = measured(study(tmp_path, edit=lambda p: 100 * p), percent=True)
    assert found.rows[0].volume_soft_cm3 == pytest.approx((480 * 0.8 + 48 * 0.2) * 0.08, rel=1e-6)


def test_another_grid_is_rejected_as_for_label_maps(tmp_path: Path) -> None:
    shifted = AFFINE.copy()
    shifted[2, 3] = 2.5
    for affine, array, code in (
        (shifted, probability_array(Structure.LIVER), "LS-GEO-004"),
        (AFFINE, probability_array(Structure.LIVER)[1:], "LS-GEO-003"),
    ):
        save(study(tmp_path) / "maps" / "a_liver_probability.nii", array, affine)
        (issue,) = of_maps(measured(tmp_path))
        assert issue.code == code
        assert issue.message.startswith(("probability map has shape", "corners of the probability map"))


def test_missing_repeated_unknown_and_exchanged_maps(tmp_path: Path) -> None:
    maps = study(tmp_path) / "maps"
    liver, spleen = (maps / f"a_{key}_probability.nii" for key in ("liver", "spleen"))
    spleen.rename(maps / "b_spleen.nii")
    assert [issue.code for issue in of_maps(measured(tmp_path))] == ["LS-MEA-034", "LS-MEA-031"]
    (maps / "b_spleen.nii").rename(maps / "a_liver.nii")
    assert "LS-MEA-030" in [issue.code for issue in of_maps(measured(tmp_path))]
    (maps / "a_liver.nii").rename(spleen)
    assert not of_maps(measured(tmp_path))
    # a liver that is large enough to judge: voxels of 8 cm³
    for file in tmp_path.rglob("*.nii"):
        image = nibabel.load(file)
        save(
            file,
            np.array(image.get_fdata(caching="unchanged"), image.get_data_dtype()),
            np.diag([20.0, 20.0, 20.0, 1.0]),
        )
    save(liver, probability_array(Structure.SPLEEN), np.diag([20.0, 20.0, 20.0, 1.0]))
    assert [issue.code for issue in of_maps(measured(tmp_path))] == ["LS-MEA-032"]


def test_folders_without_maps_are_rejected(tmp_path: Path) -> None:
    maps = study(tmp_path) / "maps"
    for file in maps.iterdir():
        file.unlink()
    for spoil, code in ((lambda: None, "028"), (lambda: np.savez(maps / "a.npz", p=np.zeros(2)), "033")):
        spoil()
        with pytest.raises(InputError, match=f"LS-MEA-{code}"):
            measured(tmp_path)
    with pytest.raises(InputError, match=r"LS-MEA-028.*does not exist"):
        measured(tmp_path, "nowhere")


def test_calibration_table_is_read_as_written_and_belongs_to_its_measurements(tmp_path: Path) -> None:
    found = measured(study(tmp_path, "a", "b"))
    table, sums = tmp_path / "measurements.csv", tmp_path / "calibration.csv"
    write_measurements(table, found.rows)
    write_calibration(sums, found.calibrations)
    measurements = read_measurements(table).table
    assert [*read_calibration(sums, measurements).values()] == list(found.calibrations)
    text = sums.read_text()
    for spoiled in (text.replace("a,liver", "c,liver"), text.replace(",480,480,", ",479,479,"), text[: len(text) // 2]):
        sums.write_text(spoiled)
        if spoiled.startswith(text.split("\n")[0]) and "c,liver" in spoiled:
            assert ("a", "liver", "dla", "manual") not in read_calibration(sums, measurements)
            continue
        with pytest.raises(InputError, match="LS-REP-066"):
            read_calibration(sums, measurements)
    sums.write_text(text)
    other = [replace(row, case_id=f"x{row.case_id}") for row in found.rows]
    write_measurements(table, other)
    with pytest.raises(InputError, match=r"LS-REP-066.*no row in common"):
        read_calibration(sums, read_measurements(table).table)


def test_table_of_the_report_has_means_and_counts_cases_without_a_map(tmp_path: Path) -> None:
    study(tmp_path, "a", "b", "c")
    (tmp_path / "maps" / "c_liver_probability.nii").unlink()
    save(tmp_path / "maps" / "b_liver_probability.nii", 0.5 * (label_array() == 1).astype(np.float32))
    found = measured(tmp_path)
    write_measurements(tmp_path / "measurements.csv", found.rows)
    report = statistical_report(
        read_measurements(tmp_path / "measurements.csv"), calibrations={one.key: one for one in found.calibrations}
    )
    cell = report.table("calibration")["ece:total"]["liver"]
    # in the box of 2100 voxels: 480 |1 - 0.8| + 48 |0 - 0.2|, and 480 |1 - 0.5|
    assert cell.values["mean"] == pytest.approx((480 * 0.2 + 48 * 0.2 + 480 * 0.5) / 2100 / 2, rel=1e-6)
    assert (cell.n, cell.rows, cell.excluded) == (2, ("a", "b"), ("c",))
    pooled = report.table("calibration")["pooled"]["liver"].values
    assert pooled["brier"] == pytest.approx((480 * 0.04 + 48 * 0.04 + 480 * 0.25) / 4200, rel=1e-6)
    assert [(one.organ, one.case_ids) for one in report.reliabilities] == [
        ("liver", ("a", "b")),
        ("spleen", ("a", "b", "c")),
    ]
    assert not statistical_report(read_measurements(tmp_path / "measurements.csv")).table("calibration")


def command(folder: Path) -> list[str]:
    study(folder, "a", "b")
    arguments = ["measure", f"labels={folder / 'labels'}", f"reference={folder / 'reference'}"]
    return [*arguments, f"output={folder / 'out'}", "workers=1", "surface=none"]


def test_measure_prints_the_means_and_removes_the_table_of_an_earlier_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = command(tmp_path)
    assert main([*arguments, f"probabilities={tmp_path / 'maps'}"]) == 0
    assert "measure: mean ECE liver 0.0503 (n = 2)" in capsys.readouterr().out  # (480 + 48) 0.2 / 2100
    assert (tmp_path / "out/calibration.csv").exists()
    assert main(arguments) == 0
    assert not (tmp_path / "out/calibration.csv").exists()
    assert main([*arguments, "probability_unit=percent"]) == 2
    assert "LS-CFG-016" in capsys.readouterr().err


@pytest.mark.slow
def test_report_has_the_figures_only_with_the_table_beside_its_measurements(tmp_path: Path) -> None:
    arguments, page = command(tmp_path), tmp_path / "report"
    report = ["report", f"measurements={tmp_path / 'out/measurements.csv'}", f"output={page}"]
    for maps, present in (([f"probabilities={tmp_path / 'maps'}"], True), ([], False)):
        assert main([*arguments, *maps]) == 0
        assert main(report) == 0
        assert (page / "figures/reliability_liver.svg").exists() == present
        assert (page / "tables/calibration.csv").exists() == present
        assert ("Reliability diagram of the spleen probability" in (page / "report.html").read_text()) == present
