"""Lists: several statements between commas and words, and what they say together."""

from functools import reduce

from orchestrator.tasks.math.reading.cursor import split
from orchestrator.tasks.math.reading.tokens import Token
from orchestrator.tasks.math.shapes import combine, is_formula, listed
from orchestrator.tasks.math.terms import (
    Combination,
    Listing,
    Named,
    Rational,
    RealInterval,
    Relation,
    Unreadable,
    Value,
)

_LOGICAL = {r"\land": "and", r"\lor": "or"}


def items(tokens: list[Token]) -> tuple[list[list[Token]], list[str]]:
    """The items of a list and the words or signs between them: ``, and`` is one."""
    parts = split(tokens, ",", ";", "and", "or", *_LOGICAL)
    joints, kept, at = [], [parts[0]], len(parts[0])
    for part in parts[1:]:
        joint = tokens[at].text
        if kept[-1]:
            joints.append(joint)
            kept.append(part)
        else:
            joints[-1:] = [joint]
            kept[-1] = part
        at += len(part) + 1
    if not all(kept):
        raise Unreadable
    return kept, joints


def joined(values: list[Value], joints: list[str]) -> Value:
    """What the items of a list say together: a set that "or" unites, values of one name, a list."""
    if not _LOGICAL.keys().isdisjoint(joints):
        if any(map(is_formula, values)):
            raise Unreadable  # p \lor q is no list
        joints = [_LOGICAL.get(joint, joint) for joint in joints]
    names = [value.name if isinstance(value, Named) else None for value in values]
    first = values[0]
    if isinstance(first, Named) and all(name in (None, first.name) for name in names):
        bare = [value.value if isinstance(value, Named) else value for value in values]
        return Named(first.name, first.subject, _united(bare, joints))
    if names[0] is None and names[-1] is not None and all(name is None for name in names[:-1]):
        raise Unreadable
    return _united(values, joints)


def _united(values: list[Value], joints: list[str]) -> Value:
    numbers = {each.value for each in values if isinstance(each, Rational)}
    if set(joints) == {"or"} and len(numbers) == 1 and all(isinstance(v, Rational) for v in values):
        return values[0]  # 1/2 or 0.5
    if any(isinstance(each, RealInterval | Combination | Relation) for each in values):
        sets = [Listing("{}", (each,)) if isinstance(each, Rational) else each for each in values]
        if set(joints) == {"or"}:
            return reduce(lambda a, b: combine("union", a, b), sets)
        if set(joints) == {"and"}:
            return reduce(lambda a, b: combine("intersection", a, b), sets)
    return Listing("", tuple(each for value in values for each in listed(value)))
