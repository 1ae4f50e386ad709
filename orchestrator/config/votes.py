"""Votes of the user's own, beside those that every run takes."""

import inspect
from collections.abc import Callable
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError, model_validator

from orchestrator.config.sections import Section
from orchestrator.core.voting import VOTES, Vote
from orchestrator.errors import ConfigError
from orchestrator.formats.class_names import load_class


class VoteConfig(Section):
    """The class called ``module:Name``; any other key is a setting of it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    vote: str

    @model_validator(mode="before")
    @classmethod
    def _by_name_alone(cls, values: Any) -> Any:
        return {"vote": values} if isinstance(values, str) else values

    def build(self) -> Vote:
        """Raises ``ConfigError`` where it is no vote, or refuses a setting."""
        if self.vote in VOTES:
            raise ConfigError(f"votes: {self.vote} is taken anyway: leave it out")
        kind = load_class(self.vote)
        if not hasattr(kind, "weights"):
            raise ConfigError(f"votes: {self.vote} is no vote: it has no `weights`")
        if not _takes(kind.weights, "self", "voters", "classes"):
            raise ConfigError(
                f"votes: {self.vote}: `weights` must take the voters and the classes of their "
                "answers: def weights(self, voters, classes)"
            )
        try:
            vote: Vote = TypeAdapter(kind).validate_python(self.model_extra or {})
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise ConfigError(f"votes: {self.vote}: {place}: {first['msg']}") from None
        if vote.name in VOTES:
            raise ConfigError(f"votes: {self.vote} is called {vote.name}, as another vote is")
        return vote


def _takes(function: Callable[..., object], *arguments: str) -> bool:
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    return True
