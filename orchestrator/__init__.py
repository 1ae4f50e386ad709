"""Grow LLM search trees over OpenAI-compatible endpoints.

```python
import orchestrator as orchard

async def main():
    async with orchard.connect(policy="http://gpu:8000/v1") as models:
        strategy = orchard.MajorityVoting(n=16)
        answer = await orchard.solve("What is 17·23?", models, strategy=strategy)
        print(answer.value, answer.confidence)

orchard.run(main())
```

The public names are those of ``orchestrator.api``, which loads when one of them is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from orchestrator.api import *  # noqa: F403
else:

    def __getattr__(name):
        api = import_module("orchestrator.api")
        if name in ("__all__", *api.__all__):
            return getattr(api, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return import_module("orchestrator.api").__all__
