"""An edited checkpoint is never used: each change of a real one is found, by training, prediction and export."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from cli.predicting import TINY, predict, scan, trained
from torch import Tensor, nn

from liverspleen.cli.main import main
from liverspleen.errors import InputError
from liverspleen.inference.untrusted.model_file import checked_model
from liverspleen.networks import checkpoint
from liverspleen.networks.checkpoint import CHECKSUM_KEY, content_sha256
from liverspleen.training import checkpoint_files
from liverspleen.training.checkpoint_files import DamagedCheckpointError, read_checkpoint, with_checksum
from liverspleen.training.module import _reject_misfits
from liverspleen.training.recipe import recorded_recipe
from liverspleen.training.resumption import resumption

SHORT = ("trainer.ema_decay=0.9", "trainer.steps=2", "trainer.validate_every=1")
Place = tuple[Any, ...]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training with a moving average, and its cohort."""
    return trained(tmp_path_factory.mktemp("run"), *SHORT).parent


@pytest.fixture
def content(run: Path) -> dict[str, Any]:
    return torch.load(run / "last.ckpt", weights_only=True)


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Every key of a map and every index of a list in a checkpoint."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, item in items:
        yield (*at, key)
        yield from places(item, (*at, key))


def changed(content: dict[str, Any], at: Place, change: Callable[[Any, Any], object]) -> dict[str, Any]:
    """Return a copy in which `change` was called with the map or list that holds the place, and the last key."""
    found = copy.copy(content)
    holder: Any = found
    for key in at[:-1]:
        inner = holder[key]
        holder[key] = list(inner) if isinstance(inner, tuple) else copy.copy(inner)
        holder = holder[key]
    change(holder, at[-1])
    return found


def others(value: Any) -> list[Any]:
    """Values of other types, and of the same type."""
    if isinstance(value, Tensor):
        last = value.clone().contiguous()
        last.view(-1)[-1:] += 1
        wider = torch.float64 if value.is_floating_point() else torch.int32
        return [last, value.to(wider), value.unsqueeze(0), value.reshape(-1)[:0], None]
    is_number = type(value) in (int, float)
    near = [value + 1, -value - 1, float(value) if type(value) is int else math.nan] if is_number else []
    wild = [None, "x", True, False, -1, 10**30, math.inf, [], {}, (value,)]
    return [*near, *(one for one in wild if type(one) is not type(value) or one != value)]


def remove(holder: Any, key: Any) -> None:
    del holder[key]


def rename(holder: Any, key: Any) -> None:
    holder[f"{key}_"] = holder.pop(key)


def test_every_removed_renamed_or_changed_entry_gives_another_checksum(content: dict[str, Any]) -> None:
    for weights in (content["state_dict"], content["trained_state_dict"], content["optimizer_states"][0]["state"]):
        for more in list(weights)[1:]:  # one tensor of each kind is enough
            del weights[more]
    del content["optimizer_states"][0]["param_groups"][0]["params"][2:]
    stated, tried = content_sha256(content, checkpoint_files._numbers), 0
    for at in places(content):
        if at == (CHECKSUM_KEY,):
            continue
        holder: Any = content
        for key in at[:-1]:
            holder = holder[key]
        edits: list[Callable[[Any, Any], object]] = [remove, *([rename] if isinstance(holder, dict) else [])]
        edits += [lambda held, key, other=other: held.__setitem__(key, other) for other in others(holder[at[-1]])]
        for edit in edits:
            edited = changed(content, at, edit)
            assert content_sha256(edited, checkpoint_files._numbers) != stated, (at, edit)
            tried += 1
    assert tried > 800


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "steps below 0": lambda c: c.update(global_step=-1),
    "more steps": lambda c: c.update(global_step=c["global_step"] + 1),
    "steps as text": lambda c: c.update(global_step="2"),
    "steps as a huge number": lambda c: c.update(global_step=10**30),
    "steps as true": lambda c: c.update(global_step=True),
    "no steps": lambda c: c.pop("global_step"),
    "no optimizer": lambda c: c.pop("optimizer_states"),
    "no parameter groups": lambda c: c["optimizer_states"][0].pop("param_groups"),
    "another rate": lambda c: c["optimizer_states"][0]["param_groups"][0].update(lr=0.5),
    "a moment of another shape": lambda c: c["optimizer_states"][0]["state"][0].update(exp_avg=torch.zeros(1)),
    "other keys of the schedule": lambda c: c.update(lr_schedulers=[{"total": 4}]),
    "no schedule": lambda c: c.pop("lr_schedulers"),
    "stale as text": lambda c: c.update(stale="x"),
    "no best DSS": lambda c: c.pop("best_dss"),
    "no recipe": lambda c: c.pop("liverspleen_recipe"),
    "a recipe that is NaN": lambda c: c.update(liverspleen_recipe=math.nan),
    "callbacks of another type": lambda c: c.update(callbacks=[1]),
    "no trained weights": lambda c: c.pop("trained_state_dict"),
    "an additional weight": lambda c: c["state_dict"].update({"network.more": torch.zeros(1)}),
    "a weight of half precision": lambda c: c["state_dict"].update({name(c): first(c).half()}),
    "a weight that is NaN": lambda c: c["state_dict"].update({name(c): first(c) * math.nan}),
    "no weights": lambda c: c.pop("state_dict"),
    "no version of Lightning": lambda c: c.pop("pytorch-lightning_version"),
    "loops": lambda c: c.update(loops={"fit_loop": 3}),
    "another window": lambda c: c["liverspleen"]["window"].update(upper_hu=300.0),
    "other threads": lambda c: c.update(threads=7),
    "no checksum": lambda c: c.pop(CHECKSUM_KEY),
    "a tensor as checksum": lambda c: c.update({CHECKSUM_KEY: torch.zeros(2)}),
    "a sparse tensor": lambda c: c.update(more=torch.eye(2).to_sparse()),
    "a tensor without data": lambda c: c.update(more=torch.empty(2, device="meta")),
}


