"""Build the reference of the public names into ``site/``; any warning fails the build.

The names of ``orchestrator`` load when they are first used. pdoc documents what a module holds, so
all of them are loaded here first.
"""

import inspect
import sys
import warnings
from pathlib import Path

import pdoc

import orchestrator

SITE = Path(__file__).parents[1] / "site"


def main(site: Path) -> None:
    warnings.simplefilter("error")
    public = {name: getattr(orchestrator, name) for name in orchestrator.__all__}
    if undocumented := [name for name, value in public.items() if not inspect.getdoc(value)]:
        raise SystemExit(f"public names without a docstring: {', '.join(undocumented)}")
    for name, value in public.items():
        if inspect.isclass(value):
            value.__name__ = value.__qualname__ = name  # else pdoc takes an alias for a variable
    functions = [name for name, value in public.items() if inspect.isfunction(value)]
    others = [name for name in public if name not in functions]
    vars(orchestrator).update(public, __all__=[*functions, *others])
    pdoc.render.configure(
        show_source=False,
        footer_text=f"Orchard {orchestrator.__version__}",
    )
    pdoc.pdoc("orchestrator", output_directory=site)
    print(f"Reference  {site / 'index.html'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SITE)
