"""What may be configured: one dataclass per verb, and one per config group.

The values stand in `conf/`; here stand names, types and meaning. Fields of type `Path` are path keys: the command line
takes their values verbatim, whatever commas, brackets or `=` they hold. Those of type `list[Path]` take one path, or
several with commas between them, or the key again; a path that exists as it stands is one path.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, Optional, get_args, get_origin, get_type_hints

# OmegaConf 2.3 reads Optional[...], not `X | None`.
OptionalPath = Optional[Path]  # noqa: UP045
OptionalText = Optional[str]  # noqa: UP045
OptionalInt = Optional[int]  # noqa: UP045
OptionalInts = Optional[list[int]]  # noqa: UP045
OptionalFloat = Optional[float]  # noqa: UP045


@dataclass
class VocabularyConfig:
    """Words that the columns `dataset`, `condition` and `site` of a cohort may hold."""

    datasets: list[str]
    """of `dataset`; `development` is trained on, the others are not"""
    conditions: list[str]
    """of `condition`, in the order of the tables"""
    sites: list[str]
    """of `site`"""


@dataclass
class SlicesConfig:
    """How sections of CT become input of the network."""

    sections: int
    """neighbouring sections in, odd; the middle one is segmented"""
    window_lower_hu: float
    """HU that becomes 0"""
    window_upper_hu: float
    """HU that becomes 1"""
    clip: bool
    """whether intensities outside the window are clipped to 0 and 1"""
    section_distance_mm: Optional[float]  # noqa: UP045
    """about how far apart the sections in lie, a multiple of each CT's own spacing; adjacent ones when empty"""
    pixel_mm: Optional[float]  # noqa: UP045
    """pixel size that sections are resampled to in the plane, label maps are brought back; the CT's own when empty"""


@dataclass
class AugmentationConfig:
    """Random changes of training samples; each uniform up to its limit, 0 for none."""

    rotation_deg: float
    """in the plane, to either side"""
    scale: float
    """share of 1"""
    shift: float
    """share of the image's side"""
    gain: float
    """of intensities, share of 1"""
    offset: float
    """of intensities, share of the window's width"""
    noise: float
    """standard deviation of Gaussian noise, share of the window's width"""
    blur_px: float
    """standard deviation of a Gaussian blur in the plane, pixels"""
    thickness: float
    """share of 1 by which sections get thicker, up to 2: each becomes a mean of itself and its neighbours"""


@dataclass
class SamplerConfig:
    """Which sections are drawn how often."""

    name: str
    """`natural`: all alike; `balanced`: those with neither organ, liver only, spleen only and both equally often"""


@dataclass
class NetworkConfig:
    """A network; a key that it has no use for is empty."""

    name: str
    """`deeplab` (DeepLabV3+), `unet_2d`, `unet_3d`, or the name of a module in `networks/own/`"""
    output_stride: int
    """downsampling of the deepest features; height and width are padded to a multiple of it"""
    encoder: OptionalText = None
    """timm encoder, or `xception65_without_exit_flow`"""
    weights: OptionalPath = None
    """timm's weights of the encoder to start from: a file, or `hub` to fetch them; random when empty"""
    skip_stride: OptionalInt = None
    """downsampling of the features that skip to the decoder"""
    rates: OptionalInts = None
    """atrous rates of the pyramid"""
    pyramid_channels: OptionalInt = None
    """width of pyramid and decoder"""
    skip_channels: OptionalInt = None
    """width of the projected skip connection"""
    dropout: OptionalFloat = None
    """after the pyramid's projection"""
    width: OptionalInt = None
    """channels of a U-Net's first level, doubled at each of the next"""


@dataclass
class LossConfig:
    """Weighted sum of terms; a weight of 0 leaves a term out."""

    dice_weight: float
    """weight of the soft Dice loss"""
    ce_weight: float
    """weight of the cross-entropy"""
    boundary_weight: float
    """weight of minus the mean voxel-wise soft Dice near the organs' boundaries"""
    boundary_px: int
    """how near, in pixels along rows and columns"""
    focal_weight: float
    """weight of the focal loss"""
    focal_gamma: float
    """exponent of the focal loss: 0, or 1 and more"""
    tversky_weight: float
    """weight of the Tversky loss"""
    tversky_alpha: float
    """what a false positive counts in it"""
    tversky_beta: float
    """what a false negative counts in it"""


