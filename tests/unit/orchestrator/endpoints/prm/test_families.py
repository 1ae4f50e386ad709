import pytest

from orchestrator.endpoints.prm import PRM_FAMILIES


@pytest.mark.parametrize("family", PRM_FAMILIES)
def test_a_setting_a_family_does_not_have_is_refused_by_name(family: str) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'tempreature'"):
        PRM_FAMILIES[family](transport=None, tempreature=0.5)  # type: ignore[arg-type, call-arg]
