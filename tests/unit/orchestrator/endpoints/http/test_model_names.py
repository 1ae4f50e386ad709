import pytest

from orchestrator.endpoints.http.model_names import is_same_model


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-4o", "openai/gpt-4o-2024-08-06"),
        ("openai/gpt-4o", "gpt-4o"),
        ("gpt-4", "gpt-4-0613"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
        ("mistral-large-latest", "mistral-large-2411"),
        ("gemini-2.5-pro", "models/gemini-2.5-pro-preview-05-06"),
        ("gemini-1.5-pro", "gemini-1.5-pro-002"),
        ("claude-3-haiku", "claude-3-haiku@20240307"),
        ("deepseek/deepseek-r1:free", "deepseek/deepseek-r1"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b-instruct"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
    ],
)
def test_a_release_a_provider_or_the_case_makes_no_other_model(asked: str, answered: str) -> None:
    assert is_same_model(asked, answered)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("gpt-4o", "gpt-4o-mini-2024-07-18"),
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4", "gpt-4-turbo-2024-04-09"),
        ("gpt-4", "gpt-4.1"),
        ("gpt-4", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-05-13"),
        ("claude-opus-4", "claude-opus-4-1-20250805"),
        ("gemini-1.5-flash", "gemini-1.5-flash-8b"),
        ("anthropic/claude-sonnet-4", "openai/gpt-4o"),
        ("llama-3.3-70b-versatile", "llama-3.1-8b-instant"),
        ("gpt-4o", ""),
    ],
)
def test_another_size_version_or_release_is_another_model(asked: str, answered: str) -> None:
    assert not is_same_model(asked, answered)
