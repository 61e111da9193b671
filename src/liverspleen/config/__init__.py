"""Configuration: one frozen dataclass per verb and per config group, and the functions that compose and check it.

Values are in `conf/`; names, types, limits, choices and descriptions are in the dataclasses. `compose` makes a
configuration from the overrides of a command line, from Python values, or from both.
"""

from liverspleen.config.augmentation import AugmentationConfig
from liverspleen.config.choices import conf_folder, groups
from liverspleen.config.cohorts import (
    CheckConfig,
    ExportConfig,
    ImportConfig,
    PhantomConfig,
    PrepareConfig,
    SplitConfig,
    VocabularyConfig,
)
from liverspleen.config.composition import compose
from liverspleen.config.config_keys import ConfigKey, keys
from liverspleen.config.correction import CorrectConfig
from liverspleen.config.evaluation import (
    AuditConfig,
    ChangeConfig,
    CompareConfig,
    MeasureConfig,
    PlanConfig,
    ReportConfig,
)
from liverspleen.config.key import NO_NEUTRAL, Key, Schema
from liverspleen.config.prediction import PredictConfig
from liverspleen.config.recipe import (
    LoggerConfig,
    LossConfig,
    NetworkConfig,
    OptimizerConfig,
    SamplerConfig,
    SchedulerConfig,
    SlicesConfig,
    TrainerConfig,
)
from liverspleen.config.training import BenchConfig, LauncherConfig, SearchConfig, SweepConfig, TrainConfig
from liverspleen.config.verbs import SCHEMAS, DemoConfig, InfoConfig

__all__ = [
    "NO_NEUTRAL",
    "SCHEMAS",
    "AuditConfig",
    "AugmentationConfig",
    "BenchConfig",
    "ChangeConfig",
    "CheckConfig",
    "CompareConfig",
    "ConfigKey",
    "CorrectConfig",
    "DemoConfig",
    "ExportConfig",
    "ImportConfig",
    "InfoConfig",
    "Key",
    "LauncherConfig",
    "LoggerConfig",
    "LossConfig",
    "MeasureConfig",
    "NetworkConfig",
    "OptimizerConfig",
    "PhantomConfig",
    "PlanConfig",
    "PredictConfig",
    "PrepareConfig",
    "ReportConfig",
    "SamplerConfig",
    "SchedulerConfig",
    "Schema",
    "SearchConfig",
    "SlicesConfig",
    "SplitConfig",
    "SweepConfig",
    "TrainConfig",
    "TrainerConfig",
    "VocabularyConfig",
    "compose",
    "conf_folder",
    "groups",
    "keys",
]