def name(content: dict[str, Any]) -> str:
    return next(iter(content["state_dict"]))


def first(content: dict[str, Any]) -> Tensor:
    return content["state_dict"][name(content)]


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_file_is_damaged_for_training_and_prediction(edit: str, run: Path, tmp_path: Path) -> None:
    content = torch.load(run / "last.ckpt", weights_only=True)
    recipe = recorded_recipe(content)
    assert recipe is not None
    EDITS[edit](content)
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(InputError) as caught:
        resumption(tmp_path, recipe, neutral={})
    (issue,) = caught.value.issues
    assert (issue.code, issue.file) == ("LS-TRN-005", tmp_path / "last.ckpt")
    assert issue.message.startswith("the checkpoint is damaged or was edited: ")
    if edit == "no checksum":  # as a checkpoint that a user's own program saved
        checked_model(tmp_path / "last.ckpt")
        return
    with pytest.raises(InputError) as caught:
        checked_model(tmp_path / "last.ckpt")
    (issue,) = caught.value.issues
    assert issue.code in {"LS-MOD-002", "LS-MOD-003", "LS-MOD-006"}


@pytest.mark.parametrize(
    "value", [None, 3, [], {}, {"liverspleen": 4}, {"liverspleen": None}, {"state_dict": {}}, "x", torch.zeros(2)]
)
def test_other_files_of_torch_are_damaged_checkpoints(value: Any, tmp_path: Path) -> None:
    torch.save(value, tmp_path / "last.ckpt")
    with pytest.raises(DamagedCheckpointError):
        read_checkpoint(tmp_path / "last.ckpt")


def test_verbs_report_an_edited_checkpoint_in_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = torch.load(run / "best.ckpt", weights_only=True)
    content["best_dss"] = 1.0
    edited = tmp_path / "best.ckpt"
    torch.save(content, edited)
    capsys.readouterr()
    assert predict(edited, scan(tmp_path / "ct.nii.gz"), tmp_path / "out") == 2
    assert main(["export", f"model={edited}", f"output={tmp_path / 'package'}"]) == 2
    assert main(["info", f"model={edited}"]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    message = "the checkpoint was edited: its content does not have its checksum; restore the file"
    assert lines == [f"LS-MOD-006 file '{edited}': {message}"] * 3
    cohort = run.parent / "cohort.csv"
    assert main(["train", f"cohort={cohort}", f"output={tmp_path}", *TINY, *SHORT]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("LS-")]
    assert line == (
        f"LS-TRN-005 file '{edited}': the checkpoint is damaged or was edited: its content does not have its checksum; "
        "there is no other; restore the file, or remove the checkpoints of this folder to train again from the start"
    )


def test_lists_that_contain_each_other_are_not_read_for_years(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "_MAX_VALUES", 1000)
    value: list[Any] = [1]
    for _ in range(60):
        value = [value, value]
    with pytest.raises(ValueError, match="more than 1000 values"):
        with_checksum({"a": value})


def test_weights_of_a_changed_network_are_another_training() -> None:
    before, now = nn.Sequential(nn.Conv2d(1, 2, 3)).state_dict(), nn.Sequential(nn.Conv2d(1, 3, 3)).state_dict()
    _reject_misfits(before, before)
    with pytest.raises(InputError, match=r"^LS-TRN-004: .*: 2 tensors of the network, first '0\.weight'; "):
        _reject_misfits(now, before)
    with pytest.raises(InputError, match=r"^LS-TRN-004: .*: 1 tensor of the network, first 'more'; "):
        _reject_misfits(before, {**before, "more": torch.zeros(1)})
