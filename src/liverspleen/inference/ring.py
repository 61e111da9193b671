"""Buffer of the input slices of a batch; each slice is resampled, padded, uploaded and scaled once."""

from __future__ import annotations

import torch
from torch import Tensor

from liverspleen.data.resampling import resampled_hu, resampled_matrix
from liverspleen.data.slices import AIR_HU, neighbours, padded, slice_step, stride_multiple
from liverspleen.imaging.volume import CTVolume
from liverspleen.inference.model import TrainedModel
from liverspleen.inference.transfers import Uploads


class SliceRing:
    """Ring buffer with the scaled slices of a CT that one batch needs, on the model's device.

    `matrix` holds rows and columns of the slices at the model's pixel size, before padding.
    """

    def __init__(self, ct: CTVolume, model: TrainedModel, *, batch_size: int) -> None:
        self._ct, self._model = ct, model
        self._count, rows, columns = ct.hu.shape
        _, *pixel = ct.geometry.spacing_mm
        self._step = slice_step(model.slice_distance_mm, ct.geometry.spacing_mm[0])
        self.matrix = resampled_matrix((rows, columns), (pixel[0], pixel[1]), model.pixel_mm)
        self._size = (stride_multiple(self.matrix[0], model.stride), stride_multiple(self.matrix[1], model.stride))
        reach = 2 * (model.slices // 2) * self._step
        self._slots = min(batch_size + reach, self._count)
        self._ring = torch.empty((self._slots, *self._size), device=model.device)
        self._upload = Uploads(model.device, self.matrix)
        self._loaded = 0  # number of slices

    def stacks(self, start: int, stop: int) -> Tensor:
        """Return scaled intensities (stop - start, slices, H, W) of the slices from `start` to `stop`, in order."""
        needed = [neighbours(s, self._count, self._model.slices, step=self._step) for s in range(start, stop)]
        for slice_index in range(self._loaded, needed[-1][-1] + 1):
            hu = self._upload(resampled_hu(self._ct.hu[slice_index : slice_index + 1], self.matrix)[0])
            self._ring[slice_index % self._slots] = self._model.window(padded(hu, self._size, value=AIR_HU))
        self._loaded = max(self._loaded, needed[-1][-1] + 1)
        slots = torch.tensor(needed).remainder_(self._slots)
        return self._ring[slots.to(self._ring.device, non_blocking=True)]
