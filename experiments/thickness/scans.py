"""Step 3: scan each patient at every thickness and start, and segment each scan with every network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from networks import Network
from patients import acquisition, anatomy
from settings import Settings

from liverspleen.evaluation.metrics.overlap import overlaps
from liverspleen.evaluation.metrics.volume import organ_volume_cm3
from liverspleen.imaging import CTVolume, Geometry, LabelMap
from liverspleen.inference.folded import folded
from liverspleen.inference.model import TrainedModel, load_model
from liverspleen.inference.segment import segment
from liverspleen.organs import ORGANS
from liverspleen.phantom.anatomy import true_volumes_cm3
from liverspleen.phantom.rendering import render
from liverspleen.processes import spread
from liverspleen.storage import write_text


def read_scans(settings: Settings, trained: Sequence[Network]) -> pd.DataFrame:
    """Return all volumes; those of a scan are computed and written to `scans/` if they are not there.

    One row per patient, thickness, start, network (`recipe`, `seed`) and structure: `volume_cm3` of the network,
    `mask_cm3` of the label map of the phantom, `truth_cm3`, and the `dss` of the two label maps.
    """
    plan = [
        (number, thickness, start)
        for number in range(settings.scanned)
        for thickness in settings.thickness_mm
        for start in settings.starts_mm(thickness, settings.scan_starts)
    ]
    files = [
        settings.output / "scans" / f"{number:03d}-{thickness:g}mm-{start:g}.csv" for number, thickness, start in plan
    ]
    missing = [(scan, file) for scan, file in zip(plan, files, strict=True) if not file.exists()]
    with spread(partial(_write, settings, trained), missing, settings.workers) as futures:
        for future in futures:
            number, thickness, start = future.result()
            print(f"scans: patient {number}, {thickness:g} mm from {start:g} mm", flush=True)
    return pd.concat([pd.read_csv(file) for file in files], ignore_index=True)


_loaded: list[tuple[Network, TrainedModel]] = []  # of this process


def _write(
    settings: Settings, trained: Sequence[Network], item: tuple[tuple[int, float, float], Path]
) -> tuple[int, float, float]:
    scan, file = item
    if not _loaded:
        torch.set_num_threads(1)  # one process per core
        _loaded.extend((network, folded(load_model(network.checkpoint))) for network in trained)
    write_text(file, volumes(*scan, settings, _loaded).to_csv(index=False, lineterminator="\n"))
    return scan


def volumes(
    number: int,
    thickness_mm: float,
    start_mm: float,
    settings: Settings,
    models: Sequence[tuple[Network, TrainedModel]],
) -> pd.DataFrame:
    """Return the rows of one scan."""
    body = anatomy(number, settings)
    scan = render(body, acquisition(body, number, thickness_mm, start_mm, settings))
    slices, rows, columns = scan.hu.shape
    geometry = Geometry((columns, rows, slices), scan.affine)
    ct, mask = CTVolume(scan.hu, geometry), LabelMap(scan.labels, geometry)
    truth = true_volumes_cm3(body)
    common = {"patient": number, "condition": body.condition.value}
    common |= {"thickness_mm": thickness_mm, "start_mm": start_mm}
    found = []
    for network, model in models:
        predicted = segment(ct, model)
        overlap = overlaps(predicted.labels, mask.labels)
        for organ in ORGANS:
            row = common | {"recipe": network.recipe, "seed": network.seed, "structure": organ.key}
            row |= {"volume_cm3": organ_volume_cm3(predicted, organ), "mask_cm3": organ_volume_cm3(mask, organ)}
            found.append(row | {"truth_cm3": truth[organ.key], "dss": overlap[organ].dss})
    return pd.DataFrame(found)
