"""The schema of each verb."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from liverspleen.config.cohorts import (
    MOST_PHANTOMS,
    CheckConfig,
    ExportConfig,
    ImportConfig,
    PhantomConfig,
    PrepareConfig,
    SplitConfig,
)
from liverspleen.config.correction import CorrectConfig
from liverspleen.config.evaluation import (
    AuditConfig,
    ChangeConfig,
    CompareConfig,
    MeasureConfig,
    PlanConfig,
    ReportConfig,
)
from liverspleen.config.key import LARGEST_COUNT, LARGEST_SEED, Key, Schema
from liverspleen.config.prediction import PredictConfig
from liverspleen.config.recipe import NetworkConfig
from liverspleen.config.training import BenchConfig, SweepConfig, TrainConfig


@dataclass(frozen=True, kw_only=True)
class InfoConfig(Schema):
    """Keys of `liverspleen info`."""

    input_slices: Annotated[
        int,
        Key("Number of neighbouring input slices for which the operations of the network are counted.", ge=1, le=99),
    ]
    matrix: Annotated[
        int,
        Key(
            "Number of pixels along a side of the slices for which the operations are counted.",
            ge=1,
            le=4096,
        ),
    ]
    model: Annotated[
        Path | None,
        Key(
            "Model package or checkpoint whose organs and data are printed; `phantom` is the shipped model.",
            is_model=True,
        ),
    ] = None
    network: NetworkConfig | None = None


@dataclass(frozen=True, kw_only=True)
class DemoConfig(Schema):
    """Keys of `liverspleen demo`."""

    output: Annotated[Path, Key("Output folder of the demo.")]
    development: Annotated[int, Key("Number of phantoms for training and validation.", ge=1, le=MOST_PHANTOMS)]
    test1: Annotated[int, Key("Number of phantoms in test dataset-1.", ge=0, le=MOST_PHANTOMS)]
    pairs: Annotated[int, Key("Number of pairs of phantoms in test dataset-2.", ge=0, le=MOST_PHANTOMS)]
    matrix: Annotated[int, Key("Number of pixels along a side of a slice.", ge=32, le=4096)]
    experiment: Annotated[str, Key("Recipe of the training, from conf/experiment.")]
    steps: Annotated[int, Key("Number of training steps.", ge=1, le=LARGEST_COUNT)]
    seed: Annotated[int, Key("Seed of phantoms, split and training.", ge=0, le=LARGEST_SEED)]


SCHEMAS: Final[dict[str, type[Schema]]] = {
    "demo": DemoConfig,
    "phantom": PhantomConfig,
    "import": ImportConfig,
    "export": ExportConfig,
    "check": CheckConfig,
    "split": SplitConfig,
    "prepare": PrepareConfig,
    "train": TrainConfig,
    "bench": BenchConfig,
    "sweep": SweepConfig,
    "predict": PredictConfig,
    "correct": CorrectConfig,
    "measure": MeasureConfig,
    "report": ReportConfig,
    "compare": CompareConfig,
    "change": ChangeConfig,
    "plan": PlanConfig,
    "audit": AuditConfig,
    "info": InfoConfig,
}
"""The schema of each verb, in the order of `liverspleen --help`; values are in `conf/<verb>.yaml`."""
