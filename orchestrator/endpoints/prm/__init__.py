"""Process reward models, one file a family, and the dict that names them.

``pooling.py`` and ``prefix.py`` are the two routes to a score; a family holds what is particular to
it: what the PRM reads and where its scores are.
"""

import inspect
from typing import Any

from orchestrator.endpoints.prm.base import HttpPRM, ScoringRoute
from orchestrator.endpoints.prm.genprm import GenPRM
from orchestrator.endpoints.prm.judge import JudgePRM
from orchestrator.endpoints.prm.math_shepherd import MathShepherdPRM
from orchestrator.endpoints.prm.outcome import OutcomePRM
from orchestrator.endpoints.prm.qwen_math import QwenMathPRM
from orchestrator.endpoints.prm.rlhflow import RLHFlowPRM
from orchestrator.endpoints.prm.skywork import SkyworkPRM
from orchestrator.endpoints.prm.thinkprm import ThinkPRM
from orchestrator.endpoints.prm.trl import TRLPRM
from orchestrator.endpoints.transport.transport import Transport
from orchestrator.errors import ConfigError
from orchestrator.formats.class_names import is_class_name, load_class

PRM_FAMILIES: dict[str, type[HttpPRM]] = {
    "genprm": GenPRM,
    "judge": JudgePRM,
    "math_shepherd": MathShepherdPRM,
    "outcome": OutcomePRM,
    "qwen_math": QwenMathPRM,
    "rlhflow": RLHFlowPRM,
    "skywork": SkyworkPRM,
    "thinkprm": ThinkPRM,
    "trl": TRLPRM,
}


def prm_family(name: str) -> type[HttpPRM]:
    """The family of a name in ``PRM_FAMILIES``, or the class called ``module:Name``.

    Raises ``ConfigError``.
    """
    if not is_class_name(name):
        return PRM_FAMILIES[name]
    kind = load_class(name)
    if not issubclass(kind, HttpPRM):
        raise ConfigError(f"{name} is no PRM family: derive it from `HttpPRM`")
    if inspect.isabstract(kind):
        raise ConfigError(f"{name} is no PRM family: it has no `read`")
    return kind


def prms_by_route(
    family: str, transport: Transport, **settings: Any
) -> dict[ScoringRoute, HttpPRM]:
    """The PRMs that a family's settings leave open, one for each route that its server may have.

    ``route`` names one of a family's several; "auto", or none, leaves them all to a probe, which
    tries them in this order. Raises ``ConfigError`` for settings that do not fit.
    """
    kind = prm_family(family)
    if len(kind.routes) == 1:
        return {kind.routes[0]: kind(transport=transport, **settings)}
    wished = settings.get("route", "auto")
    routes = kind.routes if wished == "auto" else (wished,)
    return {route: kind(transport=transport, **settings | {"route": route}) for route in routes}


__all__ = [
    "PRM_FAMILIES",
    "TRLPRM",
    "GenPRM",
    "HttpPRM",
    "JudgePRM",
    "MathShepherdPRM",
    "OutcomePRM",
    "QwenMathPRM",
    "RLHFlowPRM",
    "ScoringRoute",
    "SkyworkPRM",
    "ThinkPRM",
    "prm_family",
    "prms_by_route",
]
