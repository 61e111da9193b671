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
        int, Key("The operations of the network are counted for this number of neighbouring input slices.", ge=1, le=99)
    ]
    matrix: Annotated[
        int,
        Key(
            "The operations of the network are counted for slices with this number of pixels along a side.",
            ge=1,
            le=4096,
        ),
    ]
    network: NetworkConfig | None = None


@dataclass(frozen=True, kw_only=True)
class DemoConfig(Schema):
    """Keys of `liverspleen demo`."""

    output: Annotated[Path, Key("This folder gets all outputs of the demo.")]
    development: Annotated[int, Key("The network is trained on this number of phantoms.", ge=1, le=MOST_PHANTOMS)]
    test1: Annotated[int, Key("Test dataset-1 has this number of phantoms.", ge=0, le=MOST_PHANTOMS)]
    pairs: Annotated[int, Key("Test dataset-2 has this number of pairs of phantoms.", ge=0, le=MOST_PHANTOMS)]
    matrix: Annotated[int, Key("A slice has this number of pixels along a side.", ge=32, le=4096)]
    experiment: Annotated[str, Key("The network is trained with this recipe from conf/experiment.")]
    steps: Annotated[int, Key("Training runs this number of steps.", ge=1, le=LARGEST_COUNT)]
    seed: Annotated[int, Key("Phantoms, split and training depend on this seed.", ge=0, le=LARGEST_SEED)]


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
    "measure": MeasureConfig,
    "report": ReportConfig,
    "compare": CompareConfig,
    "change": ChangeConfig,
    "plan": PlanConfig,
    "audit": AuditConfig,
    "info": InfoConfig,
}
"""The schema of each verb, in the order of `liverspleen --help`; values are in `conf/<verb>.yaml`."""
