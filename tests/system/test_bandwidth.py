"""Limits of bandwidth, and what several jobs get of one daemon."""

import time

import pytest

from conftest import assert_resident, only, until

MB = 1_000_000
SANDBOX = only("sandbox", "objects of any size without a disk to keep them")


def write(daemon, size, top="", extra=""):
    daemon.write(source=f"s3://account-s-bucket/virtual/{size}",
                 destination="s3://account-m-discard/bandwidth", top=top, extra=extra)


def add_job(daemon, name, source, destination, extra=""):
    daemon.conf.write_text(daemon.conf.read_text() + f"""
  {name}:
    schedule: "cron(0 7 * * ? *)"
    {extra}
    source: {{ profile: partner, url: "s3://account-s-bucket/{source}" }}
    destination: {{ profile: ours, url: "s3://account-m-discard/{destination}" }}
""")


@SANDBOX
@pytest.mark.parametrize("size,engines,where", [
    (24 * MB, 1, "extra"), (24 * MB, 1, "top"), (90 * MB, 2, "top")])
def test_a_rate_is_kept(daemon, size, engines, where):
    rate = size // 4 // MB
    limit = f"bandwidth: {rate} MB/s"
    write(daemon, size, f"engines: {engines}\n" + (limit if where == "top" else ""),
          "    " + limit if where == "extra" else "")
    daemon.start()
    begun = time.monotonic()
    code, end = daemon.run()
    took = time.monotonic() - begun
    assert (code, end["bytes_done"]) == (0, size)
    assert 3.5 <= took <= 7  # four seconds; a busy machine may be slower


@SANDBOX
def test_a_reload_changes_it_under_way(daemon):
    write(daemon, 200 * MB, extra="    bandwidth: 2 MB/s")
    daemon.start()
    run = daemon.ctl("run", "daily-report")[1][0]["run"]
    until(lambda: daemon.ctl("status")[1][0]["jobs"][0]["running"]["bytes_done"] > MB, "bytes")
    write(daemon, 200 * MB, extra='    bandwidth: [{ limit: 1 GB/s, when: "00:00-24:00" }]')
    assert daemon.ctl("reload")[0] == 0

    def ended():
        row = daemon.ctl("history", "-n", "1")[1][0]["runs"][0]
        return row["state"] == "succeeded" and row["run"] == run
    until(ended, "the end, which 2 MB/s would take minutes to reach", 60)


@SANDBOX
def test_a_small_job_is_not_starved_by_a_large_one(daemon, server):
    """20 GB at 10 MB/s and then, in the midst of it, one small object."""
    write(daemon, 20_000 * MB, top="bandwidth: 10 MB/s", extra="    priority: low")
    add_job(daemon, "small", "virtual/100000", "small")
    daemon.start()
    daemon.ctl("run", "daily-report")
    until(lambda: daemon.ctl("status")[1][0]["jobs"][0]["running"]["bytes_done"] > MB, "bytes")
    begun = time.monotonic()
    assert daemon.ctl("run", "small", "--wait")[0] == 0
    assert time.monotonic() - begun < 5
    daemon.ctl("cancel", "daily-report")


@SANDBOX
def test_64_parts_at_once_take_48_mib(daemon, server):
    write(daemon, 1_600 * MB, extra="    limits: { parts: 64, part_size: 16 MiB }")
    daemon.start()
    code, end = daemon.run()
    assert (code, end["bytes_done"]) == (0, 1_600 * MB)
    assert_resident(daemon.proc.pid, 48 << 10)


@SANDBOX
def test_a_memory_limit_sheds(daemon, server):
    write(daemon, 400 * MB, "memory_limit: 4 MiB",
          "    limits: { parts: 64, part_size: 5 MiB }")
    daemon.start()
    code, end = daemon.run()
    assert (code, end["bytes_done"]) == (0, 400 * MB)
    assert_resident(daemon.proc.pid, 24 << 10)
