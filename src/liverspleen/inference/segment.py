"""A CT volume to a label map on its own grid, section by section."""

from __future__ import annotations

import numpy as np
import torch

from liverspleen.data.resampling import resampled_hu, resampled_matrix
from liverspleen.data.sections import AIR_HU, native_classes, neighbours, padded, section_step, stride_multiple
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.inference.model import TrainedModel


def segment(ct: CTVolume, model: TrainedModel, *, batch_size: int = 8) -> LabelMap:
    """Segment every section with its neighbours; edge sections stand in for missing neighbours, as in training.

    Where the model was trained on another pixel size, sections are brought to it and logits back.
    Only `batch_size` sections with their neighbours and logits exist at a time, so memory beyond CT and label map does
    not grow with the number of sections.
    """
    count, rows, columns = ct.hu.shape
    matrix = resampled_matrix((rows, columns), ct.geometry.spacing_mm[1:], model.pixel_mm)
    size = (stride_multiple(matrix[0], model.stride), stride_multiple(matrix[1], model.stride))
    step = section_step(model.section_distance_mm, ct.geometry.spacing_mm[0])
    device = model.device
    labels = np.empty(ct.hu.shape, np.uint8)
    for start in range(0, count, batch_size):
        stop = min(start + batch_size, count)
        rings = [neighbours(section, count, model.sections, step=step) for section in range(start, stop)]
        first, last = rings[0][0], rings[-1][-1]
        block = torch.from_numpy(resampled_hu(ct.hu[first : last + 1].copy(), matrix)).to(device)
        scaled = model.window(padded(block, size, value=AIR_HU))  # each section once per batch
        stacks = scaled[torch.tensor(rings, device=device) - first]
        with torch.inference_mode():
            labels[start:stop] = native_classes(model.network(stacks), matrix, (rows, columns)).cpu().numpy()
    return LabelMap(labels, ct.geometry)
