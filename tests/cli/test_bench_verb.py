import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from liverspleen import assemble
from liverspleen.cli.main import main
from liverspleen.config import compose
from liverspleen.errors import InputError

TINY = [
    "experiment=phantom",
    "matrix=32",
    "measured=3",
    "warmup=1",
    "trainer.batch_size=2",
    "network.pyramid_channels=8",
    "network.skip_channels=8",
]


def test_parts_of_a_step_add_up_and_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("liverspleen.training.throughput.busy_seconds", lambda *_, **__: 0.0)  # as on a GPU
    assert main(["bench", *TINY, f"output={tmp_path}"]) == 0
    printed = capsys.readouterr().out
    assert "bound by: " in printed
    assert "GPU busy 0 %" in printed
    assert "matrix products at " in printed
    result = json.loads((tmp_path / "bench.json").read_text())
    times = result["times"]
    assert list(times["parts_s"]) == ["transfer", "augment", "forward", "backward", "optimizer"]
    assert times["steps"] == 3
    assert sum(times["parts_s"].values()) + times["load_s"] <= 1.5 * times["step_s"]  # medians of each by itself
    assert result["slices_per_s"] == pytest.approx(2 / times["step_s"])
    assert result["input"] == [2, 3, 32, 32]
    assert result["work"]["flops"] > 0
    assert json.loads((tmp_path / "run.json").read_text())["outputs"].keys() == {"bench.json"}


def test_slices_of_a_slice_cache_are_read(
    box_cohort: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", f"cohort={box_cohort()}", f"cache={tmp_path / 'store'}", "workers=1"]) == 0
    assert main(["bench", *TINY, f"cache={tmp_path / 'store'}"]) == 0
    assert "slice cache slices" in capsys.readouterr().out


def test_empty_cache_is_rejected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *TINY, f"cache={tmp_path}"]) == 2
    assert capsys.readouterr().err.startswith(f"LS-STO-007 file '{tmp_path}': the slice cache has no stored case")


def test_values_out_of_range_of_a_training_and_of_the_bench_are_listed_together(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bench", *TINY, "trainer.batch_size=1", "measured=0", "trainer.precision=16-mixed"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1].split("=")[0].strip() for line in lines] == [
        "trainer.batch_size",
        "trainer.precision",
        "measured",
    ]


@pytest.mark.parametrize(
    ("flags", "there"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 avx512vl", True),
        ("flags\t\t: fpu amx_bf16", True),
        ("Features\t: fp asimd bf16", True),
        ("flags\t\t: fpu avx2 avx512f", False),
        ("model name\t: bf16", False),
    ],
)
def test_bf16_instructions_are_read_from_cpuinfo(flags: str, there: bool, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{flags}\n")
    assert assemble.has_bf16_instructions(tmp_path / "cpuinfo") is there


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_bf16_on_a_cpu_without_it_is_rejected_in_one_line(
    precision: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(assemble, "has_bf16_instructions", lambda: False)
    words = ["cohort=none.csv", f"output={tmp_path / 'o'}", "trainer=cpu", f"trainer.precision={precision}"]
    assert main(["train", *words]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"LS-CFG-010: trainer.precision={precision} on a CPU without AMX or AVX-512 BF16 instructions; "
        "use trainer.precision=32-true, or a GPU"
    ]
    assert not (tmp_path / "o").exists()


def test_bf16_for_a_gpu_is_not_rejected_because_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assemble, "has_bf16_instructions", lambda: False)
    config = compose("train", ["cohort=c.csv", "output=o", "trainer.precision=bf16-mixed"])
    assert assemble.bf16_issues(replace(config, trainer=replace(config.trainer, accelerator="gpu"))) == []


@pytest.mark.parametrize("fused", [True, False])
def test_optimizer_and_compilation_follow_the_trainer(fused: bool) -> None:
    words = ["cohort=c.csv", "output=o", "experiment=phantom", f"trainer.fused={fused}", "trainer.compile=true"]
    module = assemble.module(compose("train", words), {})
    assert module.configure_optimizers()["optimizer"].defaults["fused"] is fused
    assert not any("_orig_mod" in name for name in module.state_dict())


@pytest.mark.parametrize("precision", ["bf16", "bf16-true", "64-true"])
def test_unsupported_precisions_are_rejected(precision: str) -> None:
    with pytest.raises(InputError, match=f"LS-CFG-006: trainer.precision={precision} is not one of the choices"):
        compose("train", ["cohort=c.csv", "output=o", f"trainer.precision={precision}"])


def test_fastest_algorithms_are_selected_on_a_gpu_unless_they_must_be_deterministic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = compose("train", ["cohort=c.csv", "output=o"])
    for kind, deterministic, expected in (("cuda", False, True), ("cuda", True, False), ("cpu", False, False)):
        monkeypatch.setattr(assemble, "device", lambda _, kind=kind: torch.device(kind))
        choice = replace(config.trainer, deterministic=deterministic)
        assert assemble.cudnn_benchmark(choice) is expected


def test_training_on_a_missing_gpu_is_rejected(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = [f"cohort={box_cohort()}", f"output={tmp_path / 'o'}", "experiment=phantom", "trainer.accelerator=gpu"]
    assert main(["train", *words]) == 2
    assert "LS-CFG-008" in capsys.readouterr().err
