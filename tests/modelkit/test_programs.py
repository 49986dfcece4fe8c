"""Programs of torch.export are read without unpickling, and refused in one line with what to do."""

import json
import math
import pickle
import re
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import torch
from torch import nn

from modelkit.programs import ProgramError, read_program, runnable
from tests.running.encoder import encoder

Change = Callable[[dict[str, bytes]], object]
GRAPH = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
TOKENS, MASK = torch.tensor([[1, 2, 3]]), torch.ones(1, 3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoder's program, with a batch of any size and a length of at most 512."""
    both = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=512)}
    example = (torch.zeros(2, 5, dtype=torch.long), torch.ones(2, 5))
    program = torch.export.export(encoder(), example, dynamic_shapes={"tokens": both, "mask": both})
    path = tmp_path_factory.mktemp("program") / "program.pt2"
    torch.export.save(program, path)
    return path


def rewritten(whole: Path, folder: Path, change: Change) -> Path:
    """A copy of the program whose records, by their names within it, `change` has changed."""
    with ZipFile(whole) as archive:
        root = archive.namelist()[0].partition("/")[0]
        records = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    change(records)
    made = folder / "changed.pt2"
    with ZipFile(made, "w") as archive:
        for name, content in records.items():
            archive.writestr(f"{root}/{name}", content)
    return made


def edit(record: str, change: Callable[[Any], object]) -> Change:
    def changed(records: dict[str, bytes]) -> None:
        content = json.loads(records[record])
        change(content)
        records[record] = json.dumps(content).encode()

    return changed


def refused(path: Path) -> str:
    with pytest.raises(ProgramError) as refusal:
        read_program(path)
    line = str(refusal.value)
    assert line.startswith(path.name)
    assert "\n" not in line
    assert ": " in line
    return line


