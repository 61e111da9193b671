"""The tables in Markdown: percent of the true volume, rounded for reading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd


def markdown(tables: Mapping[str, pd.DataFrame]) -> str:
    """All tables of the study; that of the networks only where there is one."""
    parts = [
        "Masks alone: bias (95 % limits of agreement) and SD over starts, in percent of the truth\n",
        _masks(tables["mask"]),
        "\nThe same pixels without sections (the limit of ever thinner ones), in percent of the truth\n",
        _table(
            ["structure", "n", "bias (LOA)"],
            ([row.structure, str(row.n), _limits(row, "")] for row in tables["limit"].itertuples()),
        ),
        "\nExponent of the thickness in the SD over starts\n",
        _slopes(tables["slope"]),
        "\nSections of one thickness at several spacings: bias (LOA), in percent of the truth\n",
        _table(
            ["structure", "thickness (mm)", "spacing (mm)", "voxels × |det|", "areas × thickness"],
            (
                [row.structure, f"{row.thickness_mm:g}", f"{row.spacing_mm:g}"]
                + [_limits(row, "voxel_"), _limits(row, "area_x_thickness_")]
                for row in tables["spacing"].itertuples()
            ),
        ),
    ]
    if "network" in tables:
        parts += ["\nNetworks: percent of the truth; model - truth = model - mask + mask - truth\n"]
        parts += [_networks(tables["network"])]
    return "\n".join(parts)


def _masks(table: pd.DataFrame) -> str:
    head = ["structure", "reader", "thickness (mm)", "n", "bias (LOA)", "SD over starts", "of an ellipsoid"]
    return _table(
        head,
        (
            [row.structure, row.reader, f"{row.thickness_mm:g}", str(row.n), _limits(row, "")]
            # the ratio has no extent: its figure would mean nothing
            + [f"{row.start_sd_pct:.3f}", "" if row.structure == "ratio" else f"{row.smooth_sd_pct:.3f}"]
            for row in table.itertuples()
        ),
    )


def _slopes(table: pd.DataFrame) -> str:
    rows = ([row.structure, row.reader, f"{row.exponent:.2f}"] for row in table.itertuples())
    return _table(["structure", "reader", "exponent"], rows)


def _networks(table: pd.DataFrame) -> str:
    head = ["structure", "neighbours", "thickness (mm)", "n", "DSS", "model - truth (LOA)", "bias by seed"]
    head += ["model - mask (LOA)", "mask - truth (LOA)", "SD over starts"]
    return _table(
        head,
        (
            [row.structure, row.recipe, f"{row.thickness_mm:g}", str(row.n)]
            + ["" if pd.isna(row.dss) else f"{row.dss:.3f}", _limits(row, "")]
            + [f"{row.bias_seed_low_pct:.1f} to {row.bias_seed_high_pct:.1f}"]
            + [_limits(row, "model_mask_"), _limits(row, "mask_"), f"{row.start_sd_pct:.2f}"]
            for row in table.itertuples()
        ),
    )


def _limits(row, prefix: str) -> str:
    """`bias (lower to upper)` of the columns with that prefix."""
    bias, lower, upper = (getattr(row, f"{prefix}{name}_pct") for name in ("bias", "loa_lower", "loa_upper"))
    return f"{bias:.2f} ({lower:.2f} to {upper:.2f})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
