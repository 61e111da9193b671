"""The three files of a study as a sweep writes them, with random scores."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FIXED = (
    *("number", "phase", "configuration", "state", "reason", "seed", "device", "started", "seconds"),
    *("dss", "dss_liver", "dss_spleen", "volume_bias_pct", "seconds_per_slice"),
)
PARAMETERS: Mapping[str, Any] = {
    "network": ["small", "unet_2d"],
    "slices.count": {"low": 1, "high": 5, "step": 2},
    "optimizer.lr": {"low": 1e-4, "high": 1e-2, "log": True},
}


def write_study(
    folder: Path,
    *,
    trials: int = 24,
    leaders: int = 3,
    seeds: int = 5,
    ended: int | None = None,
    confirmed: int | None = None,
    gain: float = 0.0,
    cases: int = 12,
    conditions: Sequence[str] = ("healthy", "cirrhosis"),
    objectives: Sequence[str] = ("dss",),
    parameters: Mapping[str, Any] = PARAMETERS,
    failed: Mapping[int, str] | None = None,
    failed_confirmations: int = 0,
    name: str = "phantom",
) -> None:
    """Write `study.json`, `trials.csv` and `trial_cases.csv`.

    `ended` is the number of search trials (then there is no confirmation) and `confirmed` that of confirmation trials
    (None: all). The first choice of the first parameter adds `gain` to the DSS. `failed` maps numbers of failed search
    trials to their reasons. `failed_confirmations` trials of the best leader failed before the other ones.
    """
    rng = np.random.default_rng(7)
    case_effects = 0.02 * rng.standard_normal(cases)
    rows: list[dict[str, Any]] = []
    case_rows: list[list[Any]] = []

    def complete(row: dict[str, Any], values: Mapping[str, Any]) -> None:
        first = next(iter(parameters.values()), None)
        better = gain if isinstance(first, list) and values and next(iter(values.values())) == first[0] else 0.0
        seed_effect = 0.004 * rng.standard_normal()
        sums = []
        for structure, base, volume in (("liver", 0.95, 1500.0), ("spleen", 0.92, 200.0)):
            noise = 0.004 * rng.standard_normal(cases)
            scores = np.minimum(base + better + seed_effect + case_effects + noise, 0.999)
            for index, score in enumerate(scores):
                predicted = volume * (1 + 0.02 * rng.standard_normal())
                cells = [row["number"], f"c{index}", conditions[index % len(conditions)], structure]
                case_rows.append([*cells, float(score), predicted, volume])
            sums.append(float(scores.mean()))
        row |= {"state": "complete", "dss_liver": sums[0], "dss_spleen": sums[1], "dss": sum(sums) / 2}
        row |= {"volume_bias_pct": float(rng.normal(0, 1)), "seconds_per_slice": 0.01 + 0.01 * rng.random()}

    def add_trial(phase: str, configuration: str, seed: int, values: Mapping[str, Any]) -> dict[str, Any]:
        row = {"number": len(rows), "phase": phase, "configuration": configuration, "state": "failed", "seed": seed}
        row |= {
            "device": "cpu",
            "started": f"2026-11-01T00:{len(rows) % 60:02d}:00.000+00:00",
            "seconds": 60.0,
            **values,
        }
        rows.append(row)
        return row

    for number in range(trials + len(failed or {}) if ended is None else ended):
        values = {key: _sample(written, rng) for key, written in parameters.items()}
        digits = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
        row = add_trial("search", digits, number, values)
        if reason := (failed or {}).get(number):
            row["reason"] = reason
        else:
            complete(row, values)
    ordered = sorted((row for row in rows if row["state"] == "complete"), key=lambda row: -row["dss"])
    best = list({row["configuration"]: row for row in reversed(ordered)}.values())[::-1][:leaders]
    for repeat in range(failed_confirmations):
        row = add_trial("confirm", best[0]["configuration"], 90_000 + repeat, {key: best[0][key] for key in parameters})
        row["reason"] = "loss is not finite in step 12"
    planned = [(repeat, leader) for repeat in range(seeds) for leader in best]
    for repeat, leader in planned[: 0 if ended is not None else confirmed]:
        values = {key: leader[key] for key in parameters}
        complete(add_trial("confirm", leader["configuration"], 100_000 + repeat, values), values)

    folder.mkdir(parents=True, exist_ok=True)
    content = {"study": name, "objectives": list(objectives), "trials": trials, "leaders": leaders, "seeds": seeds}
    content |= {"search": {"sampler": "random", "pruner": "none", "parameters": dict(parameters)}, "base": []}
    (folder / "study.json").write_text(json.dumps(content), encoding="utf-8")
    header = [*FIXED, *parameters]
    _write(folder / "trials.csv", header, [[row.get(key, "") for key in header] for row in rows])
    head = ("number", "case_id", "condition", "structure", "dss", "volume_cm3", "reference_cm3")
    _write(folder / "trial_cases.csv", head, case_rows)


def _sample(written: Any, rng: np.random.Generator) -> Any:
    if isinstance(written, list):
        return written[int(rng.integers(len(written)))]
    low, high, step = written["low"], written["high"], written.get("step", 1)
    if isinstance(low, int) and isinstance(high, int):
        return int(rng.choice(np.arange(low, high + 1, step)))
    if written.get("log"):
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))
    return float(rng.uniform(low, high))


def _write(file: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle, lineterminator="\n").writerows([header, *rows])
