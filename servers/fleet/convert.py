"""Checkpoints that vLLM cannot load as they are, made into ones it can.

A value head (Skywork-o1-Open-PRM, as TRL's ``AutoModelForCausalLMWithValueHead`` saves it) is a
linear layer ``v_head.summary`` on the last hidden states of a Qwen2 that also keeps its language
head. vLLM knows the same computation as a sequence classifier with one label, whose layer is called
``score``: its ``token_classify`` gives sigmoid(score) at each token.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from servers.fleet.checkpoint import find, read_json
from servers.fleet.spec import FleetError, ModelSpec
from servers.fleet.weights import Tensor, read, write

_VALUE_HEAD = "v_head.summary."
_LANGUAGE_HEAD = "lm_head."
_INDEX = "model.safetensors.index.json"
_LEFT_BEHIND = re.compile(r"config\.json|.*\.(safetensors|bin|index\.json|pth?|gguf|h5|py)")


def converted(model: ModelSpec, cache: Path) -> Path:
    """The folder of ``model`` in the form vLLM loads, made once and then kept in ``cache``.

    The checkpoint is taken from its folder, the Hugging Face cache, or the hub. Raises
    ``FleetError`` where it cannot be had or converted.
    """
    source = find(model.source)
    if source is None or not _weight_files(source):
        source = _downloaded(model.source)
    name = re.sub(r"[^\w.-]+", "--", model.source.strip("./~"))
    target = cache / f"{name}-{_fingerprint(source)}"
    convert_value_head(source, target)
    return target


def convert_value_head(source: Path, target: Path) -> None:
    """Write ``source``, a Qwen2 with a value head, to the folder ``target`` for vLLM to load.

    Nothing is loaded: tensors are copied from file to file, and files in which none changes are
    linked. ``target`` appears when it is whole, and is left alone if it is there already. Raises
    ``FleetError`` where the value head is missing, a file is damaged or the disk is full.
    """
    if (target / "config.json").is_file():
        return
    config = read_json(source / "config.json")
    if config.get("model_type") != "qwen2":
        raise FleetError(
            f"{source}: its value head cannot be converted, for it is on a "
            f"{config.get('model_type')} and not on a qwen2"
        )
    shards = {file: read(file) for file in _weight_files(source)}
    if not any(t.name.startswith(_VALUE_HEAD) for tensors in shards.values() for t in tensors):
        raise FleetError(
            f"{source} has no value head ({_VALUE_HEAD}weight): leave `convert: value_head` out, "
            "or name the checkpoint that has it"
        )
    config.pop("auto_map", None)
    config |= {"architectures": ["Qwen2ForSequenceClassification"], "num_labels": 1}
    with _appearing(target) as folder:
        _write_weights(shards, folder)
        for file in source.iterdir():
            if file.is_file() and not _LEFT_BEHIND.fullmatch(file.name):
                _link(file, folder / file.name)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def _weight_files(folder: Path) -> list[Path]:
    for pattern in ("model*.safetensors", "pytorch_model*.bin"):
        if files := sorted(folder.glob(pattern)):
            return files
    return []


def _write_weights(shards: dict[Path, list[Tensor]], folder: Path) -> None:
    changed = {file: _changed(tensors) for file, tensors in shards.items()}
    rewritten = [file for file in shards if changed[file] != shards[file] or file.suffix == ".bin"]
    needed = sum(tensor.length for file in rewritten for tensor in changed[file])
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(errno.ENOSPC, f"{needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free")
    weight_map: dict[str, str] = {}
    for file, tensors in changed.items():
        name = file.stem.replace("pytorch_model", "model") + ".safetensors"
        if file not in rewritten:
            _link(file, folder / name)
        elif tensors:
            write(folder / name, tensors)
        weight_map |= dict.fromkeys((tensor.name for tensor in tensors), name)
    if len(set(weight_map.values())) > 1:
        total = sum(tensor.length for tensors in changed.values() for tensor in tensors)
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        (folder / _INDEX).write_text(json.dumps(index, indent=2) + "\n")


def _changed(tensors: list[Tensor]) -> list[Tensor]:
    return [
        replace(tensor, name=tensor.name.replace(_VALUE_HEAD, "score.", 1))
        for tensor in tensors
        if not tensor.name.startswith(_LANGUAGE_HEAD)
    ]


def _link(file: Path, to: Path) -> None:
    try:
        os.link(file.resolve(), to)
    except OSError:  # another file system
        shutil.copyfile(file, to)


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A folder that becomes ``target`` when the block ends well, and is gone when it does not."""
    folder = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        yield folder
        folder.chmod(0o755)
        try:
            folder.rename(target)
        except OSError:
            if not (target / "config.json").is_file():  # another process may have been quicker
                raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise FleetError(
            f"{target.parent} is full ({error.strerror}): make room for the converted checkpoint"
            if full
            else f"the converted checkpoint cannot be written to {target}: {error.strerror}"
        ) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _fingerprint(folder: Path) -> str:
    """Changes when the checkpoint does, so that a newer one is converted anew."""
    files = [folder / "config.json", *_weight_files(folder)]
    stats = [(file.name, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    return hashlib.sha256(repr(stats).encode()).hexdigest()[:12]


def _downloaded(source: str) -> Path:
    if source.startswith((".", "/", "~")):
        raise FleetError(f"{source} is not a folder with a config.json and weights")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import GatedRepoError, HfHubHTTPError
    except ImportError:
        raise FleetError(
            f"{source} is neither a folder nor in the Hugging Face cache: pip install "
            "huggingface_hub to have it downloaded"
        ) from None
    try:
        return Path(snapshot_download(source, ignore_patterns=["*.gguf", "*.h5", "original/*"]))
    except GatedRepoError as error:
        raise FleetError(
            f"{source} is gated: accept its licence on huggingface.co and set $HF_TOKEN"
        ) from error
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = str(error).splitlines()[0]
        raise FleetError(
            f"{source} is neither a folder nor in the Hugging Face cache, and cannot be "
            f"downloaded: {reason}"
        ) from error
