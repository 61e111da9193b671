"""Effect of slice thickness and of the start of the first slice on liver and spleen volumes of phantoms.

    python experiments/thickness/run.py output=outputs/thickness [patients=20] [scanned=10] [steps=800] [seeds=2] ...

Five steps: sample masks (`masks/`), train networks (`phantoms/`, `models/`), scan and segment patients at every
thickness and start (`scans/`), compare the volumes with the true ones, write tables and figure. The same command
resumes an interrupted run. `scanned=0` omits the networks. `settings.py` describes all settings.

Files in output=: masks.csv, scans.csv (every volume); mask_table.csv, limit_table.csv, spacing_table.csv,
slope_table.csv, network_table.csv, shift_table.csv; tables.md; thickness.svg and thickness.png.

The exit code is 0 if the study is finished, 2 if an input was rejected.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from figure import thickness_figure
from masks import read_masks
from networks import train
from settings import Settings, read_settings
from summary import limit_table, mask_table, network_table, shift_table, slopes, spacing_table
from tables import markdown

from liverspleen.errors import InputError
from liverspleen.evaluation.reporting.figures.bland_altman import figure_bytes
from liverspleen.storage import complete_file, write_text
from liverspleen.studies import start_or_resume


def main(arguments: Sequence[str]) -> int:
    """Run the steps that are not finished, and return the exit code."""
    if {"--help", "-h"} & set(arguments):
        print(__doc__)
        return 0
    try:
        settings = read_settings(arguments)
        start_or_resume(settings.output, settings.decisive)
        masks = read_masks(settings)
        tables = {"mask": mask_table(masks), "limit": limit_table(masks), "spacing": spacing_table(masks)}
        tables["slope"] = slopes(tables["mask"])
        write_csv(settings.output / "masks.csv", masks)
        if settings.scanned:
            scans = scanned(settings)
            write_csv(settings.output / "scans.csv", scans)
            tables |= {"network": network_table(scans), "shift": shift_table(scans)}
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    write_tables(settings.output, tables)
    return 0


def scanned(settings: Settings) -> pd.DataFrame:
    """Train the networks, and return all volumes by them."""
    trained = train(settings)
    from scans import read_scans  # torch takes seconds to load

    return read_scans(settings, trained)


def write_tables(out: Path, tables: dict[str, pd.DataFrame]) -> None:
    """Write tables and figure, and print the tables."""
    for name, table in tables.items():
        write_csv(out / f"{name}_table.csv", table)
    text = markdown(tables)
    write_text(out / "tables.md", text)
    figure = thickness_figure(tables["mask"], tables.get("network"))
    for form in ("svg", "png"):
        with complete_file(out / f"thickness.{form}") as temporary:
            temporary.write_bytes(figure_bytes(figure, form))
    print(f"\n{text}\nopen {out / 'thickness.svg'}")


def write_csv(file: Path, table: pd.DataFrame) -> None:
    """Write a table; undefined values are empty."""
    write_text(file, table.to_csv(index=False, lineterminator="\n", float_format="%.6g"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