@dataclass
class OptimizerConfig:
    """Optimizer."""

    name: str
    """`adam` or `adamw`"""
    lr: float
    """learning rate"""
    weight_decay: float
    """decoupled with `adamw`"""


@dataclass
class SchedulerConfig:
    """Course of the learning rate over the training steps."""

    name: str
    """`constant`, `polynomial` or `staircase`"""
    power: float
    """of the polynomial decay to 0 at the last step"""
    factor: float
    """of the staircase, at each stair"""
    every: int
    """steps of a stair"""


@dataclass
class TrainerConfig:
    """Length, batches and hardware."""

    steps: int
    """optimizer steps; more may be asked for later"""
    batch_size: int
    """sections in a batch on each device; 2 or more"""
    accumulate: int
    """batches on each device that make one step"""
    validate_every: int
    """steps between two validations (per-case 3D DSS); the last step of a shorter training"""
    workers: int
    """loader processes; the weights do not depend on it"""
    accelerator: str
    """`auto`, `cpu` or `gpu`"""
    devices: int
    """how many on each node"""
    nodes: int
    """machines that train together"""
    sync_batchnorm: bool
    """batch statistics over all GPUs instead of each for itself"""
    ema_decay: Optional[float]  # noqa: UP045
    """of a moving average of the weights, which is then validated and predicted with; none when empty"""
    patience: Optional[int]  # noqa: UP045
    """validations without a better DSS after which the training ends; never when empty"""
    precision: str
    """Lightning's word for it: `32-true`, `bf16-mixed` or `16-mixed`"""
    deterministic: bool
    """only deterministic algorithms"""
    channels_last: bool
    """memory order of weights and features; faster for some networks and devices"""
    compile: bool
    """compile the network at the first step (`torch.compile`); pays off over thousands of steps of one shape"""
    fused: bool
    """one pass over all parameters in the optimizer's step"""


@dataclass
class LoggerConfig:
    """Where the course of the training is written, beside `metrics.csv`."""

    wandb: bool
    """Weights & Biases too (offline unless `wandb_offline=false`)"""
    wandb_offline: bool
    """keep the W&B run on this disk"""
    wandb_project: str
    """project name in W&B"""
    wandb_group: OptionalText = None
    """group of the run in W&B; of a sweep its study"""


@dataclass
class PhantomConfig:
    """`liverspleen phantom`."""

    output: Path
    """folder to be made: images/, labels/, cohort.csv, truth.csv; or dicom/, covariates.csv, truth.csv"""
    format: str
    """`nifti`, or `dicom`: a folder of CT sections and a segmentation per examination, with the same voxels"""
    development: int
    """development cases, spread over the five conditions"""
    test1: int
    """cases of test dataset-1, spread over the five conditions"""
    pairs: int
    """patients of test dataset-2, two examinations each"""
    matrix: int
    """pixels along a side of a section"""
    thickness_min_mm: float
    """smallest section thickness drawn"""
    thickness_max_mm: float
    """largest section thickness drawn"""
    seed: int
    """the same seed gives the same phantoms"""
    workers: int
    """processes; 0: one per core"""


@dataclass
class ImportConfig:
    """`liverspleen import`."""

    source: str
    """layout of the input: nifti, msd, nnunet, totalsegmentator, chaos or dicom"""
    input: Path
    """folder of the source"""
    output: Path
    """folder for images/, labels/, cohort.csv, import.csv"""
    labels: OptionalPath
    """label maps, for nifti and dicom; the other layouts hold their own"""
    label_values: Any
    """what label values mean: `names` (the source says), a preset, or a map such as {1: liver, 2: spleen}"""
    covariates: OptionalPath
    """CSV keyed by `source` or `patient` with columns of cohort.csv"""
    key: OptionalPath
    """key of the hashes; in the user's config folder when empty; made when absent"""
    ids: str
    """`hashed`, or `names` to keep the names of a public dataset"""
    minimum_sections: int
    """fewest sections of a DICOM series that is taken"""
    workers: int
    """processes, each holds one case; 0: one per core"""
    vocabulary: VocabularyConfig


