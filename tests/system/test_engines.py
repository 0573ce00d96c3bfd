"""Several engines: the same objects, proofs and ends as with one."""

import time

import pytest

from conftest import only, until

SANDBOX = only("sandbox", "objects of any size, and requests that are counted")


def threads(daemon):
    with open(f"/proc/{daemon.proc.pid}/status") as f:
        return int(f.read().split("Threads:")[1].split()[0])


def test_a_prefix_arrives_whole_by_two_engines(daemon, server):
    bodies = {f"two/{i:03d}": b"%d" % i * (1 + i * 977) for i in range(120)}
    for key, body in bodies.items():
        server.s.put_object(Bucket="account-s-bucket", Key=key, Body=body)
    daemon.write(source="s3://account-s-bucket/two/",
                 destination="s3://account-m-bucket/by-two/", top="engines: 2")
    daemon.start()
    assert threads(daemon) >= 3
    code, end = daemon.run()
    assert (code, end["objects_done"]) == (0, len(bodies))
    for key, body in bodies.items():
        to = key.replace("two/", "by-two/")
        got = server.m.get_object(Bucket="account-m-bucket", Key=to)["Body"].read()
        assert got == body, key
    daemon.stop()
    assert not daemon.log("error") and not daemon.log("warning")


@SANDBOX
def test_ended_sessions_are_renewed_once_for_all_engines(daemon, server):
    for i in range(60):
        server.s.put_object(Bucket="account-s-bucket", Key=f"ended/{i:03d}", Body=b"x" * i)
    daemon.write(source="s3://account-s-bucket/ended/",
                 destination="s3://account-m-bucket/ended/", top="engines: 3")
    daemon.start()
    before = server.assumed()
    # The source's session is refused from the tenth object on, once for each that is met.
    server.faults(({"operation": "GetObject", "skip": 9, "count": 6},
                   {"status": 400, "code": "ExpiredToken"}))
    code, end = daemon.run()
    server.faults()
    assert (code, end["objects_done"]) == (0, 60)
    # Two at the start; then one for the burst, or two where it outlived the first.
    assert 3 <= server.assumed() - before <= 4


@SANDBOX
@pytest.mark.parametrize("engines", ["2", "auto"])
def test_a_cancel_in_the_middle_leaves_nothing(daemon, server, engines):
    size = 40 << 30
    before = server.requests("UploadPart")
    daemon.write(source=f"s3://account-s-bucket/virtual/{size}",
                 destination="s3://account-m-discard/by-engines", top=f"engines: {engines}",
                 extra="    method: stream")
    daemon.start()
    daemon.ctl("run", "daily-report")
    until(lambda: server.requests("UploadPart") > before + 10, "parts")
    begun = time.monotonic()
    daemon.ctl("cancel", "daily-report")
    daemon.stop()
    assert time.monotonic() - begun < 10
    assert not server.m.list_multipart_uploads(Bucket="account-m-discard").get("Uploads", [])


@SANDBOX
def test_many_starts_and_stops_are_clean(daemon):
    daemon.write(top="engines: 4")
    for _ in range(5):
        daemon.start()
        daemon.stop()
    assert not daemon.log("error")
