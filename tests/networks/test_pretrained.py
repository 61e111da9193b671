import pickle
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from liverspleen import assemble
from liverspleen.config import compose
from liverspleen.errors import InputError
from liverspleen.networks.encoder import WITHOUT_EXIT_FLOW, Encoder
from liverspleen.networks.pretrained import HUB, start_from

FIRST = "stem.0.conv.weight"  # of Xception, (32, 3, 3, 3)


def encoder(name: str = "test_resnet", *, slices: int = 3) -> Encoder:
    return Encoder(name, slices=slices, output_stride=16, skip_stride=4)


def timm_file(folder: Path, name: str = "test_resnet", suffix: str = ".safetensors") -> tuple[Path, dict[str, Tensor]]:
    """Weights as in the hub of timm: those of the complete model, with classifier."""
    weights: dict[str, Tensor] = timm.create_model(name).state_dict()
    file = folder / f"{name}{suffix}"
    if suffix == ".safetensors":
        save_file(weights, file)
    else:
        torch.save(weights, file)
    return file, weights


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("xception65", ".safetensors"),
        ("test_resnet", ".pth"),
        ("efficientnet_b0", ".safetensors"),
        ("regnetx_002", ".pth"),
    ],
)
def test_encoder_started_from_timms_file_gives_timms_features(tmp_path: Path, name: str, suffix: str) -> None:
    torch.manual_seed(0)
    file, weights = timm_file(tmp_path, name, suffix)
    started = encoder(name).eval()
    start_from(started, file)
    whole: Any = timm.create_model(name, output_stride=16).eval()
    whole.load_state_dict(weights)
    with torch.inference_mode():
        slices = torch.randn(1, 3, 64, 64)
        deep = started(slices)[1]
        expected = whole.forward_intermediates(slices, indices=1, intermediates_only=True)[0]
    torch.testing.assert_close(deep, expected)


def test_encoder_without_exit_flow_uses_the_other_weights_of_timms_file(tmp_path: Path) -> None:
    file, weights = timm_file(tmp_path, "xception65")
    started = encoder(WITHOUT_EXIT_FLOW)
    start_from(started, file)
    taken = started.body.state_dict()
    for flattened, original in (("blocks_18.", "blocks.18."), ("stem_0.", "stem.0."), ("blocks_2.", "blocks.2.")):
        own = {name.removeprefix(flattened): value for name, value in taken.items() if name.startswith(flattened)}
        assert own
        assert all(torch.equal(value, weights[original + name]) for name, value in own.items())


# by hand: one slice gets the sum over red, green and blue; several get them in turn, times 3 over their number
@pytest.mark.parametrize(
    ("slices", "expected"),
    [(1, [6.0]), (3, [1.0, 2.0, 3.0]), (5, [0.6, 1.2, 1.8, 0.6, 1.2]), (7, [c * 3 / 7 for c in (1, 2, 3, 1, 2, 3, 1)])],
)
def test_first_layer_is_spread_over_the_slices(tmp_path: Path, slices: int, expected: list[float]) -> None:
    weights = timm.create_model("xception41").state_dict()
    weights[FIRST] = torch.tensor([1.0, 2.0, 3.0])[None, :, None, None].expand(32, 3, 3, 3).contiguous()
    save_file(weights, tmp_path / "weights.safetensors")
    started = encoder("xception41", slices=slices)
    start_from(started, tmp_path / "weights.safetensors")
    taken = started.body.state_dict()["stem_0.conv.weight"]
    torch.testing.assert_close(taken, torch.tensor(expected)[None, :, None, None].expand(32, slices, 3, 3))


