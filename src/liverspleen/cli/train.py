"""train a 2.5D DeepLabV3+ on the development cases of a cohort.

Does what is missing first: draws the split (split=), fills the slice store (store=). Refuses a test case of the cohort
whose voxels are those of a case to learn from or to validate on, under whatever name; a test image that cannot be read
is no matter here. Cases in which only one organ is labelled teach that organ. Stopped or killed, the same command goes
on and ends as if nothing had happened; finished, it says so. With more trainer.steps= a finished training goes on; a
polynomial rate is then planned anew, so that the result differs from a training planned for that length. Ctrl-C,
SIGTERM and SIGUSR1 stop after the step under way, a second time at once. trainer=ddp trains on several GPUs
(trainer.devices=, trainer.nodes=), also under torchrun and SLURM; there fill the store first (liverspleen prepare).

A folder of images is a cohort too: images/ and labels/, or imagesTr/ and labelsTr/, with files of the same names (but
for nnU-Net's _0000), or X.nii.gz beside X_label.nii.gz. Its label maps hold 0 background, 1 liver, 2 spleen; each CT
counts as a patient of its own. The table of its files is written into output=, and the folder refused if it has changed
when the training goes on. DICOM and label maps with other values: liverspleen import first.

Refused are a split in which a patient is on both sides, or has test cases, a split of another cohort, a CT that by its
voxels is on both sides, and to go on with images or label maps that were changed.

example
  liverspleen train cohort=cohort.csv split=split/split.csv output=outputs/model experiment=phantom trainer.steps=2000
  liverspleen train cohort=folder output=outputs/model

inputs
  cohort=       cohort.csv, or a folder of images
  split=        split.csv or a fold of liverspleen split

outputs, in output=
  last.ckpt, best.ckpt   weights with preprocessing, structures and split hash (best: by DSS per case, in 3D)
  model.safetensors      the weights of best.ckpt (of last.ckpt without validation) for other programs
  metrics.csv            loss and validation DSS by step
  validation.csv         DSS and volumes of each validation case at the last validation
  split.csv, cohort.csv  the split, without split=; the table of a folder of images
  run.json               what made them

exit codes
  0 done; 2 cases or input refused, each listed (the other cases are learnt from); 1 failure
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from liverspleen import __version__, assemble
from liverspleen.cli.filling import fill
from liverspleen.cli.tasks import task_issues
from liverspleen.cohort.composition import composition
from liverspleen.cohort.draw import split_by_patient
from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.cohort.split import SIDES, Split, read_split, write_split
from liverspleen.config import TrainConfig
from liverspleen.data.leaks import refuse_leaks
from liverspleen.data.parts import in_use
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.nifti import read_grid
from liverspleen.provenance import Run, recorded
from liverspleen.storage import sha256_of

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule, LightningModule, Trainer

    from liverspleen.data.module import SectionDataModule
    from liverspleen.data.store import StoredCase
    from liverspleen.training.resumption import Resumption

_NO_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
"""Words of the CPU's allocator, of the CUDA runtime, and of cuBLAS and cuDNN, in errors without a type of their own."""


def run(config: TrainConfig) -> Sequence[Issue]:
    """Train, or go on, or say that it is done."""
    if wrong := [*assemble.contradictions(config), *task_issues(config.trainer, os.environ)]:
        raise InputError(wrong)
    with _sigterm_as_before(), _record(config) as record:
        cohort = assemble.cohort(config.cohort, config, table=config.output / "cohort.csv")
        record.issues.extend(cohort.issues)
        split, split_file = split_of(config, cohort)
        record.inputs |= {"cohort": cohort.hash, "split": sha256_of(split_file)}
        record.seeds["training"] = config.seed
        record.issues.extend(split.unnamed(cohort))
        store = config.store or config.output / "store"
        store.mkdir(parents=True, exist_ok=True)
        with in_use(store):
            found = _stored(config, store, cohort, split, record)
            sides: dict[str, dict[str, Any]] = {
                side: _learnt(split.cases(cohort, side), stored) for side, stored in zip(SIDES, found, strict=True)
            }
            images = {case.case_id: case.image for case in split.cases(cohort, SIDES[1])}
            grids = [read_grid(images[case.case_id], case_id=case.case_id) for case in found[1]]
            _fit(config, record, *found, sides, [grid.voxel_volume_mm3 for grid in grids])
        return tuple(record.issues) if _first() else ()


