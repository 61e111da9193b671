"""The Lightning data module over the slice store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytorch_lightning as pl
from torch.utils.data import DataLoader, Sampler

from liverspleen.data.sampling import natural
from liverspleen.data.sections import Collate, SectionDataset, SliceStack
from liverspleen.data.store import StoredCase
from liverspleen.errors import Fault, Refused


class SectionDataModule(pl.LightningDataModule):
    """Shuffled sections of the training side for a number of steps; the validation side case by case, in order.

    Args:
        training: stored cases to learn from.
        validation: stored cases to validate on; may be empty.
        sections: neighbouring sections in a sample.
        stride: output stride of the network, to which batches are padded.
        batch_size: sections a step.
        steps: of the whole training.
        seed: of the order.
        workers: loader processes.
        start: steps already done, for a training that goes on.
        section_distance_mm: about how far apart the sections in a sample lie; None: adjacent.
        sampler: cases, steps, batch size, seed and start to the order of the training sections.

    Raises:
        Refused: nothing to train on, or the same patient or the same voxels on both sides.
    """

    def __init__(
        self,
        training: Sequence[StoredCase],
        validation: Sequence[StoredCase],
        *,
        sections: int,
        stride: int,
        batch_size: int,
        steps: int,
        seed: int,
        workers: int,
        start: int = 0,
        section_distance_mm: float | None = None,
        sampler: Callable[..., Sampler[int]] = natural,
    ) -> None:
        super().__init__()
        refuse_leaks(training, validation)
        self.training = SectionDataset(training, sections=sections, distance_mm=section_distance_mm)
        self.validation = SectionDataset(validation, sections=sections, distance_mm=section_distance_mm)
        self.sampler = sampler(training, steps=steps, batch_size=batch_size, seed=seed, start=start)
        self.batch_size, self.workers = batch_size, workers
        self.collate = Collate(stride)

    def train_dataloader(self) -> DataLoader[SliceStack]:
        """As many batches as there are steps to do."""
        return DataLoader(
            self.training,
            batch_size=self.batch_size,
            sampler=self.sampler,
            num_workers=self.workers,
            collate_fn=self.collate,
            persistent_workers=self.workers > 0,
        )

    def val_dataloader(self) -> DataLoader[SliceStack] | list[DataLoader[SliceStack]]:
        """The sections of one case after another; a batch never spans two cases."""
        if not self.validation.cases:
            return []
        edges = self.validation.offsets.tolist()
        batches = [
            list(range(start, min(start + self.batch_size, last)))
            for first, last in pairwise(edges)
            for start in range(first, last, self.batch_size)
        ]
        return DataLoader(self.validation, batch_sampler=batches, num_workers=self.workers, collate_fn=self.collate)


def refuse_leaks(training: Sequence[StoredCase], validation: Sequence[StoredCase]) -> None:
    """Refuse an empty training side, and a patient or a CT (by its voxels) on both sides.

    Raises:
        Refused: with every leak found.
    """
    if not training:
        raise Refused(Fault("LS-TRN-001", "no case to train on", "give development cases with labels of an organ"))
    patients = {case.patient_id: case for case in training}
    voxels = {case.voxels_sha256: case for case in training}
    faults = [
        Fault(
            "LS-TRN-002",
            f"patient {case.patient_id!r} is on the training and the validation side",
            "draw the split anew",
            case_id=case.case_id,
        )
        for case in validation
        if case.patient_id in patients
    ]
    faults += [
        Fault(
            "LS-TRN-003",
            f"its voxels equal those of training case {voxels[case.voxels_sha256].case_id!r}",
            "give both the same patient_id, or remove one, and draw the split anew",
            case_id=case.case_id,
        )
        for case in validation
        if case.voxels_sha256 in voxels
    ]
    if faults:
        raise Refused(faults)