@dataclass
class ExportConfig:
    """`liverspleen export`."""

    model: OptionalPath
    """checkpoint of a training, to hand on a model"""
    name: OptionalText
    """of the model; the output's when empty"""
    licence: OptionalText
    """of the model: an SPDX identifier such as CC-BY-4.0"""
    onnx: bool
    """of a model, whether the bundle holds it as ONNX too"""
    layout: OptionalText
    """nnunet or msd, to hand on a cohort"""
    cohort: OptionalPath
    """cohort.csv: what is handed on; with a model, whose validation cases it is judged by"""
    root: OptionalPath
    """folder that the paths in the cohort are relative to"""
    output: Path
    """a model's bundle, a folder or .zip; or the dataset's folder, such as nnUNet_raw/Dataset501_Liver"""
    split: OptionalPath
    """the model's split.csv; or split.csv or a folder of fold0.csv, ... that becomes splits_final.json of nnunet"""
    workers: int
    """of a cohort: processes, each holds one case; 0: one per core"""
    vocabulary: VocabularyConfig


@dataclass
class CheckConfig:
    """`liverspleen check`."""

    cohort: Path
    """cohort.csv, or a folder of images"""
    root: OptionalPath
    """folder that the paths in the cohort are relative to; its own folder when empty"""
    output: OptionalPath
    """folder for findings.csv, findings.json and run.json; printed only when empty"""
    vocabulary: VocabularyConfig


@dataclass
class SplitConfig:
    """`liverspleen split`."""

    cohort: Path
    """cohort.csv, or a folder of images"""
    root: OptionalPath
    """folder that the paths in the cohort are relative to"""
    output: Path
    """folder for split.csv, or with `folds` fold0.csv, fold1.csv, ..."""
    folds: OptionalInt
    """splits of which each patient validates in exactly one; a single split when empty"""
    train_fraction: OptionalFloat
    """share of the patients on the training side of a single split, 0.8 when empty; 1: nobody validates"""
    seed: int
    """of the draw"""
    vocabulary: VocabularyConfig


@dataclass
class PrepareConfig:
    """`liverspleen prepare`."""

    action: str
    """`fill`, `verify` or `prune`"""
    cohort: OptionalPath
    """cohort.csv, or a folder of images; not needed to verify"""
    root: OptionalPath
    """folder that the paths in the cohort are relative to"""
    store: Path
    """slice store to be filled; several trainings may share it"""
    pixel_mm: Optional[float]  # noqa: UP045
    """`slices.pixel_mm` of the trainings that are to read it; the CT's own when empty"""
    workers: int
    """processes at most; 0: as many as memory and cores allow"""
    vocabulary: VocabularyConfig


@dataclass
class TrainConfig:
    """`liverspleen train`."""

    cohort: Path
    """cohort.csv, or a folder of images"""
    root: OptionalPath
    """folder that the paths in the cohort are relative to"""
    split: OptionalPath
    """split.csv; drawn 8:2 into the output folder when empty"""
    store: OptionalPath
    """slice store; `store` in the output folder when empty"""
    output: Path
    """folder for checkpoints, metrics.csv, validation.csv"""
    train_fraction: float
    """of the split, if it has to be drawn"""
    seed: int
    """of weights, order of sections, and the split if it has to be drawn"""
    slices: SlicesConfig
    sampler: SamplerConfig
    augmentation: AugmentationConfig
    network: NetworkConfig
    loss: LossConfig
    optimizer: OptimizerConfig
    scheduler: SchedulerConfig
    trainer: TrainerConfig
    logger: LoggerConfig
    vocabulary: VocabularyConfig


