"""The study of architectures: tables of trials with known effects, and the full study at a small size."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from liverspleen.config import compose, conf_folder, groups

STUDY = Path(__file__).parents[2] / "experiments" / "architecture"
FACTORS = ("network", "slices.count", "loss", "sampler")
HEADER = (
    *("number", "phase", "configuration", "state", "reason", "seed", "device", "started", "seconds"),
    *("dss", "dss_liver", "dss_spleen", "volume_bias_pct", "seconds_per_slice"),
    *FACTORS,
)
LEVELS = (("small", "other"), ("1", "3", "5"), ("dice_ce", "boundary"), ("natural", "balanced"))
EFFECTS = {"other": -0.05, "1": -0.02, "5": 0.01, "dice_ce": 0.1}
"""Difference from the stated level in DSS; 0 for the other levels."""


@pytest.fixture(scope="module")
def study() -> Iterator[SimpleNamespace]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(STUDY))
        modules = {name: importlib.import_module(name) for name in ("factor_effects", "factor_tables")}
        spec = importlib.util.spec_from_file_location("run_architecture", STUDY / "run.py")  # other studies have a run
        assert spec
        assert spec.loader
        modules["run"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(modules["run"])
        yield SimpleNamespace(**modules)


def row(
    number: int, levels: Sequence[str], dss: float | None, *, phase: str = "search", state: str = "complete"
) -> list:
    name = f"{abs(hash(tuple(levels))):x}"[:8]
    scores = ["", "", ""] if dss is None else [dss, dss + 0.01, dss - 0.01]
    return [number, phase, name, state, "", number, "cpu", "2026-01-01T00:00:00", 30, *scores, -4.0, 0.002, *levels]


def write(file: Path, rows: Sequence[Sequence[object]]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows([HEADER, *rows])
    return file


def additive(levels: Sequence[str]) -> float:
    return 0.7 + sum(EFFECTS.get(level, 0) for level in levels)


def whole_grid() -> list[list]:
    return [row(number, levels, additive(levels)) for number, levels in enumerate(itertools.product(*LEVELS))]


def by_level(study: SimpleNamespace, file: Path) -> dict[str, object]:
    trials, factors = study.factor_effects.read_trials(file)
    grid = study.factor_effects.complete(trials, "search")
    return {one.level: one for one in study.factor_effects.effects(grid, factors, study.factor_tables.STATED)}


def test_levels_of_an_additive_grid_have_their_given_effects(study: SimpleNamespace, tmp_path: Path) -> None:
    found = by_level(study, write(tmp_path / "trials.csv", whole_grid()))
    assert list(found) == ["small", "other", "1", "3", "5", "dice_ce", "boundary", "natural", "balanced"]
    for level, effect in {**EFFECTS, "natural": 0}.items():
        difference = found[level].difference
        assert (difference.mean, difference.low, difference.high) == pytest.approx((effect, effect, effect), abs=1e-12)
    assert [found[name].difference.n for name in ("other", "1", "dice_ce")] == [12, 8, 12]
    assert found["3"].difference is None
    # mean over the others: networks -0.05 / 2, losses 0.1 / 2
    assert found["3"].score.mean == pytest.approx(0.7 - 0.025 + 0.05)
    assert found["3"].score.n == 8


def test_interval_of_a_difference_is_that_of_paired_values(study: SimpleNamespace, tmp_path: Path) -> None:
    differences = (0.01, 0.03, 0.02, 0.06)  # of loss x sampler; mean 0.03, SD sqrt(14/3) 0.01
    rows = []
    for number, (levels, difference) in enumerate(
        zip(itertools.product(("dice_ce", "boundary"), ("natural", "balanced")), differences, strict=True)
    ):
        rows.append(row(2 * number, ("small", "3", *levels), 0.5 + number / 10))
        rows.append(row(2 * number + 1, ("other", "3", *levels), 0.5 + number / 10 + difference))
    found = by_level(study, write(tmp_path / "trials.csv", rows))["other"].difference
    half = 3.182446305 * math.sqrt(14 / 3) * 0.01 / 2  # t of 3 degrees of freedom, 0.975; n = 4
    assert (found.n, found.mean) == (4, pytest.approx(0.03))
    assert (found.low, found.high) == pytest.approx((0.03 - half, 0.03 + half), abs=1e-9)


def test_trials_without_a_score_remove_only_their_pairs(study: SimpleNamespace, tmp_path: Path) -> None:
    rows = whole_grid()
    stated = next(one for one in rows if tuple(one[-4:]) == ("small", "3", "boundary", "balanced"))
    stated[HEADER.index("state")], stated[HEADER.index("dss")] = "failed", ""
    found = by_level(study, write(tmp_path / "trials.csv", rows))
    assert [found[name].difference.n for name in ("other", "1", "dice_ce", "natural")] == [11, 7, 11, 11]
    assert found["other"].difference.mean == pytest.approx(-0.05)


def test_fractions_are_those_of_the_sums_of_squares(study: SimpleNamespace, tmp_path: Path) -> None:
    trials, factors = study.factor_effects.read_trials(write(tmp_path / "trials.csv", whole_grid()))
    explained, residual_sd = study.factor_effects.fractions(trials, factors)
    # per trial: networks 0.025², slices variance of (-0.02, 0, 0.01), losses 0.05²
    slices = ((-0.02) ** 2 + 0.01**2) / 3 - ((-0.02 + 0.01) / 3) ** 2
    squares = {"network": 0.025**2, "slices.count": slices, "loss": 0.05**2, "sampler": 0.0}
    total = sum(squares.values())
    assert explained == pytest.approx({name: value / total for name, value in squares.items()}, abs=1e-9)
    assert residual_sd == pytest.approx(0, abs=1e-9)


def test_configurations_with_fresh_seeds_are_compared_with_their_search_score(
    study: SimpleNamespace, tmp_path: Path
) -> None:
    best, stated = ("small", "5", "dice_ce", "natural"), ("small", "3", "boundary", "balanced")
    search = [*whole_grid(), *(row(100 + n, best, s, phase="confirm") for n, s in enumerate((0.70, 0.72, 0.74)))]
    write(tmp_path / "sweep" / "trials.csv", search)
    repeated = [row(0, stated, 0.66), *(row(1 + n, stated, s, phase="confirm") for n, s in enumerate((0.60, 0.64)))]
    write(tmp_path / "stated" / "trials.csv", repeated)
    text = study.factor_tables.write_tables(tmp_path, tmp_path / "sweep", tmp_path / "stated")
    # ranked above the stated one: all 12 with dice_ce and the two with boundary and 5 slices
    # SD 0.02 and 0.0283; half-widths 4.303 * 0.02 / sqrt(3) and 12.706 * 0.0283 / sqrt(2)
    assert "| small | 5 | dice_ce | natural | leader | 1 | 0.810 | 3 | 0.720 (0.670 to 0.770) | 0.020 |" in text
    assert "| small | 3 | boundary | balanced | stated | 15 | 0.700 | 2 | 0.620 (0.366 to 0.874) | 0.028 |" in text
    assert "SD between seeds of one configuration 0.023." in text  # sqrt((2 * 0.0004 + 0.0008) / 3)
    assert "24 of 24 trials of the search have a score." in text
    assert (tmp_path / "architecture.md").read_text(encoding="utf-8") == text
    table = list(csv.DictReader((tmp_path / "effects.csv").read_text(encoding="utf-8").splitlines()))
    assert float(table[1]["difference_mean"]) == pytest.approx(-0.05)
    assert table[0]["difference_mean"] == ""


def test_tables_of_a_search_without_any_score_have_none(study: SimpleNamespace, tmp_path: Path) -> None:
    for name in ("sweep", "stated"):
        write(tmp_path / name / "trials.csv", [row(0, ("small", "3", "boundary", "balanced"), None, state="failed")])
    text = study.factor_tables.write_tables(tmp_path, tmp_path / "sweep", tmp_path / "stated")
    assert text.startswith("0 of 1 trials of the search have a score.")


def test_an_argument_without_a_value_is_rejected(study: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert study.run.main(["outputs"]) == 2
    assert "LS-EXP-014" in capsys.readouterr().err


@pytest.mark.parametrize("network", ["deeplab_mobile", "unet_2d_small", "unet_3d_small"])
def test_networks_of_the_study_are_choices_of_its_folder(network: str) -> None:
    config = compose("train", ["cohort=c", "output=o", f"conf={STUDY / 'conf'}", f"network={network}"])
    assert network in groups(STUDY / "conf")["network"]
    assert config.network.output_stride == 16


def test_search_of_the_package_has_the_same_parameters() -> None:
    import yaml

    full, small, stated = (
        yaml.safe_load((folder / "search" / f"{name}.yaml").read_text(encoding="utf-8"))
        for folder, name in (
            (conf_folder(), "architecture"),
            (STUDY / "conf", "architecture_small"),
            (STUDY / "conf", "stated"),
        )
    )
    assert full["sampler"] == small["sampler"] == "grid"
    assert list(full["parameters"]) == list(small["parameters"]) == list(stated["parameters"]) == list(FACTORS)
    for name in FACTORS[1:]:
        assert full["parameters"][name] == small["parameters"][name]
    assert set(full["parameters"]["network"]) <= set(groups()["network"])
    for name in FACTORS:
        assert stated["parameters"][name][0] in small["parameters"][name]


@pytest.mark.slow
def test_one_command_writes_all_files(
    study: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ["development=5", "matrix=32", "trainer.steps=2", "trainer.batch_size=2", "trainer.validate_every=2"]
    arguments = [f"output={tmp_path}", *size, "trials=2", "leaders=1", "seeds=1", "workers=1"]
    assert study.run.main(arguments) == 0
    text = (tmp_path / "architecture.md").read_text(encoding="utf-8")
    assert text.startswith("2 of 2 trials of the search have a score.")
    assert "| small | 3 | boundary | balanced | stated |" in text
    for name in ("sweep/trials.csv", "stated/trials.csv", "effects.csv"):
        assert (tmp_path / name).stat().st_size > 100
    folders = sorted((tmp_path / "sweep" / "trials").iterdir())
    assert len(folders) == 3
    assert study.run.main(arguments) == 0  # nothing to do
    assert sorted((tmp_path / "sweep" / "trials").iterdir()) == folders
