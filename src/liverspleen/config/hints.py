"""Hints for a key that a verb does not have: the key that is probably meant, or why there is none."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Final

from liverspleen.config.config_keys import field_types, group_of, keys
from liverspleen.config.renamed import RENAMED
from liverspleen.config.training import TrainConfig
from liverspleen.config.verbs import SCHEMAS
from liverspleen.credentials import repeatable
from liverspleen.errors import Issue

_SYNONYMS: Final[Mapping[tuple[str, ...], str]] = {
    ("trainer.steps",): "epochs max_epochs num_epochs n_epochs max_steps iterations",
    ("optimizer.lr",): "learning_rate initial_lr base_lr",
    ("scheduler.warmup",): "warmup_steps warmup_iters lr_warmup",
    ("loss.class_weights",): "class_weight ce_weights",
    ("trainer.workers", "workers"): "num_workers n_jobs num_processes npp nps",
    ("trainer.devices", "workers"): "gpus num_gpus",
    ("trainer.accelerator", "accelerator"): "device",
    ("trainer.accumulate",): "accumulate_grad_batches grad_accum",
    ("network",): "model arch architecture",
    ("network.encoder",): "backbone",
    ("network.weights",): "pretrained",
    ("cohort", "input"): "data_dir data_root dataroot",
    ("split",): "fold folds",
    ("output",): "out out_dir output_dir save_dir",
    ("start", "model"): "checkpoint ckpt ckpt_path checkpoint_path",
    ("start",): "resume_from resume_from_checkpoint init_from init_weights initial_weights load_from load_weights "
    "load_checkpoint finetune fine_tune finetune_from pretrained_model pretrained_weights warm_start warmstart "
    "start_model start_from",
    ("freeze",): "freeze_encoder freeze_backbone frozen frozen_layers",
    ("freeze_steps",): "freeze_epochs freeze_iterations unfreeze_at",
    ("trainer.clip_norm",): "grad_clip clip_grad clip_grad_norm gradient_clip gradient_clip_val gradient_clipping "
    "max_grad_norm grad_clip_norm clip_norm",
    ("probabilities",): "save_probabilities probability probs save_probs softmax save_softmax",
    ("input",): "image images ct scan",
    ("flips",): "tta use_mirroring mirroring",
    ("reference",): "ref gt ground_truth",
    ("labels",): "pred preds predictions segmentations",
    ("seed",): "random_state",
}
"""Names that other tools use, with our keys for them; the first key that the verb has is suggested."""
_MEANT: Final = {name: keys for keys, names in _SYNONYMS.items() for name in names.split()}

_REMARKS: Final[Mapping[str, str]] = {
    "trainer.steps": "the length of a training is its number of optimizer steps",
    "split": "a fold is a file of `liverspleen split folds=5`, such as split=split/fold0.csv",
    "network": "networks are choices, such as network=unet_2d",
    "network.weights": "a file, or hub; the encoder starts from weights of timm; for a liverspleen model use start=",
    "start": "a checkpoint or model package to start from; a stopped training resumes with the same command",
    "freeze": "freeze=encoder keeps the weights of the encoder, for freeze_steps= steps",
    "freeze_steps": "a number of optimizer steps, with freeze=encoder",
    "flips": "it also segments each stack in reversed slice order; images are not mirrored",
}
"""Remarks about keys that are suggested for another name."""

_UNSUPPORTED: Final[Mapping[str, Mapping[str, str]]] = {
    "train": {
        "resume": "a stopped training resumes when the same command is given again; remove this",
    },
}
"""Names of other tools without a key here, by verb, with what to do instead; bench and sweep use those of train."""


def key_issue(verb: str, name: str) -> Issue:
    """Return LS-CFG-003, the verb has no such key, with the key that is probably meant.

    >>> print(key_issue("train", "lr"))
    LS-CFG-003: train has no key 'lr'; use optimizer.lr=...
    >>> print(key_issue("train", "trainer.stepz"))
    LS-CFG-003: train has no key 'trainer.stepz'; did you mean trainer.steps=...? (the length ... steps)
    >>> print(key_issue("predict", "checkpoint"))
    LS-CFG-003: predict has no key 'checkpoint'; use model=...
    """
    return Issue("LS-CFG-003", f"{verb} has no key {repeatable(name)!r}", _hint(verb, name))


def groups_of(verb: str) -> list[str]:
    """Return the config groups of a verb: those of its schema, and `experiment` for trainings.

    >>> groups_of("check"), groups_of("info")
    (['vocabulary'], ['network'])
    """
    schema = SCHEMAS[verb]
    recipes = ["experiment"] if issubclass(schema, TrainConfig) else []
    return [name for name, hint in field_types(schema).items() if group_of(hint)] + recipes


def nearest(name: str, known: Sequence[str]) -> list[str]:
    """Return the known keys that a name may mean; the last part of a key counts as the key.

    >>> nearest("steps", ["trainer.steps", "seed"]), nearest("trainer.stepz", ["trainer.steps", "seed"])
    (['trainer.steps'], ['trainer.steps'])
    """
    last = _last(name)
    if same := [key for key in known if _last(key) == last]:
        return same
    if near := difflib.get_close_matches(name, known, 1, 0.8):
        return near
    lasts = {_last(key): key for key in known}
    return [lasts[near] for near in difflib.get_close_matches(last, lasts, 1, 0.81)]  # steps is not sites


def _hint(verb: str, name: str) -> str:
    limits = {key.name: f"{key.limits}" if key.choices else "" for key in keys(SCHEMAS[verb])}
    known = [*limits, *groups_of(verb)]
    last = _last(name).lower().lstrip("-+~")
    kind = "train" if issubclass(SCHEMAS[verb], TrainConfig) else verb
    if (why := _UNSUPPORTED.get(kind, {}).get(last)) is not None:
        return f"not supported: {why}"
    if (renamed := RENAMED.get(name)) in known:
        return f"use {renamed}=..."
    meant = [key for key in _MEANT.get(last, ()) if key in known][:1] or nearest(name, known)
    if len(meant) > 1:
        return f"use one of {', '.join(f'{key}=' for key in meant)}"
    if not meant:
        return f"see the keys in: liverspleen {verb} --help"
    remark = _REMARKS.get(meant[0]) or limits.get(meant[0])
    sure = last in _MEANT or _last(meant[0]) == last
    return f"{'use' if sure else 'did you mean'} {meant[0]}=...{'' if sure else '?'}{f' ({remark})' if remark else ''}"


def _last(name: str) -> str:
    return name.rpartition(".")[2]
