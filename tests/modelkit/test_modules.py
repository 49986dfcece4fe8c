"""Weights fill the architecture that the manifest names, or are refused in one line."""

import pickle
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from modelkit.modules import ModuleError, in_order, load_module, make_network
from tests.running.encoder import encoder
from tests.running.tensor_models import ARCHITECTURE

ROOT = Path(__file__).parents[2]
HERE = "tests.modelkit.test_modules"


def no_network() -> int:
    """A factory that makes something else."""
    return 1


def broken() -> nn.Module:
    """A factory that fails."""
    raise KeyError("width\nof it")


def ended() -> nn.Module:
    """A factory that ends the process."""
    raise SystemExit(3)


def norm() -> nn.Module:
    """A network with a counter beside its weights."""
    return nn.BatchNorm1d(3)


def wide(width: int) -> nn.Module:
    """A factory that asks for something."""
    return nn.Linear(width, width)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """The encoder's weights."""
    save_file(encoder().state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def test_weights_fill_their_architecture(weights: Path) -> None:
    network = load_module(weights, ARCHITECTURE)
    assert not network.training
    tokens, mask = torch.tensor([[1, 2]]), torch.ones(1, 2)
    torch.testing.assert_close(network(tokens, mask), encoder()(tokens, mask))


@pytest.mark.parametrize(
    ("architecture", "says"),
    [
        ("mobilenet", "write package.module:factory"),
        ("pytest.__main__:main", "write package.module:factory"),
        ("tests.running:", "write package.module:factory"),
        ("os:getcwd", "standard library"),
        ("os.path:join", "standard library"),
        ("pip:main", "of pip, which has no networks"),
        ("setuptools:setup", "of setuptools, which has no networks"),
        ("torch.nn:Identity", "of torch, which has no networks"),
        ("torch_serving.engine:TorchEngine", "of torch_serving, which has no networks"),
        ("modelkit:main", "of modelkit, which has no networks"),
        ("modelkit.train:main", "of modelkit, which has no networks"),
        ("modelkit.network:load_weights", "not made without arguments"),
        ("no_such_package.networks:make", "no module no_such_package"),
        (f"{HERE}:absent", "no function absent"),
        (f"{HERE}:HERE", "no function HERE"),
        (f"{HERE}:no_network", "makes a int"),
        (f"{HERE}:broken", "raises KeyError: 'width"),
        (f"{HERE}:ended", "raises SystemExit: 3"),
        (f"{HERE}:Path", "no function Path of its own and no nn.Module"),
        (f"{HERE}:save_file", "no function save_file of its own and no nn.Module"),
        (f"{HERE}:wide", "not made without arguments"),
    ],
)
def test_an_architecture_that_makes_no_network_is_refused_in_one_line(architecture: str, says: str) -> None:
    with pytest.raises(ModuleError) as refusal:
        make_network(architecture)
    line = str(refusal.value)
    assert says in line
    assert "\n" not in line


def test_nothing_is_called_that_a_module_only_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "marker"
    (tmp_path / "elsewhere.py").write_text(
        f"from pathlib import Path\ndef touch(): Path({str(marker)!r}).touch()\n", encoding="utf-8"
    )
    (tmp_path / "my_networks.py").write_text(
        "import functools, os\nfrom elsewhere import touch\nbound = functools.partial(touch)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("touch", "bound", "functools", "os"):
        with pytest.raises(ModuleError, match=f"no function {name} of its own"):
            make_network(f"my_networks:{name}")
    assert not marker.exists()
    for name in ("my_networks", "elsewhere"):
        del sys.modules[name]


def test_a_package_of_the_users_has_its_networks_where_it_likes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "my_package"
    (package / "parts").mkdir(parents=True)
    (package / "parts" / "small.py").write_text(
        "from torch.nn import Identity as Same, Linear\ndef small(): return Linear(3, 2)\n", encoding="utf-8"
    )
    (package / "__init__.py").write_text("from my_package.parts.small import Same, small\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    for architecture in ("my_package:small", "my_package.parts.small:small"):
        assert isinstance(make_network(architecture), nn.Linear)
    assert isinstance(make_network("my_package:Same"), nn.Identity)
    for name in ("my_package.parts.small", "my_package.parts", "my_package"):
        del sys.modules[name]


def test_the_name_in_older_manifests_is_of_the_same_network() -> None:
    weights = ROOT / "model" / "weights.safetensors"
    older, newer = (
        load_module(weights, name) for name in ("mobilenet_v3_small", "modelkit.network:MobileNetV3Small")
    )
    picture = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(older(picture), newer(picture))


class _Touches:
    """A pickle that makes a file when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("name", ["weights.pt", "weights.pth", "weights.bin", "weights", "model.safetensors"])
def test_weights_are_never_unpickled(tmp_path: Path, name: str) -> None:
    file, marker = tmp_path / name, tmp_path / "marker"
    file.write_bytes(pickle.dumps(_Touches(marker)))
    with pytest.raises(ModuleError, match=rf"{name} is n"):
        load_module(file, ARCHITECTURE)
    torch.save(encoder().state_dict(), file)
    with pytest.raises(ModuleError, match=rf"{name} is n"):
        load_module(file, ARCHITECTURE)
    assert not marker.exists()


def test_weights_of_another_network_are_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ModuleError, match=r"does not fit the architecture modelkit\.network:MobileNetV3Small"
    ):
        load_module(weights, "modelkit.network:MobileNetV3Small")
    state = {name: value for name, value in encoder().state_dict().items() if name != "head.bias"}
    save_file(state, tmp_path / "less.safetensors")
    with pytest.raises(ModuleError, match=r"less\.safetensors does not fit .*head\.bias"):
        load_module(tmp_path / "less.safetensors", ARCHITECTURE)


class Tied(nn.Module):
    """Two names of one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 2)
        self.second = self.first

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.second(self.first(rows))
        return made


@pytest.mark.parametrize("kept", ["first", "second", ""])
def test_a_tensor_of_two_names_may_be_in_the_file_once(kept: str, tmp_path: Path) -> None:
    network = Tied()
    state = {name: value.clone() for name, value in network.state_dict().items() if name.startswith(kept)}
    save_file(state, tmp_path / "tied.safetensors")
    rows = torch.randn(3, 2)
    torch.testing.assert_close(
        load_module(tmp_path / "tied.safetensors", f"{HERE}:Tied")(rows), network(rows)
    )


def test_integers_are_no_weights_of_a_network_of_floats(tmp_path: Path) -> None:
    state = {name: value.mul(100).to(torch.int8) for name, value in encoder().state_dict().items()}
    save_file(state, tmp_path / "quantised.safetensors")
    with pytest.raises(ModuleError, match=r"as torch\.int8, and .* takes torch\.float32: publish"):
        load_module(tmp_path / "quantised.safetensors", ARCHITECTURE)


def test_half_precision_fills_a_network_of_floats(tmp_path: Path) -> None:
    state = {name: value.bfloat16() for name, value in encoder().state_dict().items()}
    save_file(state, tmp_path / "half.safetensors")
    filled = load_module(tmp_path / "half.safetensors", ARCHITECTURE).state_dict()
    assert all(torch.equal(filled[name], value.float()) for name, value in state.items())


def test_weights_that_were_cut_off_are_told_from_weights_of_another_network(
    weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "cut.safetensors").write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(ModuleError, match=r"cut\.safetensors is not a weights file: .*: save it again"):
        load_module(tmp_path / "cut.safetensors", ARCHITECTURE)


def test_weights_need_an_architecture_and_a_graph_another_service(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ModuleError, match="holds weights, and its manifest no architecture"):
        load_module(weights, None)
    with pytest.raises(ModuleError, match="use onnx_serving"):
        load_module(tmp_path / "model.onnx", None)
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ModuleError, match=r"damaged\.safetensors is not a weights file"):
        load_module(damaged, ARCHITECTURE)


def test_a_result_is_tensors_in_order() -> None:
    first, second = torch.ones(1), torch.zeros(1)
    assert in_order(first) == (first,)
    assert [*in_order((first, second))] == [first, second]
    assert [*in_order({"b": first, "a": second})] == [first, second]


class WithState(nn.Module):
    """A module with state that is not a tensor, and a counter."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def get_extra_state(self) -> dict[str, int]:
        """What state_dict has beside tensors."""
        return {"steps": 3}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Take it again."""
        del state


def test_counters_may_be_floats_where_all_of_a_state_was_made_smaller(tmp_path: Path) -> None:
    state = {name: value.half() for name, value in nn.BatchNorm1d(3).state_dict(prefix="norm.").items()}
    save_file(state, tmp_path / "half.safetensors")
    with pytest.raises(ModuleError, match=r"does not fit the architecture .*extra_state"):
        load_module(tmp_path / "half.safetensors", f"{HERE}:WithState")
    plain = {name.removeprefix("norm."): value for name, value in state.items()}
    save_file(plain, tmp_path / "half.safetensors")
    assert load_module(tmp_path / "half.safetensors", f"{HERE}:norm").get_buffer("num_batches_tracked") == 0
