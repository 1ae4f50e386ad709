"""Process reward models, one file a family, and the dict that names them.

``pooling.py`` and ``prefix.py`` are the two routes to a score; a family holds what is particular to
it: what the PRM reads and where its scores are.
"""

from orchestrator.endpoints.prm.base import HttpPRM
from orchestrator.endpoints.prm.genprm import GenPRM
from orchestrator.endpoints.prm.judge import JudgePRM
from orchestrator.endpoints.prm.math_shepherd import MathShepherdPRM
from orchestrator.endpoints.prm.outcome import OutcomePRM
from orchestrator.endpoints.prm.qwen_math import QwenMathPRM
from orchestrator.endpoints.prm.rlhflow import RLHFlowPRM
from orchestrator.endpoints.prm.skywork import SkyworkPRM
from orchestrator.endpoints.prm.thinkprm import ThinkPRM
from orchestrator.endpoints.prm.trl import TRLPRM

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
    "SkyworkPRM",
    "ThinkPRM",
]
