"""The composition root: from a config to the ports, problems and plan of a run.

Only this module and the command line see every package, the servers among them.
"""

import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator import __version__
from orchestrator.config import EndpointConfig, PolicyConfig, PRMConfig, RunConfig, nearest
from orchestrator.core.fanout import fan_out
from orchestrator.core.ports import PRM, Policy
from orchestrator.core.problem import Problem
from orchestrator.endpoints.policy import ChatPolicy, TokenPolicy
from orchestrator.endpoints.prm import PRM_FAMILIES
from orchestrator.endpoints.probe import probe_policy, probe_prm
from orchestrator.endpoints.retry import RetryPolicy
from orchestrator.endpoints.transport import Transport
from orchestrator.errors import ConfigError, EndpointError, ServerError
from orchestrator.report.headline import HeadlineSpec
from orchestrator.runs.plan import Plan, Ports
from orchestrator.tasks.datasets import NAMED, TaskSource, load
from orchestrator.tasks.grader import MathGrader
from orchestrator.tasks.prompts import PROMPTS
from orchestrator.tasks.records import Fields
from servers.tiny import problems as chains

CHAINS = "chains"
"""The generated task the embedded models are made for."""

PROBING = RetryPolicy(attempts=2, longest_wait=1.0)


def problems(config: RunConfig) -> list[Problem]:
    """The problems of a run. Raises ``TaskError``."""
    task = config.task

    def generated(limit: int | None) -> list[Problem]:
        return [
            Problem(
                id=f"{CHAINS}-{task.seed}-{i}",
                question=chain.question,
                answer=chain.answer,
                level=f"depth {chain.depth}",
            )
            for i, chain in enumerate(chains.held_out(limit or 100, task.seed))
        ]

    fields = Fields(question=task.question, answer=task.answer, id=task.id, level=task.level)
    source = TaskSource(name=task.name, path=task.path, fields=fields, limit=task.problems)
    return load(source, {**NAMED, CHAINS: generated})


def plan(config: RunConfig) -> Plan:
    """What is to be run. Raises ``ConfigError`` or ``TaskError``."""
    return Plan(
        problems=problems(config),
        cells=config.build_cells(),
        seed=config.seed,
        trees=config.trees,
        limits=config.budget.limits(),
        problem_limits=config.problem_budget.limits(),
    )


def headline(config: RunConfig) -> HeadlineSpec | None:
    return HeadlineSpec(**config.headline.model_dump()) if config.headline else None


def _chain_is_sound(problem: Problem, solution: str) -> bool:
    return chains.whole_chain_right(chains.parse(problem.question), solution)


@contextmanager
def started_servers(config: RunConfig, logs: Path) -> Iterator[list[str]]:
    """The URLs of the servers a config wants started; they end with the block.

    Raises ``ConfigError`` where the embedded models' packages are not installed, or a model is
    none of them, and ``ServerError``.
    """
    endpoints: dict[str, EndpointConfig] = {**config.policies, **config.prms}
    served = {each.model or name for name, each in endpoints.items() if not each.url}
    if config.servers.tiny is None or not served:
        yield []
        return
    needed = ("jinja2", "safetensors", "tokenizers", "torch", "transformers")
    missing = [name for name in needed if not _installed(name)]
    if missing:
        raise ConfigError(
            f"the embedded models need {', '.join(missing)}: pip install 'orchard-tts[tiny]'"
        )
    from servers.tiny.launch import Spec, TinyServerError, serve
    from servers.tiny.shipped import shipped_models

    shipped = shipped_models()
    if unknown := sorted(served - shipped.keys()):
        raise ConfigError(
            f"no embedded model is named {unknown[0]!r}: {nearest(unknown[0], list(shipped))}; "
            "a model served elsewhere needs its `url`"
        )
    models = {name: shipped[name] for name in sorted(served)}
    specs = [Spec(models=models)] * config.servers.tiny.replicas
    with ExitStack() as stack:
        try:
            servers = stack.enter_context(serve(*specs, logs=logs))
        except TinyServerError as error:
            raise ServerError(f"{error.reason}: {_last_line(error.log)}") from error
        yield [server.url for server in servers]


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


@dataclass(slots=True)
class Connection:
    """One endpoint of a run: its transport and the port built on it."""

    name: str
    transport: Transport
    policy: Policy | None = None
    prm: PRM | None = None

    async def probe(self) -> dict[str, Any]:
        """What the endpoint can do, by name. Raises ``EndpointError``, led by its name."""
        try:
            if self.policy is not None:
                return asdict(await probe_policy(self.transport, self.policy))
            assert self.prm is not None
            return {"context": await probe_prm(self.transport, self.prm)}
        except EndpointError as error:
            error.args = (f"{self.name}: {error}",)
            raise


def _policy(config: PolicyConfig, transport: Transport) -> Policy:
    kind = {"tokens": TokenPolicy, "chat": ChatPolicy}[config.continuation]
    family = PROMPTS[config.prompt]  # type: ignore[index]
    return kind(transport, family.messages, family.separator)


def _prm(config: PRMConfig, transport: Transport, name: str) -> PRM:
    try:
        return PRM_FAMILIES[config.family](
            transport=transport, running_minimum=config.running_minimum, **config.options
        )
    except TypeError as error:
        raise ConfigError(f"prms.{name}.options: {error}") from None


@asynccontextmanager
async def connections(
    config: RunConfig, urls: Sequence[str], *, probing: bool = False
) -> AsyncIterator[list[Connection]]:
    """Every endpoint of a config, open. Raises ``ConfigError``."""

    async def open_one(name: str, settings: EndpointConfig) -> Connection:
        endpoint = settings.endpoint(name, urls)
        if probing:
            endpoint = replace(endpoint, retry=PROBING, timeout=min(60.0, endpoint.timeout))
        transport = await stack.enter_async_context(Transport(endpoint))
        if isinstance(settings, PolicyConfig):
            return Connection(name, transport, policy=_policy(settings, transport))
        assert isinstance(settings, PRMConfig)
        return Connection(name, transport, prm=_prm(settings, transport, name))

    async with AsyncExitStack() as stack:
        named = [*config.policies.items(), *config.prms.items()]
        yield [await open_one(name, settings) for name, settings in named]


async def probe_all(config: RunConfig, urls: Sequence[str]) -> None:
    """Ask every endpoint for a little, so that a run that cannot work ends before it begins.

    Raises ``ConfigError`` or ``EndpointError``.
    """
    async with connections(config, urls, probing=True) as opened:
        await fan_out(connection.probe() for connection in opened)


@asynccontextmanager
async def open_ports(config: RunConfig, urls: Sequence[str]) -> AsyncIterator[Ports]:
    """The ports of a run, over HTTP. Raises ``ConfigError``."""
    async with connections(config, urls) as opened, MathGrader() as grader:
        yield Ports(
            policies={c.name: c.policy for c in opened if c.policy is not None},
            prms={c.name: c.prm for c in opened if c.prm is not None},
            grader=grader,
            soundness=_chain_is_sound if config.task.name == CHAINS else None,
        )


def versions() -> dict[str, object]:
    """What a run was made with."""
    packages = ("aiohttp", "msgspec", "math-verify", "sympy", "torch", "transformers", "numpy")
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "orchard": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "packages": found,
    }


def shipped_config(name: str) -> Path:
    """A config that comes with Orchard, from a checkout or an installed package."""
    here = Path(__file__).parent
    for folder in (here / "configs", here.parent / "configs"):
        if (folder / name).exists():
            return folder / name
    raise ConfigError(f"the config {name} that ships with Orchard is missing: reinstall it")
