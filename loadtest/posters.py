"""Posters: send updates, each with a key of its own."""

from __future__ import annotations

import random
import uuid

import gevent
from ledger import ledger
from locust import FastHttpUser, task
from locust.exception import StopUser
from verdict import verdict


class Poster(FastHttpUser):
    """Posts `{"add": 1}`. FastHttpUser: many small requests, each cheaper than with requests."""

    weight = 2
    network_timeout = 15.0
    connection_timeout = 10.0

    def wait_time(self) -> float:
        """Posts come at random, as people's do: equal pauses would make all posters one crowd."""
        rate = self.environment.parsed_options.post_rate
        if rate <= 0:
            raise StopUser
        return random.expovariate(rate)

    @task
    def add(self) -> None:
        if verdict.resting:
            gevent.sleep(1)
            return
        value = self.environment.parsed_options.value
        ledger.send()
        with self.client.post(
            f"/values/{value}",
            json={"add": 1},
            headers={"Idempotency-Key": str(uuid.uuid4())},
            catch_response=True,
        ) as answer:
            if answer.status_code != 202:
                answer.failure(f"status {answer.status_code}")
            elif answer.json().get("name") != value:
                answer.failure("the answer names another value")
            else:
                ledger.acknowledge()
                answer.success()
