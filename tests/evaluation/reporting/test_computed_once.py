"""Every statistic of a report and of a comparison runs once for its inputs."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liverspleen.evaluation import (
    Measurement,
    Measurements,
    compare_readers,
    read_measurements,
    write_comparison,
    write_measurements,
    write_report,
)

STATISTICS = (
    *("bland_altman", "percentage_rc", "kruskal_wallis", "dunn", "wilcoxon_signed_rank", "bootstrap_ci"),
    *("compare_rc", "tost", "icc", "concordance_correlation"),
)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, str]]:
    """The number of calls by (function, arguments), counted wherever the reporting package uses the function."""
    counted: Counter[tuple[str, str]] = Counter()

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **options: Any) -> Any:
            counted[name, repr((args, options))] += 1
            return function(*args, **options)

        return called

    for module in [m for key, m in sys.modules.items() if key.startswith("liverspleen.evaluation.reporting")]:
        for name in STATISTICS:
            if hasattr(module, name):
                monkeypatch.setattr(module, name, counting(name, getattr(module, name)))
    return counted


@pytest.fixture
def measurements(tmp_path: Path) -> Measurements:
    """24 CT scans of two conditions in test1, 12 scans of 6 patients in test2; two readers and their reference."""
    rng = np.random.default_rng(11)
    rows: list[Measurement] = []
    for number in range(36):
        first = number < 24
        patient = f"p{number}" if first else f"q{number // 2}"
        site = "internal" if first or number % 2 else "external"
        condition = ("healthy", "fatty")[number % 2] if first else "healthy"
        about = (f"k{number:02d}", patient, "test1" if first else "test2", condition, site)
        for structure, mean in (("liver", 1400.0), ("spleen", 240.0)):
            volume = float(rng.normal(mean, mean / 10))
            rows.append(Measurement(*about, structure, "manual", volume))
            for reader in ("dla", "nnunet"):
                measured, dss = volume * float(rng.normal(1, 0.02)), float(rng.uniform(0.9, 0.99))
                rows.append(Measurement(*about, structure, reader, measured, reference="manual", dss=dss))
    write_measurements(tmp_path / "measurements.csv", rows)
    return read_measurements(tmp_path / "measurements.csv")


def test_a_report_computes_each_statistic_once(
    calls: Counter[tuple[str, str]], measurements: Measurements, tmp_path: Path
) -> None:
    write_report(measurements, tmp_path / "report", reader="dla", reference="manual")
    assert [call for call, count in calls.items() if count > 1] == []
    by_function = Counter(name for name, _ in calls)
    assert by_function == {
        "bland_altman": 3 * 3 * 3 + 3 * 2,  # indices x (total, two conditions) x scales; indices x sites in percent
        "percentage_rc": 3 * 3,  # indices x readers
        "kruskal_wallis": 2,
        "dunn": 2,
        "wilcoxon_signed_rank": 2,
        "bootstrap_ci": 2 * 3,  # organs x (total, two conditions)
        "compare_rc": 3,
        "tost": 3,
        "icc": 3 * 2,  # of two readers, and of all three
        "concordance_correlation": 3,
    }


def test_a_comparison_computes_each_statistic_once(
    calls: Counter[tuple[str, str]], measurements: Measurements, tmp_path: Path
) -> None:
    write_comparison(compare_readers(measurements), tmp_path / "compare")
    assert [call for call, count in calls.items() if count > 1] == []
    assert Counter(name for name, _ in calls) == {
        "bland_altman": 3 * 3,  # indices x (each reader with the reference, the two readers)
        "wilcoxon_signed_rank": 2 * 3 + 3 * 2,  # DSS by organ in total and two conditions; volume errors on two scales
    }


def test_one_condition_alone_is_the_total(calls: Counter[tuple[str, str]], tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rows = [
        Measurement(f"k{k}", f"p{k}", "test1", "healthy", "internal", organ, reader, float(rng.normal(900, 90)))
        for k in range(8)
        for organ in ("liver", "spleen")
        for reader in ("dla", "manual")
    ]
    write_measurements(tmp_path / "measurements.csv", rows)
    write_report(read_measurements(tmp_path / "measurements.csv"), tmp_path / "report")
    counts = [count for (name, inputs), count in calls.items() if name == "bland_altman" and "[]" not in inputs]
    assert counts == [1] * 9  # indices x scales
