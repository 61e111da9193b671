"""Trainings that send a signal to their whole process group: `group_signal.py FILE`, a JSON list of `Case`.

Each training is a fork in a session of its own, so the imports are loaded once. The last line of the output is a JSON
list of exit codes; a negative one is the signal that ended the training.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning.loggers
import timm
import wandb

from liverspleen.cli.main import main
from liverspleen.training import checkpoint_files, losses
from liverspleen.training.fit import TrainingParts
from liverspleen.training.module import SegmentationModule

IMPORTED = (pytorch_lightning, timm, wandb, losses)  # by each training, so before the forks
PLACES: dict[str, tuple[Any, str]] = {
    "parts": (TrainingParts, "__init__"),  # before the first step
    "setup": (SegmentationModule, "configure_optimizers"),
    "start": (SegmentationModule, "on_train_start"),
    "step": (SegmentationModule, "training_step"),
    "validation": (SegmentationModule, "validation_step"),
    "checkpoint": (checkpoint_files.CheckpointFiles, "save_checkpoint"),
}


class Case(NamedTuple):
    place: str
    call: int
    """of the place, from 0"""
    signal: int
    arguments: list[str]
    err: str
    """file for the messages"""


def signalling(whole: Callable[..., Any], case: Case) -> Callable[..., Any]:
    calls = count()

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == case.call:
            os.killpg(0, case.signal)
        return whole(*args, **kwargs)

    return wrapped


def forked(case: Case) -> int:
    if pid := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.setsid()
    os.dup2(os.open(case.err, os.O_CREAT | os.O_WRONLY), 2)
    owner, name = PLACES[case.place]
    setattr(owner, name, signalling(getattr(owner, name), case))
    sys.exit(main(case.arguments))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
    cases = [Case(*one) for one in json.loads(Path(sys.argv[1]).read_text())]
    sys.stdout.write(json.dumps([forked(case) for case in cases]))