def test_state_dict_inside_a_training_checkpoint_is_found(tmp_path: Path) -> None:
    weights = timm.create_model("test_resnet").state_dict()
    torch.save({"epoch": 3, "state_dict": weights}, tmp_path / "checkpoint.pth")
    started = encoder()
    start_from(started, tmp_path / "checkpoint.pth")
    assert torch.equal(started.body.state_dict()["conv1.0.weight"], weights["conv1.0.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("conv1.0.weight"), r"1 missing \(first conv1.0.weight\)"),
        (lambda w: w.update(extra=torch.zeros(1)), r"1 of no layer \(first extra\)"),
        (lambda w: w.update({"bn1.bias": torch.zeros(3)}), r"1 of another shape \(first bn1.bias\)"),
        (lambda w: w["bn1.bias"].fill_(torch.nan), r"1 with NaN or inf \(first bn1.bias\)"),
    ],
)
def test_weights_that_do_not_fit_are_rejected_in_one_line_and_change_nothing(
    tmp_path: Path, change: Any, message: str
) -> None:
    file, weights = timm_file(tmp_path)
    change(weights)
    save_file(weights, file)
    started = encoder()
    before = {name: value.clone() for name, value in started.body.state_dict().items()}
    with pytest.raises(
        InputError, match=rf"LS-NET-003 file .*does not hold the weights of encoder 'test_resnet'.*{message}"
    ) as raised:
        start_from(started, file)
    assert "\n" not in str(raised.value)
    assert all(torch.equal(value, before[name]) for name, value in started.body.state_dict().items())


def test_weights_of_a_deeper_encoder_with_the_same_layers_are_rejected(tmp_path: Path) -> None:
    file, _ = timm_file(tmp_path, "resnet34")  # holds every tensor that resnet18 has, and more
    with pytest.raises(InputError, match=r"LS-NET-003.*of no layer \(first layer1.2"):
        start_from(encoder("resnet18"), file)


class _Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_file_that_holds_no_weights_is_rejected_and_nothing_in_it_runs(tmp_path: Path) -> None:
    torch.save({"conv1.0.weight": _Canary(tmp_path / "canary")}, tmp_path / "evil.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(_Canary(tmp_path / "canary")))
    (tmp_path / "text.safetensors").write_text("weights")
    torch.save({"conv1.0.weight": 3}, tmp_path / "number.pth")
    torch.save([1], tmp_path / "list.pth")
    for name in ("evil.pth", "plain.pth", "text.safetensors", "number.pth", "list.pth"):
        with pytest.raises(InputError, match="LS-NET-002"):
            start_from(encoder(), tmp_path / name)
    assert not (tmp_path / "canary").exists()


def test_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="LS-NET-001"):
        start_from(encoder(), tmp_path / "none.pth")


def test_hub_is_used_only_on_request_and_its_failure_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    real = timm.create_model

    def offline(name: str, pretrained: bool = False, **rest: Any) -> Any:
        asked.append(pretrained)
        if pretrained:
            raise OSError("no route to host\nand more")
        return real(name, **rest)

    monkeypatch.setattr(timm, "create_model", offline)
    started = encoder()
    assert not any(asked)
    with pytest.raises(
        InputError, match=r"LS-NET-004: weights of 'test_resnet' cannot be downloaded.*no route to host"
    ):
        start_from(started, HUB)


def test_configuration_gives_the_file(tmp_path: Path) -> None:
    file, weights = timm_file(tmp_path)
    overrides = ["cohort=c", "output=o", "network=small", f"network.weights={file}", "slices.count=5"]
    network = assemble.network(compose("train", overrides))
    taken = network.state_dict()["encoder.body.conv1.0.weight"]
    assert taken.shape[1] == 5
    torch.testing.assert_close(taken[:, 3], weights["conv1.0.weight"][:, 0] * 3 / 5)


def test_weights_are_not_part_of_the_architecture() -> None:
    config = compose("info", ["network=small", "network.weights=w.pth"])
    assert assemble.architecture(config.network) == {
        "name": "deeplab",
        "output_stride": 16,
        "encoder": "test_resnet",
        "skip_stride": 2,
        "rates": [2, 4, 6],
        "pyramid_channels": 48,
        "skip_channels": 16,
        "dropout": 0.0,
    }


def test_a_unet_has_no_weights_to_start_from() -> None:
    with pytest.raises(InputError, match=r"LS-CFG-016: network\.weights= has no effect"):
        compose("train", ["cohort=c", "output=o", "network=unet_2d", "network.weights=w.pth"])
