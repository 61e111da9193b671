"""Masks at every thickness and start, compared with sums by hand; the full study at a small size."""

from __future__ import annotations

import doctest
import math
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from study_modules import study_modules

from liverspleen.errors import InputError
from liverspleen.phantom.anatomy import true_volumes_cm3
from liverspleen.phantom.rendering import render
from liverspleen.phantom.shapes import Ellipsoid, Grid

MODULES = ("slabs", "settings", "patients", "masks", "networks", "summary", "tables", "figure", "run")


@pytest.fixture(scope="module")
def study() -> Iterator[SimpleNamespace]:
    with study_modules("thickness", MODULES, later=["scans"]) as modules:
        yield modules


def test_examples_in_the_study_hold(study):
    results = [doctest.testmod(getattr(study, name)) for name in MODULES]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) >= 5


def ball_lines(radius_mm: float, pixel_mm: float, step_mm: float) -> np.ndarray:
    """Return a ball, sampled as the study samples an organ; the lattice ends at its surface."""
    x = np.arange(-radius_mm, radius_mm, pixel_mm) + pixel_mm / 2
    z = np.arange(-radius_mm, radius_mm, step_mm) + step_mm / 2
    return Ellipsoid((0, 0, 0), (radius_mm,) * 3).depth(Grid.of(x, x, z)) < 0


def errors_pct(study: SimpleNamespace, thickness_mm: float, start_mm: float) -> dict[str, float]:
    """Return the errors for a ball with a radius of 10 mm, by reader, in percent of its volume."""
    lines = study.slabs.Lines(ball_lines(10.0, 0.1, study.slabs.LATTICE_MM))
    pixels = lines.pixels(study.slabs.Protocol(thickness_mm, thickness_mm, start_mm))
    truth = 4 / 3 * math.pi * 1000
    return {reader: 100 * (count * 0.01 * thickness_mm / truth - 1) for reader, count in pixels.items()}


def disks_pct(heights_mm: tuple[float, ...], thickness_mm: float) -> float:
    """Return the error of the sum of disks of the ball at these heights times the thickness, in percent."""
    return 100 * (thickness_mm * sum(max(100 - height**2, 0) for height in heights_mm) / (4000 / 3) - 1)


def test_central_slices_of_a_ball_give_its_cavalieri_sum(study):
    # Faces at -12.5, -7.5 ...: central planes at -10, -5, 0, 5, 10, disks of 0, 75, 100, 75, 0: 1250 of 1333, -6.25 %
    assert disks_pct((-10, -5, 0, 5, 10), 5.0) == pytest.approx(-6.25)
    # the lattice samples the plane half a step, 0.0625 mm, higher
    planes = (-9.9375, -4.9375, 0.0625, 5.0625, 10.0625)
    assert errors_pct(study, 5.0, 2.5)["centre"] == pytest.approx(disks_pct(planes, 5.0), abs=0.1)  # -5.79
    # Faces at -10, -5 ...: disks of 43.75, 93.75, 93.75, 43.75: 1375 of 1333 mm³, 3.125 %; 3.119 with the half step
    assert errors_pct(study, 5.0, 0.0)["centre"] == pytest.approx(3.125, abs=0.1)


def test_touched_and_filled_slices_of_a_ball_are_its_widest_and_narrowest_disks(study):
    # Faces at 0, ±5, ±10: widest at 0 and 5, narrowest at 5 and 10 mm, on either side; samples half a step inwards
    found = errors_pct(study, 5.0, 0.0)
    assert found["touched"] == pytest.approx(disks_pct((0.0625, -0.0625, 5.0625, -5.0625), 5.0), abs=0.1)  # 30.8
    assert found["filled"] == pytest.approx(disks_pct((4.9375, -4.9375, 9.9375, -9.9375), 5.0), abs=0.1)  # -42.3


def test_majority_loses_only_chords_below_half_a_slice(study):
    # Over all starts a chord longer than half a slice counts at its length, a shorter one does not. Chords of a ball
    # below h / 2 hold (h / 4R)³ of it: 0.8 % at 8 mm and a radius of 10 mm.
    starts = np.arange(0.0, 8.0, 0.5)
    majority = np.mean([errors_pct(study, 8.0, start)["majority"] for start in starts])
    centre = np.mean([errors_pct(study, 8.0, start)["centre"] for start in starts])
    assert majority == pytest.approx(-0.8, abs=0.1)
    assert centre == pytest.approx(0.0, abs=0.1)


def test_sd_over_starts_of_a_ball_agrees_with_the_theory_of_its_corners(study):
    # Direct sums h Σ π (R² - z²) over starts; radii over one slice thickness average the phases of the two ends.
    variances = []
    for radius in np.linspace(40.0, 45.0, 51):
        centres = np.arange(-60.0, 60.0, 5.0)[None, :] + np.linspace(0, 5, 200, endpoint=False)[:, None]
        sums = 5.0 * np.clip(radius**2 - centres**2, 0, None).sum(axis=1) * math.pi
        variances.append((np.std(sums) / (4 / 3 * math.pi * radius**3) / (5.0 / radius) ** 2) ** 2)
    over_radii = math.sqrt(np.mean(variances))
    assert over_radii == pytest.approx(study.summary.SMOOTH_CV, rel=0.05)


