"""Where models are served, as a config says it."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self, get_type_hints

from pydantic import (
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from orchestrator.config.api_keys import KeyVariable, key_in
from orchestrator.config.prices import PriceConfig
from orchestrator.config.reading import as_list
from orchestrator.config.sections import IsQuantity, LocatedPath, Section, nearest, one_of
from orchestrator.endpoints.admission.replicas_file import SECRETS, ReplicasFile, holds_secrets
from orchestrator.endpoints.hosted.clouds import HostedAPI, hosted_api, own_defaults, usual_key
from orchestrator.endpoints.hosted.dialect import OMITTABLE, Dialect
from orchestrator.endpoints.prm import PRM_FAMILIES, HttpPRM, prm_family
from orchestrator.endpoints.prm.verdict import RouteSetting
from orchestrator.endpoints.transport.hedging import USUAL_PERCENTILE
from orchestrator.endpoints.transport.transport import Endpoint
from orchestrator.errors import ConfigError
from orchestrator.tasks.prompts import PROMPTS

INSTRUCTED = "instructed"
"""The ``continuation`` that is emulated rather than asked of the server."""


class EndpointConfig(Section):
    """Where a model is served. ``url`` may list replicas; ``urls_from`` is a YAML file that lists
    them and may change during a run.

    ``patience`` is how many seconds a run waits while it is down or rate-limited, 120 by default;
    where a rate limit lasts longer, the run stops and can be resumed. The number of requests in
    flight adapts to the server; ``concurrency`` caps it. ``hedge`` sends a request again once it
    takes longer than that percentile of the others; true means 95. ``api`` "auto" recognises hosted
    APIs by their URL; Azure's classic API needs its ``api_version``. ``omit`` names parameters to
    leave out of requests; parameters the server refuses are left out anyway. ``price`` is a price,
    or the model's name in the table of prices. ``training_tokens`` is how many tokens the model was
    pre-trained on, for comparisons of total compute.
    """

    url: Annotated[tuple[str, ...], BeforeValidator(as_list)] = ()
    urls_from: LocatedPath | None = None
    model: str | None = None
    api: Literal["auto", "self-hosted", "openai", "azure"] = "auto"
    api_version: str | None = None
    api_key_env: KeyVariable | None = None
    price: PriceConfig | str | None = None
    parameters: int | None = Field(None, ge=1)
    training_tokens: float | None = Field(None, gt=0, allow_inf_nan=False)
    timeout: float = Field(600.0, gt=0, allow_inf_nan=False)
    patience: float | None = Field(None, ge=0, allow_inf_nan=False)
    concurrency: Annotated[int, Field(ge=1)] | None = None
    requests_per_minute: Annotated[int, Field(ge=1), IsQuantity] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1), IsQuantity] | None = None
    hedge: bool | Annotated[float, Field(ge=50, lt=100)] = False
    omit: Annotated[
        tuple[Annotated[str, one_of("parameter", OMITTABLE)], ...], BeforeValidator(as_list)
    ] = ()

    @field_validator("url")
    @classmethod
    def _no_secrets(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        if any(map(holds_secrets, urls)):
            raise ValueError(f"write {SECRETS}")
        return urls

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        if self.url and self.urls_from is not None:
            raise ValueError("give either a `url` or `urls_from`, the file that lists them")
        return self

    @property
    def is_elsewhere(self) -> bool:
        """Whether the config says where it is served, so that this run starts no server for it."""
        return bool(self.url) or self.urls_from is not None

    @property
    def hosted(self) -> HostedAPI | None:
        """The API of the cloud that serves it; None for a self-hosted server."""
        if self.api == "auto":
            return hosted_api(self.url[0]) if self.url else None
        return None if self.api == "self-hosted" else self.api

    def dialect(self, refused: Sequence[str] = (), most_tokens: int | None = None) -> Dialect:
        """How it is to be asked, as far as the config and what it ``refused`` before tell."""
        hosted = self.hosted is not None
        return Dialect(
            refused=tuple(refused),
            most_tokens=most_tokens,
            omitted=self.omit,
            defaults=own_defaults(self.url[0] if self.url else "") if hosted else {},
            extended=not hosted,
        )

    def endpoint(self, name: str, urls: Sequence[str] = (), api_key: str | None = None) -> Endpoint:
        """The endpoint to talk to; ``urls`` are those of servers of this run, ``api_key`` is the
        key that the caller knows.

        Raises ``ConfigError`` where there is no URL, or the key's variable is not set.
        """
        listed = None if self.urls_from is None else ReplicasFile(self.urls_from, name).read()
        if listed is not None and not listed:
            raise ConfigError(f"{self.urls_from}: lists no URL of {name}: give it at least one")
        if not (self.url or listed or urls):
            raise ConfigError(
                f"{name} has no `url`, and no server is started for it: give it one, or let "
                "`servers: {tiny: {}}` serve the embedded models, or `servers: {fleet: …}` others"
            )
        variable = self.api_key_env or (usual_key(self.url) if api_key is None else None)
        key = api_key if variable is None else key_in(variable, name)
        return Endpoint(
            urls=self.url or listed or tuple(urls),
            listed=self.urls_from,
            name=name,
            model=self.model or name,
            api_key=key,
            timeout=self.timeout,
            concurrency=self.concurrency,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
            hedge=USUAL_PERCENTILE if self.hedge is True else self.hedge or None,
        )


class PolicyConfig(EndpointConfig):
    """A policy: its prompt family, and how its server lets a solution be continued.

    ``continuation`` "auto" asks the server: by token ids where it returns them, else by an open
    chat message. "instructed" emulates it, for hosted models: each request quotes the steps so far
    and asks for the next one.
    """

    prompt: Annotated[str, one_of("prompt family", list(PROMPTS))] = "qwen"
    continuation: Literal["auto", "tokens", "chat", "instructed"] = "auto"


class PRMConfig(EndpointConfig):
    """A process reward model and its family."""

    family: Annotated[str, one_of("PRM family", list(PRM_FAMILIES), or_class=True)]
    running_minimum: bool = False
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("options")
    @classmethod
    def _fit_the_family(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "family" not in info.data:  # it is wrong itself, which is said
            return options
        family = prm_family(info.data["family"])
        types = get_type_hints(family) | {"route": RouteSetting}
        shared = {field.name for field in dataclasses.fields(HttpPRM)}
        known = [f.name for f in dataclasses.fields(family) if f.init and f.name not in shared]
        for key, value in options.items():
            if key not in known:
                raise ValueError(f"unknown key {key!r}: {nearest(key, known)}")
            try:
                TypeAdapter(types[key]).validate_python(value, strict=True)
            except ValidationError as error:
                raise ValueError(f"{key}: {error.errors()[0]['msg']}") from None
        return options
