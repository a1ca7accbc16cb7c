"""Reproducible samples of a module's mutants: cosmic-ray's operators, without mutants that cannot show how good the tests are.

A place in the code is identified by its file, the text of its line, its rank among equal lines, and its column, never by its
line number, so that a sample stays the same while code elsewhere changes.
"""

import ast
import difflib
import hashlib
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, zip_longest

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from parso.tree import NodeOrLeaf

from tests.mutants.rules import left_out_by

OPERATORS = {
    "arithmetic": (
        *("ReplaceBinaryOperator_Add_Sub", "ReplaceBinaryOperator_Sub_Add", "ReplaceBinaryOperator_Mul_Div"),
        *("ReplaceBinaryOperator_Div_Mul", "ReplaceBinaryOperator_FloorDiv_Mul", "ReplaceBinaryOperator_Mod_FloorDiv"),
        *("ReplaceBinaryOperator_Pow_Mul", "ReplaceBinaryOperator_BitOr_BitAnd", "ReplaceBinaryOperator_BitAnd_BitOr"),
        *("ReplaceBinaryOperator_LShift_RShift", "ReplaceBinaryOperator_RShift_LShift", "ReplaceUnaryOperator_USub_UAdd"),
    ),
    "comparison": (
        *("ReplaceComparisonOperator_Eq_NotEq", "ReplaceComparisonOperator_NotEq_Eq"),
        *("ReplaceComparisonOperator_Is_IsNot", "ReplaceComparisonOperator_IsNot_Is"),
        *("ReplaceComparisonOperator_Lt_LtE", "ReplaceComparisonOperator_Lt_GtE", "ReplaceComparisonOperator_LtE_Lt"),
        *("ReplaceComparisonOperator_LtE_Gt", "ReplaceComparisonOperator_Gt_GtE", "ReplaceComparisonOperator_Gt_LtE"),
        *("ReplaceComparisonOperator_GtE_Gt", "ReplaceComparisonOperator_GtE_Lt"),
    ),
    "condition": (
        *("AddNot", "ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_Delete_Invert"),
        *("ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue"),
    ),
    "number": ("NumberReplacer",),
    "flow": (
        *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak"),
        *("ZeroIterationForLoop", "ExceptionReplacer", "RemoveDecorator"),
    ),
}
"""Maps each family to its operators. Only replacements that accept the same types are listed: `+` becomes `-`, but not `>>`,
which raises, so that tests need not check for it."""

FIRST_SEED, HELD_OUT_SEED = 0, 5
"""Seeds of the sample against which tests were written, and of one against which no test was written. Choose a new held-out
seed after each run whose survivors got tests; seeds 1 to 4 are used up."""
SAMPLED_AS = {
    "simulation/optics/observation.py": "simulation/observation.py",
    "simulation/injection/arcs.py": "simulation/injection.py",
    "scanner/preprocess/resample.py": "scanner/pixels/resample.py",
    "scanner/sources/stamps.py": "scanner/pixels/stamps.py",
    "scanner/preprocess/channels.py": "scanner/pixels/channels.py",
    "scanner/catalogue/audit/reconcile.py": "scanner/catalogue/reconcile.py",
    "scanner/catalogue/audit/verify.py": "scanner/catalogue/verify.py",
    "infra/store/storage.py": "infra/storage.py",
    "scanner/workers/dispatch.py": "scanner/dispatch.py",
    "scanner/workers/retry_state.py": "scanner/recovery.py",
    "scanner/scan/sweep.py": "scanner/sweep.py",
    "training/evaluation/metrics.py": "training/metrics.py",
    "scanner/scan/unit.py": "scanner/scan.py",
    "scanner/scan/scoring.py": "scanner/scoring.py",
    "scanner/workers/unit_scanner.py": "scanner/actors.py",
    "infra/store/s3.py": "infra/s3.py",
    "simulation/products/render.py": "simulation/render.py",
}
"""Present path of a moved file to the path whose hash orders its mutants, so that a move does not change the sample."""
N_SEEN = 16
"""Number of mutants of the first seed per module that were inspected when tests were written."""


@dataclass(frozen=True)
class Mutant:
    """A file with one change."""

    path: str
    operator: str
    line: str
    """The text that is changed, without indentation; several lines if the change spans them."""
    becomes: str
    text: str = field(repr=False)
    """The whole file with the change."""


@dataclass(frozen=True)
class _Site:
    key: str
    operators: tuple[tuple[str, int], ...]
    """Operators, each with its occurrence in the file."""


