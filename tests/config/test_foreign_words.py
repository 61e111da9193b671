"""Option names of other tools, and the hint for each; the hints are written by hand."""

from __future__ import annotations

import re

import pytest

from liverspleen.config import SCHEMAS, compose, keys
from liverspleen.config.hints import groups_of
from liverspleen.errors import InputError

NEEDED = {
    "train": ["cohort=c.csv", "output=o"],
    "predict": ["model=m.ckpt", "input=ct.nii.gz", "output=o"],
    "measure": ["labels=l", "output=o"],
    "check": ["cohort=c.csv"],
    "sweep": ["cohort=c.csv", "output=o", "trials=2"],
}
ANSWERS = [
    ("train", ["epochs=10"], "use trainer.steps=... (the length of a training is its number of optimizer steps)"),
    ("train", ["max_epochs=10"], "use trainer.steps=..."),
    ("train", ["trainer.max_epochs=10"], "use trainer.steps=..."),
    ("train", ["num_epochs=10"], "use trainer.steps=..."),
    ("train", ["steps=10"], "use trainer.steps=..."),
    ("train", ["max_steps=10"], "use trainer.steps=..."),
    ("train", ["lr=0.1"], "use optimizer.lr=..."),
    ("train", ["learning_rate=0.1"], "use optimizer.lr=..."),
    ("train", ["batch_size=2"], "use trainer.batch_size=..."),
    ("train", ["num_workers=2"], "use trainer.workers=..."),
    ("train", ["gpus=1"], "use trainer.devices=..."),
    ("train", ["devices=1"], "use trainer.devices=..."),
    ("train", ["precision=16"], "use trainer.precision=... (auto, 32-true, bf16-mixed or 16-mixed)"),
    ("train", ["fold=0"], "use split=... (a fold is a file of `liverspleen split folds=5`, such as split=split/fold0"),
    ("train", ["resume=true"], "not supported: a stopped training resumes when the same command is given again"),
    (
        "train",
        ["ckpt_path=x.ckpt"],
        "use start=... (a checkpoint or model package to start from; a stopped training resumes with",
    ),
    ("train", ["pretrained=true"], "use network.weights=... (a file, or hub;"),
    (
        "train",
        ["checkpoint=x.ckpt"],
        "use start=... (a checkpoint or model package to start from; a stopped training resumes with",
    ),
    ("train", ["patience=5"], "use trainer.patience=..."),
    ("train", ["grad_clip=1"], "use trainer.clip_norm=..."),
    ("train", ["trainer.gradient_clip_val=1"], "use trainer.clip_norm=..."),
    ("train", ["model=unet"], "use network=... (networks are choices, such as network=unet_2d)"),
    ("train", ["data_dir=x"], "use cohort=..."),
    ("train", ["cohort", "=", "x"], "write cohort=VALUE, without spaces around ="),
    ("train", ["--cohort", "x"], "write cohort=VALUE, without spaces around ="),
    ("predict", ["checkpoint=run/best.ckpt"], "use model=..."),
    ("predict", ["image=ct.nii.gz"], "use input=..."),
    (
        "predict",
        ["tta=true"],
        "use flips=... (it also segments each stack in reversed slice order; images are not mirrored)",
    ),
    ("predict", ["save_probabilities=true"], "use probabilities=..."),
    ("measure", ["ref=x"], "use reference=..."),
]

FURTHER = [
    ("train", ["warmup_steps=100"], "use scheduler.warmup=..."),
    ("train", ["class_weight=2"], "use loss.class_weights=..."),
    ("train", ["resume_from_checkpoint=x.ckpt"], "use start=..."),
    ("train", ["trainer.load_from=x.ckpt"], "use start=..."),
    ("train", ["finetune=true"], "use start=..."),
    ("sweep", ["init_weights=x"], "use start=..."),
    ("train", ["freeze_encoder=true"], "use freeze=... (freeze=encoder keeps"),
    ("train", ["freeze_epochs=3"], "use freeze_steps=..."),
    ("train", ["start_model=x"], "use start=..."),
    ("predict", ["ckpt_path=x"], "use model=..."),
]
WITHOUT_A_KEY = {"resume=true"}  # the same command is given again


def hints_of(verb: str, words: list[str]) -> list[str]:
    with pytest.raises(InputError) as rejected:
        compose(verb, [*NEEDED[verb], *words])
    return [issue.hint for issue in rejected.value.issues]


@pytest.mark.parametrize(("verb", "words", "answer"), ANSWERS + FURTHER)
def test_a_name_of_another_tool_gets_one_hint_that_can_be_followed(verb: str, words: list[str], answer: str) -> None:
    (hint,) = hints_of(verb, words)
    assert hint.startswith(answer)


def test_at_least_28_of_the_30_names_lead_to_a_key_of_the_verb() -> None:
    known = {verb: {*(key.name for key in keys(SCHEMAS[verb])), *groups_of(verb)} for verb in NEEDED}
    led = []
    for verb, words, answer in ANSWERS:
        (key,) = re.findall(r"^(?:use|write) ([\w.]+)=", answer) or [None]
        if key in known[verb]:
            led.append((verb, words))
        else:
            assert set(words) <= WITHOUT_A_KEY
    assert (len(led), len(ANSWERS)) == (29, 30)


@pytest.mark.parametrize("verb", NEEDED)
@pytest.mark.parametrize("word", sorted({words[0].partition("=")[0].lstrip("-") for _, words, _ in ANSWERS} | {"zzz"}))
def test_a_hint_has_only_keys_of_the_verb(verb: str, word: str) -> None:
    known = {key.name for key in keys(SCHEMAS[verb])} | set(groups_of(verb))
    if word in known:
        return
    (hint,) = hints_of(verb, [f"{word}=1"])
    suggested = re.findall(r"(?:use|mean|one of|,|smaller) ([\w.]+)=", hint)
    assert set(suggested) <= known


@pytest.mark.parametrize(
    ("verb", "word", "hint"),
    [
        ("train", "sed=1", "did you mean seed=...?"),
        ("train", "nettwork=paper", "did you mean network=...? (networks are choices, such as network=unet_2d)"),
        ("train", "optimiser.lr=1", "use optimizer.lr=..."),
        ("measure", "network=paper", "see the keys in: liverspleen measure --help"),
        ("check", "trainer.steps=3", "see the keys in: liverspleen check --help"),
        ("check", "seed=3", "see the keys in: liverspleen check --help"),
    ],
)
def test_a_typo_gets_the_nearest_key_and_an_unknown_name_none(verb: str, word: str, hint: str) -> None:
    assert hints_of(verb, [word]) == [hint]
