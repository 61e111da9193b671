"""Does the review score rank the worst segmentations first? A test on degraded phantoms with known truth.

    python experiments/review/run.py cohort=PHANTOMS/cohort.csv model=MODEL/best.ckpt [datasets=test1,test2]

PHANTOMS is a cohort of liverspleen phantom that was not used for training. Each case is segmented unchanged and with
each degradation, and again with its slices in reverse order. The score does not use the truth.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from liverspleen.cohort import load_case, read_cohort
from liverspleen.errors import InputError
from liverspleen.evaluation.metrics.overlap import overlaps
from liverspleen.imaging import CTVolume, Geometry, LabelMap
from liverspleen.inference.model import load_model
from liverspleen.inference.review import SIGNS, Review, review
from liverspleen.inference.segment import segment
from liverspleen.studies import given_settings, invalid_setting

KEYS = ("cohort", "model", "datasets")
REQUIRED = KEYS[:2]

DEGRADATIONS = ("unchanged", "noise 25 HU", "noise 60 HU", "slices missing", "half the scan", "thick slices")
DEGRADATIONS += ("60 HU more", "60 HU less", "streaks")


@dataclass(frozen=True)
class Outcome:
    """One input: its degradation, 1 - DSS of the worse organ, and its review."""

    degradation: str
    error: float
    review: Review


def degraded(hu: NDArray[np.int16], labels: NDArray[np.uint8], degradation: str, rng: np.random.Generator):
    """Return HU, true labels, and the number of slices that were combined to one."""
    values, count = hu.astype(np.float64), len(hu)
    if degradation.startswith("noise"):
        values += rng.normal(0, float(degradation.split()[1]), hu.shape)
    elif degradation == "slices missing":
        missing = int(rng.integers(3, 8))
        first = int(rng.integers(count // 4, 3 * count // 4 - missing))
        kept = np.delete(np.arange(count), np.s_[first : first + missing])
        values, labels = values[kept], labels[kept]
    elif degradation == "half the scan":
        at = int(count * rng.uniform(0.35, 0.65))
        part = np.s_[at:] if rng.random() < 0.5 else np.s_[:at]
        values, labels = values[part], labels[part]
    elif degradation == "thick slices":
        whole = count // 3 * 3
        values, labels = values[:whole].reshape(-1, 3, *hu.shape[1:]).mean(axis=1), labels[1:whole:3]
    elif degradation.startswith("60 HU"):
        values += 60 if degradation.endswith("more") else -60
    elif degradation == "streaks":
        for slice_index in rng.choice(count, count // 6, replace=False):
            values[slice_index] += rng.normal(0, 150, hu.shape[1:])
    return np.round(values).astype(np.int16), np.ascontiguousarray(labels), 3 if degradation == "thick slices" else 1


def main(arguments: list[str]) -> int:
    """Print the figures of the README; return 0 if it succeeds, 2 if an input was rejected."""
    if {"--help", "-h"} & set(arguments):
        print(__doc__)
        return 0
    try:
        given = given_settings(arguments, KEYS)
        if missing := [key for key in REQUIRED if not given.get(key)]:
            raise InputError(invalid_setting(f"{missing[0]}= is missing", f"give {missing[0]}=FILE"))
        outcomes = run(Path(given["cohort"]), Path(given["model"]), given.get("datasets", "test1,test2").split(","))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print_results(outcomes)
    return 0


def run(table: Path, package: Path, datasets: list[str]) -> list[Outcome]:
    """Segment the cases, unchanged and with each degradation."""
    cohort, model = read_cohort(table), load_model(package)
    outcomes = []
    for number, case in enumerate(cohort.select(datasets).cases):
        ct, truth = load_case(case)
        assert truth is not None, "a phantom has a label map"
        for index, degradation in enumerate(DEGRADATIONS):
            hu, labels, combined = degraded(ct.hu, truth.labels, degradation, np.random.default_rng((0, number, index)))
            spacing = ct.geometry.spacing_mm
            affine = np.diag([-spacing[2], -spacing[1], spacing[0] * combined, 1.0])
            scan = CTVolume(hu, Geometry(hu.shape[::-1], affine))
            predicted = segment(scan, model)
            reverse = segment(CTVolume(np.ascontiguousarray(hu[::-1]), scan.geometry), model).labels[::-1]
            flips = {organ: overlap.dss for organ, overlap in overlaps(reverse, predicted.labels).items()}
            scores = [one.dss for one in overlaps(predicted.labels, labels).values() if one.dss is not None]
            if scores:
                found = review(LabelMap(predicted.labels, scan.geometry), scan, flips)
                outcomes.append(Outcome(degradation, 1 - min(scores), found))
    return outcomes


def print_results(outcomes: list[Outcome]) -> None:
    """Print correlations, how many of the worst inputs are ranked first, and medians by degradation."""
    errors = np.array([outcome.error for outcome in outcomes])
    scores = np.array([outcome.review.score for outcome in outcomes])
    fifth = len(outcomes) // 5
    worst = set(np.argsort(-errors, kind="stable")[:fifth])
    order = np.argsort(-scores, kind="stable")
    rho = spearmanr(scores, errors)[0]
    print(f"{len(outcomes)} inputs; Spearman's rho of score and 1 - DSS of the worse organ: {rho:.3f}")
    for fraction in (1, 2):
        print(f"of the {fifth} worst, {len(worst & set(order[: fraction * fifth]))} in the first {fraction * fifth}")
    print("\n| sign | rho of the sign alone | inputs above 0 |\n|---|---:|---:|")
    for sign in SIGNS:
        parts = [o.review.parts for o in outcomes]
        sums = np.array([math.fsum(v or 0 for name, v in p.items() if name.endswith(f"_{sign}")) for p in parts])
        alone = f"{spearmanr(sums, errors)[0]:.2f}" if np.ptp(sums) else "undefined"
        print(f"| {sign} | {alone} | {np.mean(sums > 0):.0%} |")
    print("\n| input | n | 1 - DSS of the worse organ, median | score, median |\n|---|---:|---:|---:|")
    for degradation in DEGRADATIONS:
        rows = np.array([outcome.degradation == degradation for outcome in outcomes])
        print(f"| {degradation} | {rows.sum()} | {np.median(errors[rows]):.3f} | {np.median(scores[rows]):.2f} |")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
