"""The judgement of a CT: values that are not HU are errors, whatever the mistake; scans of another region a warning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from liverspleen.cohort import read_cohort
from liverspleen.cohort.findings.ct import judge_ct
from liverspleen.imaging import CTVolume, read_ct, read_label_map
from liverspleen.imaging.from_memory import ct_from_array
from liverspleen.phantom.cohort import write_phantom_cohort

Change = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def hu(phantoms: Path) -> np.ndarray:
    """Every third slice of a phantom of the trunk, (slice, row, column), with noise; 6 x 6 x 15 mm."""
    return read_ct(read_cohort(phantoms).cases[0].image).hu[::3].astype(np.float64)


def judged(values: np.ndarray, spacing_mm: tuple[float, float, float] = (15.0, 6.0, 6.0)) -> dict[str, str]:
    """Codes and severities of errors and warnings."""
    affine = np.diag([-spacing_mm[2], -spacing_mm[1], spacing_mm[0], 1.0])
    found = judge_ct(ct_from_array(values.transpose(2, 1, 0), affine)).issues
    return {issue.code: issue.severity for issue in found if issue.severity != "note"}


def unit(hu: np.ndarray, low: float = -160, high: float = 240) -> np.ndarray:
    return np.clip((hu - low) / (high - low), 0, 1)


def whole(hu: np.ndarray) -> np.ndarray:
    return np.rint(hu).astype(np.int64)


def padded(hu: np.ndarray, value: float = -3024) -> np.ndarray:
    rows, columns = np.ogrid[-1 : 1 : hu.shape[1] * 1j, -1 : 1 : hu.shape[2] * 1j]
    return np.where(rows**2 + columns**2 > 1, value, hu)


NOT_HU: dict[str, tuple[Change, str]] = {
    "constant": (lambda hu: hu * 0 + 7, "LS-IMG-010"),
    "attenuation per cm": (lambda hu: np.maximum(0.19 * (1 + hu / 1000), 0), "LS-IMG-010"),
    "attenuation per m": (lambda hu: np.maximum(19 * (1 + hu / 1000), 0), "LS-IMG-014"),
    "attenuation per km": (lambda hu: np.maximum(19_000 * (1 + hu / 1000), 0), "LS-IMG-040"),
    "0 to 1": (unit, "LS-IMG-014"),
    "-1 to 1": (lambda hu: 2 * unit(hu) - 1, "LS-IMG-014"),
    "z-scores": (lambda hu: (hu - hu.mean()) / hu.std(), "LS-IMG-014"),
    "0 to 255": (lambda hu: whole(255 * unit(hu)), "LS-IMG-014"),
    "-128 to 127": (lambda hu: whole(255 * unit(hu)) - 128, "LS-IMG-014"),
    "inverted 0 to 255": (lambda hu: 255 - whole(255 * unit(hu)), "LS-IMG-014"),
    "0 to 1000": (lambda hu: 1000 * unit(hu, -1024, 1500), "LS-IMG-040"),
    "0 to 65535": (lambda hu: 65535 * unit(hu, -1024, 1500), "LS-IMG-040"),
    "without intercept": (lambda hu: hu + 1024, "LS-IMG-013"),
    "without intercept of 1000": (lambda hu: hu + 1000, "LS-IMG-013"),
    "without intercept, padded": (lambda hu: padded(hu) + 1024, "LS-IMG-013"),
    "without intercept, cropped": (lambda hu: hu[:, 22:42, 24:40] + 1024, "LS-IMG-013"),
    "intercept twice": (lambda hu: hu - 1024, "LS-IMG-013"),
    "intercept twice, padded": (lambda hu: padded(hu) - 1024, "LS-IMG-013"),
    "intercept of 8192": (lambda hu: hu + 8192, "LS-IMG-013"),
    "offset 32768": (lambda hu: hu + 32768, "LS-IMG-013"),
    "offset -32768": (lambda hu: np.clip(hu - 32768, -32768, 32767), "LS-IMG-040"),
    "unsigned": (lambda hu: whole(hu) % 65536, "LS-IMG-042"),
    "unsigned padding": (lambda hu: np.where(whole(padded(hu)) < -1100, 62512, hu), "LS-IMG-042"),
    "12 bits": (lambda hu: whole(hu) % 4096, "LS-IMG-040"),
    "signs inverted": (lambda hu: -hu, "LS-IMG-018"),
    "contrast inverted": (lambda hu: 2047 - hu, "LS-IMG-018"),
    "contrast inverted, without intercept": (lambda hu: 3071 - hu, "LS-IMG-018"),
    "times 10": (lambda hu: 10 * hu, "LS-IMG-040"),
    "times 10, padded": (lambda hu: 10 * padded(hu), "LS-IMG-040"),
    "times 0.1": (lambda hu: 0.1 * hu, "LS-IMG-040"),
    "times 100": (lambda hu: 100 * hu, "LS-IMG-040"),
    "MRI": (lambda hu: np.where(hu < -300, 5, np.clip(400 + 3 * hu, 0, 2000)), "LS-IMG-040"),
    "MRI with dark liver": (lambda hu: np.where(hu < -300, np.abs(hu) % 17, np.clip(400 - hu, 0, 1500)), "LS-IMG-040"),
}


@pytest.mark.parametrize("name", NOT_HU)
def test_values_that_are_not_hu_are_an_error(hu: np.ndarray, name: str) -> None:
    change, code = NOT_HU[name]
    errors = {found: severity for found, severity in judged(change(hu)).items() if severity == "error"}
    assert errors == {code: "error"}


@pytest.mark.parametrize("shift", [1024, -1024, 8192, -8192])
def test_the_hint_about_an_offset_can_be_followed(hu: np.ndarray, shift: int) -> None:
    affine = np.diag([-6.0, -6.0, 15.0, 1.0])
    (issue,) = judge_ct(ct_from_array((hu + shift).transpose(2, 1, 0), affine)).issues
    words = issue.hint.split()
    assert words[0] == ("subtract" if shift > 0 else "add")
    assert int(words[1]) == abs(shift)
    assert words[2:] == ["from" if shift > 0 else "to", "every", "voxel", "and", "save", "the", "file", "again"]
    assert judged(hu) == {}


@pytest.mark.parametrize("name", ["ct", "label"])
def test_a_label_map_as_ct_is_an_error(phantoms: Path, name: str) -> None:
    case = read_cohort(phantoms).cases[0]
    labels = read_label_map(case.label)
    values = labels.labels.astype(np.int16) * (50 if name == "ct" else 1)  # 0, 50, 100 are labels too
    assert next(issue.code for issue in judge_ct(CTVolume(values, labels.geometry)).issues) == "LS-IMG-041"


VALID: dict[str, Change] = {
    "unchanged": lambda hu: hu,
    "noise": lambda hu: hu + np.random.default_rng(0).normal(0, 30, hu.shape),
    "calibration": lambda hu: hu + 60,
    "padded": padded,
    "padded with noise": lambda hu: padded(hu) + np.random.default_rng(0).normal(0, 10, hu.shape),
    "padded at -2000": lambda hu: padded(hu, -2000),
    "padded at -32768": lambda hu: padded(hu, -32768),
    "12 bits": lambda hu: hu.clip(-1024, 3071),
    "cropped to the trunk": lambda hu: hu[:, 16:48, 14:50],
    "masked": lambda hu: np.where(hu < -300, 0, hu),
}


@pytest.mark.parametrize("name", VALID)
def test_values_in_hu_are_no_error(hu: np.ndarray, name: str) -> None:
    assert "error" not in judged(VALID[name](hu)).values()


@pytest.mark.parametrize(("low", "high"), [(-160, 240), (-125, 275), (-200, 250), (-1024, 200), (-100, 400)])
def test_a_window_is_a_warning(hu: np.ndarray, low: int, high: int) -> None:
    assert judged(hu.clip(low, high)) == {"LS-IMG-012": "warning"}


# ---- regions of the body, 4 x 4 x 6 mm ------------------------------------------------------------------------------

N, SLICES = 80, 30


def discs(*parts: tuple[float, float, float, float]) -> np.ndarray:
    """Ellipses in each slice: centre to the left, centre to the back, and both radii in mm."""
    y, x = (np.ogrid[:N, :N][axis] * 4.0 - 2.0 * N for axis in (0, 1))
    inside = np.zeros((N, N), bool)
    for left, back, width, depth in parts:
        inside |= ((x - left) / width) ** 2 + ((y - back) / depth) ** 2 <= 1
    return inside


def region(*layers: tuple[float, np.ndarray]) -> np.ndarray:
    """Air, then the layers of HU in all slices, with noise."""
    values = np.full((SLICES, N, N), -1000.0)
    for density, inside in layers:
        values[:, inside] = density
    return values + np.random.default_rng(0).normal(0, 12, values.shape)


TRUNK, SPINE = (40, discs((0, 0, 150, 100))), (700, discs((0, 65, 18, 18)))


def thorax(lowest: float, highest: float, *, neck: bool = False) -> np.ndarray:
    """A trunk whose lungs change linearly from the lowest to the highest slice; radii as a fraction of the largest."""
    values = region(TRUNK, SPINE)
    for index, size in enumerate(np.linspace(1.0, 0.4, 12) if neck else ()):
        values[index - 12, ~discs((0, 0, 150 * size, 100 * size))] = -1000
    for index, size in enumerate(np.linspace(lowest, highest, SLICES)):
        if size > 0:
            values[index, discs((-70, 0, 58 * size, 75 * size), (70, 0, 58 * size, 75 * size))] = -850
    return values


SKULL = (900, discs((0, 0, 72, 92))), (35, discs((0, 0, 65, 85)))
ELSEWHERE = {
    "head": region((30, discs((0, 0, 75, 95))), *SKULL),
    "head of a child": region((30, discs((0, 0, 60, 75))), (900, discs((0, 0, 57, 72))), (35, discs((0, 0, 52, 67)))),
    "legs": region((30, discs((-80, 0, 75, 80), (80, 0, 75, 80))), (900, discs((-80, 0, 14, 14), (80, 0, 14, 14)))),
    "knee": region((30, discs((0, 0, 60, 60))), (600, discs((0, 0, 38, 30)))),
    "apex of the thorax": thorax(1.0, -0.3, neck=True),
    "thorax without its ends": thorax(1.0, 0.7),
}
HERE = {
    "abdomen": region(TRUNK, SPINE),
    "abdomen with arms": region(
        TRUNK, SPINE, (30, discs((-158, 0, 8, 35), (158, 0, 8, 35))), (900, discs((-158, 0, 4, 9), (158, 0, 4, 9)))
    ),
    "abdomen of an infant": region((40, discs((0, 0, 60, 45))), (500, discs((0, 30, 9, 9)))),
    "infant on a couch": region(
        (40, discs((0, 0, 60, 45))), (500, discs((0, 30, 9, 9))), (-100, discs((0, 110, 120, 12)))
    ),
    "pelvis": region(TRUNK, (500, discs((-90, 20, 30, 22), (90, 20, 30, 22), (0, 60, 25, 18)))),
    "thorax and abdomen": thorax(-0.5, 1.0),
    "bases of the lungs and abdomen": thorax(-1.5, 0.6),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_scan_of_another_region_is_a_warning(name: str) -> None:
    assert judged(ELSEWHERE[name], (6.0, 4.0, 4.0)) == {"LS-SCN-030": "warning"}


@pytest.mark.parametrize("name", HERE)
def test_a_scan_that_may_show_the_liver_has_no_warning(name: str) -> None:
    assert judged(HERE[name], (6.0, 4.0, 4.0)) == {}


@pytest.mark.slow
def test_mistakes_and_noise_on_phantoms_of_all_conditions(tmp_path: Path) -> None:
    """No valid phantom has an error, and no mistake is without one."""
    cohort = write_phantom_cohort(tmp_path, development=5, test1=0, pairs=0, seed=5, matrix=72, workers=1)
    for case in read_cohort(cohort).cases:
        ct = read_ct(case.image)
        values, spacing_mm = ct.hu.astype(np.float64), ct.geometry.spacing_mm
        assert [issue for issue in judge_ct(ct).issues if issue.severity != "note"] == []
        for name, valid in VALID.items():
            assert "error" not in judged(valid(values), spacing_mm).values(), (case.case_id, name)
        for name, (mistake, _) in NOT_HU.items():
            assert "error" in judged(mistake(values), spacing_mm).values(), (case.case_id, name)


@pytest.mark.real
def test_mistakes_and_noise_on_real_ct(shared: Path) -> None:
    """Without cropping, which depends on the matrix."""
    for case in read_cohort(shared / "data" / "cohort.csv").cases:
        ct = read_ct(case.image)
        step = max(1, round(4.0 / ct.geometry.spacing_mm[1]))
        values = ct.hu[:, ::step, ::step].astype(np.float64)
        spacing_mm = ct.geometry.spacing_mm[0], *(step * edge for edge in ct.geometry.spacing_mm[1:])
        for name in VALID.keys() - {"cropped to the trunk"}:
            assert "error" not in judged(VALID[name](values), spacing_mm).values(), (case.case_id, name)
        for name in NOT_HU.keys() - {"without intercept, cropped"}:
            assert "error" in judged(NOT_HU[name][0](values), spacing_mm).values(), (case.case_id, name)


@pytest.mark.real
def test_windowed_real_ct_has_that_warning_only(shared: Path) -> None:
    """BTCV images of this folder are clipped to -125 to 275 HU."""
    images = sorted((shared / "data" / "btcv" / "images").glob("*.nii.gz"))
    assert images
    for image in images:
        found = [(issue.code, issue.severity) for issue in judge_ct(read_ct(image)).issues]
        assert found == [("LS-IMG-012", "warning")]
