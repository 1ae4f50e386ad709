"""Real logs are in ``tests/golden/vllm_logs``; messages about GPUs are written from the source."""

from pathlib import Path

import pytest

from servers.fleet.diagnosis import diagnose

LOGS = Path(__file__).parents[3] / "golden" / "vllm_logs"


@pytest.mark.parametrize(
    ("log", "cause", "fix"),
    [
        ("missing_folder", "the folder /models/nowhere does not exist", "correct the model's sou"),
        ("empty_folder", "there is no model in /models/empty", "it needs a config.json"),
        ("no_weights", "there are no weights in /models/noweights", "*.safetensors"),
        ("damaged_weights", "its weights are damaged (SafetensorError: ", "download them again"),
        ("no_tokenizer", "the model has no tokenizer", "copy tokenizer.json"),
        ("no_network", "huggingface.co cannot be reached", "check the network"),
        ("offline", "not in the local cache and HF_HUB_OFFLINE is set", "hf download"),
        ("unsupported_model_type", "does not support the architecture fantasy", "take another"),
        (
            "unsupported_architecture",
            "does not support the architecture ['T5ForConditionalGeneration']",
            "take another or a newer vLLM",
        ),
        ("context_too_long", "100000 tokens is longer than the model's 512", "lower the context"),
        ("kv_cache_too_small", "a sequence of 512 tokens needs", "lower the context to"),
        ("no_kv_cache", "no memory for the KV cache", "tensor_parallel"),
        ("kv_cache_beyond_memory", "of memory are free and 838.19 are wanted", "kv-cache-memory"),
        ("memory_taken", "10.64 of the machine's 14.34 GiB of memory are free", "end what else"),
        ("tensor_parallel", "2 attention heads cannot be shared by 3 GPUs", "tensor_parallel"),
        ("port_taken", "its port is taken by another process", "another port"),
        ("foreign_host", "host is no address of this machine", "bind to 127.0.0.1"),
        ("unknown_flag", "vLLM does not know the flag --no-such-flag", "take it out of the flags"),
        ("bad_flag_value", "vLLM refuses a flag: argument --scheduling-policy", "fcfs"),
        ("bad_setting", "vLLM refuses its settings (ModelConfig)", "Unknown quantization method"),
        ("no_vllm", "its Python has no vLLM", "pip install 'orchard-tts[vllm]'"),
    ],
)
def test_a_known_cause_is_one_line_with_its_fix(log: str, cause: str, fix: str) -> None:
    diagnosis = diagnose((LOGS / f"{log}.log").read_text(), 1)
    assert cause in diagnosis.message
    assert fix in diagnosis.message
    assert "\n" not in diagnosis.message
    assert diagnosis.permanent


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (
            "ValueError: Free memory on device cuda:0 (10.5/79.1 GiB) on startup is less than "
            "desired GPU memory utilization (0.9, 71.19 GiB). Decrease GPU memory utilization or "
            "reduce GPU memory used by other processes.",
            "10.5 of the GPU's 79.1 GiB are free and 71.19 are wanted",
        ),
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a "
            "total capacity of 79.10 GiB of which 1.06 GiB is free.",
            "the GPU ran out of memory",
        ),
        (
            "RuntimeError: Failed to infer device type, please set the environment variable "
            "`VLLM_LOGGING_LEVEL=DEBUG` to turn on verbose logging to help debug the issue.",
            "vLLM finds no GPU that it can use",
        ),
        (
            "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory",
            "vLLM finds no GPU that it can use",
        ),
        (
            "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least "
            "8.0. Your Tesla V100 GPU has compute capability 7.0.",
            "add {dtype: half} to the flags",
        ),
        (
            "OSError: You are trying to access a gated repo.\nMake sure to have access to it at "
            "https://huggingface.co/meta-llama/Llama-3.2-1B-Instruct.\n401 Client Error.",
            "its repository is gated: accept its terms on huggingface.co and set HF_TOKEN",
        ),
        (
            "OSError: org/nothing is not a local folder and is not a valid model identifier "
            "listed on 'https://huggingface.co/models'",
            "there is no model org/nothing on huggingface.co, or it is private",
        ),
        ("OSError: [Errno 28] No space left on device", "a disk is full"),
        ("cannot run /no/python: No such file or directory", "its Python /no/python cannot be run"),
    ],
)
def test_causes_that_need_a_gpu_or_the_hub_are_known_too(line: str, cause: str) -> None:
    diagnosis = diagnose(f"(Worker pid=1) INFO loading\n{line}\n", 1)
    assert cause in diagnosis.message
    assert diagnosis.permanent


def test_an_unknown_cause_is_quoted_and_may_pass() -> None:
    log = (
        "(Worker pid=1) WARNING 11-22 22:47:21 [x.py:1] may cause `OSError: [Errno 24]` later\n"
        "(Worker pid=1) ERROR 11-22 22:47:21 [x.py:1] torch.FantasyError: the moon is full\n"
        "RuntimeError: Engine core initialization failed. See root cause above.\n"
    )
    diagnosis = diagnose(log, 1)
    assert diagnosis.message == "it ended with code 1 after FantasyError: the moon is full"
    assert not diagnosis.permanent


def test_where_only_the_consequence_is_known_it_is_quoted() -> None:
    log = "RuntimeError: Engine core initialization failed. Failed core proc(s): {'EngineCore': -9}"
    assert diagnose(log, 1).message == f"it ended with code 1 after {log}"


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (3, "it ended with code 3"),
        (137, "it was killed: unless somebody did that, memory ran out"),
        (-9, "the process that watches it was killed"),
        (None, "it stopped answering /health and was ended"),
    ],
)
def test_without_a_word_the_exit_tells(code: int | None, cause: str) -> None:
    diagnosis = diagnose("", code)
    assert cause in diagnosis.message
    assert not diagnosis.permanent


def test_a_server_without_a_chat_template_is_no_failure_of_its_own() -> None:
    log = (
        "ERROR [serving.py:1] Error in preprocessing prompt inputs\n"
        "ValueError: As of transformers v4.44, default chat template is no longer allowed, so you "
        "must provide a chat template if the tokenizer does not define one.\n"
    )
    assert not diagnose(log, 1).permanent
