"""Contenders of the prediction benchmark. Each runs in a separate process and predicts on request."""

from __future__ import annotations

import importlib.util
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from liverspleen.data.window import IntensityWindow
from liverspleen.evaluation.metrics.volume import organ_volume_cm3, volume_statuses
from liverspleen.imaging import CTVolume, Geometry, LabelMap, read_ct, write_label_map
from liverspleen.inference import TrainedModel, segment_volume
from liverspleen.inference.folded import folded
from liverspleen.networks.build import build_network
from liverspleen.organs import NUM_CLASSES, ORGANS
from liverspleen.processes import has_bf16_instructions, keep_pages
from liverspleen.training.throughput import peak_memory_bytes

SLICES, STRIDE = 3, 16
WINDOW = IntensityWindow(-1000.0, 400.0, clip=True)  # conf/slices/paper.yaml, clipped as peers do by default
PACKAGES = {"smp": "segmentation_models_pytorch", "monai": "monai", "onnxruntime": "onnxruntime"}

Volume = NDArray[np.int16]
Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Contender:
    """A driver of the prediction and its network; drivers of peers use the network of smp."""

    name: str
    driver: str = "liverspleen"
    """`liverspleen`, `loop` (normalise, stack, network, argmax, batch by batch) or `monai` (SliceInferer)"""
    network: str = "liverspleen"
    """`liverspleen`, `smp`, `onnxruntime` (ours, exported) or `point` (a 1 x 1 convolution: the cost of the driver)"""
    bf16: bool = False
    folds: bool = True
    """fold batch norms and use channels_last, as `segment` does"""
    channels_last: bool = False
    keeps_pages: bool = False
    batch: int = 0
    """slices per batch; 0: our default, and for a peer 4 on a CPU, 8 on a GPU"""

    def missing(self, device: str) -> str | None:
        """Return what is missing: instructions for bfloat16, or a package."""
        if self.bf16 and device == "cpu" and not has_bf16_instructions():
            return "bfloat16 instructions"
        packages = [PACKAGES[name] for name in (self.driver, self.network) if name in PACKAGES]
        return next((name for name in packages if importlib.util.find_spec(name) is None), None)


@dataclass(frozen=True)
class Task:
    """Settings of all contenders of a run. With `image` a turn reads this file and writes a label map."""

    device: str
    encoder: str
    matrix: int
    slices: int
    threads: int
    image: Path | None = None


def network_of(contender: Contender, task: Task) -> Any:
    """Return a network with random weights, which are as fast as trained ones."""
    torch.manual_seed(0)
    if contender.network == "point":
        return nn.Conv2d(SLICES, NUM_CLASSES, 1).to(task.device).eval()
    if contender.network == "smp":
        import segmentation_models_pytorch as smp

        network = smp.DeepLabV3Plus(
            f"tu-{task.encoder}",
            encoder_weights=None,
            encoder_output_stride=STRIDE,
            in_channels=SLICES,
            classes=NUM_CLASSES,
        )
        order = torch.channels_last if contender.channels_last else torch.contiguous_format
        return network.to(task.device, memory_format=order).eval()
    skip = 2 if task.encoder.startswith("test_") else 4  # the value of the paper
    network = build_network({"name": "deeplab", "encoder": task.encoder, "skip_stride": skip}, slices=SLICES).eval()
    if contender.network == "onnxruntime":
        from liverspleen.inference.onnx_engine import OnnxNetwork
        from liverspleen.inference.onnx_export import export_onnx

        found = export_onnx(network, slices=SLICES, stride=STRIDE, window=WINDOW)
        return OnnxNetwork(found.data, STRIDE, cuda=task.device == "cuda", path=Path("model.onnx"))
    return network.to(task.device)


def predictor_of(contender: Contender, task: Task) -> Callable[[Volume], Labels]:
    """Return a function from HU, (slice, row, column), to labels of the same shape."""
    network, device = network_of(contender, task), torch.device(task.device)
    if contender.driver == "liverspleen":
        onnx = contender.network == "onnxruntime"
        on, engine = (torch.device("cpu"), "onnxruntime") if onnx else (device, "torch")
        model = TrainedModel(network, WINDOW, SLICES, STRIDE, {}, "", device=on, engine=engine)
        model = folded(model) if contender.folds and contender.network == "liverspleen" else model
        precision, batch = "bf16" if contender.bf16 else "fp32", contender.batch or None
        return lambda hu: segment_volume(volume_of(hu), model, batch_size=batch, precision=precision).label_map.labels
    batch = contender.batch or (8 if task.device == "cuda" else 4)
    predict = _sliced if contender.driver == "monai" else _looped

    def run(hu: Volume) -> Labels:
        with torch.inference_mode(), torch.autocast(task.device, torch.bfloat16, enabled=contender.bf16):
            return predict(hu, network, device, batch, contender.channels_last)

    return run


def volume_of(hu: Volume) -> CTVolume:
    """Return a CT with a grid of 0.7 x 0.7 x 5 mm."""
    grid = np.diag([-0.7, -0.7, 5.0, 1.0])
    return CTVolume(hu, Geometry((hu.shape[2], hu.shape[1], hu.shape[0]), grid))


