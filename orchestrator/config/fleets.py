"""The model table and the fleet of a config: what vLLM serves, and what that is made of.

Both may stand in a file of their own, which ``orchard servers`` reads and runs include.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, ValidationError

from orchestrator.config.api_keys import KeyVariable
from orchestrator.config.reading import place_of, read
from orchestrator.config.sections import (
    LocatedPath,
    Section,
    keys_to,
    located,
    nearest,
    one_line,
    one_of,
)
from orchestrator.endpoints.prm import PRM_FAMILIES
from orchestrator.errors import ConfigError
from orchestrator.tasks.prompts import PROMPTS

Flags = dict[str, str | int | float | bool | list[str] | dict[str, JsonValue]]
Count = Annotated[int, Field(ge=1)]


def _located_folder(source: str) -> str:
    local = source.startswith((".", "/", "~")) or Path(source).is_dir()
    return str(located(Path(source))) if local else source


class ShapeConfig(Section):
    layers: Count
    kv_heads: Count
    head_dim: Count


class ModelConfig(Section):
    """A model: where its checkpoint is, how it is asked, and the flags vLLM needs for it.

    ``source`` is a Hugging Face id or a folder. Policies have a ``prompt`` family, PRMs a
    ``family`` with its ``options``; ``training_tokens`` are those of its pre-training; the rest is
    what serving and planning need.
    """

    source: Annotated[str, AfterValidator(_located_folder)]
    role: Literal["policy", "prm"]
    context: Count
    prompt: Annotated[str, one_of("prompt family", list(PROMPTS))] | None = None
    family: Annotated[str, one_of("PRM family", list(PRM_FAMILIES), or_class=True)] | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    running_minimum: bool = False
    parameters: Count | None = None
    training_tokens: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    shape: ShapeConfig | None = None
    convert: Literal["value_head"] | None = None
    flags: Flags = Field(default_factory=dict)

    def served_name(self, name: str) -> str:
        """What clients call it: its id on the hub, or ``name`` where it lies in a folder."""
        return name if Path(self.source).is_absolute() else self.source


class ServiceConfig(Section):
    """One model of the table in so many replicas; ``model`` is the service's name if left out."""

    model: str | None = None
    replicas: int = Field(default=1, ge=1)
    tensor_parallel: Count | None = None
    context: Count | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    flags: Flags = Field(default_factory=dict)


class FleetConfig(Section):
    """vLLM servers that come and go together.

    ``api_key_env`` names the variable with the key that guards them; without it each start makes
    one up. ``python`` is an interpreter that has vLLM.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    services: dict[str, ServiceConfig | None] = Field(min_length=1)
    host: str = "127.0.0.1"
    api_key_env: KeyVariable | None = None
    python: LocatedPath | None = None
    device: Literal["auto", "gpu", "cpu"] = "auto"
    environment: dict[str, str] = Field(default_factory=dict)

    def model_of(self, service: str) -> str:
        """The name of a service's model in the table."""
        settings = self.services[service]
        return (settings and settings.model) or service

    def check_models(self, models: dict[str, ModelConfig]) -> None:
        """Raises ``ValueError`` where a service's model is not in the table."""
        for service in self.services:
            if (model := self.model_of(service)) not in models:
                raise ValueError(
                    f"servers.fleet.services.{service}: no model is named {model!r}: "
                    f"{nearest(model, list(models))}; `include` configs/models.yaml, or add it "
                    "under `models`"
                )


class _Servers(Section):
    model_config = ConfigDict(extra="ignore", frozen=True)

    fleet: FleetConfig


class FleetFile(Section):
    """What ``orchard servers`` reads of a config: its model table and its fleet."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    models: dict[str, ModelConfig] = Field(default_factory=dict)
    servers: _Servers


def load_fleet(path: Path) -> FleetFile:
    """The fleet of a fleet file or a run's config. Raises ``ConfigError``."""
    values = read(path)
    try:
        if not (values.get("servers") or {}).get("fleet"):
            raise ConfigError(
                f"{path}: names no fleet: write `servers: {{fleet: {{name: …, services: …}}}}`, "
                "or take configs/fleets/*.yaml"
            )
        file = FleetFile.model_validate(values)
        file.servers.fleet.check_models(file.models)
    except ValidationError as error:
        raise ConfigError(f"{place_of(path, keys_to(error))}: {one_line(error)}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    return file
