"""From a fleet's config to the ``FleetSpec`` that ``servers.fleet`` plans, starts and stops."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.config.api_keys import key_in
from orchestrator.config.fleets import FleetConfig, ModelConfig, ServiceConfig
from orchestrator.errors import ServerError
from servers.fleet.convert import converted
from servers.fleet.gpus import GPU, detect, parse
from servers.fleet.placement import PlacementPlan, place
from servers.fleet.spec import FleetError, FleetSpec, ModelSpec, ServiceSpec, Shape


def fleet_spec(fleet: FleetConfig, models: dict[str, ModelConfig]) -> FleetSpec:
    """The spec of a validated fleet. Raises ``ConfigError`` if its API key is not set."""
    variable = fleet.api_key_env
    key = None if variable is None else key_in(variable, f"fleet {fleet.name}")
    services = []
    for name, settings in fleet.services.items():
        service = settings or ServiceConfig()
        known = fleet.model_of(name)
        model = models[known]
        services.append(
            ServiceSpec(
                name=name,
                model=ModelSpec(
                    name=model.served_name(known),
                    source=model.source,
                    role=model.role,
                    context=service.context or model.context,
                    parameters=model.parameters,
                    shape=Shape(**model.shape.model_dump()) if model.shape else None,
                    convert=model.convert,
                    flags=model.flags,
                ),
                replicas=service.replicas,
                tensor_parallel=service.tensor_parallel,
                port=service.port,
                flags=service.flags,
            )
        )
    return FleetSpec(
        name=fleet.name,
        services=tuple(services),
        host=fleet.host,
        api_key=key,
        python=fleet.python,
        device=fleet.device,
        environment=fleet.environment,
    )


def gpus_of(spec: FleetSpec, described: str | None = None) -> list[GPU]:
    """The GPUs ``described``, for instance as "8xH200", or those of this machine.

    Raises ``ServerError`` for an unknown GPU.
    """
    try:
        if described is not None:
            return parse(described)
        return [] if spec.device == "cpu" else detect()
    except FleetError as error:
        raise ServerError(str(error)) from error


def planned(spec: FleetSpec, gpus: Sequence[GPU] | None = None) -> PlacementPlan:
    """Place each replica on ``gpus``, by default those of this machine. Raises ``ServerError``."""
    try:
        return place(spec, gpus_of(spec) if gpus is None else gpus)
    except FleetError as error:
        raise ServerError(str(error)) from error


def ready_to_load(spec: FleetSpec) -> FleetSpec:
    """Convert checkpoints that vLLM cannot load as they are. Raises ``ServerError``."""
    try:
        services = tuple(
            replace(
                service,
                model=replace(service.model, source=str(converted(service.model, models_cache()))),
            )
            if service.model.convert
            else service
            for service in spec.services
        )
    except FleetError as error:
        raise ServerError(str(error)) from error
    return replace(spec, services=services)


def models_cache() -> Path:
    """The folder of converted checkpoints."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "orchard" / "models"