def test_a_program_computes_what_its_network_does_and_nothing_is_unpickled(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("something was unpickled")

    for module in (pickle, torch):
        monkeypatch.setattr(module, "load", never)
    monkeypatch.setattr(pickle, "loads", never)
    monkeypatch.setattr(pickle, "Unpickler", never)
    module = runnable(read_program(whole))
    with torch.inference_mode():
        for made, expected in zip(module(TOKENS, MASK), encoder()(TOKENS, MASK), strict=True):
            torch.testing.assert_close(made, expected)


def test_sizes_that_it_was_not_exported_for_are_refused(whole: Path) -> None:
    module = runnable(read_program(whole))
    with pytest.raises(ValueError, match="size 513: the model takes 0 to 512"):
        module(torch.zeros(1, 513, dtype=torch.long), torch.ones(1, 513))
    with pytest.raises(ValueError, match=r"sizes \[2, 3\]"):
        module(TOKENS, torch.ones(1, 2))


class _Fixed(nn.Module):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows.flatten(1) if rows.shape[1] > 2 else rows * math.pi


def test_a_fixed_size_is_the_only_one(tmp_path: Path) -> None:
    torch.export.save(torch.export.export(_Fixed(), (torch.ones(1, 3),)), tmp_path / "fixed.pt2")
    module = runnable(read_program(tmp_path / "fixed.pt2"))
    assert module(torch.ones(1, 3)).shape == (1, 3)
    with pytest.raises(ValueError, match="size 2: the model takes 3 to 3"):
        module(torch.ones(1, 2))


@pytest.mark.parametrize("size", [0, 10, 3000, -200])
def test_a_damaged_file_is_refused(whole: Path, tmp_path: Path, size: int) -> None:
    damaged = tmp_path / "damaged.pt2"
    damaged.write_bytes(whole.read_bytes()[:size])
    assert "not a whole program of torch.export" in refused(damaged)


def _without(record: str) -> Change:
    return lambda records: records.pop(record)


@pytest.mark.parametrize("record", [GRAPH, WEIGHTS, "data/weights/weight_0", "archive_version"])
def test_a_file_without_a_part_is_refused(whole: Path, tmp_path: Path, record: str) -> None:
    assert "not a whole program" in refused(rewritten(whole, tmp_path, _without(record)))


def test_a_part_that_is_shorter_than_it_says_is_refused(whole: Path, tmp_path: Path) -> None:
    def shorten(records: dict[str, bytes]) -> None:
        records["data/weights/weight_0"] = records["data/weights/weight_0"][:-8]

    assert "not a whole program" in refused(rewritten(whole, tmp_path, shorten))


def _pickled_weight(config: Any) -> None:
    config["config"]["table.weight"]["use_pickle"] = True


@pytest.mark.parametrize(
    "change",
    [
        edit(WEIGHTS, _pickled_weight),
        lambda records: records.update({"data/weights/model.pt": b""}),
        lambda records: records.update({"data/constants/model.pt": b""}),
        lambda records: records.update({"data/constants/custom_obj_0": b""}),
        lambda records: records.update({"data/constants/opaque_obj_0": b""}),
    ],
)
def test_what_would_have_to_be_unpickled_is_refused(whole: Path, tmp_path: Path, change: Change) -> None:
    assert "as a pickle, which is not read" in refused(rewritten(whole, tmp_path, change))


def test_compiled_code_is_refused(whole: Path, tmp_path: Path) -> None:
    def compiled(records: dict[str, bytes]) -> None:
        records["data/aotinductor/model/library.so"] = b""

    assert "compiled code" in refused(rewritten(whole, tmp_path, compiled))


def test_compiled_code_without_a_program_is_told_as_such(whole: Path, tmp_path: Path) -> None:
    def compiled(records: dict[str, bytes]) -> None:
        del records[GRAPH]
        records["data/aotinductor/model/library.so"] = b""

    assert "compiled code" in refused(rewritten(whole, tmp_path, compiled))


def test_a_compressed_file_is_refused_before_it_is_read(whole: Path, tmp_path: Path) -> None:
    def grow(records: dict[str, bytes]) -> None:
        records["data/weights/weight_0"] += bytes(2**24)

    grown = rewritten(whole, tmp_path, grow)
    with ZipFile(grown) as archive, ZipFile(tmp_path / "bomb.pt2", "w", ZIP_DEFLATED) as bomb:
        for name in archive.namelist():
            bomb.writestr(name, archive.read(name))
    assert (tmp_path / "bomb.pt2").stat().st_size < 2**18
    assert "it is compressed, from 1" in refused(tmp_path / "bomb.pt2")


class _OwnDevice(nn.Module):
    """Makes tensors on a device that it names, and has one as a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.constant = torch.ones(3)
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        places = torch.arange(3, device="cpu").to(torch.device("cpu"))
        more = torch.cond(rows.sum() > 0, lambda row: row + torch.zeros(3), lambda row: row - 1, (rows,))
        return more * self.weight + self.constant + places + torch.zeros_like(rows)


def test_what_a_program_makes_is_on_the_device_that_it_runs_on(tmp_path: Path) -> None:
    torch.export.save(torch.export.export(_OwnDevice(), (torch.ones(2, 3),)), tmp_path / "own.pt2")
    program = read_program(tmp_path / "own.pt2", torch.device("meta"))
    parts = [part for part in program.graph_module.modules() if isinstance(part, torch.fx.GraphModule)]
    named = [
        str(device)
        for part in parts
        for node in part.graph.nodes
        for device in (node.kwargs.get("device"), *node.args)
        if isinstance(device, (str, torch.device)) or "device" in node.kwargs
    ]
    assert len(parts) > 1
    assert {"meta"} == {name for name in named if name in {"cpu", "meta"}}
    assert {tensor.device.type for tensor in program.state_dict.values()} == {"meta"}
    assert {value.device.type for value in program.constants.values()} == {"meta"}


class _Stretched(nn.Module):
    """A length of even numbers, and one of a place more."""

    def forward(self, rows: torch.Tensor, longer: torch.Tensor) -> torch.Tensor:
        return rows.view(rows.shape[0], -1, 2).sum(2) + longer[:, 1:]


def test_a_size_may_follow_from_another(tmp_path: Path) -> None:
    size = torch.export.Dim("size", min=2, max=9)
    shapes = ({0: torch.export.Dim("batch"), 1: 2 * size}, {0: torch.export.Dim("batch"), 1: size + 1})
    program = torch.export.export(_Stretched(), (torch.ones(2, 8), torch.ones(2, 5)), dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "stretched.pt2")
    module = runnable(read_program(tmp_path / "stretched.pt2"))
    assert module(torch.ones(1, 6), torch.ones(1, 4)).tolist() == [[3, 3, 3]]
    for wrong in ((7, 4), (6, 5), (20, 11)):
        with pytest.raises((RuntimeError, ValueError)):
            module(torch.ones(1, wrong[0]), torch.ones(1, wrong[1]))


@pytest.mark.parametrize(
    "target",
    [
        "torch.hub.load",
        "torch.serialization.os.system",
        "torch.ops.load_library",
        "torch.ops.aten.from_file.default",
        "torch.ops.aten.__class__.mro",
        "torch.ops.aten.__getattr__.__call__",
        "torch.ops.mine.blur.default",
        "_operator.methodcaller",
        "math.__loader__.load_module",
        "#mine:blur",
    ],
)
def test_a_call_of_anything_but_pytorchs_operators_is_refused(
    whole: Path, tmp_path: Path, target: str
) -> None:
    def called(graph: Any) -> None:
        graph["graph_module"]["graph"]["nodes"][0]["target"] = target

    line = refused(rewritten(whole, tmp_path, edit(GRAPH, called)))
    assert f"calls {target!r}" in line


@pytest.mark.parametrize(
    "size",
    [
        "__import__('os').system('true')",
        "Symbol('s1').__class__",
        "[c for c in ()]",
        "exec('1')",
        "Max('print(1)', 2)",
        "(1 or\nMax(1, 2))",
        "(",
    ],
)
def test_a_size_that_is_not_arithmetic_is_refused(whole: Path, tmp_path: Path, size: str) -> None:
    def sized(graph: Any) -> None:
        graph["graph_module"]["graph"]["tensor_values"]["tokens"]["sizes"][0] = {
            "as_expr": {"expr_str": size, "hint": {"as_int": 2}}
        }

    assert "not arithmetic" in refused(rewritten(whole, tmp_path, edit(GRAPH, sized)))


def test_a_name_that_could_end_up_as_code_is_refused(whole: Path, tmp_path: Path) -> None:
    def named(graph: Any) -> None:
        spec = graph["graph_module"]["signature"]["input_specs"][0]["parameter"]
        spec["parameter_name"] = 'a"); print(1); ("'

    assert "has the name" in refused(rewritten(whole, tmp_path, edit(GRAPH, named)))


def test_guards_of_the_file_are_never_run(whole: Path, tmp_path: Path) -> None:
    def guarded(graph: Any) -> None:
        graph["guards_code"] = ["print(1/0)"]

    module = runnable(read_program(rewritten(whole, tmp_path, edit(GRAPH, guarded))))
    assert module(TOKENS, MASK)[0].shape == (1, 8)


@pytest.mark.parametrize(
    "change", [{"schema_version": {"major": 99, "minor": 0}}, {"graph_module": {"graph": "of another form"}}]
)
def test_a_program_of_a_newer_pytorch_is_refused_with_the_version_to_use(
    whole: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    newer = edit(GRAPH, lambda graph: graph.update({"torch_version": "99.1.0+cu", **change}))
    line = refused(rewritten(whole, tmp_path, newer))
    here = torch.__version__.partition("+")[0]
    assert f"was exported by PyTorch 99.1.0, and this is {here}" in line
    assert line.endswith(f"export it with PyTorch {here} or older")


@pytest.mark.parametrize(
    "change",
    [
        lambda records: records.update({GRAPH: b"[" * 100_000}),
        lambda records: records.update({GRAPH: b"[]"}),
        lambda records: records.update({WEIGHTS: b"{"}),
        lambda records: records.update({WEIGHTS: b"\xff"}),
    ],
)
def test_a_part_of_another_form_is_refused(whole: Path, tmp_path: Path, change: Change) -> None:
    assert "not a whole program" in refused(rewritten(whole, tmp_path, change))


def test_an_encrypted_archive_is_refused(whole: Path, tmp_path: Path) -> None:
    encrypted = bytearray(whole.read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for found in re.finditer(re.escape(header), bytes(encrypted)):
            encrypted[found.start() + flags] |= 1
    (tmp_path / "encrypted.pt2").write_bytes(encrypted)
    assert "not a whole program" in refused(tmp_path / "encrypted.pt2")


def test_a_program_whose_parts_contradict_each_other_makes_no_module(whole: Path, tmp_path: Path) -> None:
    doubled = edit(GRAPH, lambda graph: _signature(graph).update({"forward_arg_names": ["a", "a"]}))
    program = read_program(rewritten(whole, tmp_path, doubled))
    with pytest.raises(ProgramError, match=r"makes no module .*: export the model again"):
        runnable(program)


class _Named(nn.Module):
    """Outputs, parameters and arguments with names, of which some are none of Python's."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({"first-part": nn.Linear(3, 2), "0": nn.BatchNorm1d(2)})
        self.register_buffer("scale", torch.ones(2), persistent=False)

    def forward(self, rows: torch.Tensor, *, shift: torch.Tensor) -> OrderedDict[str, Any]:
        made = self.parts["0"](self.parts["first-part"](rows)) * self.scale
        least = nn.functional.gelu(made, approximate="tanh")
        several = [part + 1.5 for part in made.split(1, 1)]
        return OrderedDict({"made-up": made + shift, "inner": {"several": several, "least": (least,)}})


def test_names_that_users_give_are_no_fault(tmp_path: Path) -> None:
    network, rows, shift = _Named().eval(), torch.ones(2, 3), torch.ones(2)
    program = torch.export.export(network, (rows,), {"shift": shift})
    torch.export.save(program, tmp_path / "named.pt2", extra_files={"notes.txt": "mine"})
    read = read_program(tmp_path / "named.pt2").module(check_guards=False)
    torch.testing.assert_close(read(rows, shift=shift), network(rows, shift=shift))


class _Opens:
    """A pickle that makes a file when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.marker), "w")


def _untouched(path: Path, marker: Path) -> str:
    """How a file is refused, of which nothing ran."""
    line = refused(path)
    assert not marker.exists()
    return line


Attack = Callable[[Any, str], None]


def _of_an_input(graph: Any, code: str) -> None:
    module, name = graph["graph_module"], f"extra={code}"
    module["graph"]["inputs"].append({"as_sym_int": {"as_name": name}})
    module["graph"]["sym_int_values"][name] = {"as_int": 1}
    module["signature"]["input_specs"].append({"user_input": {"arg": {"as_sym_int": {"as_name": name}}}})


def _of_a_size(graph: Any, code: str) -> None:
    graph["graph_module"]["graph"]["tensor_values"]["tokens"]["sizes"][0] = {"as_expr": {"expr_str": code}}


def _of_a_size_that_is_called_metadata(graph: Any, code: str) -> None:
    inner = graph["graph_module"]["graph"]
    inner["inputs"].append({"as_sym_int": {"as_name": "metadata"}})
    inner["sym_int_values"]["metadata"] = {"as_expr": {"expr_str": code}}


def _signature(graph: Any) -> Any:
    return graph["graph_module"]["module_call_graph"][0]["signature"]


def _of_an_argument(graph: Any, code: str) -> None:
    # the name is written twice, and the second ends the text that the first begins
    _signature(graph)["forward_arg_names"] = ["tokens", f'mask={code}):\n    """ #']


def _of_a_keyword(graph: Any, code: str) -> None:
    leaf = {"type": None, "context": None, "children_spec": []}
    taken = json.dumps([f"mask={code}"])
    positional = {"type": "builtins.tuple", "context": "null", "children_spec": [leaf]}
    keywords = {"type": "builtins.dict", "context": taken, "children_spec": [leaf]}
    both = {"type": "builtins.tuple", "context": "null", "children_spec": [positional, keywords]}
    _signature(graph).update({"in_spec": json.dumps([1, both]), "forward_arg_names": None})


def _of_an_operators_argument(graph: Any, code: str) -> None:
    graph["graph_module"]["graph"]["nodes"][0]["inputs"][0]["name"] = f"**{code}, x"


def _of_a_node(graph: Any, code: str) -> None:
    graph["graph_module"]["graph"]["nodes"][0]["name"] = code


def _of_a_number(graph: Any, code: str) -> None:
    graph["range_constraints"]["s9"] = {"min_val": code, "max_val": None}


def _of_a_key(graph: Any, code: str) -> None:
    graph["graph_module"]["graph"]["sym_bool_values"][code] = {"as_bool": True}


@pytest.mark.parametrize(
    "attack",
    [
        _of_an_input,
        _of_a_size,
        _of_a_size_that_is_called_metadata,
        _of_an_argument,
        _of_a_keyword,
        _of_an_operators_argument,
        _of_a_node,
        _of_a_number,
        _of_a_key,
    ],
)
def test_code_in_place_of_a_name_is_refused_and_does_not_run(
    whole: Path, tmp_path: Path, attack: Attack
) -> None:
    marker = tmp_path / "marker"
    code = f"open({str(marker)!r}, 'w')"
    _untouched(rewritten(whole, tmp_path, edit(GRAPH, lambda graph: attack(graph, code))), marker)


@pytest.mark.parametrize(
    ("kind", "context"),
    [
        (
            "collections.defaultdict",
            {"default_factory_module": "stranger", "default_factory_name": "a", "dict_context": ["a", "b"]},
        ),
        ("builtins.dict", json.dumps([{"__enum__": True, "fqn": "stranger:A", "name": "a"}, "b"])),
        ("builtins.tuple", json.dumps({"__enum__": True, "fqn": "stranger:A", "name": "a"})),
        ("collections.namedtuple", "stranger.A"),
    ],
)
@pytest.mark.parametrize("spec", ["in_spec", "out_spec"])
def test_no_module_is_imported_that_a_tree_of_tensors_names(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, kind: str, context: object
) -> None:
    marker = tmp_path / "marker"
    (tmp_path / "stranger.py").write_text(f"open({str(marker)!r}, 'w').close()", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    leaf = {"type": None, "context": None, "children_spec": []}
    tree = json.dumps([1, {"type": kind, "context": context, "children_spec": [leaf, leaf]}])
    changed = edit(GRAPH, lambda graph: _signature(graph).update({spec: tree}))
    assert "other than tensors in tuples" in _untouched(rewritten(whole, tmp_path, changed), marker)
    assert "stranger" not in sys.modules


def _root(whole: Path) -> tuple[str, dict[str, bytes]]:
    with ZipFile(whole) as archive:
        names = archive.namelist()
        return names[0].partition("/")[0], {name.partition("/")[2]: archive.read(name) for name in names}


def _pickled(records: dict[str, bytes], marker: Path) -> dict[str, bytes]:
    """The records with a pickle as a weight, of the same lengths as before."""
    name, weight = "data/weights/weight_0", pickle.dumps(_Opens(marker))
    config = records[WEIGHTS].replace(b'"use_pickle": false', b'"use_pickle":  true', 1)
    stated = json.loads(config)["config"]
    assert [entry["path_name"] for entry in stated.values() if entry["use_pickle"]] == ["weight_0"]
    return records | {WEIGHTS: config, name: weight.ljust(len(records[name]), b"\0")}


def _zipped(path: Path, *records: tuple[str, bytes]) -> Path:
    with ZipFile(path, "w") as archive:
        for name, content in records:
            archive.writestr(name, content)
    return path


def test_a_second_folder_of_an_archive_hides_nothing(whole: Path, tmp_path: Path) -> None:
    root, records = _root(whole)
    first = [(f"{root}/{name}", content) for name, content in _pickled(records, tmp_path / "marker").items()]
    second = [(f"other/{name}", content) for name, content in records.items()]
    _untouched(_zipped(tmp_path / "two.pt2", *first, *second), tmp_path / "marker")
    _untouched(_zipped(tmp_path / "turned.pt2", *second, *first), tmp_path / "marker")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("turned", [False, True])
def test_a_second_record_of_one_name_hides_nothing(whole: Path, tmp_path: Path, turned: bool) -> None:
    root, records = _root(whole)
    changed = _pickled(records, tmp_path / "marker")
    both = [[(f"{root}/{name}", content) for name, content in some.items()] for some in (changed, records)]
    first, second = reversed(both) if turned else both
    _untouched(_zipped(tmp_path / "doubled.pt2", *first, *second), tmp_path / "marker")


def test_a_second_directory_of_an_archive_hides_nothing(whole: Path, tmp_path: Path) -> None:
    """Python finds the last directory, PyTorch that at the offset which is stated: here it is another."""
    root, records = _root(whole)
    both = [
        _zipped(
            tmp_path / "one.zip", *((f"{root}/{name}", content) for name, content in some.items())
        ).read_bytes()
        for some in (_pickled(records, tmp_path / "marker"), records)
    ]
    assert len(both[0]) == len(both[1])
    path = tmp_path / "two_directories.pt2"
    path.write_bytes(b"".join(both))
    assert _root(path)[1] == records
    _untouched(path, tmp_path / "marker")


@pytest.mark.parametrize("record", ["opaque_obj_0", "OPAQUE_OBJ_0", "../constants/OPAQUE_OBJ_0"])
def test_a_constant_that_is_no_tensor_is_refused_whatever_its_record_is_called(
    whole: Path, tmp_path: Path, record: str
) -> None:
    marker = tmp_path / "marker"
    content = pickle.dumps(_Opens(marker))
    meta = {
        "dtype": 1,
        "sizes": [{"as_int": len(content)}],
        "requires_grad": False,
        "device": {"type": "cpu", "index": None},
        "strides": [{"as_int": 1}],
        "storage_offset": {"as_int": 0},
        "layout": 7,
    }
    payload = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": False, "tensor_meta": meta}

    def constant(records: dict[str, bytes]) -> None:
        records[CONSTANTS] = json.dumps({"config": {"thing": payload}}).encode()
        records[f"data/constants/{record}"] = content

    _untouched(rewritten(whole, tmp_path, constant), marker)


@pytest.mark.parametrize("name", ["__class__.forward", "table.__init__.__globals__.x", "a b", "a'", "a\n"])
def test_a_weight_has_a_plain_name(whole: Path, tmp_path: Path, name: str) -> None:
    def named(config: Any) -> None:
        config["config"][name] = config["config"].pop("table.weight")

    assert f"has the name {name!r}" in refused(rewritten(whole, tmp_path, edit(WEIGHTS, named)))