def test_half_filled_slices_count_half(study):
    inside = np.zeros((64, 1), bool)
    inside[:32] = True  # 4 mm, the lower half of one slice of 8 mm
    assert study.slabs.Lines(inside).pixels(study.slabs.Protocol(8.0, 8.0, 0.0))["majority"] == 0.5


def test_slices_with_gaps_and_overlaps_are_at_their_spacing(study):
    inside = np.ones((8 * 20, 1), bool)  # 20 mm
    lines = study.slabs.Lines(inside)
    # 5 mm at 0, 10; at -4, 0, 4 ... 16, of which the outer two overlap by 1 and 4 mm
    assert lines.pixels(study.slabs.Protocol(5.0, 10.0, 0.0))["filled"] == 2
    overlapping = lines.pixels(study.slabs.Protocol(5.0, 4.0, 0.0))
    assert (overlapping["touched"], overlapping["filled"], overlapping["majority"]) == (6, 4, 5)


def test_a_protocol_off_the_lattice_is_rejected(study):
    with pytest.raises(ValueError, match="does not fit"):
        _ = study.slabs.Protocol(5.0, 5.0, 0.3).samples


def test_a_patient_keeps_position_and_pixels_at_every_thickness_and_start(study):
    settings = study.settings.Settings(matrix=32)
    body = study.patients.anatomy(0, settings)
    thin, thick = (study.patients.acquisition(body, 0, h, start, settings) for h, start in ((1.0, 0.5), (8.0, 4.0)))
    assert (thin.centre_mm, thin.field_of_view_mm) == (thick.centre_mm, thick.field_of_view_mm)
    assert thin.seed != thick.seed
    # the upper face of the first slice of start 0 is at the same position for every thickness
    assert thin.bottom_mm + 0.5 + 1.0 == pytest.approx(thick.bottom_mm + 4.0 + 8.0)
    lowest, highest = body.z_range_mm
    for scan in (thin, thick):
        assert scan.bottom_mm < lowest
        assert scan.bottom_mm + scan.slice_count * scan.scanner.slice_thickness_mm > highest
    assert (render(body, thick).labels[[0, -1]] == 0).all()


def test_masks_of_a_patient_are_near_the_truth_by_centre_and_biased_by_touched_and_filled(study):
    settings = study.settings.Settings(thickness_mm=(5.0,), starts=2, pixel_mm=4.0)
    rows = study.masks.volumes(1, settings)
    truth = true_volumes_cm3(study.patients.anatomy(1, settings))
    assert rows.groupby("structure")["truth_cm3"].first().to_dict() == truth
    contiguous = rows[rows["spacing_mm"] == 5.0].set_index(["structure", "reader"])["volume_cm3"]
    for organ, volume in truth.items():
        assert contiguous[organ, "centre"].to_numpy() == pytest.approx(volume, rel=0.02)
        assert (contiguous[organ, "touched"] > 1.05 * volume).all()
        assert (contiguous[organ, "filled"] < 0.95 * volume).all()


def test_bias_limits_and_sd_over_starts_are_those_by_hand(study):
    # patient 0: +1 and +3 %, patient 1: -1 and +1 %. Mean 1; SD √(8/3); variances over starts 1 and 1.
    errors = pd.DataFrame({"patient": [0, 0, 1, 1], "error_pct": [1.0, 3.0, -1.0, 1.0]})
    found = study.summary.agreement(errors)
    assert (found.n, found.bias_pct, found.start_sd_pct) == (4, pytest.approx(1.0), pytest.approx(1.0))
    assert found.loa_upper_pct == pytest.approx(1 + 1.96 * math.sqrt(8 / 3))
    # means of patients 2 and 0: t(0.975, 1) = 12.706 times √2 / √2
    assert found.bias_upper_pct == pytest.approx(1 + 12.7062, abs=1e-3)


def scans_by_hand() -> pd.DataFrame:
    """Return scans of two patients, two thicknesses, two seeds and one start; the error is 10 % larger at 5 mm."""
    rows = []
    for patient, scale in ((0, 1.0), (1, 2.0)):
        for thickness, error in ((1.0, 0.0), (5.0, 0.1)):
            for seed, seed_error in ((0, -0.01), (1, 0.01)):
                for structure, truth in (("liver", 1000.0 * scale), ("spleen", 100.0 * scale)):
                    patient_error = error + (0.02 * patient)
                    row = {"patient": patient, "thickness_mm": thickness, "start_mm": 0.0, "recipe": "adjacent"}
                    row |= {"seed": seed, "structure": structure, "dss": 0.9, "truth_cm3": truth}
                    rows.append(
                        row | {"volume_cm3": truth * (1 + patient_error + seed_error), "mask_cm3": truth * 0.99}
                    )
    return pd.DataFrame(rows)


