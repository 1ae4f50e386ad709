"""Why a server ended, from its log: one line with the cause and the fix.

The patterns are messages of vLLM 0.10 to 0.32 and of the libraries that it loads models with.
"""

import re
from dataclasses import dataclass
from signal import SIGKILL

_EXCERPT = 300  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """``permanent``: starting the server again will not help."""

    message: str
    permanent: bool


# From the most telling to the least: a failure may be followed by others that it causes, and a
# server that serves a local folder may well mention that it cannot reach the hub.
_CAUSES: tuple[tuple[str, str], ...] = (
    (
        r"No module named '?vllm'?\b",
        "its Python has no vLLM: pip install 'orchard-tts[vllm]' on a GPU machine, make vllm for "
        "the CPU, or set the fleet's python to one that has it",
    ),
    (r"cannot run (?P<a>\S+): (?P<b>.+)", "its Python {a} cannot be run ({b}): set the fleet's"),
    (
        r"error: unrecognized arguments: (?P<a>.+)",
        "vLLM does not know the flag {a}: take it out of the flags, or correct it",
    ),
    (r"api_server\.py: error: (?P<a>.+)", "vLLM refuses a flag: {a}"),
    (
        r"OSError: \[Errno 98\]",
        "its port is taken by another process: end that one, or give the service another port, or "
        "none to take any that is free",
    ),
    (
        r"OSError: \[Errno 99\]",
        "the fleet's host is no address of this machine: bind to 127.0.0.1, 0.0.0.0 or one it has",
    ),
    (
        r"max_model_len \((?P<a>\d+)\) is greater than the derived max_model_len "
        r"\(\w+=(?P<b>\d+)",
        "its context of {a} tokens is longer than the model's {b}: lower the context",
    ),
    (
        r"max seq len \((?P<a>\d+)\), \(?(?P<b>[\d.]+) GiB KV cache is needed.*?"
        r"KV cache memory \((?P<c>[\d.]+) GiB\).*?maximum model length is (?P<d>\d+)",
        "a sequence of {a} tokens needs {b} GiB of KV cache and there are {c}: lower the context "
        "to {d}, or give the replica more memory (fewer replicas a GPU, more tensor_parallel)",
    ),
    (
        r"max seq len \((?P<a>\d+)\), \(?(?P<b>[\d.]+) GiB KV cache is needed.*?"
        r"KV cache memory \((?P<c>[\d.]+) GiB\)",
        "a sequence of {a} tokens needs {b} GiB of KV cache and there are {c}: lower the context, "
        "or give the replica more memory (fewer replicas a GPU, more tensor_parallel)",
    ),
    (
        r"No available memory for the cache blocks",
        "its weights leave no memory for the KV cache: give the replica more (fewer replicas a "
        "GPU, more tensor_parallel) or take a smaller model",
    ),
    (
        r"Free memory on device \S* ?\((?P<a>[\d.]+)/(?P<b>[\d.]+) GiB\) on startup is less than"
        r"[^(]*\([\d.]+, (?P<c>[\d.]+) GiB\)",
        "{a} of the GPU's {b} GiB are free and {c} are wanted: end what else is on it (nvidia-smi "
        "tells), or plan the fleet again",
    ),
    (
        r"Available memory on node \S+ \((?P<a>[\d.]+)/(?P<b>[\d.]+) GiB\).*?is less than[^(]*"
        r"\((?:[\d.]+[,/] ?)?(?P<c>[\d.]+) GiB\)",
        "{a} of the machine's {b} GiB of memory are free and {c} are wanted: end what else runs, "
        "or lower kv-cache-memory-bytes",
    ),
    (
        r"CUDA out of memory|CUDA error: out of memory|OutOfMemoryError|not enough GPU memory",
        "the GPU ran out of memory: lower the context or max-num-seqs, raise tensor_parallel, or "
        "place fewer replicas on it",
    ),
    (
        r"Bfloat16 is only supported on GPUs with compute capability",
        "this GPU has no bfloat16: add {{dtype: half}} to the flags",
    ),
    (
        r"Failed to infer device type|Found no NVIDIA driver|driver version is insufficient|"
        r"NVIDIA driver on your system is too old|no kernel image is available|"
        r"lib(?:cuda|cudart|nvidia-ml)\.so[.\d]*: cannot open|No CUDA GPUs are available",
        "vLLM finds no GPU that it can use: nvidia-smi shows whether the driver works, and its "
        "CUDA version must not be older than the one vLLM was built for",
    ),
    (
        r"attention heads \((?P<a>\d+)\) must be divisible by tensor parallel size \((?P<b>\d+)\)",
        "its {a} attention heads cannot be shared by {b} GPUs: choose a tensor_parallel that "
        "divides them",
    ),
    (
        r"Model architectures (?P<a>\[.*?\]) (?:are not supported|failed to be inspected)|"
        r"model type `(?P<b>[^`]+)` but Transformers does not recognize|"
        r"Model architecture (?P<c>\w+) (?:was supported|is not supported)|"
        r"Transformers implementation of '(?P<d>\w+)' is not compatible with vLLM",
        "this vLLM does not support the architecture {a}{b}{c}{d}: take another or a newer vLLM",
    ),
    (
        r"Cannot find any model weights with `(?P<a>[^`]+)`",
        "there are no weights in {a}: it needs *.safetensors or *.bin files",
    ),
    (
        r"Couldn't instantiate the backend tokenizer",
        "the model has no tokenizer: copy tokenizer.json and tokenizer_config.json beside its "
        "weights, or set the flag tokenizer",
    ),
    (
        r"(?P<a>SafetensorError: .+|PytorchStreamReader failed.*)",
        "its weights are damaged ({a}): copy or download them again",
    ),
    (
        r"gated repo|GatedRepoError|Access to model (?P<a>\S+) is restricted",
        "its repository is gated: accept its terms on huggingface.co and set HF_TOKEN",
    ),
    (
        r"(?P<a>\S+) is not a local folder and is not a valid model identifier|"
        r"Repository Not Found for url: \S+?co/(?:api/models/)?(?P<b>[\w.-]+/[\w.-]+)",
        "there is no model {a}{b} on huggingface.co, or it is private: correct the source, or set "
        "HF_TOKEN",
    ),
    (
        r"Repo id must be in the form .*?: '(?P<a>[^']+)'",
        "the folder {a} does not exist: correct the model's source",
    ),
    (
        r"Unrecognized model in (?P<a>\S+?)\. |"
        r"(?P<b>\S+) does not appear to have a file named config\.json|"
        r"Invalid repository ID or local directory specified: '(?P<c>[^']+)'",
        "there is no model in {a}{b}{c}: it needs a config.json that names the architecture",
    ),
    (
        r"No space left on device",
        "a disk is full: make room where models are cached (HF_HOME), or in /dev/shm",
    ),
    (
        r"outgoing traffic has been disabled|offline mode is enabled",
        "the model is not in the local cache and HF_HUB_OFFLINE is set: download it (hf download), "
        "or unset that",
    ),
    (
        r"We couldn't connect to '(?P<a>[^']+)'|trying to locate the file on the Hub",
        "the model is not in the local cache and huggingface.co cannot be reached: check the "
        "network, or give a folder as its source",
    ),
    (
        r"validation errors? for (?P<b>\w+)\n.*\n?\s+(?P<a>Value error, .+|Input should .+)",
        "vLLM refuses its settings ({b}): {a}",
    ),
)
_PATTERNS = tuple((re.compile(pattern), message) for pattern, message in _CAUSES)
_ERROR = re.compile(
    r"^(?!.*\b(?:INFO|WARNING|DEBUG) ).*?\b(?P<said>\w*(?:Error|Exception): .+)$", re.MULTILINE
)
_CONSEQUENCES = ("Engine core initialization failed", "WorkerProc initialization failed")


def diagnose(log: str, code: int | None) -> Diagnosis:
    """Why one start of a server ended.

    ``log`` is what it wrote (the end of it will do), ``code`` how it exited: 128 and a signal's
    number where that ended it, negative where its keeper was killed, None where it hung.
    """
    if code is None:
        return Diagnosis(message="it stopped answering /health and was ended", permanent=False)
    if code < 0:
        return Diagnosis(message="the process that watches it was killed", permanent=False)
    for pattern, message in _PATTERNS:
        if found := pattern.search(log):
            parts = {name: (part or "")[:_EXCERPT] for name, part in found.groupdict().items()}
            return Diagnosis(message=message.format(**parts), permanent=True)
    if code == 128 + SIGKILL:
        message = "it was killed: unless somebody did that, memory ran out (dmesg tells)"
        return Diagnosis(message=message, permanent=False)
    said = _ERROR.findall(log)
    causes = [error for error in said if not any(c in error for c in _CONSEQUENCES)]
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    last = "".join(f" after {words[:_EXCERPT]}" for words in (causes or said or lines)[-1:])
    return Diagnosis(message=f"it ended with code {code}{last}", permanent=False)
