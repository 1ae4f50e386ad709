"""The tree search to fall back to where whole solutions leave a vote undecided."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal, get_args

from orchestrator.errors import ConfigError
from orchestrator.strategies.beam_search import BeamSearch
from orchestrator.strategies.dvts import DVTS
from orchestrator.strategies.settings import Stepwise

FallbackName = Literal["beam_search", "dvts"]
FALLBACKS: tuple[FallbackName, ...] = get_args(FallbackName)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback(Stepwise):
    """A search by its name, with its settings.

    Raises ``ConfigError`` for those it does not take.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    strategy: FallbackName
    stop: Literal["dominated"] | None = None

    def __post_init__(self) -> None:
        Stepwise.__post_init__(self)
        if self.stop and self.strategy == "dvts":
            raise ConfigError("dvts takes no `stop`")

    @property
    def search(self) -> BeamSearch | DVTS:
        settings = {key: each for key, each in asdict(self).items() if each is not None}
        is_beam_search = settings.pop("strategy") == "beam_search"
        return BeamSearch(**settings) if is_beam_search else DVTS(**settings)
