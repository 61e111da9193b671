"""Prediction of many cases, in this process or in several processes with one device each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from liverspleen.cohort.scans import ScanCase
from liverspleen.errors import Issue, counted
from liverspleen.inference.case_files import Settings
from liverspleen.inference.ensemble import Model, loaded_ensemble
from liverspleen.inference.prediction import Outcome, predict_case, settings_of
from liverspleen.inference.untrusted.ensemble_file import CheckedEnsemble, checked_ensemble
from liverspleen.processes import keep_pages, place, progress, spread

if TYPE_CHECKING:
    import torch

# torch is imported inside the functions, so that a model that cannot be used is rejected before the import


@dataclass(frozen=True)
class Prediction:
    """A model, settings, an output folder, and one device per process; with one device only this process is used."""

    paths: tuple[Path, ...]
    engine: str
    settings: Settings
    folder: Path
    batch_size: int | None
    devices: tuple[str, ...]
    probabilities: bool = False

    @classmethod
    def of(
        cls,
        paths: Sequence[Path],
        folder: Path,
        device: Callable[[], torch.device],
        *,
        engine: str = "torch",
        precision: str = "auto",
        flips: bool = False,
        postprocessing: bool = True,
        batch_size: int | None = None,
        workers: int = 0,
        probabilities: bool = False,
    ) -> Prediction:
        """Return a prediction with the model or models at `paths` into `folder`.

        Args:
            paths: model package or checkpoint, ensemble package, or several models, which are averaged.
            folder: output folder.
            device: returns the kind of device; it imports torch, so it is called after the check of the model's files.
            engine: `torch` or `onnxruntime`.
            precision: `auto`, `fp32` or `bf16`.
            flips: whether slices are also predicted in reverse order.
            postprocessing: whether the rules in the model are applied.
            batch_size: slices per batch; None: 1 on a CPU, 8 on a GPU.
            workers: number of processes; 0: one, or one per GPU.
            probabilities: whether probability maps are written.

        Raises:
            InputError: the model cannot be used, or the device does not exist.
        """
        _checked.cache_clear()  # the file may have changed since an earlier prediction of this process
        _loaded.cache_clear()
        found = tuple(paths)
        _checked(found)
        devices = _devices(workers, device())
        model = _loaded(found, engine, devices[0] if len(devices) == 1 else "cpu")
        settings = settings_of(model, precision=precision, flips=flips, postprocessing=postprocessing)
        return cls(found, engine, settings, folder, batch_size, devices, probabilities)

    @property
    def model(self) -> Model:
        """The model or ensemble on the device of this process; it is read once."""
        alone = self.devices[0] if len(self.devices) == 1 else "cpu"
        return _loaded(self.paths, self.engine, place() or alone)

    def outcomes(self, scans: Sequence[ScanCase]) -> Iterator[Outcome]:
        """Yield the outcome of each case, in order.

        Raises:
            BrokenProcessPool: one of several processes was killed.
        """
        if len(self.devices) == 1:
            yield from map(self.outcome, scans)
            return
        with spread(self.outcome, scans, len(self.devices), places=self.devices) as futures:
            for future in futures:
                yield future.result()

    def outcome(self, scan: ScanCase) -> Outcome:
        """Return the outcome of a case."""
        if place() is not None:
            _share_cores(len(self.devices))
        return predict_case(
            scan,
            self.model,
            self.settings,
            self.folder,
            batch_size=self.batch_size,
            probabilities=self.probabilities,
        )


def predict_scans(prediction: Prediction, scans: Sequence[ScanCase], issues: list[Issue]) -> list[Outcome]:
    """Return the outcome of each case; issues are added to `issues` during the run.

    If a process dies, the run ends with LS-PRD-031, and the finished cases are kept.
    """
    outcomes = []
    with progress("predict", len(scans)) as advance:
        try:
            for outcome in prediction.outcomes(scans):
                outcomes.append(outcome)
                issues += outcome.issues
                advance(outcome.case_id)
        except BrokenProcessPool:
            message = f"a worker process died with {counted(len(scans) - len(outcomes), 'case')} not finished"
            hint = "run the same command again to resume, with fewer workers= if memory ran out"
            issues.append(Issue("LS-PRD-031", message, hint))
    return outcomes


@cache
def _checked(paths: tuple[Path, ...]) -> CheckedEnsemble:
    return checked_ensemble(paths)


@cache
def _loaded(paths: tuple[Path, ...], engine: str, device: str) -> Model:
    model = loaded_ensemble(_checked(paths), device, engine=engine)
    from liverspleen.inference.folded import folded

    return folded(model)


@cache
def _share_cores(processes: int) -> None:
    """Set the number of threads of one of several processes on this machine, once."""
    import torch

    keep_pages()
    torch.set_num_threads(max(1, torch.get_num_threads() // processes))


def _devices(workers: int, device: torch.device) -> tuple[str, ...]:
    """Return the device of each process; several processes may use one GPU."""
    if device.type != "cuda":
        return ("cpu",) * (workers or 1)
    import torch

    gpus = torch.cuda.device_count()
    return tuple(f"cuda:{index % gpus}" for index in range(workers or gpus))