def sample(path: str, source: str, n: int, seed: int = FIRST_SEED) -> list[Mutant]:
    """Return at most `n` mutants of a file, taken from the families of operators in turn, at most one mutant per place."""
    return list(islice(_in_order(path, source, seed), n))


def held_out(path: str, source: str, n: int, seed: int) -> list[Mutant]:
    """Return at most `n` mutants of another seed that were not inspected when tests were written against the first sample."""
    seen = sample(path, source, N_SEEN)
    others = _in_order(path, source, seed)
    return list(islice((mutant for mutant in others if not any(_look_alike(mutant, other) for other in seen)), n))


def _in_order(path: str, source: str, seed: int) -> Iterator[Mutant]:
    queues = [iter(_by_hash(sites, seed)) for sites in _sites(path, source).values()]
    chosen: list[Mutant] = []
    for site in (site for turn in zip_longest(*queues) for site in turn if site is not None):
        operators = sorted(site.operators, key=lambda o: _hash(seed, site.key, str(o[0])))
        made = (_mutant(path, source, *operator) for operator in operators)
        mutant = next((m for m in made if m is not None and not any(_look_alike(m, other) for other in chosen)), None)
        if mutant is not None:
            chosen.append(mutant)
            yield mutant


def _look_alike(one: Mutant, other: Mutant) -> bool:
    """Return whether two mutants make the same change to equal lines: a list could not distinguish them."""
    return (one.operator, one.line, one.becomes) == (other.operator, other.line, other.becomes) or one.text == other.text


def _sites(path: str, source: str) -> dict[str, list[_Site]]:
    """Map each family to the places where one of its operators applies and no rule excludes the mutation."""
    lines = source.splitlines()
    nodes = list(ast_nodes(get_ast(source)))
    families = {}
    for family, names in OPERATORS.items():
        found: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for name in names:
            for occurrence, (node, (start, _)) in enumerate(_positions(nodes, name)):
                if left_out_by(node) is None:
                    found[_key(path, lines, *start)].append((name, occurrence))
        families[family] = [_Site(f"{family} {key}", tuple(operators)) for key, operators in found.items()]
    return families


def _positions(nodes: Iterable[NodeOrLeaf], name: str) -> Iterator[tuple[NodeOrLeaf, tuple[tuple[int, int], tuple[int, int]]]]:
    operator = get_operator(f"core/{name}")()
    for node in nodes:
        for position in operator.mutation_positions(node):
            yield node, position


def _key(path: str, lines: list[str], row: int, column: int) -> str:
    line = lines[row - 1]
    same_before = Counter(text.strip() for text in lines[: row - 1])[line.strip()]
    return f"{SAMPLED_AS.get(path, path)} {line.strip()} {same_before} {column - (len(line) - len(line.lstrip()))}"


def _by_hash(sites: Iterable[_Site], seed: int) -> list[_Site]:
    return sorted(sites, key=lambda site: _hash(seed, site.key))


def _hash(seed: int, *parts: str) -> str:
    # The first sample was drawn before seeds existed.
    named = parts if seed == FIRST_SEED else (str(seed), *parts)
    return hashlib.sha256("\n".join(named).encode()).hexdigest()


def _mutant(path: str, source: str, operator: str, occurrence: int) -> Mutant | None:
    """Return the mutant, or None if the change leaves the program as it was or is not valid Python."""
    try:
        text = mutate_code(source, get_operator(f"core/{operator}")(), occurrence)
    except AttributeError:
        # cosmic-ray cannot replace `module.Error` in a tuple of exceptions.
        return None
    if text is None or not _is_another_program(source, text):
        return None
    before, after = _changed_lines(source, text)
    return Mutant(path, operator, before, after, text)


def _is_another_program(source: str, text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            compile(text, "mutant", "exec")
        except (SyntaxError, SyntaxWarning):
            return False
    return ast.dump(ast.parse(source)) != ast.dump(ast.parse(text))


def _changed_lines(source: str, text: str) -> tuple[str, str]:
    delta = list(difflib.ndiff(source.splitlines(), text.splitlines(), linejunk=None, charjunk=None))
    removed, added = ("\n".join(line[2:].strip() for line in delta if line.startswith(sign)).strip() for sign in ("- ", "+ "))
    if not added:
        # Identify a removed line by the line after it: many lines look like `@property`.
        following = _following(source.splitlines(), text.splitlines())
        return f"{removed}\n{following}", following
    return removed, added


def _following(before: Sequence[str], after: Sequence[str]) -> str:
    """Return the line after the first that differs."""
    row = next((i for i, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), len(after))
    return "".join(before[row + 1 : row + 2]).strip()
