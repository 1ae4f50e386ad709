from collections.abc import Callable

from orchestrator.runs.plan import Cell


def test_a_cells_id_names_all_that_makes_its_results(make_cell: Callable[..., Cell]) -> None:
    assert make_cell("beam_search", n=16).id == (
        "small+prm/beam_search-n16-width4-max_depth40-rewardlast-temperature0.7-top_p1.0"
        "-max_tokens2048"
    )
    assert make_cell("cot").id == "small/cot-temperature0.0-top_p1.0-max_tokens8192"


def test_cells_of_other_settings_or_models_have_other_ids(make_cell: Callable[..., Cell]) -> None:
    cells = [
        make_cell("majority", n=4),
        make_cell("majority", n=16),
        make_cell("majority", n=4, temperature=1.0),
        make_cell("majority", n=4, policy="large"),
        make_cell("best_of_n", n=4),
    ]
    assert len({cell.id for cell in cells}) == 5


def test_rules_are_named_in_a_cells_id_where_they_are_not_the_papers(
    make_cell: Callable[..., Cell],
) -> None:
    paper = make_cell("dvts", n=16, rules="paper")
    assert paper.id == make_cell("dvts", n=16).id and "rules" not in paper.settings
    assert "-rulesorchard-" in make_cell("dvts", n=16, rules="orchard").id
