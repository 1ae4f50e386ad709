"""Where models are served: what ``connect`` is told."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from orchestrator.config.endpoints import EndpointConfig, PolicyConfig, PRMConfig
from orchestrator.config.sections import one_line
from orchestrator.core.budget import Price
from orchestrator.errors import ConfigError
from orchestrator.formats.class_names import class_name

C = TypeVar("C", bound=EndpointConfig)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model behind an OpenAI-compatible API; ``url`` may list replicas of it.

    ``model`` is its served name, and may be left out where the server serves one model alone.
    ``name`` is what records call it: the served name, unless given. ``api_key_env`` names the
    environment variable that holds the key; an ``api_key`` is used for these requests and written
    nowhere, so that a run directory made with it needs it again. ``price`` is in USD per million
    tokens, or the name of a model in ``configs/prices.yaml``, where a model with a price of its own
    is found by itself. ``timeout`` is in seconds, of one request. ``settings`` are any other keys
    of an endpoint in a config: ``{"concurrency": 64, "hedge": True}``.
    """

    url: str | Sequence[str]
    _: KW_ONLY
    model: str | None = None
    name: str | None = None
    api_key: str | None = field(default=None, repr=False)
    api_key_env: str | None = None
    price: Price | str | None = None
    parameters: int | None = None
    timeout: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.api_key is not None and self.api_key_env is not None:
            raise ConfigError("give either an `api_key` or `api_key_env`, which names its variable")

    @property
    def urls(self) -> list[str]:
        return [self.url] if isinstance(self.url, str) else list(self.url)

    def _said(self) -> dict[str, Any]:
        """The keys of a config that say the same, without those that are left out."""
        said = {
            "url": self.urls,
            "model": self.model,
            "api_key_env": self.api_key_env,
            "price": asdict(self.price) if isinstance(self.price, Price) else self.price,
            "parameters": self.parameters,
            "timeout": self.timeout,
            **self.settings,
        }
        return {key: value for key, value in said.items() if value is not None}

    def config(self) -> EndpointConfig:
        """The same as a config says it. Raises ``ConfigError``."""
        return self._valid(EndpointConfig, self._said())

    def _valid(self, kind: type[C], said: Mapping[str, Any]) -> C:
        try:
            return kind.model_validate(said)
        except ValidationError as error:
            raise ConfigError(f"{self.urls[0]}: {one_line(error)}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyEndpoint(ServedModel):
    """A policy: the model that proposes steps. ``prompt`` is its prompt family ("qwen" unless
    given)."""

    prompt: str | None = None

    def config(self) -> PolicyConfig:
        prompt = {} if self.prompt is None else {"prompt": self.prompt}
        return self._valid(PolicyConfig, self._said() | prompt)


@dataclass(frozen=True, slots=True, kw_only=True)
class PRMEndpoint(ServedModel):
    """A process reward model: ``family`` is one of ``PRM_FAMILIES`` by name, or a class of your
    own, and ``options`` are what the family takes."""

    family: str | type
    options: Mapping[str, Any] = field(default_factory=dict)
    running_minimum: bool = False

    def config(self) -> PRMConfig:
        said = self._said() | {
            "family": self.family if isinstance(self.family, str) else class_name(self.family),
            "running_minimum": self.running_minimum,
            "options": dict(self.options),
        }
        return self._valid(PRMConfig, said)
