"""What every part of a config is made of: sections that refuse keys they do not know."""

import re
from collections.abc import Collection, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from orchestrator.formats.class_names import is_class_name
from orchestrator.formats.closest import closest


def nearest(unknown: str, known: Sequence[str]) -> str:
    """``did you mean "x"?``, or all that is known where nothing is near."""
    match = closest(unknown, known)
    return f'did you mean "{match}"?' if match else f"known: {', '.join(sorted(known))}"


def one_of(kind: str, known: Collection[str], *, or_class: bool = False) -> BeforeValidator:
    """Refuses a name that is not among ``known``, with the nearest that is; with ``or_class`` it
    may be that of a class too, ``module:Name``."""

    def check(value: Any) -> Any:
        if or_class and isinstance(value, str) and is_class_name(value):
            return value
        names = list(known)
        if value not in names:
            raise ValueError(f"unknown {kind} {value!r}: {nearest(str(value), names)}")
        return value

    return BeforeValidator(check)


def located(path: Path) -> Path:
    """``path`` made absolute, since a run may be resumed from another working directory.

    Raises ``ValueError`` for the ~ of somebody unknown.
    """
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"{path}: there is no such home directory") from None


_QUANTITY = re.compile(r"([+-]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,2})?) ?([kMGB]?)")
_MULTIPLES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "B": 10**9}


def quantity(value: Any) -> Any:
    """``1e6``, ``2k`` and ``1.5M``, which YAML reads as text, as numbers; anything else as it
    is."""
    found = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return value
    exact = Decimal(found[1].replace("_", "")) * _MULTIPLES[found[2]]
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def _number(value: Any) -> Any:
    if isinstance(value, bool):  # which counts as 1 or 0 elsewhere
        raise ValueError(f"Input should be a number, not {str(value).lower()}")
    return value


IsQuantity = BeforeValidator(quantity)
IsNumber = BeforeValidator(_number)

LocatedPath = Annotated[Path, AfterValidator(located)]


class Section(BaseModel):
    """A part of a config that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        if isinstance(values, dict) and cls.model_config.get("extra") == "forbid":
            known = list(cls.model_fields)
            for key in values:
                if key not in known:
                    raise ValueError(f"unknown key {key!r}: {nearest(str(key), known)}")
        return values

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        kinds = _kinds(cls.model_fields[info.field_name or ""].annotation)
        return _number(value) if kinds & {int, float} and bool not in kinds else value


def _kinds(annotation: Any) -> set[Any]:
    """The types that a field's annotation is made of: those of ``int | None``, for example."""
    inner = [kind for each in get_args(annotation) for kind in _kinds(each)]
    return {annotation, *inner}


_SAID_PLACE = re.compile(r"(?:unknown key '([^']+)'|([\w-]+(?:\.[\w-]+)*): )")


def keys_to(error: ValidationError) -> tuple[str | int, ...]:
    """The keys that lead to the first mistake; a validator may name the last ones in its
    message."""
    first = error.errors()[0]
    said = _SAID_PLACE.match(str(first["msg"]).removeprefix("Value error, "))
    if said is None:
        return first["loc"]
    more = [said[1]] if said[1] else said[2].split(".")
    return (*first["loc"], *(int(key) if key.isdecimal() else key for key in more))


def one_line(error: ValidationError) -> str:
    """The first mistake with its place, and how many more there are."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    said = str(first["msg"]).removeprefix("Value error, ").replace("valid tuple", "list")
    missing = "it is required" if first["type"] == "missing" else said
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{place + ': ' if place else ''}{missing}{more}"
