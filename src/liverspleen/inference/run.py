"""Prediction of many cases, in this process or in several that have a device each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from liverspleen.cohort.scans import ScanCase
from liverspleen.errors import Issue
from liverspleen.inference.case_files import Settings
from liverspleen.inference.model import TrainedModel, trained_model
from liverspleen.inference.prediction import Outcome, predict_case, settings_of
from liverspleen.inference.untrusted.model_file import CheckedModel, checked_model
from liverspleen.processes import keep_pages, place, progress, spread

if TYPE_CHECKING:
    import torch

# torch is imported inside the functions: a model that cannot be used is rejected before that


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
    def of(
        cls,
        path: Path,
        folder: Path,
        device: Callable[[], torch.device],
        *,
        engine: str = "torch",
        precision: str = "auto",
        flips: bool = False,
        postprocessing: bool = True,
        batch_size: int | None = None,
        workers: int = 0,
    ) -> Prediction:
        """A prediction with the model at `path` into `folder`.

        Args:
            path: model package or checkpoint.
            folder: output folder.
            device: gives the kind of device; it is called when the model's files are checked, because it imports torch.
            engine: `torch` or `onnxruntime`.
            precision: `auto`, `fp32` or `bf16`.
            flips: whether slices are also read in reversed order.
            postprocessing: whether the rules that the model's validation chose are applied.
            batch_size: slices at a time; None: chosen.
            workers: processes; 0: one, or one per GPU.

        Raises:
            InputError: the model cannot be used, or there is no such device.
        """
        _checked.cache_clear()  # the file may have changed since an earlier prediction of this process
        _loaded.cache_clear()
        _checked(path)
        places = _places(workers, device())
        model = _loaded(path, engine, places[0] if len(places) == 1 else "cpu")
        settings = settings_of(model, precision=precision, flips=flips, postprocessing=postprocessing)
        return cls(path, engine, settings, folder, batch_size, places)

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


def predict_scans(prediction: Prediction, scans: Sequence[ScanCase], issues: list[Issue]) -> list[Outcome]:
    """What became of each case; what there is to report is added to `issues` as it comes.

    If a process dies, the run ends with LS-PRD-031; the cases that are finished by then stay.
    """
    outcomes = []
    with progress("predict", len(scans)) as advance:
        try:
            for outcome in prediction.outcomes(scans):
                outcomes.append(outcome)
                issues += outcome.issues
                advance(outcome.case_id)
        except BrokenProcessPool:
            message = f"a worker process died, {len(scans) - len(outcomes)} cases are not done"
            hint = "run the same command to go on, with fewer workers= if memory was short"
            issues.append(Issue("LS-PRD-031", message, hint))
    return outcomes


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
