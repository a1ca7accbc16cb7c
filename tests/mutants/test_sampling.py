"""Tests of the selection of mutants."""

import ast
from collections import Counter

import pytest

from tests.mutants.sampling import N_SEEN, OPERATORS, held_out, sample

SOURCE = '''"""A module."""

LIMIT = 3


def clipped(values, low, high):
    """Values between two limits."""
    found = []
    for value in values:
        if value < low or not value:
            continue
        if value >= high:
            break
        found.append(value - low)
    try:
        return sum(found) * 2 + LIMIT
    except TypeError:
        return None
'''
FAMILY = {operator: family for family, operators in OPERATORS.items() for operator in operators}


def changes(source, n=100):
    return [(mutant.operator, mutant.line, mutant.becomes) for mutant in sample("code.py", source, n)]


def test_each_mutant_differs_only_in_its_reported_lines():
    mutants = sample("code.py", SOURCE, 100)
    assert len(mutants) > 12
    for mutant in mutants:
        assert ast.dump(ast.parse(mutant.text)) != ast.dump(ast.parse(SOURCE))
        assert mutant.line in SOURCE
        assert mutant.becomes in mutant.text
    assert len({mutant.text for mutant in mutants}) == len(mutants)


def test_the_same_mutants_are_picked_again():
    assert changes(SOURCE, 6) == changes(SOURCE, 6)


def test_a_smaller_sample_is_the_beginning_of_a_larger_one():
    assert changes(SOURCE, 5) == changes(SOURCE, 9)[:5]


def test_moved_lines_do_not_change_the_sample():
    assert changes(SOURCE.replace("LIMIT = 3\n", 'import math\n\n# More.\nNAME = "x"\nLIMIT = 3\n'), 6) == changes(SOURCE, 6)


def test_added_code_does_not_change_the_mutants_elsewhere():
    more = "\n\ndef other(a, b):\n    return [x + 1 for x in a if x > b]\n"
    assert set(changes(SOURCE)) < set(changes(SOURCE + more))


def test_another_file_is_sampled_in_another_order():
    names = [f"file{i}.py" for i in range(8)]
    assert len({tuple(mutant.line for mutant in sample(name, SOURCE, 100)) for name in names}) > 1


MANY = "\n".join(f"x{i} = a{i} + b{i}" for i in range(30))


def test_another_seed_picks_other_mutants_reproducibly():
    first, second = ([mutant.line for mutant in sample("code.py", MANY, 8, seed)] for seed in (1, 2))
    assert first == [mutant.line for mutant in sample("code.py", MANY, 8, 1)]
    assert set(first) != set(second)


def test_no_held_out_mutant_is_in_the_first_sample():
    found = held_out("code.py", MANY, 10, 1)
    assert len(found) == 10
    assert not {mutant.text for mutant in found} & {mutant.text for mutant in sample("code.py", MANY, N_SEEN)}
    # A file with few places has no other mutants.
    assert held_out("code.py", "a = b + c\n", 10, 1) == []


def test_every_family_is_sampled_even_if_another_has_more_places():
    many = "\n".join(f"    x{i} = {i} + {i}" for i in range(40))
    source = f"def f(a):\n{many}\n    for _ in a:\n        if a < 0:\n            pass\n"
    families = Counter(FAMILY[mutant.operator] for mutant in sample("code.py", source, 10))
    assert families == {"arithmetic": 4, "number": 3, "comparison": 1, "condition": 1, "flow": 1}


def test_a_place_is_changed_once():
    # Four operators could replace the comparison, and two offsets the number.
    assert Counter(line for _, line, _ in changes("X = a < 5\n")) == {"X = a < 5": 2}


def test_equal_changes_of_equal_lines_are_made_once():
    assert len(changes("a = b + c\na = b + c\n")) == 1


@pytest.mark.parametrize(
    "source",
    [
        "def f(a: int | None, *, b: list[int | str]) -> str | None: ...",
        "x: int | None",
        "class A:\n    x: tuple[int | str, ...]",
        "Numbers = list[int] | None\n_F = TypeVar('_F', bound=int | str)",
        "class A(Protocol):\n    @property\n    def b(self) -> int: ...",
        "raise ValueError(f'{a + 1} of {b[:200]}, {not c}')",
        "_LOG.warning(f'{a + 1}')",
        "@lru_cache(maxsize=64)\ndef f(): ...",
        "@functools.cache\ndef f(): ...",
        "@njit(cache=True)\ndef f(): ...",
        "@numba.njit(cache=True)\ndef f(): ...",
        "@compiled\ndef f(): ...",
        "@_compiled_in_order\ndef f(): ...",
        "a = ConfigDict(frozen=True)",
        "a = zip(b, c, strict=True)",
        "a = pydantic.ConfigDict(strict=True, frozen=True)",
        "class A(B, frozen=True): ...",
        "def f(a, /, b, *, c, **d): ...",
        "a = {**b}",
        "a = [*b]",
        "f(*a, **b)",
        "from a import b as c",
        "try:\n    f()\nexcept (a.Error, b.Error):\n    pass",
        "'''Text with 1 + 1.'''\n__all__ = ['a', 'b']",
    ],
)
def test_code_under_a_rule_is_not_mutated(source):
    assert changes(source) == []


@pytest.mark.parametrize(
    ("source", "line", "becomes"),
    [
        ("isinstance(a, int | str)", "isinstance(a, int | str)", "isinstance(a, int & str)"),
        ("def f(a: int | None = True): ...", "def f(a: int | None = True): ...", "def f(a: int | None = False): ..."),
        ("x: int | None = -a", "x: int | None = -a", "x: int | None = +a"),
        ("LIMIT = -a", "LIMIT = -a", "LIMIT = +a"),
        ("@property\ndef f(): ...", "@property\ndef f(): ...", "def f(): ..."),
        (
            "class A(B):\n    @property\n    def b(self) -> int: ...",
            "@property\ndef b(self) -> int: ...",
            "def b(self) -> int: ...",
        ),
        ("x: Annotated[int, at_most(-a)]", "x: Annotated[int, at_most(-a)]", "x: Annotated[int, at_most(+a)]"),
        ("Small = Annotated[int, at_most(-a)]", "Small = Annotated[int, at_most(-a)]", "Small = Annotated[int, at_most(+a)]"),
        ("raise Wrong(f'{a + 1}', -b)", "raise Wrong(f'{a + 1}', -b)", "raise Wrong(f'{a + 1}', +b)"),
        ("_LOG.warning('%s', -a)", "_LOG.warning('%s', -a)", "_LOG.warning('%s', +a)"),
        ("a = Field(strict=True)", "a = Field(strict=True)", "a = Field(strict=False)"),
        ("a = dict(cache=True)", "a = dict(cache=True)", "a = dict(cache=False)"),
        ("raised = a * b", "raised = a * b", "raised = a / b"),
        ("a = b**c", "a = b**c", "a = b*c"),
        ("a = {'b': c - d}", "a = {'b': c - d}", "a = {'b': c + d}"),
    ],
)
def test_code_that_only_resembles_a_rule_is_mutated(source, line, becomes):
    assert [(before, after) for _, before, after in changes(source)] == [(line, becomes)]
