"""Configuration to objects; the only module below the verbs that reads it."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from liverspleen.cohort import Cohort, Vocabulary, open_cohort
from liverspleen.config import NetworkConfig, TrainConfig, TrainerConfig, VocabularyConfig
from liverspleen.errors import InputError, Issue
from liverspleen.organs import LABEL_VALUES, OWN_VALUES, Structure, organ
from liverspleen.processes import has_bf16_instructions
from liverspleen.storage import sha256_of, write_text

if TYPE_CHECKING:
    import torch
    from pytorch_lightning import Callback, Trainer
    from pytorch_lightning.loggers import Logger
    from torch import nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler
    from torch.utils.data import Sampler

    from liverspleen.data.augmentation import Augmentation
    from liverspleen.data.module import SectionDataModule
    from liverspleen.data.store import StoredCase
    from liverspleen.data.window import IntensityWindow
    from liverspleen.networks.cost import NetworkCost
    from liverspleen.training.module import SegmentationModule

_LOG_EVERY = 50  # steps between two rows of the training loss

# torch is imported inside the functions: verbs that only measure must not pay for it.


def vocabulary(config: VocabularyConfig) -> Vocabulary:
    """The words a cohort may use."""
    return Vocabulary(tuple(config.datasets), tuple(config.conditions), tuple(config.sites))


class CohortWords(Protocol):
    """What a verb's configuration says about its cohort, besides the path."""

    @property
    def root(self) -> Path | None:
        """Folder that the paths in the cohort are relative to."""

    @property
    def vocabulary(self) -> VocabularyConfig:
        """Words that its columns may hold."""


def cohort(path: Path, config: CohortWords, *, table: Path | None = None) -> Cohort:
    """The cohort that `cohort=` names: a table, or a folder (see `open_cohort`)."""
    return open_cohort(path, root=config.root, vocabulary=vocabulary(config.vocabulary), table=table)


def label_values(key: str, asked: object) -> Mapping[int, Structure] | None:
    """What the voxel values of another system mean; None for our own label maps.

    Raises:
        InputError: LS-CFG-009 `asked` is neither a name of `LABEL_VALUES` nor a map from whole numbers to structures.
    """
    if asked == OWN_VALUES:
        return None
    if isinstance(asked, str) and asked in LABEL_VALUES:
        return LABEL_VALUES[asked]
    try:
        if isinstance(asked, Mapping) and asked:
            return {operator.index(value): organ(name) for value, name in asked.items()}
    except (TypeError, ValueError):
        pass  # told below, with what is expected
    names = ", ".join(LABEL_VALUES)
    message = f"{key}={asked!r} is neither one of {names} nor a map from voxel values to liver or spleen"
    raise InputError(Issue("LS-CFG-009", message, f"give a name, or such as {key}={{5: liver, 1: spleen}}"))


def contradictions(config: TrainConfig) -> list[Issue]:
    """What cannot be meant, each with its cure, before anything heavy is imported."""
    network, trainer = config.network, config.trainer
    found = [
        (
            config.slices.sections < 1 or config.slices.sections % 2 == 0,
            f"slices.sections={config.slices.sections}",
            "an odd number",
        ),
        (
            config.slices.window_lower_hu >= config.slices.window_upper_hu,
            "an empty HU window",
            "window_lower_hu below window_upper_hu",
        ),
        (network.output_stride not in {8, 16, 32}, f"network.output_stride={network.output_stride}", "8, 16 or 32"),
        (
            trainer.batch_size < 2,
            f"trainer.batch_size={trainer.batch_size}",
            "2 or more (batch statistics of the image-pooling branch)",
        ),
        (trainer.steps < 1, f"trainer.steps={trainer.steps}", "1 or more"),
        (trainer.accumulate < 1, f"trainer.accumulate={trainer.accumulate}", "1 or more"),
        (min(trainer.devices, trainer.nodes) < 1, f"{trainer.devices} devices on {trainer.nodes} nodes", "1 or more"),
        (
            trainer.ema_decay is not None and not 0 < trainer.ema_decay < 1,
            f"trainer.ema_decay={trainer.ema_decay}",
            "a number between 0 and 1",
        ),
        (trainer.patience is not None and trainer.patience < 1, f"trainer.patience={trainer.patience}", "1 or more"),
        (
            trainer.precision not in {"32-true", "bf16-mixed", "16-mixed"},
            f"trainer.precision={trainer.precision}",
            "32-true, bf16-mixed or 16-mixed",
        ),
        (trainer.validate_every < 1, f"trainer.validate_every={trainer.validate_every}", "1 or more"),
        (not 0 < config.train_fraction <= 1, f"train_fraction={config.train_fraction}", "above 0 and up to 1"),
        (config.optimizer.name not in {"adam", "adamw"}, f"optimizer.name={config.optimizer.name}", "adam or adamw"),
        *_recipe_contradictions(config),
        (
            trainer.accelerator not in {"auto", "cpu", "gpu"},
            f"trainer.accelerator={trainer.accelerator}",
            "auto, cpu or gpu",
        ),
    ]
    issues = [Issue("LS-CFG-006", message, f"use {hint}") for wrong, message, hint in found if wrong]
    return issues + bf16_issues(config)


