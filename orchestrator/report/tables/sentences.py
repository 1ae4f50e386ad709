"""The headline in plain English."""

from orchestrator.report.data.headline import Headline
from orchestrator.report.data.wording import model_name, percent, points
from orchestrator.strategies.building import label_of


def headline_sentences(headline: Headline) -> list[str]:
    """The comparison and its result; a second sentence if chains can be judged."""
    h = headline
    small, large = _small(h), _large(h)
    sentences = [
        f"{small}: {percent(h.small_accuracy)} % right ({h.vote}); "
        f"{large}: {percent(h.large_accuracy)} %. {_verdict(h)}: {points(h.difference)} points, "
        f"95 % interval [{points(h.ci_low)}, {points(h.ci_high)}], {h.problems} problems."
    ]
    if (
        h.small_sound_accuracy is not None
        and h.large_sound_accuracy is not None
        and h.sound_difference is not None
        and h.sound_ci_low is not None
        and h.sound_ci_high is not None
    ):
        sentences.append(
            f"With every step right, not only the answer: {percent(h.small_sound_accuracy)} % "
            f"against {percent(h.large_sound_accuracy)} %: {points(h.sound_difference)} points, "
            f"95 % interval [{points(h.sound_ci_low)}, {points(h.sound_ci_high)}]."
        )
    return sentences


def _small(h: Headline) -> str:
    under = f" under {model_name(h.prm, h.prm_params)}" if h.prm else ""
    name = model_name(h.small, h.small_params)
    return f"{name} with {label_of(h.strategy)} N = {h.n}{under}"


def _large(h: Headline) -> str:
    name = model_name(h.large, h.large_params)
    if h.small_params and h.large_params:
        ratio = h.large_params / h.small_params
        name = f"{name[:-1]}, {ratio:.{1 if ratio < 100 else 0}f}× the parameters)"
    return f"{name} with CoT"


def _verdict(h: Headline) -> str:
    if h.ci_low > 0:
        return "The small policy with search beats the large one"
    if h.ci_high < 0:
        return "The large policy stays ahead of the small one with search"
    return "The interval includes zero, so neither is shown to be better"
