"""Replicas listed in a file that may change while they are in use."""

import re
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import ConfigError
from orchestrator.formats.yaml_files import read_yaml

_URL = re.compile(r"https?://[^\s/]+(/\S*)?")
_SECRETS = re.compile(r"^[^/]*//[^/]*@|\?")

SECRETS = (
    "a URL without user, password or ?query: URLs are shown and recorded, so a key belongs into "
    "the environment variable that `api_key_env` names"
)
"""What is wanted where a URL ``holds_secrets``; the URL itself is better not repeated."""


def holds_secrets(url: str) -> bool:
    """Whether a URL has parts in which people put passwords and keys."""
    return _SECRETS.search(url) is not None


@dataclass(slots=True)
class ReplicasFile:
    """A YAML file of URLs: a list, or lists by the ``name`` of the endpoint they belong to."""

    path: Path
    name: str
    _stamp: tuple[int, int] | None = None

    def read(self) -> tuple[str, ...]:
        """The URLs it lists now. Raises ``ConfigError``."""
        try:
            self._stamp = self._stamped()
            listed = read_yaml(self.path)
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be read: {error.strerror}") from error
        if isinstance(listed, dict):
            if self.name not in listed:
                known = ", ".join(map(str, listed))
                raise ConfigError(f"{self.path}: lists no {self.name!r}, but: {known}")
            listed = listed[self.name]
        if isinstance(listed, str):
            listed = [listed]
        if not isinstance(listed, list) or not all(isinstance(url, str) for url in listed):
            raise ConfigError(f"{self.path}: must list the URLs of {self.name}, one a line: - URL")
        for url in listed:
            if holds_secrets(url):
                raise ConfigError(f"{self.path}: write {SECRETS}")
            if not _URL.fullmatch(url):
                raise ConfigError(f"{self.path}: {url!r} is not a URL: write http://host:port")
        return tuple(listed)

    def has_changed(self) -> bool:
        """Whether it is another than when it was last read; one that is gone is."""
        try:
            return self._stamped() != self._stamp
        except OSError:
            gone = self._stamp is not None
            self._stamp = None
            return gone

    def _stamped(self) -> tuple[int, int]:
        stat = self.path.stat()
        return stat.st_mtime_ns, stat.st_size