@dataclass
class BenchConfig(TrainConfig):
    """`liverspleen bench`: the words of `train`, so that a training is timed as it would run."""

    cohort: OptionalPath  # type: ignore[assignment]
    """not read"""
    store: OptionalPath
    """slice store to read sections from; made-up sections when empty"""
    output: OptionalPath  # type: ignore[assignment]
    """folder for bench.json and run.json; printed only when empty"""
    matrix: int
    """pixels along a side of a made-up section"""
    warmup: int
    """steps before the measured ones, 1 or more"""
    measured: int
    """steps whose medians are told"""


@dataclass
class SearchConfig:
    """What a sweep chooses among, and how."""

    sampler: str
    """`tpe`, `random` or `grid` (all points, in order)"""
    pruner: str
    """`none`; `median` or `halving` end trials early that are worse at a validation than others were"""
    parameters: dict[str, Any]
    """key or config group of train to choices, or to low, high and perhaps log, step"""
    warmup_steps: int = 0
    """training steps before which `median` ends nothing"""


@dataclass
class LauncherConfig:
    """Where the workers of a sweep run; all but `name` is for SLURM jobs, each with one worker."""

    name: str
    """`local`: here; `slurm`: as jobs, submitted from here"""
    jobs: int
    """how many"""
    time_min: int
    """of each; a job that is not done by then goes back into the queue"""
    partition: OptionalText
    """of the cluster; its default when empty"""
    gpus: OptionalInt
    """of each job; asks for none when empty"""
    cpus: int
    """of each job, loader processes included"""
    mem_gb: OptionalFloat
    """of each job; the cluster's default when empty"""
    options: dict[str, Any]
    """more options of sbatch by their long names, such as {account: x, qos: long}"""


@dataclass
class SweepConfig(TrainConfig):
    """`liverspleen sweep`: the words of `train`, which every trial shares, and what is searched."""

    output: Path
    """folder for trials/, the tables and the leaderboard; study.db without storage="""
    trials: OptionalInt
    """finished trials of the search; of a grid all points when empty"""
    leaders: int
    """best configurations that are trained again with fresh seeds"""
    seeds: int
    """fresh seeds for each of them; 0: no choice is made"""
    objectives: list[str]
    """out of dss, volume_bias, seconds_per_section; the first one ranks"""
    study: OptionalText
    """name of the study in its database; that of the output folder when empty"""
    storage: OptionalText
    """SQLAlchemy URL of the database; a SQLite file in the output folder when empty"""
    workers: int
    """processes that train a trial each; 0: one, or one per GPU"""
    launcher: LauncherConfig
    search: SearchConfig


@dataclass
class PredictConfig:
    """`liverspleen predict`."""

    model: Path
    """model bundle (folder or .zip), or checkpoint of a training"""
    input: Path
    """CT: a NIfTI file, DICOM folder, .zip, folder of these, or cohort.csv"""
    root: OptionalPath
    """folder that the paths in the cohort are relative to"""
    output: Path
    """folder for <case_id>_dseg.nii.gz and the tables"""
    datasets: list[str]
    """of a cohort, the datasets to segment; all when empty"""
    split: OptionalPath
    """the model's split of a cohort, to segment its validation patients only; all patients when empty"""
    ids: str
    """of DICOM: `hashed`, or `names` to keep the names of folders of a public dataset"""
    key: OptionalPath
    """key of the hashes; in the user's config folder when empty; made when absent"""
    postprocess: str
    """`model`: clear crumbs where the model's validation found that it helps; `none`"""
    flips: bool
    """mean of sections in order and reversed, in twice the time; the review score then knows where they disagree"""
    precision: str
    """`auto` (bf16 on a GPU that has it, fp32 elsewhere), `fp32` or `bf16`"""
    engine: str
    """`torch`, or `onnxruntime` for the network in a bundle's model.onnx"""
    accelerator: str
    """`auto`, `cpu` or `gpu`"""
    batch_size: OptionalInt
    """sections at a time; chosen when empty"""
    share: OptionalText
    """this task's part of the cases, such as 2/8; all when empty"""
    workers: int
    """processes; 0: one, or one per GPU"""
    vocabulary: VocabularyConfig


