import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from liverspleen.cli.main import main
from liverspleen.cli.verbs import VERBS, module_of
from liverspleen.config import SCHEMAS, compose, conf_folder, keys
from liverspleen.errors import InputError

TRAIN = ["cohort=c.csv", "output=o"]


def test_every_verb_has_a_schema_a_primary_config_and_a_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(VERBS) == list(SCHEMAS)
    for verb in VERBS:
        assert (conf_folder() / f"{verb}.yaml").is_file()
        assert main([verb, "--help"]) == 0
        text = capsys.readouterr().out
        assert text.startswith(f"liverspleen {verb}: ")
        assert f"liverspleen {verb}" in text.split("example")[1]
        assert "exit codes" in text


@pytest.mark.parametrize("verb", list(SCHEMAS))
def test_every_key_has_a_description_of_four_words_or_more(verb: str) -> None:
    texts = [key.description for key in keys(SCHEMAS[verb])]
    assert [text for text in texts if not re.fullmatch(r"[A-Z`a-z]\S*( \S+){3,}\.", text)] == []


def test_the_first_line_of_every_yaml_states_what_it_selects() -> None:
    for file in conf_folder().rglob("*.yaml"):
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if "@package" not in line]
        assert lines[0].startswith("# "), file


@pytest.mark.parametrize(
    "value",
    ["a,b.csv", "a=b.csv", "[x]/{y}.csv", "é è.csv", "${seed}.csv", r"a\${b}\c.csv", "'quoted'.csv", "null", "1", "#x"],
)
def test_values_of_path_keys_are_taken_verbatim(value: str) -> None:
    assert compose("train", [f"cohort={value}", "output=o"]).cohort == Path(value)


def test_groups_and_overrides_compose() -> None:
    config = compose("train", [*TRAIN, "experiment=phantom", "network=paper", "trainer.steps=7"])
    assert (config.network.encoder, config.trainer.steps, config.slices.window_lower_hu) == ("xception65", 7, -150)
    assert config.cache is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["output=o"], "LS-CFG-002: train needs cohort="),
        ([*TRAIN, "trainer.stepz=3"], r"LS-CFG-003: train has no key 'trainer.stepz'; did you mean trainer.steps="),
        ([*TRAIN, "network=papr"], "LS-CFG-004: network has no choice 'papr'; use one of figure2, paper, small"),
        ([*TRAIN, "trainer.steps=many"], r"LS-CFG-005: trainer.steps=many is not a whole number; use a"),
        ([*TRAIN, "seed=1,2"], "LS-CFG-005"),
        ([*TRAIN, "steps"], "LS-CFG-001: 'steps' is not of the form key=value"),
    ],
)
def test_invalid_overrides_are_rejected_with_a_hint(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        compose("train", words)


def test_all_unknown_keys_are_reported_at_once() -> None:
    with pytest.raises(InputError) as rejected:
        compose("train", [*TRAIN, "sed=1", "nettwork=paper"])
    assert len(rejected.value.issues) == 2


def test_unknown_verb_is_rejected_with_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    assert capsys.readouterr().err == "LS-CFG-000: there is no verb 'trian'; did you mean train?\n"


def test_contradictions_are_rejected_before_anything_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"output={tmp_path / 'o'}", "cohort=none.csv", "slices.window_lower_hu=400", "trainer.batch_size=1"]
    assert main(["train", *words]) == 2
    assert [line[:10] for line in capsys.readouterr().err.splitlines()] == ["LS-CFG-016", "LS-CFG-006"]
    assert not (tmp_path / "o").exists()


