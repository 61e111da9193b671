"""Trainings that take seconds: 32 x 32 pixels, timm's smallest encoder."""

from pathlib import Path

import torch

from liverspleen.cli.main import main
from liverspleen.cohort import Split, read_cohort, write_split

TINY = [
    "experiment=phantom",
    "network.encoder=test_resnet",
    "network.pyramid_channels=8",
    "network.skip_channels=8",
    "trainer.batch_size=4",
]


def words(cohort: Path, output: Path, *more: str, steps: int = 4, every: int = 2) -> list[str]:
    length = [f"trainer.steps={steps}", f"trainer.validate_every={every}"]
    return ["train", f"cohort={cohort}", f"output={output}", *TINY, *length, *more]


def train(cohort: Path, output: Path, *more: str, steps: int = 4, every: int = 2) -> int:
    return main(words(cohort, output, *more, steps=steps, every=every))


def split_file(cohort: Path, file: Path, training: tuple[str, ...], validation: tuple[str, ...]) -> Path:
    fraction = len(training) / (len(training) + len(validation))
    write_split(file, Split(training, validation, 0, fraction, read_cohort(cohort).hash))
    return file


def weights(output: Path, name: str = "last.ckpt") -> dict[str, torch.Tensor]:
    return torch.load(output / name, weights_only=True)["state_dict"]


def assert_equal_weights(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def metrics(output: Path) -> list[str]:
    """Return the rows of metrics.csv without time and memory, which differ between equal trainings."""
    rows = [line.split(",") for line in (output / "metrics.csv").read_text(encoding="utf-8").splitlines()]
    assert rows[0][-2:] == ["time_s", "peak_memory_mb"]
    assert {len(row) for row in rows} == {6}
    return [",".join(row[:-2]) for row in rows]


def assert_same_result(one: Path, other: Path) -> None:
    """Compare weights, metrics and tables, bit for bit."""
    for name in ("last.ckpt", "best.ckpt"):
        assert (one / name).exists() == (other / name).exists()
        if (one / name).exists():
            assert_equal_weights(weights(one, name), weights(other, name))
    assert metrics(one) == metrics(other)
    assert (one / "validation.csv").read_bytes() == (other / "validation.csv").read_bytes()
