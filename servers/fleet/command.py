"""What to run for one replica: the arguments and the environment of a vLLM server."""

import json
from collections.abc import Mapping

from servers.fleet.spec import Flag, FleetError, FleetSpec, Placement, ServiceSpec

API_KEY_VARIABLE = "VLLM_API_KEY"
_OWN = {"model", "served-model-name", "host", "port", "uds", "api-key"}
_CPU_KV_CACHE = 2**30  # bytes


def command(spec: FleetSpec, service: ServiceSpec, placement: Placement, *, port: int) -> list[str]:
    """The arguments of a replica's server, the interpreter first (``spec.python``, if it is known).

    The model's flags win over the launcher's, the service's over both. Raises ``FleetError`` where
    they contain what is set elsewhere (the port, the name, the key).
    """
    model = service.model
    flags: dict[str, Flag] = {
        "model": model.source,
        "served-model-name": model.name,
        "host": spec.host,
        "port": port,
        "max-model-len": model.context,
    }
    if model.role == "policy":
        # Sampling is the run's own, not what the checkpoint recommends; usage tells cached tokens.
        flags |= {"generation-config": "vllm", "enable-prompt-tokens-details": True}
    flags |= _gpu_flags(placement) if placement.gpus else _cpu_flags(placement)
    for layer in (model.flags, service.flags):
        given = {name.lstrip("-").replace("_", "-"): flag for name, flag in layer.items()}
        if own := sorted(_OWN & given.keys()):
            raise FleetError(
                f"service {service.name}: the flag {own[0]!r} is set by the fleet itself; take it "
                "out of the flags (source, name, host, port and api_key are keys of their own)"
            )
        flags |= given
    return [str(spec.python), "-m", "vllm.entrypoints.openai.api_server", *_arguments(flags)]


def environment(spec: FleetSpec, service: ServiceSpec, placement: Placement) -> dict[str, str]:
    """What a replica's environment has beside the launcher's own; ``spec.environment`` wins.

    The key is here and not among the arguments, which every user of the machine can read.
    """
    added = {"VLLM_NO_USAGE_STATS": "1"}
    if spec.api_key:
        added[API_KEY_VARIABLE] = spec.api_key
    if placement.gpus:
        # The driver numbers GPUs by bus, CUDA by speed unless told otherwise.
        added["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        added["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, placement.gpus))
    else:
        # Without a compiler the first request is quick; replicas share the cores, so neither binds
        # them nor takes all of them.
        added["TORCHDYNAMO_DISABLE"] = "1"
        added["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
        added["OMP_NUM_THREADS"] = "1"
    return added | dict(spec.environment)


def _gpu_flags(placement: Placement) -> dict[str, Flag]:
    # At start-up a worker asks that `gpu-memory-utilization` of the whole GPU be free, then
    # measures what its weights and a test batch took and gives the rest of its share to the KV
    # cache: replicas that start together on one GPU measure each other. With
    # `kv-cache-memory-bytes` the first check stays and the measuring goes (vLLM 0.32,
    # v1/worker/gpu_worker.py: determine_available_memory).
    flags: dict[str, Flag] = {
        "tensor-parallel-size": len(placement.gpus),
        "gpu-memory-utilization": round(placement.share, 4),
    }
    return flags | ({"kv-cache-memory-bytes": placement.kv_cache} if placement.kv_cache else {})


def _cpu_flags(placement: Placement) -> dict[str, Flag]:
    return {
        "dtype": "float32",
        "enforce-eager": True,
        "block-size": 32,  # the CPU's default of 128 hides the prefixes of short prompts
        "max-num-seqs": 64,
        "kv-cache-memory-bytes": placement.kv_cache or _CPU_KV_CACHE,
    }


def _arguments(flags: Mapping[str, Flag]) -> list[str]:
    arguments = []
    for name, flag in flags.items():
        if flag is False:
            continue
        arguments.append(f"--{name}")
        if isinstance(flag, Mapping):
            arguments.append(json.dumps(flag, separators=(",", ":")))
        elif isinstance(flag, list):
            arguments.extend(flag)
        elif flag is not True:
            arguments.append(str(flag))
    return arguments
