"""Fill /dev/shm while a loader is in use, and write its issue; only in a mount namespace with a small /dev/shm."""

import sys
from pathlib import Path

import torch
from torch.utils.data import Dataset

from liverspleen.data.loader import loader, loader_issue
from liverspleen.data.slices import Collate, SliceStack


class Slices(Dataset[SliceStack]):
    def __len__(self) -> int:
        return 100

    def __getitem__(self, index: int) -> SliceStack:
        slices, labels = torch.zeros(3, 256, 256, dtype=torch.int16), torch.zeros(256, 256, dtype=torch.uint8)
        numbers = torch.tensor(index)
        return SliceStack(slices, labels, numbers, numbers, torch.ones(2, dtype=torch.bool), torch.tensor([256, 256]))


if __name__ == "__main__":
    made = loader(Slices(), workers=1, batch_size=2, collate_fn=Collate(16))
    batches = iter(made)
    kept = [next(batches)]
    try:
        with Path("/dev/shm/other").open("wb", buffering=0) as other:
            while True:
                other.write(bytes(4096))
    except OSError:
        pass
    try:
        kept.extend(batches)
    except RuntimeError as error:
        sys.stdout.write(str(loader_issue(error, made.processes)))
