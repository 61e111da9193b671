"""Step 1, masks alone: volumes by four readers of slices."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from patients import anatomy, organ_lines
from settings import SPACED_MM, SPACINGS_MM, Settings
from slabs import LATTICE_MM, READERS, Lines, Protocol

from liverspleen.organs import ORGANS
from liverspleen.phantom.anatomy import true_volumes_cm3
from liverspleen.processes import spread
from liverspleen.storage import write_text


def protocols(settings: Settings) -> Iterator[Protocol]:
    """Yield contiguous slices of each thickness, and slices of one thickness with gaps or overlaps, at each start."""
    pairs = {(thickness, thickness) for thickness in settings.thickness_mm}
    for thickness, spacing in sorted(pairs | {(SPACED_MM, spacing) for spacing in SPACINGS_MM}):
        for start in settings.starts_mm(spacing, settings.starts):
            yield Protocol(thickness, spacing, start)


def read_masks(settings: Settings) -> pd.DataFrame:
    """Return all volumes; those of a patient are computed and written to `masks/` if they are not there.

    One row per patient, structure, reader, thickness, spacing and start: `volume_cm3` by the volume of voxels,
    `truth_cm3` of the phantom, `lattice_cm3` (the limit for thinner slices on the same pixels), `extent_mm` along z.
    """
    files = [settings.output / "masks" / f"{number:03d}.csv" for number in range(settings.patients)]
    missing = [number for number, file in enumerate(files) if not file.exists()]
    with spread(partial(_write, settings, files), missing, settings.workers) as futures:
        for future in futures:
            print(f"masks: patient {future.result()} of {settings.patients}", flush=True)
    return pd.concat([pd.read_csv(file) for file in files], ignore_index=True)


def _write(settings: Settings, files: list[Path], number: int) -> int:
    write_text(files[number], volumes(number, settings).to_csv(index=False, lineterminator="\n"))
    return number


def volumes(number: int, settings: Settings) -> pd.DataFrame:
    """Return the rows of one patient."""
    body = anatomy(number, settings)
    truth = true_volumes_cm3(body)
    plan = list(protocols(settings))
    rows = []
    for organ in ORGANS:
        pixels = np.zeros((len(plan), len(READERS)))
        length_mm, occupied = 0.0, np.zeros(0, bool)
        for inside in organ_lines(body, organ, settings.pixel_mm, LATTICE_MM):
            lines = Lines(inside)
            pixels += [list(lines.pixels(protocol).values()) for protocol in plan]
            length_mm += lines.length_mm
            occupied = inside.any(axis=(1, 2)) | (occupied if occupied.size else False)
        area_cm2 = settings.pixel_mm**2 / 100
        common = {"patient": number, "condition": body.condition.value, "structure": organ.key}
        common |= {"truth_cm3": truth[organ.key], "lattice_cm3": length_mm * area_cm2 / 10}
        common["extent_mm"] = np.count_nonzero(occupied) * LATTICE_MM
        rows += [
            common
            | {"reader": reader, "thickness_mm": p.thickness_mm, "spacing_mm": p.spacing_mm, "start_mm": p.start_mm}
            | {"volume_cm3": count * area_cm2 * p.spacing_mm / 10}
            for p, counts in zip(plan, pixels, strict=True)
            for reader, count in zip(READERS, counts, strict=True)
        ]
    return pd.DataFrame(rows)
