"""Does the review score put the worst segmentations first? Phantoms, degraded in nine ways, with known truth.

    python experiments/review/run.py cohort=PHANTOMS/cohort.csv model=MODEL/best.ckpt [datasets=test1,test2]

PHANTOMS is a cohort of liverspleen phantom that the model has not seen. Each case is segmented as it is and degraded,
and once more with its slices in reverse order; the score knows nothing of the truth.
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
from liverspleen.evaluation.metrics.overlap import overlaps
from liverspleen.imaging import CTVolume, Geometry, LabelMap
from liverspleen.inference.model import load_model
from liverspleen.inference.review import SIGNS, Review, review
from liverspleen.inference.segment import segment

WAYS = ("as it is", "noise 25 HU", "noise 60 HU", "slices missing", "half the scan", "thick slices")
WAYS += ("60 HU more", "60 HU less", "streaks")


@dataclass(frozen=True)
class Outcome:
    """One input: how it was degraded, 1 - DSS of the organ that was segmented worst, and the review."""

    way: str
    error: float
    review: Review


def degraded(hu: NDArray[np.int16], labels: NDArray[np.uint8], way: str, rng: np.random.Generator):
    """HU, true labels and how many slices became one."""
    values, count = hu.astype(np.float64), len(hu)
    if way.startswith("noise"):
        values += rng.normal(0, float(way.split()[1]), hu.shape)
    elif way == "slices missing":
        lost = int(rng.integers(3, 8))
        first = int(rng.integers(count // 4, 3 * count // 4 - lost))
        kept = np.delete(np.arange(count), np.s_[first : first + lost])
        values, labels = values[kept], labels[kept]
    elif way == "half the scan":
        at = int(count * rng.uniform(0.35, 0.65))
        part = np.s_[at:] if rng.random() < 0.5 else np.s_[:at]
        values, labels = values[part], labels[part]
    elif way == "thick slices":
        whole = count // 3 * 3
        values, labels = values[:whole].reshape(-1, 3, *hu.shape[1:]).mean(axis=1), labels[1:whole:3]
    elif way.startswith("60 HU"):
        values += 60 if way.endswith("more") else -60
    elif way == "streaks":
        for slice_index in rng.choice(count, count // 6, replace=False):
            values[slice_index] += rng.normal(0, 150, hu.shape[1:])
    return np.round(values).astype(np.int16), np.ascontiguousarray(labels), 3 if way == "thick slices" else 1


def main(words: list[str]) -> int:
    """Print the figures of the README."""
    given = dict(word.split("=", 1) for word in words)
    cohort, model = read_cohort(Path(given["cohort"])), load_model(Path(given["model"]))
    outcomes = []
    for number, case in enumerate(cohort.select(given.get("datasets", "test1,test2").split(",")).cases):
        ct, truth = load_case(case)
        assert truth is not None, "a phantom has a label map"
        for index, way in enumerate(WAYS):
            hu, labels, joined = degraded(ct.hu, truth.labels, way, np.random.default_rng((0, number, index)))
            spacing = ct.geometry.spacing_mm
            affine = np.diag([-spacing[2], -spacing[1], spacing[0] * joined, 1.0])
            scan = CTVolume(hu, Geometry(hu.shape[::-1], affine))
            predicted = segment(scan, model)
            reverse = segment(CTVolume(np.ascontiguousarray(hu[::-1]), scan.geometry), model).labels[::-1]
            flips = {organ: found.dss for organ, found in overlaps(reverse, predicted.labels).items()}
            scores = [found.dss for found in overlaps(predicted.labels, labels).values() if found.dss is not None]
            if scores:
                judged = review(LabelMap(predicted.labels, scan.geometry), scan, flips)
                outcomes.append(Outcome(way, 1 - min(scores), judged))
    tell(outcomes)
    return 0


def tell(outcomes: list[Outcome]) -> None:
    """Correlations, how many of the worst are found early, and medians by way."""
    errors = np.array([outcome.error for outcome in outcomes])
    scores = np.array([outcome.review.score for outcome in outcomes])
    fifth = len(outcomes) // 5
    worst = set(np.argsort(-errors, kind="stable")[:fifth])
    listed = np.argsort(-scores, kind="stable")
    print(f"{len(outcomes)} inputs; Spearman's rho of score and 1 - lower DSS: {spearmanr(scores, errors)[0]:.3f}")
    for fraction in (1, 2):
        print(f"of the {fifth} worst, {len(worst & set(listed[: fraction * fifth]))} in the first {fraction * fifth}")
    print("\n| sign | rho, alone | above 0 |\n|---|---:|---:|")
    for sign in SIGNS:
        parts = [o.review.parts for o in outcomes]
        sums = np.array([math.fsum(v or 0 for name, v in p.items() if name.endswith(f"_{sign}")) for p in parts])
        rho = f"{spearmanr(sums, errors)[0]:.2f}" if np.ptp(sums) else "never"
        print(f"| {sign} | {rho} | {np.mean(sums > 0):.0%} |")
    print("\n| input | n | 1 - lower DSS, median | score, median |\n|---|---:|---:|---:|")
    for way in WAYS:
        of = np.array([outcome.way == way for outcome in outcomes])
        print(f"| {way} | {of.sum()} | {np.median(errors[of]):.3f} | {np.median(scores[of]):.2f} |")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
