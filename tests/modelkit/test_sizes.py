"""Sizes that exporters write as arithmetic of names, and names that only look like arithmetic."""

import pytest

from modelkit.sizes import evaluate, names_in

SIZES = {"s40": 5, "past": 7, "now": 2}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("s40", 5),
        ("2*s40", 10),
        ("s40 + 1", 6),
        ("past + now", 9),
        ("past*now", 14),
        ("(s40 - 1)//2 + 1", 3),
        ("s40 - 9", 1),
    ],
)
def test_arithmetic_of_sizes_follows_from_them(text: str, size: int) -> None:
    assert evaluate(text, SIZES.__getitem__) == size


@pytest.mark.parametrize("text", ["seq-len", "batch size", "height/2", "2", "f(s40)", "s40[0]", "s40//0", ""])
def test_any_other_text_is_a_name(text: str) -> None:
    assert evaluate(text, lambda name: 3 if name == text else 99) == (2 if text == "2" else 3)


def test_the_names_in_a_size_are_those_that_it_follows_from() -> None:
    assert names_in("2*s0 + past") == {"s0", "past"}
    assert names_in("seq-len") == {"seq-len"}
    assert names_in("s0") == {"s0"}


@pytest.mark.parametrize("text", ["+".join(["s"] * 1000), "(" * 400 + "s" + ")" * 400])
def test_a_size_of_any_length_is_read_without_a_fault(text: str) -> None:
    assert evaluate(text, lambda _: 3) >= 3
