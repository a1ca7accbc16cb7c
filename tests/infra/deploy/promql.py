"""Evaluate the part of Prometheus' language that the alerts use, on samples in memory.

Unlike Prometheus, `increase` and `rate` do not extrapolate to the edges of their range.
"""

import operator
import re
from itertools import pairwise

import promql_parser as pql

LOOKBACK_S = 300
"""Largest age of the sample that an instant selector returns."""
NAME = "__name__"
COMPARE = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "==": operator.eq}
ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
AGGREGATE = {"sum": sum, "max": max}


def evaluate(query, series, at_s):
    """Return the value of each set of labels, `{frozenset of (name, value): value}`.

    Args:
        query: The query.
        series: A pair of labels and samples for each time series; a sample is a pair of seconds and value.
        at_s: The time of the evaluation, in seconds.
    """
    return _value(pql.parse(query), series, at_s)


def _value(node, series, at_s):
    match node:
        case pql.ParenExpr():
            return _value(node.expr, series, at_s)
        case pql.NumberLiteral():
            return node.val
        case pql.VectorSelector():
            return {_key(labels): samples[-1][1] for labels, samples in _found(node, series, at_s, LOOKBACK_S)}
        case pql.Call():
            return _call(node, series, at_s)
        case pql.AggregateExpr():
            return _aggregated(node, _value(node.expr, series, at_s))
        case pql.BinaryExpr():
            return _combined(node, _value(node.lhs, series, at_s), _value(node.rhs, series, at_s))
    raise NotImplementedError(type(node).__name__)


def _key(labels, leave_out=()):
    return frozenset((name, value) for name, value in labels.items() if name not in leave_out)


def _found(selector, series, at_s, range_s):
    """Yield the labels and the samples in range of each series that a selector matches."""
    end_s = at_s - (selector.offset.total_seconds() if selector.offset else 0)
    wanted = {matcher.name: matcher for matcher in selector.matchers.matchers}
    for labels, samples in series:
        named = selector.name in {None, labels[NAME]}
        inside = [(time_s, value) for time_s, value in samples if end_s - range_s < time_s <= end_s]
        if named and inside and all(_matches(matcher, labels.get(name, "")) for name, matcher in wanted.items()):
            yield labels, inside


def _matches(matcher, value):
    if matcher.op == pql.MatchOp.Equal:
        return value == matcher.value
    if matcher.op == pql.MatchOp.Re:
        return re.fullmatch(matcher.value, value) is not None
    raise NotImplementedError(matcher.op)


def _call(node, series, at_s):
    (argument,) = node.args
    range_s = argument.range.total_seconds()
    made = {}
    for labels, samples in _found(argument.vector_selector, series, at_s, range_s):
        steps = list(pairwise(value for _, value in samples))
        # A counter that falls began anew at zero.
        grown = sum(new - old if new >= old else new for old, new in steps)
        known = {"increase": grown, "rate": grown / range_s, "changes": sum(new != old for old, new in steps)}
        if steps or node.func.name == "changes":
            key = _key(labels, {NAME})
            assert key not in made, "Prometheus refuses two series that differ in their names alone"
            made[key] = known[node.func.name]
    return made


def _aggregated(node, vector):
    groups = {}
    for key, value in vector.items():
        groups.setdefault(_key({name: text for name, text in key if name in node.modifier.labels}), []).append(value)
    return {key: AGGREGATE[str(node.op)](values) for key, values in groups.items()}


def _combined(node, left, right):
    name = str(node.op)
    assert node.modifier is None or node.modifier.matching is None, "on and ignoring are not evaluated"
    if name in {"and", "or", "unless"}:
        return _set_operation(name, left, right)
    matched = {_unnamed(key): value for key, value in right.items()} if isinstance(right, dict) else None
    made = {}
    for key, value in left.items():
        other = right if matched is None else matched.get(_unnamed(key))
        if other is None:
            continue
        if name in ARITHMETIC:
            made[_unnamed(key)] = ARITHMETIC[name](value, other)
        elif COMPARE[name](value, other):
            made[key] = value
    return made


def _unnamed(key):
    return frozenset(pair for pair in key if pair[0] != NAME)


def _set_operation(name, left, right):
    of_left, of_right = {_unnamed(key) for key in left}, {_unnamed(key) for key in right}
    if name == "or":
        return left | {key: value for key, value in right.items() if _unnamed(key) not in of_left}
    return {key: value for key, value in left.items() if (_unnamed(key) in of_right) == (name == "and")}
