"""The order in which the cases of a run are shown."""

from itertools import permutations

from bench.analysis.cases import Case, case_key
from bench.request_sets.drawing import CLASS_NAMES


def test_classes_of_sizes_are_shown_in_the_order_of_their_sizes() -> None:
    for names in CLASS_NAMES.values():
        cases = [Case(name, "json", "8 clients") for name in names]
        assert all(sorted(order, key=case_key) == cases for order in permutations(cases))


def test_classes_of_any_other_name_follow_by_name() -> None:
    names = ["small", "seed", "large", "a day", "the sea"]
    cases = [Case(name, "json", "8 clients") for name in names]
    assert all(sorted(order, key=case_key) == cases for order in permutations(cases))
