"""Step 4: statistics of volumes in percent of the truth, by structure, reader or network, and thickness.

Percentages are of the true volume, not of the mean of two readers, so errors add up: network - truth = (network - mask)
+ (mask - truth).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from settings import SPACED_MM
from slabs import READERS

from liverspleen.evaluation.statistics.bland_altman import bland_altman
from liverspleen.organs import ORGANS

STRUCTURES = (*(organ.key for organ in ORGANS), "ratio")

SMOOTH_CV = 0.75 / math.sqrt(90)
"""SD over starts of the volume of a ball by its central slices, as a fraction of its volume over (spacing / radius)².

The value is 0.079. The areas π (R² - z²) start and end with slopes of 2πR and -2πR. The error of a sum over points at a
distance h with a random start is given by the terms of the Fourier series of the areas at multiples of 1/h. Each corner
of slope J adds J² h⁴ / 720 to the variance (averaged over phases of several corners, without higher orders). For the
ball the SD is πR h² / √90, over 4/3 πR³. For an ellipsoid R is its half extent along z.
"""


@dataclass(frozen=True)
class Agreement:
    """Errors of volumes in percent of the truth."""

    n: int
    n_undefined: int
    """excluded: ratios of scans in which a network found no spleen"""
    bias_pct: float
    bias_lower_pct: float
    """of the 95 % interval by means of patients, because scans of one patient are not independent"""
    bias_upper_pct: float
    loa_lower_pct: float
    loa_upper_pct: float
    start_sd_pct: float
    """within patients (and seeds), over the starts: root of the mean variance; its denominator is n, because the starts
    are evenly spaced"""


def agreement(errors: pd.DataFrame) -> Agreement:
    """Return the statistics of rows with `error_pct`, `patient`, and for networks `seed`; undefined values are NaN."""

    def against_truth(values: pd.Series):
        return bland_altman(100 + values.to_numpy(), np.full(len(values), 100.0))

    def number(value: float | None) -> float:
        return float("nan") if value is None else value

    pooled = against_truth(errors["error_pct"])
    by_patient = against_truth(errors.groupby("patient")["error_pct"].mean()).intervals
    bounds = (None, None) if by_patient is None else by_patient.bias_ci
    limits = pooled.limits
    own = [name for name in ("patient", "seed") if name in errors]
    within = errors.groupby(own)["error_pct"].var(ddof=0).mean()
    return Agreement(
        pooled.n,
        pooled.n_dropped,
        number(pooled.bias),
        *map(number, bounds),
        number(None if limits is None else limits.lower),
        number(None if limits is None else limits.upper),
        float(np.sqrt(within)),
    )


def with_ratio(table: pd.DataFrame, keys: Sequence[str], volumes: Sequence[str]) -> pd.DataFrame:
    """Return the table with rows `ratio` (liver / spleen of each of the `volumes`) for each combination of the keys.

    The ratio is NaN if the spleen volume is 0.

    >>> table = pd.DataFrame({"case": [1, 1], "structure": ["liver", "spleen"], "volume_cm3": [1500.0, 300.0]})
    >>> with_ratio(table, ["case"], ["volume_cm3"])["volume_cm3"].tolist()
    [1500.0, 300.0, 5.0]
    """
    wide = table.pivot(index=list(keys), columns="structure", values=list(volumes))
    ratio = pd.DataFrame(
        {name: wide[name]["liver"] / wide[name]["spleen"].replace(0, np.nan) for name in volumes}
    ).reset_index()
    return pd.concat([table, ratio.assign(structure="ratio")], ignore_index=True)


def mask_table(masks: pd.DataFrame) -> pd.DataFrame:
    """Return agreement with the truth for contiguous slices, by structure, reader and thickness.

    `smooth_sd_pct` is the SD over starts of ellipsoids with the same extent along z.
    """
    contiguous = masks[masks["thickness_mm"] == masks["spacing_mm"]]
    keys = ["patient", "reader", "thickness_mm", "start_mm"]
    errors = _errors(with_ratio(contiguous, keys, ["volume_cm3", "truth_cm3"]), "volume_cm3")
    rows = []
    for (structure, reader, thickness), part in _groups(errors, ["structure", "reader", "thickness_mm"]):
        half_mm = part.groupby("patient")["extent_mm"].first() / 2
        smooth = 100 * SMOOTH_CV * np.sqrt(((thickness / half_mm) ** 4).mean())
        row = {"structure": structure, "reader": reader, "thickness_mm": thickness}
        rows.append(row | vars(agreement(part)) | {"smooth_sd_pct": smooth})
    return _in_order(pd.DataFrame(rows), "reader", READERS)


def limit_table(masks: pd.DataFrame) -> pd.DataFrame:
    """Return agreement of the lattice volumes with the truth: the error without slices."""
    once = masks.drop_duplicates(["patient", "structure"])
    errors = _errors(once, "lattice_cm3")
    return pd.DataFrame(
        [{"structure": name} | vars(agreement(part)) for (name,), part in _groups(errors, ["structure"])]
    )


def spacing_table(masks: pd.DataFrame) -> pd.DataFrame:
    """Return agreement of two rules for the volume, for slices with gaps and overlaps, by majority."""
    spaced = masks[(masks["thickness_mm"] == SPACED_MM) & (masks["reader"] == "majority")]
    rows = []
    for (structure, spacing), part in _groups(spaced, ["structure", "spacing_mm"]):
        by_voxel = agreement(_errors(part, "volume_cm3"))
        by_thickness = agreement(
            _errors(part.assign(volume_cm3=part["volume_cm3"] * part["thickness_mm"] / spacing), "volume_cm3")
        )
        row = {"structure": structure, "thickness_mm": SPACED_MM, "spacing_mm": spacing}
        for rule, found in (("voxel", by_voxel), ("area_x_thickness", by_thickness)):
            row |= {f"{rule}_{name}": getattr(found, name) for name in ("bias_pct", "loa_lower_pct", "loa_upper_pct")}
        rows.append(row)
    return pd.DataFrame(rows)


def network_table(scans: pd.DataFrame) -> pd.DataFrame:
    """Return the error of the networks and its two parts, by structure, recipe and thickness.

    `*_seed_low` and `*_seed_high` are the lowest and highest mean of a seed. `model_mask_*` compares the network with
    the label map of the phantom, `mask_*` the label map with the truth, both in percent of the truth.
    """
    keys = ["patient", "recipe", "seed", "thickness_mm", "start_mm"]
    table = with_ratio(scans, keys, ["volume_cm3", "mask_cm3", "truth_cm3"])
    rows = []
    for (structure, recipe, thickness), part in _groups(table, ["structure", "recipe", "thickness_mm"]):
        whole = _errors(part, "volume_cm3")
        mask = _errors(part, "mask_cm3")
        reading = whole.assign(error_pct=whole["error_pct"] - mask["error_pct"])
        row = {"structure": structure, "recipe": recipe, "thickness_mm": thickness, "dss": part["dss"].mean()}
        row |= vars(agreement(whole))
        for name, column in (("dss", "dss"), ("bias_pct", "error_pct")):
            means = whole.groupby("seed")[column].mean()
            row |= {f"{name}_seed_low": means.min(), f"{name}_seed_high": means.max()}
        for name, errors in (("model_mask", reading), ("mask", mask)):
            found = agreement(errors)
            row |= {f"{name}_bias_pct": found.bias_pct, f"{name}_loa_lower_pct": found.loa_lower_pct}
            row |= {f"{name}_loa_upper_pct": found.loa_upper_pct}
        rows.append(row)
    return pd.DataFrame(rows)


def shift_table(scans: pd.DataFrame) -> pd.DataFrame:
    """Return the change of the volume from the thinnest slices of the same patient.

    In percent of the truth: means over seeds and starts, then the mean over patients with its 95 % interval. `recipe`
    is that of the network, or `mask` for the label maps of the phantoms.
    """
    keys = ["patient", "recipe", "seed", "thickness_mm", "start_mm"]
    table = with_ratio(scans, keys, ["volume_cm3", "mask_cm3", "truth_cm3"])
    models = _errors(table, "volume_cm3")
    errors = pd.concat([models, _errors(table, "mask_cm3").assign(recipe="mask")], ignore_index=True)
    means = errors.groupby(["structure", "recipe", "thickness_mm", "patient"], as_index=False)["error_pct"].mean()
    rows = []
    for (structure, recipe), part in _groups(means, ["structure", "recipe"]):
        wide = part.pivot(index="patient", columns="thickness_mm", values="error_pct")
        for thickness in wide.columns[1:]:
            found = bland_altman(wide[thickness].to_numpy(), wide[wide.columns[0]].to_numpy())
            lower, upper = (float("nan"), float("nan")) if found.intervals is None else found.intervals.bias_ci
            row = {"structure": structure, "recipe": recipe, "thickness_mm": thickness, "n": found.n}
            rows.append(row | {"shift_pct": found.bias, "shift_lower_pct": lower, "shift_upper_pct": upper})
    return pd.DataFrame(rows)


def slopes(table: pd.DataFrame) -> pd.DataFrame:
    """Return the exponent of the thickness in the SD over starts, by least squares of the logarithms."""
    rows = []
    for (structure, reader), part in _groups(table, ["structure", "reader"]):
        positive = part[part["start_sd_pct"] > 0]
        if len(positive) > 1:
            exponent = np.polyfit(np.log(positive["thickness_mm"]), np.log(positive["start_sd_pct"]), 1)[0]
            rows.append({"structure": structure, "reader": reader, "exponent": exponent})
    return pd.DataFrame(rows, columns=["structure", "reader", "exponent"])


def _errors(table: pd.DataFrame, volume: str) -> pd.DataFrame:
    return table.assign(error_pct=100 * (table[volume] / table["truth_cm3"] - 1))


def _groups(table: pd.DataFrame, keys: Sequence[str]) -> Iterator[tuple[tuple, pd.DataFrame]]:
    """Yield the groups of the table by its keys, in the order liver, spleen, ratio."""
    order = {name: position for position, name in enumerate(STRUCTURES)}
    ordered = table.assign(_position=table["structure"].map(order)).sort_values("_position", kind="stable")
    grouped = ordered.drop(columns="_position").groupby(list(keys), sort=True, dropna=False)
    yield from sorted(grouped, key=lambda entry: (order[entry[0][0]], entry[0][1:]))


def _in_order(table: pd.DataFrame, column: str, names: Sequence[str]) -> pd.DataFrame:
    places = {name: position for position, name in enumerate(names)}
    structures = {name: position for position, name in enumerate(STRUCTURES)}
    key = table["structure"].map(structures) * len(names) + table[column].map(places)
    return table.assign(_key=key).sort_values(["_key", "thickness_mm"]).drop(columns="_key").reset_index(drop=True)
