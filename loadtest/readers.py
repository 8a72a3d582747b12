"""Readers: fetch snapshots, as scripts and first page loads do."""

from __future__ import annotations

import random

from locust import FastHttpUser, task
from locust.exception import StopUser


class Reader(FastHttpUser):
    """Fetches the value at random moments; it must never be older than the one before."""

    weight = 1
    network_timeout = 15.0
    connection_timeout = 10.0

    def on_start(self) -> None:
        self.version = 0

    def wait_time(self) -> float:
        rate = self.environment.parsed_options.read_rate
        if rate <= 0:
            raise StopUser
        return random.expovariate(rate)

    @task
    def read(self) -> None:
        path = f"/values/{self.environment.parsed_options.value}"
        headers = {"Accept": "application/json"}
        with self.client.get(path, headers=headers, catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}")
                return
            try:
                version = answer.json()["version"]
            except (ValueError, KeyError, TypeError):
                answer.failure("no snapshot")
                return
            if version < self.version:
                answer.failure("a snapshot that is older than the one before")
            else:
                answer.success()
            self.version = max(self.version, version)
