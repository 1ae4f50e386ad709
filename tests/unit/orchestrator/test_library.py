"""``import orchestrator as orchard``: what it gives, and what it does not import."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator as orchard

HEAVY = {"torch", "matplotlib", "openai", "scipy", "transformers", "rich", "typer"}
"""What nobody who only names Orchard's parts should wait for."""


def loaded_by(code: str) -> set[str]:
    """The modules that ``code`` loads in a fresh interpreter, beyond those of an empty one."""
    report = "; import json, sys; print(json.dumps(sorted(sys.modules)))"
    modules = [
        set(json.loads(subprocess.check_output([sys.executable, "-c", each + report])))
        for each in ("pass", code)
    ]
    return modules[1] - modules[0]


def test_importing_orchard_imports_none_of_its_rooms_and_no_other_package() -> None:
    loaded = loaded_by("import orchestrator")
    assert {name for name in loaded if name.startswith("orchestrator")} == {"orchestrator"}
    assert {name.partition(".")[0] for name in loaded} <= {"orchestrator", *sys.stdlib_module_names}


def test_naming_every_part_of_the_library_loads_nothing_heavy() -> None:
    loaded = loaded_by("import orchestrator as o; [getattr(o, name) for name in dir(o)]")
    assert not {name.partition(".")[0] for name in loaded} & HEAVY


def test_a_part_loads_when_it_is_used_and_no_other_part_with_it() -> None:
    loaded = loaded_by("import orchestrator as o; o.DVTS, o.Weighted, o.Limits, o.Problem")
    assert "orchestrator.strategies.dvts" in loaded
    assert not {name.partition(".")[0] for name in loaded} & {"aiohttp", "pydantic", "numpy"}
    assert not {"orchestrator.wiring", "orchestrator.endpoints", "orchestrator.config"} & loaded


@pytest.mark.parametrize("name", dir(orchard))
def test_each_public_name_is_there_and_says_what_it_is(name: str) -> None:
    assert getattr(orchard, name).__doc__


def test_type_checkers_are_told_that_the_package_has_types() -> None:
    assert Path(str(orchard.__file__)).with_name("py.typed").exists()


def test_a_name_it_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'orchestrator' has no attribute 'BestOfM'"):
        orchard.BestOfM  # type: ignore[attr-defined]  # noqa: B018
    assert dir(orchard) == sorted(dir(orchard))
