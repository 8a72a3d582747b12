"""Load shapes, chosen by --shape. -u, -r and -t mean what they always mean."""

from __future__ import annotations

from collections.abc import Callable

from locust import LoadTestShape

FEW = 0.1
DEFAULT_RUN_S = 600.0
CHURN_S = 60.0

# All: (how much of the run time is over, 0 to 1; s since the start) -> part of the users.
Curve = Callable[[float, float], float]


def steady(_part: float, _seconds: float) -> float:
    """Everybody, at the spawn rate."""
    return 1.0


def ramp(part: float, _seconds: float) -> float:
    """Ten equal steps up: find the one at which it breaks."""
    return min(10, 1 + int(10 * part)) / 10


def storm(part: float, _seconds: float) -> float:
    """A tenth, then everybody at once, and the same again: a link on television."""
    return 1.0 if 0.2 <= part < 0.5 or part >= 0.7 else FEW


def soak(_part: float, seconds: float) -> float:
    """Everybody for a long time; each other minute a tenth leaves, and comes back."""
    return 1.0 if int(seconds / CHURN_S) % 2 == 0 else 1.0 - FEW


CURVES: dict[str, Curve] = {"steady": steady, "ramp": ramp, "storm": storm, "soak": soak}


class Shape(LoadTestShape):
    """Follows the curve of --shape until the run time is over; without one, steady goes on."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        if self.runner is None or self.runner.environment.parsed_options is None:
            return None
        options = self.runner.environment.parsed_options
        seconds = self.get_run_time()
        run_s = float(options.run_time or 0)
        if not run_s and options.shape != "steady":
            run_s = DEFAULT_RUN_S
        if run_s and seconds >= run_s:
            return None
        users = options.num_users or 1
        count = round(users * CURVES[options.shape](seconds / run_s if run_s else 0.0, seconds))
        # A storm is everybody at once: the spawn rate would make a ramp of it.
        rate = users if options.shape == "storm" else options.spawn_rate or 1
        return max(1, count), float(rate)
