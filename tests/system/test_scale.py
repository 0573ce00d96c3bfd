"""Many jobs and many missed slots. What they cost is printed; S3FERRY_LONG=1 (make check-long,
on a machine that does nothing else) looks longer and holds the figures to their limits."""

import datetime
import os
import pathlib
import time

from conftest import WRAP, only, until
from test_schedule import edit_state, history, write_jobs

import pytest

SANDBOX = only("sandbox", "costs of the daemon alone")
JOBS = 10_000
IS_LONG = bool(os.environ.get("S3FERRY_LONG"))
IDLE_S = 120 if IS_LONG else 2
pytestmark = pytest.mark.skipif(bool(WRAP), reason="valgrind costs more than all of it")


def cpu_s(daemon):
    """Of all threads of the daemon since it began."""
    tasks = pathlib.Path(f"/proc/{daemon.proc.pid}/task").glob("*/schedstat")
    return sum(int(t.read_text().split()[0]) for t in tasks) / 1e9


def write_many(daemon, count, schedule):
    """In jobs.d, a thousand a file: no file may be larger than 1 MiB."""
    folder = daemon.conf.parent / "jobs.d"
    folder.mkdir()
    zones = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]
    for first in range(0, count, 1000):
        text = "jobs:\n"
        for n in range(first, min(first + 1000, count)):
            text += f"""  job-{n:05d}:
    schedule: "{schedule(n)}"
    timezone: {zones[n % 5]}
    source: {{ profile: partner, url: "s3://bucket-s/k{n}" }}
    destination: {{ profile: ours, url: "s3://bucket-m/in{n}/" }}
"""
        (folder / f"{first:05d}.yaml").write_text(text)


@SANDBOX
def test_ten_thousand_jobs(daemon):
    # Far away, so that none of them fires while it is watched.
    month = (datetime.datetime.now().month + 5) % 12 + 1
    write_many(daemon, JOBS, lambda n: f"{n % 60} {10 + n % 12} {n % 28 + 1} {month} *")
    daemon.start()
    reloads = []
    for _ in range(5):
        before, began = cpu_s(daemon), time.monotonic()
        assert daemon.ctl("reload")[0] == 0
        reloads.append((cpu_s(daemon) - before, time.monotonic() - began))
    cpu, wall = min(reloads)
    print(f"reload of {JOBS} jobs: {cpu * 1000:.0f} ms of CPU, {wall * 1000:.0f} ms until told")
    before = cpu_s(daemon)
    time.sleep(IDLE_S)
    idle = (cpu_s(daemon) - before) / IDLE_S
    print(f"idle with {JOBS} jobs: {idle * 100:.4f} % of a CPU")
    daemon.stop()
    assert not IS_LONG or cpu < 0.2, reloads
    assert not IS_LONG or idle < 0.001


@SANDBOX
def test_ten_thousand_missed_slots(daemon, server):
    server.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=b"a,b\n")
    write_jobs(daemon, minutely='schedule: "* * * * *"')
    daemon.start()
    edit_state(daemon, "minutely", watermark_utc=int(time.time()) - 10_000 * 60)
    daemon.start()
    until(lambda: history(daemon, "minutely")[-1][0] == "succeeded", "the newest slot")
    assert history(daemon, "minutely")[0] == ("skipped", "coalesced", "schedule", 1000)
    lines = daemon.log()
    began = [line for line in lines if "s3ferryd" in line and "started: " in line][-1]
    ran = next(line for line in lines if "minutely started: " in line)
    began, ran = (datetime.datetime.fromisoformat(line.split()[0].rstrip("Z")) for line in (began, ran))
    took = (ran - began).total_seconds()
    print(f"10,000 missed slots: the newest starts {took * 1000:.0f} ms after the daemon")
    assert not IS_LONG or took < 0.1
