"""Whole predictions that are timed: each contender lives in a process of its own and predicts when it is asked to."""

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
    """What predicts, and with which network; a peer's driver takes smp's network, as its users do."""

    name: str
    driver: str = "liverspleen"
    """`liverspleen`, `loop` (normalise, stack, network, argmax, batch by batch) or `monai` (SliceInferer)"""
    network: str = "liverspleen"
    """`liverspleen`, `smp`, `onnxruntime` (ours, exported) or `point` (a 1 x 1 convolution: the driver's cost alone)"""
    bf16: bool = False
    folds: bool = True
    """batch norms folded and channels_last, as `segment` does; False: as the network is loaded"""
    channels_last: bool = False
    keeps_pages: bool = False
    batch: int = 0
    """slices at a time; 0: ours by default, 4 of a peer on a CPU, 8 on a GPU"""

    def missing(self, device: str) -> str | None:
        """What it needs and is not there."""
        if self.bf16 and device == "cpu" and not has_bf16_instructions():
            return "bfloat16 instructions"
        wanted = [PACKAGES[word] for word in (self.driver, self.network) if word in PACKAGES]
        return next((name for name in wanted if importlib.util.find_spec(name) is None), None)


@dataclass(frozen=True)
class Task:
    """What all contenders of a run have in common. With `image` a turn goes from file to file."""

    device: str
    encoder: str
    matrix: int
    slices: int
    threads: int
    image: Path | None = None


def network_of(contender: Contender, task: Task) -> Any:
    """With random weights: they cost what trained ones do."""
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
    skip = 2 if task.encoder.startswith("test_") else 4  # of the paper
    network = build_network({"name": "deeplab", "encoder": task.encoder, "skip_stride": skip}, slices=SLICES).eval()
    if contender.network == "onnxruntime":
        from liverspleen.inference.onnx_engine import OnnxNetwork
        from liverspleen.inference.onnx_export import export_onnx

        found = export_onnx(network, slices=SLICES, stride=STRIDE, window=WINDOW)
        return OnnxNetwork(found.data, STRIDE, cuda=task.device == "cuda", path=Path("model.onnx"))
    return network.to(task.device)


def predictor_of(contender: Contender, task: Task) -> Callable[[Volume], Labels]:
    """HU, (slice, row, column), to labels of the same shape."""
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
    """On a grid of 0.7 x 0.7 x 5 mm."""
    grid = np.diag([-0.7, -0.7, 5.0, 1.0])
    return CTVolume(hu, Geometry((hu.shape[2], hu.shape[1], hu.shape[0]), grid))


def _looped(hu: Volume, network: Any, device: torch.device, batch: int, channels_last: bool) -> Labels:
    """The loop that a user of segmentation_models.pytorch writes."""
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
    """MONAI's SliceInferer over the volume with its neighbours as channels."""
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
    """Seconds of each part: ours as `liverspleen predict` goes, a peer's with nibabel."""
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
    """In the contender's process: warm up, predict whenever a message comes, report memory at an empty one."""
    warnings.simplefilter("ignore")  # the libraries' own
    if contender.keeps_pages:
        keep_pages()
    torch.set_num_threads(task.threads)
    predict = predictor_of(contender, task)
    hu = np.random.default_rng(0).integers(-1000, 400, (task.slices, task.matrix, task.matrix)).astype(np.int16)
    predict(hu if task.device == "cuda" else hu[:2])  # warm: libraries, choice of algorithms
    before = _peak_anew(task.device)
    pipe.send(None)
    while pipe.recv():
        began = time.perf_counter()
        if task.image is None:
            predict(hu)
            pipe.send({"total": time.perf_counter() - began})
        else:
            pipe.send(from_file_to_file(contender, predict, task.image))
    peak = peak_memory_bytes(torch.device(task.device))
    pipe.send(None if peak is None or before is None else peak - before)


def _peak_anew(device: str) -> int | None:
    """Memory now, from which on the peak is told; None where nothing tells."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    anew, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if not anew.exists():
        return None
    anew.write_text("5", encoding="ascii")
    lines = status.read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


class Runner:
    """A contender's process as the benchmark holds it."""

    def __init__(self, contender: Contender, task: Task) -> None:
        context = get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=serve, args=(contender, task, other))
        self._process.start()
        other.close()  # so that the end of the process is an end of file here
        self._pipe.recv()

    def turn(self) -> dict[str, float]:
        """Seconds of one prediction, by part."""
        self._pipe.send(True)
        found: dict[str, float] = self._pipe.recv()
        return found

    def finish(self) -> int | None:
        """Bytes by which memory grew at most while it predicted, and the end of it."""
        self._pipe.send(False)
        found: int | None = self._pipe.recv()
        self._process.join()
        return found