@dataclass
class MeasureConfig:
    """`liverspleen measure`."""

    labels: Path
    """folder of label maps, <case_id>.nii.gz or <case_id>_dseg.nii.gz, or of a folder <case_id> of masks per case"""
    reference: OptionalPath
    """folder of reference label maps; the labels named in the cohort when empty"""
    cohort: OptionalPath
    """cohort.csv, for patients, conditions and sites"""
    root: OptionalPath
    """folder that the paths in the cohort are relative to"""
    output: Path
    """folder for measurements.csv"""
    reader: str
    """who or what drew the label maps"""
    reference_reader: str
    """who or what drew the references"""
    datasets: list[str]
    """of a cohort, the datasets to measure; all when empty"""
    label_values: Any
    """what the voxel values of `labels` mean: a name, or a map such as {5: liver, 1: spleen}"""
    reference_values: Any
    """the same for the folder `reference`"""
    allow_missing: bool
    """whether a case without label map scores 0, instead of being an error"""
    surface: str
    """definition of surface distances: voxel or area; none to leave them out"""
    nsd_tolerance_mm: float
    """distance up to which NSD takes two surfaces for one"""
    workers: int
    """processes; 0: one per core"""
    vocabulary: VocabularyConfig


@dataclass
class ReportConfig:
    """`liverspleen report`."""

    measurements: Path
    """measurements.csv"""
    output: Path
    """folder for tables/, figures/, report.json, report.html"""
    reader: Optional[str]  # noqa: UP045
    """reader under test; the only one when empty"""
    reference: Optional[str]  # noqa: UP045
    """reference reader; the only one when empty"""
    cohort: OptionalPath
    """cohort.csv, for Table 1 and Figure 1; left out when empty"""
    root: OptionalPath
    """folder that the paths in the cohort are relative to"""
    split: OptionalPath
    """split.csv of that cohort, for Figure 1"""
    exclusions: OptionalPath
    """CSV of reason,count: patients excluded before the cohort, for Figure 1; reason `assessed`: all there were"""
    labels: OptionalPath
    """folder of the reader's label maps, <case_id>.nii.gz, for Figure 3; left out when empty"""
    label_values: Any
    """what the voxel values of `labels` mean: a name, or a map such as {5: liver, 1: spleen}"""
    cases: list[str]
    """case_ids of Figure 3; of each condition the one with the median DSS when empty"""
    vocabulary: VocabularyConfig


@dataclass
class CompareConfig:
    """`liverspleen compare`."""

    measurements: list[Path]
    """measurements.csv of the readers, one file or several: a.csv,b.csv"""
    output: Path
    """folder for tables/, figures/, compare.json"""
    readers: list[str]
    """readers to compare, in this order; all that are measured against the reference when empty"""
    reference: OptionalText
    """their reference; the only one, or `manual`, when empty"""
    datasets: list[str]
    """the datasets to compare on; all when empty"""


@dataclass
class ChangeConfig:
    """`liverspleen change`."""

    measurements: OptionalPath
    """measurements.csv that holds both CT; without it give before= and after="""
    first: OptionalText
    """case_id of the earlier CT"""
    second: OptionalText
    """case_id of the later CT"""
    reader: OptionalText
    """who measured both; the only reader when empty"""
    before: OptionalFloat
    """earlier volume in cm³, or ratio"""
    after: OptionalFloat
    """later volume in cm³, or ratio"""
    structure: OptionalText
    """liver, spleen or ratio; all of them when empty"""
    report: OptionalPath
    """report.json whose percentage RC are used"""
    rc_pct: OptionalFloat
    """percentage RC to be used instead"""
    rc_ci_pct: list[float]
    """its 95 % interval, [lower,upper]; not known when empty"""
    output: OptionalPath
    """folder for change.json and run.json; printed only when empty"""


