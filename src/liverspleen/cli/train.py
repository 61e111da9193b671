"""train a 2.5D DeepLabV3+ on the development cases of a cohort.

Does what is missing first: draws the split (split=), fills the slice store (store=). Cases in which only one
organ is labelled teach that organ. Stopped, the same command goes on from the last checkpoint; finished, it says
so.

example
  liverspleen train cohort=cohort.csv split=split/split.csv output=outputs/model experiment=phantom trainer.steps=2000

inputs
  cohort=       cohort.csv
  split=        split.csv of liverspleen split

outputs, in output=
  last.ckpt, best.ckpt   weights with preprocessing, structures and split hash (best: by DSS per case, in 3D)
  metrics.csv            loss and validation DSS by step
  validation.csv         DSS of each validation case
  run.json               what made them

exit codes
  0 done; 2 cases or input refused, each listed (the other cases are learnt from); 1 failure
"""

from __future__ import annotations

import csv
import io
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liverspleen import __version__, assemble
from liverspleen.cohort.manifest import Case, Cohort, read_cohort
from liverspleen.cohort.split import SIDES, Split, read_split, split_by_patient, write_split
from liverspleen.config import TrainConfig
from liverspleen.errors import Fault, Refused
from liverspleen.provenance import Run, recorded
from liverspleen.storage import sha256_of, write_text

if TYPE_CHECKING:
    from liverspleen.data.store import StoredCase
    from liverspleen.training.module import SegmentationModule


def run(config: TrainConfig) -> Sequence[Fault]:
    """Train, or go on, or say that it is done."""
    if wrong := assemble.contradictions(config):
        raise Refused(wrong)
    with recorded("train", config, config.output) as record:
        cohort = read_cohort(config.cohort, root=config.root, vocabulary=assemble.vocabulary(config.vocabulary))
        split, split_file = _split(config, cohort)
        record.inputs |= {"cohort": cohort.hash, "split": sha256_of(split_file)}
        record.seeds["training"] = config.seed
        record.faults.extend(cohort.faults)
        training, validation = (_store(config, split.cases(cohort, side), record) for side in SIDES)
        _fit(config, record, training, validation)
        return tuple(record.faults)


def _split(config: TrainConfig, cohort: Cohort) -> tuple[Split, Path]:
    if config.split is not None:
        return read_split(config.split, cohort), config.split
    file = config.output / "split.csv"
    if not file.exists():
        write_split(file, split_by_patient(cohort, train_fraction=config.train_fraction, seed=config.seed))
    return read_split(file, cohort), file


def _store(config: TrainConfig, cases: Sequence[Case], record: Run) -> list[StoredCase]:
    """The cases out of the slice store, put there if they are missing; a faulty one is recorded and left out."""
    from liverspleen.data.store import store_case

    stored = []
    for case in cases:
        try:
            stored.append(store_case(case, config.store or config.output / "store"))
        except Refused as error:
            record.faults.extend(error.faults)
    return stored


def _fit(config: TrainConfig, record: Run, training: list[StoredCase], validation: list[StoredCase]) -> None:
    import pytorch_lightning as pl

    from liverspleen.data.module import SectionDataModule
    from liverspleen.training.checkpoints import BEST, LAST, Checkpoints

    last = config.output / LAST
    mark = assemble.fingerprint(config, record.inputs["split"])
    start = _steps_done(last, mark)
    record.outputs += [config.output / name for name in (LAST, BEST, "metrics.csv", "validation.csv")]
    if start >= config.trainer.steps:
        print(f"train: {last} holds all {config.trainer.steps} steps already; nothing to do")
        return
    pl.seed_everything(config.seed, verbose=False)
    bundle = {"fingerprint": mark, "cohort": record.inputs["cohort"], "split": record.inputs["split"]}
    module = assemble.module(config, {**bundle, "version": __version__})
    data = SectionDataModule(
        training,
        validation,
        sections=config.slices.sections,
        stride=config.network.output_stride,
        batch_size=config.trainer.batch_size,
        steps=config.trainer.steps,
        seed=config.seed,
        workers=config.trainer.workers,
        start=start,
        section_distance_mm=config.slices.section_distance_mm,
        sampler=assemble.sampler(config),
    )
    checkpoints = Checkpoints(config.output, every=config.trainer.validate_every)
    trainer = assemble.trainer(config, checkpoints, validate=bool(validation), start=start)
    count = f"{len(training)} cases, {len(data.training)} sections; validation: {len(validation)} cases"
    print(f"train: {count}; steps {start} to {config.trainer.steps}")
    record.device = str(trainer.strategy.root_device)
    try:
        trainer.fit(module, data, ckpt_path=last if start else None, weights_only=True)
    except SystemExit as stop:  # Lightning makes an exit of Ctrl-C, and is deaf to the next one
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from stop
    _write_validation(config.output, module, validation)


def _steps_done(last: Path, mark: str) -> int:
    """Steps that the checkpoint holds; 0 if there is none.

    Raises:
        Refused: the checkpoint is of another training.
    """
    import torch

    from liverspleen.networks.checkpoint import BUNDLE_KEY

    if not last.exists():
        return 0
    checkpoint: dict[str, Any] = torch.load(last, map_location="cpu", weights_only=True, mmap=True)
    if checkpoint.get(BUNDLE_KEY, {}).get("fingerprint") != mark:
        what = "the output folder holds a training with another configuration, cohort or split"
        raise Refused(Fault("LS-TRN-004", what, "choose another output=, or remove that folder", file=last))
    return int(checkpoint["global_step"])


def _write_validation(output: Path, module: SegmentationModule, validation: Sequence[StoredCase]) -> None:
    if not validation:
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case_id", "structure", "dss"])
    for index, dss in module.case_dss.items():
        writer.writerows([validation[index].case_id, organ, "" if d is None else repr(d)] for organ, d in dss.items())
    write_text(output / "validation.csv", text.getvalue())
