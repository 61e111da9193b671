"""The trainer of nnU-Net for this study; nnU-Net 2.8.1 imports it in its own environment (`nnUNet_extTrainer`).

Loss, optimizer, augmentation, sampling and form of the schedule are those of `nnUNetTrainer`. What differs: the number
of epochs and of iterations per epoch, one validation batch per epoch, the number of threads, a seed, and how
checkpoints are written. A checkpoint is complete or absent, and is written after each epoch.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class ShortTrainer(nnUNetTrainer):
    """Trainer whose length, seed and threads are given by environment variables (`nnunet.py`)."""

    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):  # noqa: B008
        """Set length, seed and threads; the arguments and their names are those of nnU-Net."""
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = int(os.environ["PUBLIC_CT_EPOCHS"])
        self.num_iterations_per_epoch = int(os.environ["PUBLIC_CT_ITERATIONS"])
        self.num_val_iterations_per_epoch = 1  # validation decides nothing here
        self.save_every = 1
        torch.set_num_threads(int(os.environ["PUBLIC_CT_THREADS"]))
        torch.manual_seed(int(os.environ["PUBLIC_CT_SEED"]))
        np.random.seed(int(os.environ["PUBLIC_CT_SEED"]))
        self._trained = False

    def run_training(self):
        """Train without the figure of the progress, which is drawn after each epoch and is not used."""
        self.logger.plot_progress_png = lambda folder: None
        super().run_training()
        self._trained = True

    def perform_actual_validation(self, save_probabilities=False):
        """Segment the validation cases, but not in the command that trains: its time is measured."""
        if not self._trained:
            super().perform_actual_validation(save_probabilities)

    def save_checkpoint(self, filename):
        """Write a checkpoint that is complete or absent; the best one of the validation is not used."""
        if Path(filename).name == "checkpoint_best.pth":
            return
        part = f"{filename}.part"
        super().save_checkpoint(part)
        Path(part).replace(filename)
