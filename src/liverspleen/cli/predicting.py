"""A prediction that is carried out in this process, or in several that have a device each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from liverspleen import assemble
from liverspleen.cli.allocator import keep_pages
from liverspleen.cohort.scans import ScanCase
from liverspleen.config import PredictConfig
from liverspleen.inference.case_files import Settings
from liverspleen.inference.checked import CheckedModel, checked_model
from liverspleen.inference.model import TrainedModel, trained_model
from liverspleen.inference.prediction import Outcome, predict_case, settings_of
from liverspleen.processes import place, spread

if TYPE_CHECKING:
    import torch

# torch is imported inside the functions: a model that cannot be used is refused before that


@dataclass(frozen=True)
class Prediction:
    """A model, settings, an output folder, and the devices of the processes; one of them: this process alone."""

    path: Path
    engine: str
    settings: Settings
    folder: Path
    batch_size: int | None
    places: tuple[str, ...]

    @classmethod
    def of(cls, config: PredictConfig) -> Prediction:
        """What the configuration says, on this machine.

        Raises:
            InputError: the model cannot be used, or there is no such device.
        """
        _checked(config.model)
        places = _places(config.workers, assemble.device(config.accelerator))
        model = _loaded(config.model, config.engine, places[0] if len(places) == 1 else "cpu")
        settings = settings_of(
            model, precision=config.precision, flips=config.flips, postprocessing=config.postprocess == "model"
        )
        return cls(config.model, config.engine, settings, config.output, config.batch_size, places)

    @property
    def model(self) -> TrainedModel:
        """The model, on the device of this process; read once."""
        alone = self.places[0] if len(self.places) == 1 else "cpu"
        return _loaded(self.path, self.engine, place() or alone)

    def outcomes(self, scans: Sequence[ScanCase]) -> Iterator[Outcome]:
        """What becomes of each case, in order.

        Raises:
            BrokenProcessPool: one of several processes was killed.
        """
        if len(self.places) == 1:
            yield from map(self.outcome, scans)
            return
        with spread(self.outcome, scans, len(self.places), places=self.places) as futures:
            for future in futures:
                yield future.result()

    def outcome(self, scan: ScanCase) -> Outcome:
        """What becomes of a case."""
        if place() is not None:
            _share_cores(len(self.places))
        return predict_case(scan, self.model, self.settings, self.folder, batch_size=self.batch_size)


@cache
def _checked(path: Path) -> CheckedModel:
    return checked_model(path)


@cache
def _loaded(path: Path, engine: str, device: str) -> TrainedModel:
    model = trained_model(_checked(path), device, engine=engine)
    from liverspleen.inference.folded import folded

    return folded(model)


@cache
def _share_cores(processes: int) -> None:
    """Threads of one process among several on this machine, once."""
    import torch

    keep_pages()
    torch.set_num_threads(max(1, torch.get_num_threads() // processes))


def _places(workers: int, device: torch.device) -> tuple[str, ...]:
    """A device for each process; several take turns on one GPU."""
    if device.type != "cuda":
        return ("cpu",) * (workers or 1)
    import torch

    devices = torch.cuda.device_count()
    return tuple(f"cuda:{index % devices}" for index in range(workers or devices))
