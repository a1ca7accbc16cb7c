"""Rules for the parts of the code that are not mutated, each with its reason."""

import re
from collections.abc import Callable, Iterator

from parso.tree import NodeOrLeaf

_SPEED = re.compile(r"@\s*(\w+\.)*(lru_cache|cache|cached_property|njit|jit|_?compiled\w*)\b")
_ALIAS = re.compile(r"_?[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*\Z|_[A-Z]\Z")
_GUARDS = re.compile(r"(frozen|strict)\s*=")


def left_out_by(node: NodeOrLeaf) -> str | None:
    """Return the rule that excludes a node of parso's tree from mutation, or None if no rule applies."""
    path = list(_upwards(node))
    return next((name for name, applies in RULES.items() if any(applies(*step) for step in path)), None)


def _upwards(node: NodeOrLeaf) -> Iterator[tuple[NodeOrLeaf, NodeOrLeaf | None]]:
    """Yield the node and each of its ancestors, each with its parent."""
    while node is not None:
        yield node, node.parent
        node = node.parent


def _is_run(node: NodeOrLeaf) -> bool:
    """Return whether a node holds `Annotated[...]`: pydantic evaluates `Annotated[float, Field(gt=0)]` at run time."""
    return "Annotated[" in node.get_code()


def _is_annotation(node: NodeOrLeaf, parent: NodeOrLeaf | None) -> bool:
    if parent is None or _is_run(node):
        return False
    if parent.type == "funcdef":
        return node is parent.annotation
    return parent.type in {"tfpdef", "annassign"} and node is parent.children[2 if parent.type == "tfpdef" else 1]


def _is_alias(node: NodeOrLeaf, parent: NodeOrLeaf | None) -> bool:
    """Return whether a node is a type alias such as `Names = tuple[str, ...] | None` at the top level of a module."""
    around = parent.parent if parent is not None and parent.type == "simple_stmt" else parent
    is_top = around is not None and around.type == "file_input"
    is_alias = is_top and node.type == "expr_stmt" and not _is_run(node)
    return is_alias and bool(_ALIAS.match(node.children[0].get_code().strip()))


def _is_protocol(node: NodeOrLeaf, _parent: NodeOrLeaf | None) -> bool:
    return node.type == "classdef" and "Protocol" in node.get_code().partition(":")[0]


def _is_message(node: NodeOrLeaf, parent: NodeOrLeaf | None) -> bool:
    """Return whether a node is a raised or logged string, including its f-string fields; other arguments are not excluded."""
    if node.type not in {"string", "strings", "fstring"} or parent is None:
        return False
    return any(
        around.type == "raise_stmt"
        or (around.type == "atom_expr" and around.children[0].get_code().strip() in {"_LOG", "logging"})
        for around, _ in _upwards(parent)
    )


def _is_speed(node: NodeOrLeaf, _parent: NodeOrLeaf | None) -> bool:
    return node.type == "decorator" and bool(_SPEED.match(node.get_code().strip()))


def _is_guard(node: NodeOrLeaf, parent: NodeOrLeaf | None) -> bool:
    if parent is None or node.type != "argument" or not _GUARDS.match(node.get_code().strip()):
        return False
    around = parent.parent if parent.type == "arglist" else parent
    if around.type != "trailer":
        return around.type == "classdef" or (around.type == "decorator" and "dataclass(" in around.get_code())
    called = around.get_previous_leaf()
    return called is not None and called.value in {"zip", "ConfigDict", "dataclass"}


def _is_star(node: NodeOrLeaf, parent: NodeOrLeaf | None) -> bool:
    """Return whether a node is a star as in `def f(a, *, b)` or `{**a}`: cosmic-ray takes these for products and powers."""
    is_inside = parent is not None and parent.type in {"parameters", "lambdef", "dictorsetmaker", "atom"}
    return is_inside and node.type == "operator" and node.get_code().strip() in {"*", "**", "/"}


RULES: dict[str, Callable[[NodeOrLeaf, NodeOrLeaf | None], bool]] = {
    "stars of signatures and of unpacking: they are not operators": _is_star,
    "annotations other than `Annotated`: they are not run": _is_annotation,
    "type aliases (capitalised names at the top level of a module) without `Annotated`: only annotations use them": _is_alias,
    "protocols: their declarations are not run": _is_protocol,
    "strings that are raised or logged, with their fields: only the wording would change": _is_message,
    "decorators that cache or compile: they change only the speed": _is_speed,
    "`frozen=True` and `strict=True` of classes and `zip`: they stop errors that the code does not make": _is_guard,
}
