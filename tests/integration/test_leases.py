"""Leases on a real Redis: held while their holder lives, and then gone."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from redis import Redis

from shared.leases import PREFIX, RENEWALS, Leases
from shared.queue import check_broker, make_app
from tests.conftest import ROOT
from tests.e2e.conftest import wait_until

pytestmark = pytest.mark.redis

SECONDS = 3.0
"""Renewed twice a second: slow enough for a machine that stalls."""

HOLD = """
import sys, time
from redis import Redis
from shared.leases import Leases
with Leases(Redis.from_url(sys.argv[1]), seconds=3.0).held("killed", "somebody"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def client(redis_url: str) -> Redis:
    return Redis.from_url(redis_url.removesuffix("/0") + "/9")


def lease_of(leases: Leases, task_id: str) -> str | None:
    return leases.sightings([task_id], "queue")[task_id].lease


def assert_changes(leases: Leases, task_id: str) -> None:
    before = lease_of(leases, task_id)
    wait_until(lambda: lease_of(leases, task_id) != before, 30, "a lease renewed")


def assert_stays(leases: Leases, task_id: str) -> None:
    before = lease_of(leases, task_id)
    time.sleep(4 * SECONDS / RENEWALS)
    assert lease_of(leases, task_id) == before


def test_whoever_takes_jobs_tries_a_lease_and_leaves_none(client: Redis, redis_url: str) -> None:
    url = redis_url.removesuffix("/0") + "/9"
    for _ in range(2):
        check_broker(make_app(url), "here", takes_jobs=True)
    wait_until(lambda: client.keys(f"{PREFIX}*") == [], 30, "what was tried is gone")


def test_a_task_is_waiting_or_leased_or_absent(client: Redis) -> None:
    leases = Leases(client)
    client.lpush("queue", json.dumps({"body": "", "headers": {"id": "waiting"}}))
    with leases.held("running", "worker"):
        seen = leases.sightings(["waiting", "running", "lost"], "queue")
        assert (seen["waiting"].waiting, seen["running"].waiting, seen["lost"].waiting) == (True, False, False)
        assert (seen["waiting"].absent, seen["running"].absent, seen["lost"].absent) == (False, False, True)
        assert (seen["waiting"].begun, seen["running"].begun, seen["lost"].begun) == (False, True, False)
        assert leases.sightings([], "queue") == {}
    assert leases.sightings(["running"], "queue")["running"].absent, "it has ended"
    client.lpush("queue", "junk", "[]", "{}", b"\xff")  # whoever put that there
    assert leases.sightings(["waiting"], "queue")["waiting"].waiting
    client.delete("queue")
    assert leases.sightings(["waiting"], "queue")["waiting"].absent


def test_a_lease_changes_for_as_long_as_it_is_held(client: Redis) -> None:
    leases = Leases(client, seconds=SECONDS)
    with leases.held("long", "worker"):
        assert_changes(leases, "long")
        client.flushdb()  # as a Redis whose clock is set an hour on does with whatever expires
        wait_until(lambda: lease_of(leases, "long") is not None, 30, "a lease taken anew")
        assert_changes(leases, "long")
    assert_stays(leases, "long")


def test_a_second_delivery_leaves_the_first_alone_while_that_lives(client: Redis) -> None:
    leases = Leases(client, seconds=SECONDS)
    with leases.held("twice", "first"):
        with Leases(client, seconds=SECONDS).held("twice", "second") as ours:
            assert not ours
        assert "first" in str(lease_of(leases, "twice"))
        assert_changes(leases, "twice")
    with leases.held("twice", "third") as ours:
        assert ours, "whoever comes after the end finds the result"


def test_a_second_delivery_takes_over_from_the_dead(client: Redis) -> None:
    client.set("scaffoldry-lease:dead", "somebody/1/7")
    leases = Leases(client, seconds=SECONDS)
    with leases.held("dead", "heir") as ours:
        assert ours and "heir" in str(lease_of(leases, "dead"))


def test_the_lease_of_a_killed_process_ends(client: Redis, redis_url: str) -> None:
    url = redis_url.removesuffix("/0") + "/9"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLD, url]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        leases = Leases(client)
        assert_changes(leases, "killed")
        process.send_signal(signal.SIGKILL)
    assert_stays(leases, "killed")


def test_a_redis_that_is_away_ends_no_run() -> None:
    with Leases(Redis.from_url("redis://127.0.0.1:1/0")).held("task", "worker") as ours:
        assert ours