@contextmanager
def _sigterm_as_before() -> Iterator[None]:
    """Gives back what `_train` takes for longer than Lightning would."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        _on_sigterm(before)


def _on_sigterm(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _first() -> bool:
    """Whether this is the process that tells and writes: rank 0, whoever started the ranks."""
    return not any(int(os.environ.get(name) or 0) for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def _record(config: TrainConfig) -> AbstractContextManager[Run]:
    return recorded("train", config, config.output) if _first() else nullcontext(Run(config.output))


def split_of(config: TrainConfig, cohort: Cohort) -> tuple[Split, Path]:
    """The split that `split=` names, or the one in the output folder, which is drawn if it is not there."""
    if config.split is not None:
        return read_split(config.split, cohort), config.split
    file = config.output / "split.csv"
    if not file.exists():
        write_split(file, split_by_patient(cohort, train_fraction=config.train_fraction, seed=config.seed))
    split = read_split(file, cohort)
    if split.train_fraction != config.train_fraction:
        message = f"split was drawn with train_fraction={split.train_fraction}, not {config.train_fraction}"
        raise InputError(Issue("LS-SPL-012", message, "give it as split=, or choose another output=", file=file))
    return split, file


def _stored(
    config: TrainConfig, store: Path, cohort: Cohort, split: Split, record: Run
) -> tuple[list[StoredCase], list[StoredCase]]:
    """Both sides out of the slice store, put there if they are missing; a faulty case is recorded and left out.

    Raises:
        InputError: a patient or a CT is where it must not be (see `refuse_leaks`), or the disk is full.
    """
    sides = [split.cases(cohort, side) for side in SIDES]
    tests = [case for case in cohort.cases if not case.is_development]
    filled = fill("train", store, [*sides[0], *sides[1]], tests, pixel_mm=config.slices.pixel_mm, quiet=not _first())
    record.issues.extend(filled.issues)
    training, validation = (
        [filled.stored[case.case_id] for case in cases if case.case_id in filled.stored] for cases in sides
    )
    refuse_leaks(training, validation, filled.tested)
    return training, validation


def _learnt(cases: Sequence[Case], stored: Sequence[StoredCase]) -> dict[str, Any]:
    """What the cases of a side are that were stored, for the checkpoint to tell."""
    ids = {case.case_id for case in stored}
    return composition(case for case in cases if case.case_id in ids)


def _fit(
    config: TrainConfig,
    record: Run,
    training: list[StoredCase],
    validation: list[StoredCase],
    sides: dict[str, dict[str, Any]],
    voxels_mm3: list[float],
) -> None:
    import pytorch_lightning as pl

    from liverspleen.training.checkpoint_files import export_weights
    from liverspleen.training.resumption import BEST, LAST, resumption

    out, choice = config.output, config.trainer
    mark = assemble.fingerprint(config, record.inputs["split"], [*training, *validation])
    done = resumption(out, mark)
    record.issues.extend(done.issues)
    names = (LAST, BEST, "model.safetensors", "metrics.csv", "validation.csv")
    record.outputs += [out / name for name in names]
    ended_early = choice.patience is not None and done.stale >= choice.patience
    if done.steps < choice.steps and not ended_early:
        record.issues.extend(_replanned(config, done))
        pl.seed_everything(config.seed, verbose=False)
        bundle: dict[str, Any] = {
            "fingerprint": mark,
            "cohort": record.inputs["cohort"],
            "split": record.inputs["split"],
        }
        bundle |= {**sides, "origins": sides["training"]["origins"], "version": __version__}
        module = assemble.module(config, bundle)
        data = _data(config, training, validation, start=done.steps)
        watch = assemble.callbacks(config, validation, voxels_mm3, start=done.steps)
        loggers = assemble.loggers(config, record.issues, start=done.steps)
        trainer = assemble.trainer(config, watch, loggers, validate=bool(validation))
        record.device = str(trainer.strategy.root_device)
        if _first():
            for left in out.glob(".part-*"):  # of a save that was killed
                left.unlink()
            count = f"{len(training)} cases, {len(data.training)} sections; validation: {len(validation)} cases"
            print(f"train: {count}; steps {done.steps} to {choice.steps}", flush=True)
        _train(config, trainer, module, data, done)
        if module.seconds_per_section:
            record.measured["validation_seconds_per_section"] = median(module.seconds_per_section)
    elif _first():
        why = f"no better DSS for {done.stale} validations" if ended_early else f"all {choice.steps} steps"
        print(f"train: {done.checkpoint} ends with {why} already; nothing to do")
    if _first():
        export_weights(out / (BEST if (out / BEST).exists() else LAST), out / "model.safetensors")


def _data(
    config: TrainConfig, training: list[StoredCase], validation: list[StoredCase], *, start: int
) -> SectionDataModule:
    from liverspleen.data.module import SectionDataModule

    return SectionDataModule(
        training,
        validation,
        sections=config.slices.sections,
        stride=config.network.output_stride,
        batch_size=config.trainer.batch_size,
        accumulate=config.trainer.accumulate,
        ranks=assemble.ranks(config),
        steps=config.trainer.steps,
        seed=config.seed,
        workers=config.trainer.workers,
        start=start,
        section_distance_mm=config.slices.section_distance_mm,
        sampler=assemble.sampler(config),
    )


def _train(
    config: TrainConfig, trainer: Trainer, module: LightningModule, data: LightningDataModule, done: Resumption
) -> None:
    """Fit; what all ranks find alike is told by the first one, the others then end without a word."""
    import torch

    from liverspleen.training.finite import NotFiniteError
    from liverspleen.training.interruption import Stopped

    _on_sigterm(
        lambda *_: None
    )  # after the stop: SLURM and workers of a sweep send it again before run.json is written
    try:
        trainer.fit(module, data, ckpt_path=done.checkpoint, weights_only=True)
    except Stopped as stop:
        if not _first():
            raise SystemExit(0) from stop
        raise KeyboardInterrupt from stop
    except NotFiniteError as error:
        if not _first():
            raise SystemExit(0) from error
        raise
    except SystemExit as stop:  # Lightning makes an exit of a second Ctrl-C, and is deaf to the next one
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from stop
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not (known or any(words in str(error) for words in _NO_MEMORY)):
            raise
        choice = config.trainer
        size = f"trainer.batch_size={choice.batch_size} trainer.accumulate={choice.accumulate}"
        message = f"memory ran out at step {trainer.global_step + 1} with {size}"
        hint = "halve trainer.batch_size and double trainer.accumulate, or choose a smaller network"
        raise InputError(Issue("LS-TRN-009", message, hint)) from error


def _replanned(config: TrainConfig, done: Resumption) -> list[Issue]:
    """What it means to go on with another number of steps than was planned."""
    asked = config.trainer.steps
    if done.checkpoint is None or done.planned == asked or config.scheduler.name != "polynomial":
        return []
    message = f"the first {done.steps} steps were trained with a rate planned for {done.planned} steps, not {asked}"
    hint = f"train anew if the result must equal that of a training of {asked} steps from the start"
    return [Issue("LS-TRN-011", message, hint, file=done.checkpoint, severity="warning")]
