"""The error tree.

HoldfastError
├── ConfigError      the environment or values.toml is wrong; starting again won't help
├── UpdateError      an update that can't be applied; `status` says how HTTP answers it
├── RefusedError     (desk_api.py) the operators' API said no; `status` says why
├── SettingError     what an operator wants to set can't hold; `status` as of UpdateError
├── LogStartError    the Kafka log starts above 0 and Redis holds no state to go with it
└── UnavailableError Redis can't be asked now, or not be trusted yet; retry
    └── KafkaUnavailableError  the same of Kafka
"""

from __future__ import annotations


class HoldfastError(Exception):
    """Base of every error that Holdfast raises on purpose."""


class ConfigError(HoldfastError):
    """A setting or a line of values.toml is wrong. Each fault names the key, never its value."""

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class UpdateError(HoldfastError):
    """A malformed update: `status` is 400 (not JSON), 413 (too large) or 422 (not an update)."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class SettingError(HoldfastError):
    """What an operator asks for is refused; `status` says how HTTP answers it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class LogStartError(HoldfastError):
    """Part of a topic's history is gone and Redis holds no state that replaces it."""


class UnavailableError(HoldfastError):
    """A part that is needed can't be asked now. Back off and ask again."""


class KafkaUnavailableError(UnavailableError):
    """Kafka can't be asked now, or gives no verdict. Back off and ask again."""
