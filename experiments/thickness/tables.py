"""Tables in Markdown, rounded, in percent of the true volume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd


def markdown(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return all tables of the study; those of the networks are included if there are networks."""
    parts = [
        "Masks alone, in percent of the truth: bias (95 % limits of agreement)\n",
        _masks(tables["mask"]),
        "\nThe same pixels without slices (the limit for thinner slices), in percent of the truth\n",
        _limit(tables["limit"]),
        "\nExponent of the thickness in the SD over starts\n",
        _slopes(tables["slope"]),
        "\nSlices of one thickness at several spacings, in percent of the truth: bias (LOA)\n",
        _spacing(tables["spacing"]),
    ]
    if "network" in tables:
        parts += ["\nNetworks, in percent of the truth: model - truth = (model - mask) + (mask - truth)\n"]
        parts += [_networks(tables["network"])]
        parts += ["\nChange of the volume from the thinnest slices of the same patients: mean (95 % CI)\n"]
        parts += [_shifts(tables["shift"])]
    return "\n".join(parts) + "\n"


def _masks(table: pd.DataFrame) -> str:
    rows = []
    for row in table.itertuples():
        smooth = "" if row.structure == "ratio" else f"{row.smooth_sd_pct:.3f}"  # undefined for a ratio
        cells = [row.structure, row.reader, f"{row.thickness_mm:g}", str(row.n), _limits(row, "")]
        rows.append([*cells, f"{row.start_sd_pct:.3f}", smooth])
    head = ["structure", "reader", "thickness (mm)", "n", "bias (LOA)", "SD over starts", "SD of an ellipsoid"]
    return _table(head, rows)


def _limit(table: pd.DataFrame) -> str:
    rows = ([row.structure, str(row.n), _limits(row, "")] for row in table.itertuples())
    return _table(["structure", "n", "bias (LOA)"], rows)


def _slopes(table: pd.DataFrame) -> str:
    rows = ([row.structure, row.reader, f"{row.exponent:.2f}"] for row in table.itertuples())
    return _table(["structure", "reader", "exponent"], rows)


def _spacing(table: pd.DataFrame) -> str:
    rows = []
    for row in table.itertuples():
        cells = [row.structure, f"{row.thickness_mm:g}", f"{row.spacing_mm:g}"]
        rows.append([*cells, _limits(row, "voxel_"), _limits(row, "area_x_thickness_")])
    return _table(["structure", "thickness (mm)", "spacing (mm)", "voxels × \\|det\\|", "areas × thickness"], rows)


def _networks(table: pd.DataFrame) -> str:
    rows = []
    for row in table.itertuples():
        dss = "" if pd.isna(row.dss) else f"{row.dss:.3f} ({row.dss_seed_low:.3f} to {row.dss_seed_high:.3f})"
        seeds = f"{row.bias_pct_seed_low:.1f} to {row.bias_pct_seed_high:.1f}"
        cells = [row.structure, row.recipe, f"{row.thickness_mm:g}", _n(row), dss, _limits(row, ""), seeds]
        rows.append([*cells, _limits(row, "model_mask_"), _limits(row, "mask_"), f"{row.start_sd_pct:.2f}"])
    head = ["structure", "neighbours", "thickness (mm)", "n", "DSS (seeds)", "model - truth (LOA)", "bias by seed"]
    return _table([*head, "model - mask (LOA)", "mask - truth (LOA)", "SD over starts"], rows)


def _shifts(table: pd.DataFrame) -> str:
    rows = []
    for row in table.itertuples():
        interval = f"{row.shift_pct:.2f} ({row.shift_lower_pct:.2f} to {row.shift_upper_pct:.2f})"
        rows.append([row.structure, row.recipe, f"{row.thickness_mm:g}", str(row.n), interval])
    return _table(["structure", "neighbours", "thickness (mm)", "patients", "change"], rows)


def _limits(row, prefix: str) -> str:
    """Return `bias (lower to upper)` of the columns with that prefix; -0.00 is written as 0.00."""
    values = (getattr(row, f"{prefix}{name}_pct") for name in ("bias", "loa_lower", "loa_upper"))
    bias, lower, upper = (f"{round(value, 2) + 0.0:.2f}" for value in values)
    return f"{bias} ({lower} to {upper})"


def _n(row) -> str:
    """Return the number of volumes, and of undefined ones."""
    return f"{row.n} ({row.n_undefined} undefined)" if row.n_undefined else str(row.n)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
