"""A service that asks for less gets less, from all jobs together, and all arrives."""

import re
import subprocess
import time

import pytest

from conftest import BUILD, only, until

SANDBOX = only("sandbox", "SlowDown when it is wanted, and requests that are counted")
OBJECTS = 300


@pytest.fixture
def many(daemon, server):
    for i in range(OBJECTS):
        server.s.put_object(Bucket="account-s-bucket", Key=f"rate/{i:03d}", Body=b"%d" % i)
    yield daemon
    if server.name == "sandbox":
        server.faults()


def write(daemon, top=""):
    daemon.write(source="s3://account-s-bucket/rate/",
                 destination="s3://account-m-bucket/rate/", top=top,
                 extra="    overwrite: always")


def slow_down(server, operation, **more):
    server.faults(({"operation": operation, **more}, {"status": 503, "code": "SlowDown"}))


@SANDBOX
@pytest.mark.parametrize("engines", [1, 3])
def test_refusals_of_everything_are_no_storm(many, server, engines):
    write(many, f"engines: {engines}")
    many.start()
    begun, before = time.monotonic(), server.requests("PutObject")
    assert many.run()[0] == 0
    baseline = (server.requests("PutObject") - before) / (time.monotonic() - begun)

    slow_down(server, "PutObject")
    run = many.ctl("run", "daily-report")[1][0]["run"]
    until(lambda: many.log("notice"), "the first refusal")
    before, refused_for = server.requests("PutObject"), 6
    time.sleep(refused_for)
    refused = server.requests("PutObject") - before
    status = many.ctl("status")[1][0]["engines"]
    assert status["count"] == engines and status["transfers"] > 0
    [slowed] = status["slowed"]
    assert (slowed["bucket"], slowed["endpoint"]) == ("account-m-bucket", server.url)
    assert 1 <= slowed["at_once"] < OBJECTS
    assert refused <= 1.1 * baseline * refused_for
    assert refused <= 100  # and far fewer: the pauses grow

    server.faults()

    def ended():
        rows = [r for r in many.ctl("history", "-n", "5")[1][0]["runs"] if r["run"] == run]
        return rows[0] if rows[0]["state"] not in ("claimed", "running") else None
    row = until(ended, "all arrives", 60)
    assert (row["state"], row["objects"]) == ("succeeded", OBJECTS)
    # Two lines a bucket, whatever the number of refusals.
    assert len([x for x in many.log("notice") if "asks for less" in x]) == 1


@only("rgw", "it refuses by itself what is more than it may serve at once")
def test_a_service_that_serves_few_at_once_serves_all(many, server):
    write(many)
    many.conf.write_text(many.conf.read_text().replace("attempts: 2", "attempts: 8"))
    many.start()
    server.call("rgw.sh", "set", "rgw_max_concurrent_requests", "3")
    try:
        code, end = many.run()
    finally:
        server.call("rgw.sh", "set", "rgw_max_concurrent_requests", "1024")
    assert (code, end["objects_done"]) == (0, OBJECTS), many.log()
    assert [x for x in many.log("notice") if "asks for less" in x]


@SANDBOX
def test_a_burst_of_refusals_fails_nothing(many, server):
    write(many)
    many.start()
    slow_down(server, "GetObject", skip=100, count=12)
    code, end = many.run()
    assert (code, end["objects_done"]) == (0, OBJECTS)
    assert any("serves as before" in x for x in many.log("notice")) or \
        any("asks for less" in x for x in many.log("notice"))


@SANDBOX
@pytest.mark.parametrize("engines", [1, 3])
def test_what_was_sent_again_is_counted(many, server, engines):
    def say(*verb):
        return subprocess.run([f"{BUILD}/src/s3ferryctl", "--socket", many.sock, *verb],
                              check=True, capture_output=True, text=True, timeout=60).stdout

    write(many, f"engines: {engines}\nbandwidth: 1 GB/s")
    many.start()
    assert many.run()[0] == 0
    assert many.ctl("status")[1][0]["engines"]["sent_again"] == 0
    assert "sent again" not in say("status") + say("show", "daily-report")
    failed = [("ListObjectsV2", 2), ("GetObject", 4), ("PutObject", 3)]
    server.faults(*(({"operation": o, "count": n}, {"status": 500, "code": "InternalError"})
                    for o, n in failed))
    code, end = many.run()
    assert (code, end["objects_done"]) == (0, OBJECTS)
    assert server.fired() == [n for _, n in failed]
    assert many.ctl("status")[1][0]["engines"]["sent_again"] == 9
    assert re.search(", 9 requests sent again so far, the core busy for at most [0-9.]+ ms",
                     say("status"))
    assert "\ns3ferry_requests_sent_again_total 9\n" in say("metrics")
    assert "\n9 requests to S3 failed and were sent again\n" in say("show", "daily-report")
    server.faults()  # the next run has a number of its own
    assert many.run()[0] == 0
    assert many.ctl("show", "daily-report")[1][0]["run"]["sent_again"] == 0