def test_errors_of_network_and_mask_add_up_and_seeds_are_separate(study):
    table = study.summary.network_table(scans_by_hand()).set_index(["structure", "recipe", "thickness_mm"])
    liver = table.loc["liver", "adjacent", 5.0]
    assert liver["bias_pct"] == pytest.approx(11.0)  # 10 and 12 %
    assert liver["mask_bias_pct"] == pytest.approx(-1.0)
    assert liver["model_mask_bias_pct"] == pytest.approx(12.0)
    assert (liver["bias_pct_seed_low"], liver["bias_pct_seed_high"]) == (pytest.approx(10.0), pytest.approx(12.0))
    assert table.loc["ratio", "adjacent", 5.0]["bias_pct"] == pytest.approx(0.0)


def test_a_ratio_without_a_spleen_is_excluded_and_counted(study):
    scans = scans_by_hand()
    scans.loc[(scans["structure"] == "spleen") & (scans["patient"] == 0) & (scans["seed"] == 0), "volume_cm3"] = 0.0
    table = study.summary.network_table(scans).set_index(["structure", "thickness_mm"])
    assert (table.loc[("ratio", 5.0), "n"], table.loc[("ratio", 5.0), "n_undefined"]) == (3, 1)
    assert (table.loc[("spleen", 5.0), "n"], table.loc[("spleen", 5.0), "n_undefined"]) == (4, 0)
    assert "3 (1 undefined)" in study.tables._networks(table.reset_index())


def test_shift_is_the_change_within_patients(study):
    shifts = study.summary.shift_table(scans_by_hand()).set_index(["structure", "recipe"])
    assert shifts.loc[("liver", "adjacent"), "shift_pct"] == pytest.approx(10.0)
    assert shifts.loc[("liver", "mask"), "shift_pct"] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["colour=red"], "is not a setting"),
        (["steps=many"], "is not a number"),
        (["thickness_mm=0.5"], "expected 1 to 8 mm"),
        (["starts=7"], "7 starts over"),
        (["patients=3", "scanned=4"], "scanned is 4, expected at most 3"),
        (["steps=0", "seeds=0"], "steps is 0"),
    ],
)
def test_invalid_settings_are_rejected(study, arguments, message):
    with pytest.raises(InputError, match=message) as rejected:
        study.settings.read_settings(arguments)
    assert {issue.code for issue in rejected.value.issues} == {"LS-EXP-014"}


SMALL = ["thickness_mm=5,8", "patients=2", "starts=2", "pixel_mm=8", "workers=1"]


def test_masks_are_computed_once_and_a_folder_has_one_study(study, tmp_path, capsys):
    arguments = [f"output={tmp_path}", "scanned=0", *SMALL]
    assert study.run.main(arguments) == 0
    (tmp_path / "mask_table.csv").unlink()
    first = (tmp_path / "masks" / "000.csv").stat().st_mtime_ns
    (tmp_path / "masks" / "001.csv").unlink()
    assert study.run.main(arguments) == 0
    assert (tmp_path / "masks" / "000.csv").stat().st_mtime_ns == first
    table = pd.read_csv(tmp_path / "mask_table.csv")
    assert len(table) == 3 * 4 * 2
    assert {"tables.md", "thickness.svg", "spacing_table.csv", "masks.csv"} <= {p.name for p in tmp_path.iterdir()}
    assert study.run.main([*arguments, "seed=1"]) == 2
    assert "LS-EXP-015" in capsys.readouterr().err


@pytest.mark.slow
def test_the_full_study_at_a_small_size(study, tmp_path, capsys):
    size = ["scanned=2", "scan_starts=1", "matrix=32", "development=5", "steps=4", "seeds=2", *SMALL]
    assert study.run.main([f"output={tmp_path}", *size]) == 0
    scans = pd.read_csv(tmp_path / "scans.csv")
    assert len(scans) == 2 * 2 * 1 * 4 * 2  # patients, thicknesses, starts, networks, organs
    assert set(zip(scans["recipe"], scans["seed"], strict=True)) == {
        (recipe, seed) for recipe in ("adjacent", "distance") for seed in (0, 1)
    }
    table = pd.read_csv(tmp_path / "network_table.csv")
    parts = table["model_mask_bias_pct"] + table["mask_bias_pct"]
    assert parts.to_numpy() == pytest.approx(table["bias_pct"].to_numpy(), rel=1e-4, abs=1e-3, nan_ok=True)
    (tmp_path / "scans" / "001-8mm-0.csv").unlink()
    before = (tmp_path / "network_table.csv").read_bytes()
    assert study.run.main([f"output={tmp_path}", *size]) == 0
    assert (tmp_path / "network_table.csv").read_bytes() == before
    assert "nothing to do" in capsys.readouterr().out