@dataclass
class PlanConfig:
    """`liverspleen plan`."""

    question: str
    """`loa`, `rc` or `tost`"""
    n: OptionalInt
    """cases there are: tells what they give; cases needed when empty"""
    sd: OptionalFloat
    """of loa and tost: SD of the differences that is supposed"""
    half_width: OptionalFloat
    """of loa, in the unit of sd; of rc, in percent: half the length that the 95 % interval may have"""
    rc_pct: OptionalFloat
    """of rc: percentage RC that is supposed"""
    repeats: OptionalInt
    """of rc: CT of each patient, 2 when empty"""
    margin: OptionalFloat
    """of tost: largest mean difference that is of no account, in the unit of sd"""
    bias: OptionalFloat
    """of tost: true mean difference, 0 when empty"""
    power: OptionalFloat
    """of tost: probability to show equivalence, 0.8 when empty"""
    assurance: OptionalFloat
    """of loa and rc: probability to reach the half-width, 0.8 when empty"""
    output: OptionalPath
    """folder for plan.json and run.json; printed only when empty"""


@dataclass
class AuditConfig:
    """`liverspleen audit`."""

    published: Path
    """CSV of the numbers as printed"""
    claims: Path
    """YAML of what they have to do with each other"""
    output: Path
    """folder for findings.csv, findings.json, audit.md, audit.html"""


@dataclass
class InfoConfig:
    """`liverspleen info`."""

    sections: int
    """neighbouring sections in, for the cost of the network"""
    matrix: int
    """pixels along a side of a section, for the cost of the network"""
    network: Optional[NetworkConfig] = None  # noqa: UP045
    """network whose cost is told; none when empty"""


@dataclass
class DemoConfig:
    """`liverspleen demo`."""

    output: Path
    """folder for everything the demo makes"""
    development: int
    """phantoms to train on"""
    test1: int
    """phantoms of test dataset-1"""
    pairs: int
    """pairs of phantoms of test dataset-2"""
    matrix: int
    """pixels along a side of a section"""
    experiment: str
    """training recipe out of conf/experiment"""
    steps: int
    """training steps"""
    seed: int
    """of phantoms, split and training"""


SCHEMAS: dict[str, type] = {
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
"""The schema of each verb; its values stand in `conf/<verb>.yaml`."""


class Key(NamedTuple):
    """One configurable key of a verb."""

    name: str
    type: str
    meaning: str
    is_path: bool


@cache
def _meanings() -> dict[str, dict[str, str]]:
    """The docstring below each field, by class; Python drops them, so they are read from the source."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(inspect.getmodule(VocabularyConfig))).body:  # type: ignore[arg-type]
        if isinstance(node, ast.ClassDef):
            pairs = zip(node.body, node.body[1:], strict=False)
            found[node.name] = {
                field.target.id: doc.value.value
                for field, doc in pairs
                if isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(doc, ast.Expr)
                and isinstance(doc.value, ast.Constant)
                and isinstance(doc.value.value, str)
            }
    return found


def keys(schema: type, prefix: str = "") -> Iterator[Key]:
    """Every key of a schema, nested ones dotted, in the order of the schema.

    >>> [key.name for key in keys(SplitConfig)][:3]
    ['cohort', 'root', 'output']
    >>> [key.name for key in keys(SplitConfig) if key.is_path]
    ['cohort', 'root', 'output']
    """
    hints: dict[str, Any] = get_type_hints(schema)
    for field in fields(schema):
        hint = hints[field.name]
        if NoneType in get_args(hint):  # Optional: tell what it is when it is there
            hint = next(kind for kind in get_args(hint) if kind is not NoneType)
        if is_dataclass(hint):
            yield from keys(hint, f"{prefix}{field.name}.")  # type: ignore[arg-type]
            continue
        is_path = hint is Path or Path in get_args(hint)
        kind = "path" if is_path else hint.__name__.replace("str", "text")
        if get_origin(hint) is dict:
            kind = "map"
        elif get_args(hint):
            kind = f"list of {get_args(hint)[0].__name__.replace('str', 'text').lower()}"
        told = (_meanings().get(owner.__name__, {}).get(field.name) for owner in schema.__mro__)
        yield Key(f"{prefix}{field.name}", kind, next(filter(None, told), ""), is_path)