def bf16_issues(config: TrainConfig) -> list[Issue]:
    """bfloat16 on a processor that has no instructions for it: it works there, a hundred times slower."""
    choice = config.trainer
    if choice.precision == "32-true" or has_bf16_instructions():  # Lightning takes bfloat16 for a CPU's 16-mixed
        return []
    if choice.accelerator == "auto":
        import torch

        if torch.cuda.is_available():
            return []
    elif choice.accelerator != "cpu":
        return []
    message = f"trainer.precision={choice.precision} on a CPU without AMX or AVX-512 BF16 instructions"
    return [Issue("LS-CFG-010", message, "use trainer.precision=32-true, or a GPU")]


def _recipe_contradictions(config: TrainConfig) -> list[tuple[bool, str, str]]:
    """Of sampler, augmentation, loss and scheduler: whether it is wrong, what, and what to use."""
    distance, pixel = config.slices.section_distance_mm, config.slices.pixel_mm
    sampler, loss = config.sampler.name, config.loss
    scheduler, gamma, limits = config.scheduler, loss.focal_gamma, asdict(config.augmentation)
    weights = {name: value for name, value in asdict(loss).items() if name.endswith("_weight")}
    return [
        (distance is not None and not distance > 0, f"slices.section_distance_mm={distance}", "a number above 0"),
        (pixel is not None and not pixel > 0, f"slices.pixel_mm={pixel}", "a number above 0"),
        (sampler not in {"natural", "balanced"}, f"sampler.name={sampler}", "natural or balanced"),
        *((not limit >= 0, f"augmentation.{name}={limit}", "0 or more") for name, limit in limits.items()),
        (limits["thickness"] > 2, f"augmentation.thickness={limits['thickness']}", "2 or less"),
        (limits["scale"] >= 1, f"augmentation.scale={limits['scale']}", "less than 1"),
        *((not weight >= 0, f"loss.{name}={weight}", "0 or more") for name, weight in weights.items()),
        (not any(weights.values()), "a loss whose weights are all 0", "a weight above 0"),
        (loss.boundary_px < 1, f"loss.boundary_px={loss.boundary_px}", "1 or more"),
        (gamma != 0 and not gamma >= 1, f"loss.focal_gamma={gamma}", "0, or 1 or more"),
        (min(loss.tversky_alpha, loss.tversky_beta) < 0, "a Tversky weight below 0", "0 or more"),
        (
            scheduler.name not in {"constant", "polynomial", "staircase"},
            f"scheduler.name={scheduler.name}",
            "constant, polynomial or staircase",
        ),
        (scheduler.every < 1, f"scheduler.every={scheduler.every}", "1 or more"),
    ]