def test_unexpected_error_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: object) -> None:
        raise ArithmeticError("disk\non fire")

    monkeypatch.delenv("LIVERSPLEEN_TRACEBACK", raising=False)
    monkeypatch.setattr("liverspleen.cli.info.run", broken)
    assert main(["info"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("LS-RUN-001: unexpected ArithmeticError: disk\\non fire at liverspleen/cli/main.py:")
    assert line.endswith("; see the traceback with LIVERSPLEEN_TRACEBACK=1")


def test_unexpected_error_gives_the_innermost_line_of_the_project_and_where_it_was_raised(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import liverspleen.cli.info

    source = Path(liverspleen.cli.info.__file__).read_text(encoding="utf-8").splitlines()
    number = 1 + next(i for i, line in enumerate(source) if "versions()" in line)

    def broken(*_: object) -> None:
        raise KeyError("gone")

    monkeypatch.delenv("LIVERSPLEEN_TRACEBACK", raising=False)
    monkeypatch.setattr("liverspleen.cli.info.versions", broken)
    assert main(["info"]) == 1
    raised = broken.__code__.co_firstlineno + 1
    assert capsys.readouterr().err.splitlines() == [
        f"LS-RUN-001: unexpected KeyError: 'gone' at liverspleen/cli/info.py:{number}, raised in "
        f"cli/test_front_door.py:{raised}; see the traceback with LIVERSPLEEN_TRACEBACK=1"
    ]


def test_unexpected_error_is_raised_if_the_traceback_is_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("gone")

    monkeypatch.setenv("LIVERSPLEEN_TRACEBACK", "1")
    monkeypatch.setattr("liverspleen.cli.info.versions", broken)
    with pytest.raises(KeyError):
        main(["info"])


def test_folder_that_cannot_be_made_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["split", "cohort=c.csv", f"output={tmp_path / 'file' / 'below'}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"LS-RUN-007 file '{tmp_path / 'file' / 'below'}': the folder cannot be written (Not a dir")


def test_earlier_runs_with_the_same_folder_stay_in_run_json(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    words = [f"cohort={box_cohort()}", f"output={tmp_path}"]
    assert [main(["split", *words]), main(["split", *words, "seed=1"]), main(["split", "cohort=no", words[1]])] == [
        0,
        0,
        2,
    ]
    record = json.loads((tmp_path / "run.json").read_text())
    assert [run["status"] for run in [*record["earlier"], record]] == ["done", "done", "rejected"]
    assert [run["seeds"] for run in record["earlier"]] == [{"split": 0}, {"split": 1}]


def test_check_lists_every_finding_and_finishes_the_other_cases(
    box_cohort: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = box_cohort()
    (manifest.parent / "c0.nii.gz").unlink()
    label = manifest.parent / "c2_label.nii.gz"
    label.write_bytes(label.read_bytes()[:-20])
    assert main(["check", f"cohort={manifest}", f"output={tmp_path / 'check'}"]) == 2
    captured = capsys.readouterr()
    issues = [line for line in captured.err.splitlines() if line.startswith("LS-")]
    assert [("'c0'" in line, "'c2'" in line) for line in issues] == [(True, False), (False, True)]
    assert "check: 4 cases read: 2 errors, " in captured.out
    table = (tmp_path / "check" / "findings.csv").read_text().splitlines()
    assert sum(line.startswith("error,") for line in table) == 2
    recorded = json.loads((tmp_path / "check" / "run.json").read_text())["issues"]
    assert [issue for issue in recorded if issue in issues] == issues
    counts = json.loads((tmp_path / "check" / "findings.json").read_text())["counts"]
    assert (counts["error"], counts["error"] + counts["warning"]) == (2, len(recorded))


def test_rejected_run_is_recorded_as_rejected(tmp_path: Path) -> None:
    assert main(["split", "cohort=none.csv", f"output={tmp_path}"]) == 2
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["status"] == "rejected"
    assert record["issues"][0].startswith("LS-COH-001")


def test_only_rows_with_a_path_outside_the_root_or_a_duplicate_id_are_rejected(
    box_cohort: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = box_cohort(
        case_id=("a", "b", "b", "d"), image=("c0.nii.gz", "c1.nii.gz", "c2.nii.gz", "../../etc/passwd")
    )
    assert main(["prepare", f"cohort={manifest}", f"cache={tmp_path / 'cache'}", "workers=1"]) == 2
    captured = capsys.readouterr()
    assert [line.split()[0] for line in captured.err.splitlines() if line.startswith("LS-")] == [
        "LS-COH-011",
        "LS-COH-011",
        "LS-COH-015",
    ]
    assert "prepare: 1 case," in captured.out


def test_patient_on_both_sides_is_rejected(
    box_cohort: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = box_cohort()
    assert main(["split", f"cohort={manifest}", f"output={tmp_path}"]) == 0
    split = tmp_path / "split.csv"
    rows = split.read_text().splitlines()
    split.write_text("\n".join([*rows, rows[1].replace("training", "validation")]) + "\n")
    assert main(["train", f"cohort={manifest}", f"split={split}", f"output={tmp_path / 'run'}"]) == 2
    assert "LS-SPL-005" in capsys.readouterr().err


def test_help_shows_the_values_that_the_overrides_produce_by_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "network=small", "trainer.steps=7", "cohort=my cohort.csv", "--help"]) == 0
    text = capsys.readouterr().out
    trainer = text.split("\ntrainer: ")[1].split("\n\n")[0]
    assert trainer.startswith("Length of the training, batches and hardware.\n")
    assert "\n  trainer=cpu|ddp|default  (selected: default)\n" in trainer
    assert re.search(r"\n  trainer\.steps=7 +a whole number from 1 to 1000000000\. Number of optimizer steps", trainer)
    assert "network=figure2|paper|small|unet_2d|unet_3d  (selected: small)" in text
    assert "network.encoder=test_resnet " in text
    assert "\n  cohort=my cohort.csv " in text
    assert "\n  output=(required) " in text
    assert (
        "experiment=finetune|finetune_phantom|kjr2020|nnunet_like|overfit|phantom|phantom_randomised  (selected: none)"
        in text
    )


def test_help_is_also_printed_for_an_invalid_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "trainer.stepz=3", "--help"]) == 2
    captured = capsys.readouterr()
    assert "trainer.steps=20000" in captured.out
    assert captured.err.startswith("LS-CFG-003: train has no key 'trainer.stepz'")


@pytest.mark.parametrize("flag", [["--cfg", "job"], ["--cfg=job"], ["-c", "job"]])
def test_configuration_is_printed_as_yaml_without_running(
    flag: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["network=small", *flag, "trainer.steps=7", f"output={tmp_path / 'o'}", "logger.wandb_group=5.10"]
    assert main(["train", *words]) == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert (config["cohort"], config["output"], config["split"]) == ("???", str(tmp_path / "o"), None)
    assert (config["network"]["encoder"], config["trainer"]["steps"]) == ("test_resnet", 7)
    assert config["logger"]["wandb_group"] == "5.10"
    assert not (tmp_path / "o").exists()


def test_other_values_of_cfg_are_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--cfg", "hydra"]) == 2
    assert capsys.readouterr().err == "LS-CFG-001: --cfg hydra is not supported; write --cfg job\n"


def test_every_verb_has_one_purpose_in_help_docstring_and_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    listing = {line.strip() for line in capsys.readouterr().out.splitlines()}
    for verb in VERBS:
        purpose = str(module_of(verb).__doc__).splitlines()[0]
        assert purpose.endswith(".")
        assert f"{verb:<7}  {purpose.removesuffix('.')}" in listing
        first, *_ = (conf_folder() / f"{verb}.yaml").read_text(encoding="utf-8").splitlines()
        assert first == f"# liverspleen {verb}: {purpose}"


def test_a_case_is_found_by_its_id_verbatim(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "m.csv"
    rows = ["5.1,5,liver,dla,1000", "5.2,5,liver,dla,1010", "5.10,5,liver,dla,1500"]
    table.write_text("case_id,patient_id,structure,reader,volume_cm3\n" + "\n".join(rows) + "\n")
    words = [f"measurements={table}", "first=5.10", "second=5.2", "structure=liver", "rc_pct=16.7"]
    assert main(["change", *words]) == 0
    assert "1500.0 cm³ to 1010.0 cm³, change -39.0 %" in capsys.readouterr().out  # 200 (1010 - 1500) / 2510


@pytest.mark.parametrize("flag", [["--help"], ["--cfg", "job"]])
def test_the_password_of_a_database_is_hidden_in_what_is_printed(
    flag: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", *TRAIN, "trials=2", "storage=postgresql://me:secret@host/db", *flag]) == 0
    printed = capsys.readouterr().out
    assert "postgresql://me:***@host/db" in printed
    assert "secret" not in printed
