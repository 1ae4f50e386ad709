"""Process reward models, one file a family, and the dict that names them."""

from orchestrator.endpoints.prm.math_shepherd import MathShepherdPRM
from orchestrator.endpoints.prm.pooling import PoolingPRM
from orchestrator.endpoints.prm.qwen_math import QwenMathPRM

PRM_FAMILIES: dict[str, type[PoolingPRM]] = {
    "qwen_math": QwenMathPRM,
    "math_shepherd": MathShepherdPRM,
}

__all__ = ["PRM_FAMILIES", "MathShepherdPRM", "PoolingPRM", "QwenMathPRM"]