def _looped(hu: Volume, network: Any, device: torch.device, batch: int, channels_last: bool) -> Labels:
    """Segment as in a usual loop with segmentation_models.pytorch."""
    found = np.empty(hu.shape, np.uint8)
    last = len(hu) - 1
    for start in range(0, len(hu), batch):
        stop = min(start + batch, len(hu))
        stacks = np.stack([hu[[max(s - 1, 0), s, min(s + 1, last)]] for s in range(start, stop)])
        images = torch.from_numpy(stacks).to(device).float()
        images = ((images - WINDOW.lower_hu) / (WINDOW.upper_hu - WINDOW.lower_hu)).clamp(0, 1)
        if channels_last:
            images = images.to(memory_format=torch.channels_last)
        found[start:stop] = network(images).argmax(1).to(torch.uint8).cpu().numpy()
    return found


def _sliced(hu: Volume, network: Any, device: torch.device, batch: int, _: bool) -> Labels:
    """Segment with MONAI's SliceInferer; the neighbours of a slice are its channels."""
    from monai.inferers import SliceInferer
    from monai.transforms import ScaleIntensityRange

    scale = ScaleIntensityRange(WINDOW.lower_hu, WINDOW.upper_hu, 0.0, 1.0, clip=True)
    scaled = torch.as_tensor(scale(hu)).to(device)
    below, above = torch.cat([scaled[:1], scaled[:-1]]), torch.cat([scaled[1:], scaled[-1:]])
    volume = torch.stack([below, scaled, above])[None]
    inferer = SliceInferer(roi_size=hu.shape[1:], sw_batch_size=batch, spatial_dim=0)
    logits = inferer(volume, network)
    assert isinstance(logits, Tensor)
    return np.asarray(logits.argmax(1)[0].to(torch.uint8).cpu().numpy())


def from_file_to_file(contender: Contender, predict: Callable[[Volume], Labels], image: Path) -> dict[str, float]:
    """Return the seconds of each part: ours as in `liverspleen predict`, those of a peer with nibabel."""
    target, marks = image.with_name(f"label-{os.getpid()}.nii.gz"), [time.perf_counter()]
    if contender.driver == "liverspleen":
        ct = read_ct(image)
        marks.append(time.perf_counter())
        label_map = LabelMap(predict(ct.hu), ct.geometry)
        marks.append(time.perf_counter())
        volume_statuses(label_map)
    else:
        import nibabel as nib

        source: Any = nib.load(image)
        hu = np.ascontiguousarray(np.asarray(source.dataobj).transpose(2, 1, 0).astype(np.int16))
        marks.append(time.perf_counter())
        labels = predict(hu)
        marks.append(time.perf_counter())
        label_map = LabelMap(labels, volume_of(hu).geometry)
    for organ in ORGANS:
        organ_volume_cm3(label_map, organ)
    marks.append(time.perf_counter())
    if contender.driver == "liverspleen":
        write_label_map(target, label_map)
    else:
        nib.save(nib.Nifti1Image(label_map.labels.transpose(2, 1, 0), source.affine), target)
    marks.append(time.perf_counter())
    target.unlink()
    parts = ("read", "segment", "status", "write")
    return dict(zip(parts, np.diff(marks).tolist(), strict=True)) | {"total": marks[-1] - marks[0]}


def serve(contender: Contender, task: Task, pipe: Connection) -> None:
    """Run a contender: warm up, predict at each True that is received, send the memory after a False."""
    warnings.simplefilter("ignore")  # warnings of the libraries
    if contender.keeps_pages:
        keep_pages()
    torch.set_num_threads(task.threads)
    predict = predictor_of(contender, task)
    hu = np.random.default_rng(0).integers(-1000, 400, (task.slices, task.matrix, task.matrix)).astype(np.int16)
    predict(hu if task.device == "cuda" else hu[:2])  # warm-up: loads libraries and selects algorithms
    before = _reset_peak(task.device)
    pipe.send(None)
    while pipe.recv():
        start = time.perf_counter()
        if task.image is None:
            predict(hu)
            pipe.send({"total": time.perf_counter() - start})
        else:
            pipe.send(from_file_to_file(contender, predict, task.image))
    peak = peak_memory_bytes(torch.device(task.device))
    pipe.send(None if peak is None or before is None else peak - before)


def _reset_peak(device: str) -> int | None:
    """Reset the peak of memory and return the present memory in bytes; None if the system does not report it."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    reset, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if not reset.exists():
        return None
    reset.write_text("5", encoding="ascii")
    lines = status.read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


class Runner:
    """The process of a contender."""

    def __init__(self, contender: Contender, task: Task) -> None:
        context = get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=serve, args=(contender, task, other))
        self._process.start()
        other.close()  # if the process ends, recv raises EOFError
        self._pipe.recv()

    def turn(self) -> dict[str, float]:
        """Predict once and return the seconds of each part."""
        self._pipe.send(True)
        found: dict[str, float] = self._pipe.recv()
        return found

    def finish(self) -> int | None:
        """End the process and return the peak growth of its memory during predictions, in bytes."""
        self._pipe.send(False)
        found: int | None = self._pipe.recv()
        self._process.join()
        return found