def fingerprint(config: TrainConfig, split_hash: str, cases: Sequence[StoredCase]) -> str:
    """Hash of everything that decides the weights; two trainings with the same one are the same training.

    Of the cases what their files hold, as the store names it: a label map corrected in between makes another training.

    All of the configuration but what only names files, measures or logs; and not the number of steps, so that more may
    be asked for later.
    """
    silent = ("cohort", "root", "split", "store", "output", "train_fraction", "logger", "vocabulary")
    decides = {name: value for name, value in asdict(config).items() if name not in silent}
    for name in ("steps", "validate_every", "workers", "accelerator", "deterministic", "patience"):
        del decides["trainer"][name]
    if config.slices.pixel_mm is None:
        del decides["slices"]["pixel_mm"]  # as in trainings from before there was a choice
    weights = config.network.weights
    started = sha256_of(weights) if weights is not None and weights.is_file() else str(weights or "")
    decides["network"] = {**architecture(config.network), "weights": started}
    files = [case.folder.name for case in cases]
    text = json.dumps({**decides, "split": split_hash, "files": files}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def ranks(config: TrainConfig) -> int:
    """Processes that train together."""
    return config.trainer.devices * config.trainer.nodes


def window(config: TrainConfig) -> IntensityWindow:
    """The intensity window of a training."""
    from liverspleen.data.window import IntensityWindow

    slices = config.slices
    return IntensityWindow(slices.window_lower_hu, slices.window_upper_hu, slices.clip)


def architecture(choice: NetworkConfig) -> dict[str, Any]:
    """What builds the network again, as plain values: all that was chosen but the weights it starts from."""
    chosen = asdict(choice)
    del chosen["weights"]
    return {name: value for name, value in chosen.items() if value is not None}


@contextmanager
def _refusing_what_cannot_be_built() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise InputError(Issue("LS-CFG-007", str(error), "choose another network=, or correct its keys")) from error


def network(config: TrainConfig) -> nn.Module:
    """The network, its weights drawn from the current seed, or its encoder's out of a file or timm's hub.

    Raises:
        InputError: it does not exist or cannot be built that way, or the weights do not fit.
    """
    import torch

    from liverspleen.networks.build import build_network

    choice = config.network
    built: nn.Module
    with _refusing_what_cannot_be_built():
        built = build_network(architecture(choice), sections=config.slices.sections)
    if choice.weights is not None:
        from liverspleen.networks.deeplab import DeepLabV3Plus
        from liverspleen.networks.pretrained import start_from

        if not isinstance(built, DeepLabV3Plus):
            message = f"network.weights={choice.weights} is given, but network {choice.name} has no encoder"
            raise InputError(Issue("LS-CFG-016", message, "remove network.weights="))
        start_from(built.encoder, choice.weights)
    if config.trainer.sync_batchnorm and ranks(config) > 1 and device(config.trainer.accelerator).type == "cuda":
        from liverspleen.networks.encoder import with_shared_statistics

        built = with_shared_statistics(built)
    if config.trainer.compile:
        built.compile()  # in place: names of the weights stay as they are
    if not config.trainer.channels_last:
        return built
    return built.to(memory_format=torch.channels_last_3d if choice.name == "unet_3d" else torch.channels_last)


def network_cost(choice: NetworkConfig, *, sections: int, matrix: int) -> NetworkCost:
    """Parameters and operations of a network, for sections of `matrix` x `matrix` pixels.

    Raises:
        InputError: it does not exist, cannot be built that way, or cannot take that matrix.
    """
    from liverspleen.networks.cost import network_cost

    with _refusing_what_cannot_be_built():
        return network_cost(architecture(choice), sections=sections, matrix=matrix)


def augmentation(config: TrainConfig) -> Augmentation:
    """What is drawn at random on the training device."""
    from liverspleen.data.augmentation import Augmentation

    return Augmentation(**asdict(config.augmentation))


def loss(config: TrainConfig) -> nn.Module:
    """The terms whose weight is not 0; called with logits, labels, and which organs are labelled."""
    from liverspleen.training import losses

    choice = config.loss
    terms: list[tuple[float, losses.Term]] = [
        (choice.dice_weight, losses.Dice()),
        (choice.ce_weight, losses.CrossEntropy()),
        (choice.boundary_weight, losses.BoundaryDice(choice.boundary_px)),
        (choice.focal_weight, losses.Focal(choice.focal_gamma)),
        (choice.tversky_weight, losses.Tversky(choice.tversky_alpha, choice.tversky_beta)),
    ]
    return losses.SegmentationLoss([(weight, term) for weight, term in terms if weight])


def sampler(config: TrainConfig) -> Callable[..., Sampler[int]]:
    """The order of the training sections; called with cases, `steps`, `batch_size`, `seed` and `start`."""
    from liverspleen.data import sampling

    return {"natural": sampling.natural, "balanced": sampling.balanced}[config.sampler.name]


def scheduler(config: TrainConfig) -> Callable[[Optimizer], LRScheduler] | None:
    """Optimizer to a scheduler that steps every step; None for a constant rate."""
    from torch.optim.lr_scheduler import PolynomialLR, StepLR

    choice = config.scheduler
    if choice.name == "polynomial":
        return partial(PolynomialLR, total_iters=config.trainer.steps, power=choice.power)
    return partial(StepLR, step_size=choice.every, gamma=choice.factor) if choice.name == "staircase" else None


def module(config: TrainConfig, bundle: dict[str, Any]) -> SegmentationModule:
    """The Lightning module of a training; `bundle` is added to what a checkpoint keeps for prediction."""
    import torch

    from liverspleen.networks.checkpoint import CHECKPOINT_FORMAT
    from liverspleen.training.module import SegmentationModule

    choice = config.optimizer
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[choice.name]
    preprocessing = window(config)
    return SegmentationModule(
        network(config),
        loss=loss(config),
        window=preprocessing,
        augmentation=augmentation(config),
        seed=config.seed,
        optimizer=partial(kind, lr=choice.lr, weight_decay=choice.weight_decay, fused=config.trainer.fused),
        scheduler=scheduler(config),
        bundle={
            "format": CHECKPOINT_FORMAT,
            "structures": {organ.key: int(organ) for organ in Structure},
            "network": architecture(config.network),
            "sections": config.slices.sections,
            "section_distance_mm": config.slices.section_distance_mm,
            "pixel_mm": config.slices.pixel_mm,
            "window": preprocessing.to_dict(),
            "steps": config.trainer.steps,
            **bundle,
        },
        ema_decay=config.trainer.ema_decay,
    )


def data_module(
    config: TrainConfig, training: Sequence[StoredCase], validation: Sequence[StoredCase], *, start: int
) -> SectionDataModule:
    """The data module of a training that has `start` steps behind it."""
    from liverspleen.data.module import SectionDataModule

    return SectionDataModule(
        training,
        validation,
        sections=config.slices.sections,
        stride=config.network.output_stride,
        batch_size=config.trainer.batch_size,
        accumulate=config.trainer.accumulate,
        ranks=ranks(config),
        steps=config.trainer.steps,
        seed=config.seed,
        workers=config.trainer.workers,
        start=start,
        section_distance_mm=config.slices.section_distance_mm,
        sampler=sampler(config),
    )


def callbacks(
    config: TrainConfig, validation: Sequence[StoredCase], voxels_mm3: Sequence[float], *, start: int
) -> list[Callback]:
    """What watches over a training, in this order: a checkpoint comes after all that it stands for."""
    from liverspleen.training.checkpoints import Checkpoints
    from liverspleen.training.finite import FiniteGuard
    from liverspleen.training.metrics import ValidationFile
    from liverspleen.training.ranks import Heartbeat

    guard, choice = FiniteGuard(), config.trainer
    checkpoints = Checkpoints(
        config.output, every=choice.validate_every, start=start, patience=choice.patience, settle=guard.settle
    )
    table = ValidationFile(config.output / "validation.csv", validation, voxels_mm3)
    return [guard, table, checkpoints, Heartbeat()]


def loggers(config: TrainConfig, issues: list[Issue], *, start: int) -> list[Logger]:
    """`metrics.csv` and, if asked for, Weights & Biases beside it; `faults` takes what goes wrong there."""
    from pytorch_lightning.loggers import WandbLogger

    from liverspleen.training.metrics import MetricsFile
    from liverspleen.training.side_logger import SideLogger

    found: list[Logger] = [MetricsFile(config.output / "metrics.csv", start=start)]
    if config.logger.wandb:
        choice, output = config.logger, config.output

        def make() -> Logger:  # by the first rank alone, and where a full disk is no more than a warning
            name, offline, run = choice.wandb_project, choice.wandb_offline, _wandb_id(output / "wandb_id")
            group, chosen = choice.wandb_group, _shown(config)
            return WandbLogger(project=name, offline=offline, save_dir=output, id=run, group=group, config=chosen)

        found.append(SideLogger("Weights & Biases", make, issues))
    return found


def _shown(config: TrainConfig) -> dict[str, Any]:
    """What a service may know of a training: its recipe, and no path."""
    groups = ("slices", "sampler", "augmentation", "loss", "optimizer", "scheduler", "trainer")
    recipe = {name: asdict(getattr(config, name)) for name in groups}
    return {**recipe, "network": architecture(config.network), "seed": config.seed}


def _wandb_id(file: Path) -> str:
    """Of the W&B run of an output folder: the same one whenever the training goes on."""
    if not file.exists():
        write_text(file, uuid4().hex[:8] + "\n")
    return file.read_text(encoding="utf-8").strip()


def trainer(config: TrainConfig, watch: Sequence[Callback], loggers: Sequence[Logger], *, validate: bool) -> Trainer:
    """A Lightning trainer that counts in steps, on one device or on many."""
    import logging
    import warnings

    import pytorch_lightning as pl
    from pytorch_lightning.callbacks import TQDMProgressBar
    from pytorch_lightning.strategies import DDPStrategy

    from liverspleen.training.checkpoint_files import CheckpointFiles

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)  # hardware lines and tips for other products
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    warnings.filterwarnings("ignore", message="The `srun` command is available")  # a training without it is meant
    choice = config.trainer
    every = min(choice.validate_every, choice.steps) * choice.accumulate
    several = ranks(config) > 1
    return pl.Trainer(
        accelerator=choice.accelerator,
        devices=choice.devices,
        num_nodes=choice.nodes,
        # the module shares the first rank's batch statistics itself, at each validation
        strategy=DDPStrategy(broadcast_buffers=False) if several else "auto",
        use_distributed_sampler=False,  # data/module.py shares sections and cases out
        precision=choice.precision,  # type: ignore[arg-type]
        deterministic=choice.deterministic,
        benchmark=cudnn_benchmark(choice),
        max_steps=choice.steps,
        max_epochs=-1,
        accumulate_grad_batches=choice.accumulate,
        val_check_interval=every if validate else None,
        check_val_every_n_epoch=None if validate else 1,
        limit_val_batches=None if validate else 0,
        num_sanity_val_steps=0,
        log_every_n_steps=min(_LOG_EVERY, choice.steps),
        logger=list(loggers),
        callbacks=[TQDMProgressBar(refresh_rate=20), *watch],
        plugins=[CheckpointFiles()],
        enable_checkpointing=False,  # training/checkpoints.py says when
        enable_model_summary=False,
        default_root_dir=config.output,
    )


def cudnn_benchmark(choice: TrainerConfig) -> bool:
    """Whether cuDNN measures its algorithms for each new shape and takes the fastest; sections have few shapes.

    Raises:
        InputError: another accelerator than `auto`, `cpu` or `gpu`, or a GPU where there is none.
    """
    return device(choice.accelerator).type == "cuda" and not choice.deterministic


def device(accelerator: str) -> torch.device:
    """The device that `auto`, `cpu` or `gpu` names on this machine.

    Raises:
        InputError: another word, or a GPU where there is none.
    """
    import torch

    if accelerator not in {"auto", "cpu", "gpu"}:
        raise InputError(Issue("LS-CFG-006", f"accelerator={accelerator}", "use auto, cpu or gpu"))
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise InputError(Issue("LS-CFG-008", "accelerator=gpu, but there is no CUDA device", "use accelerator=cpu"))
    return torch.device("cpu" if accelerator == "cpu" or not torch.cuda.is_available() else "cuda")
