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
    ("train", ["ckpt_path=x.ckpt"], "not supported: a training does not start from a checkpoint; to resume one"),
    ("train", ["pretrained=true"], "use network.weights=... (a file, or hub;"),
    ("train", ["checkpoint=x.ckpt"], "not supported: a training does not start from a checkpoint; to resume one"),
    ("train", ["patience=5"], "use trainer.patience=..."),
    ("train", ["grad_clip=1"], "not supported: gradients are not clipped; use a smaller optimizer.lr="),
    ("train", ["trainer.gradient_clip_val=1"], "not supported: gradients are not clipped; use a smaller optimizer.lr="),
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
    ("predict", ["save_probabilities=true"], "not supported: predict writes label maps only"),
    ("measure", ["ref=x"], "use reference=..."),
]


def hints_of(verb: str, words: list[str]) -> list[str]:
    with pytest.raises(InputError) as rejected:
        compose(verb, [*NEEDED[verb], *words])
    return [issue.hint for issue in rejected.value.issues]


@pytest.mark.parametrize(("verb", "words", "answer"), ANSWERS)
def test_a_name_of_another_tool_gets_one_hint_that_can_be_followed(verb: str, words: list[str], answer: str) -> None:
    (hint,) = hints_of(verb, words)
    assert hint.startswith(answer)


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
