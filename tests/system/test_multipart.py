"""Objects in parts: whole, resumed, damaged, and nothing of them left behind."""

import os
import random
import signal
import subprocess
import time

import pytest
from botocore.exceptions import ClientError

from conftest import BUILD, only, until

PART = 16 << 20
LARGE = 64 << 20
KEY = "incoming/report.csv"
KILLS = int(os.environ.get("S3FERRY_KILLS", "6"))
SANDBOX = only("sandbox", "faults by operation, and requests that are counted")
BODY = random.Random(64).randbytes(LARGE + 2 * PART + 12345)  # 7 parts
PARTS = 7


def uploads(server):
    return server.m.list_multipart_uploads(Bucket="account-m-bucket").get("Uploads", [])


def arrived(server):
    return server.m.get_object(Bucket="account-m-bucket", Key=KEY)["Body"].read()


@pytest.fixture
def ferry(daemon, server):
    server.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=BODY,
                        ContentType="text/csv", Metadata={"who": "partner"})
    server.m.delete_object(Bucket="account-m-bucket", Key=KEY)
    if server.name == "sandbox":
        server.faults()
    yield daemon
    if server.name == "sandbox":
        server.faults()
    assert not uploads(server)


def test_a_large_object_arrives_in_parts(ferry, server):
    ferry.start()
    code, end = ferry.run()
    assert (code, end["bytes_done"]) == (0, len(BODY))
    got = server.m.get_object(Bucket="account-m-bucket", Key=KEY)
    assert got["Body"].read() == BODY
    assert (got["ContentType"], got["Metadata"]) == ("text/csv", {"who": "partner"})
    assert got["ETag"].endswith(f'-{PARTS}"')


EDGES = [(LARGE - 1, 1, 0), (LARGE, 1, 0), (LARGE + 1, 0, 5), (5 * PART, 0, 5),
         (5 * PART + 1, 0, 6), (100 * PART, 0, 100)]
if os.environ.get("S3FERRY_LONG"):
    EDGES += [((5 << 30) - 1, 0, 320), (5 << 30, 0, 320), ((5 << 30) + 1, 0, 321),
              (10_000 * PART, 0, 10_000), (10_000 * PART + 1, 0, 9_412)]


@SANDBOX
@pytest.mark.parametrize("size,puts,parts", EDGES)
def test_sizes_at_the_edges(daemon, server, size, puts, parts):
    names = ["PutObject", "UploadPart", "HeadObject", "GetObject"]
    daemon.patience = 3600  # the largest has 160 GB
    before = [server.requests(n) for n in names]
    daemon.write(source=f"s3://account-s-bucket/virtual/{size}",
                 destination="s3://account-m-discard/edge",
                 extra="    method: stream\n    overwrite: always")
    daemon.start()
    assert daemon.run()[0] == 0
    # One GET tells the length; a large object's own answer is not read.
    assert [server.requests(n) - b for n, b in zip(names, before)] == [
        puts, parts, 0, 1 + parts]
    head = server.m.head_object(Bucket="account-m-discard", Key="edge")
    assert head["ContentLength"] == size


MIB = 1 << 20


def test_small_sizes_at_their_edges(daemon, server):
    """In one piece up to four parts of 5 MiB, in parts above; each byte is compared."""
    bucket = "account-m-bucket"
    if server.name == "rgw":  # the sandbox keeps no versions
        server.m.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    sizes = [0, 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 20 * MIB - 1, 20 * MIB,
             20 * MIB + 1, 25 * MIB, 25 * MIB + 1]
    for n in sizes:
        server.s.put_object(Bucket="account-s-bucket", Key=f"edges/{n}", Body=BODY[:n])
    daemon.write(source="s3://account-s-bucket/edges/",
                 destination=f"s3://{bucket}/edges/",
                 extra="    limits: { part_size: 5MiB }")
    daemon.start()
    code, end = daemon.run()
    assert (code, end["objects_done"]) == (0, len(sizes)), daemon.log()
    for n in sizes:
        got = server.m.get_object(Bucket=bucket, Key=f"edges/{n}")
        assert got["Body"].read() == BODY[:n]
        assert got["ETag"].endswith(f"-{-(-n // (5 * MIB))}\"") == (n > 20 * MIB)
    if server.name == "rgw":
        server.m.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    assert not uploads(server)


@SANDBOX
def test_what_s3_cannot_hold_fails_before_a_byte_moves(daemon, server):
    largest = 10_000 * (5 << 30)
    daemon.write(source=f"s3://account-s-bucket/virtual/{largest + 1}",
                 destination="s3://account-m-discard/too-large")
    daemon.start()
    created = server.requests("CreateMultipartUpload")
    code, end = daemon.run()
    assert (code, end["verdict"]) == (1, "failed")
    assert "larger than S3 can store" in end["message"]
    assert server.requests("CreateMultipartUpload") == created


FAULTS = {
    "a part cut while it is read": (
        dict(operation="GetObject", skip=3, count=1), dict(reset_at=5_000_000)),
    "a part that ends early": (
        dict(operation="GetObject", skip=2, count=1), dict(truncate_at=5_000_000)),
    "a part flipped while it is read": (
        dict(operation="GetObject", skip=4, count=1), dict(flip_at=5_000_000)),
    "a part cut while it is written": (
        dict(operation="UploadPart", skip=2, count=1), dict(reset_at=5_000_000)),
    "a burst of SlowDown": (
        dict(operation="UploadPart", skip=1, count=4), dict(status=503, code="SlowDown")),
    "a session that ends at a part": (
        dict(operation="UploadPart", skip=3, count=1), dict(expired_token=True)),
    "a session that ends at the source": (
        dict(operation="GetObject", skip=3, count=1), dict(expired_token=True)),
    "an error inside the 200 of Complete": (
        dict(operation="CompleteMultipartUpload", count=1),
        dict(error_in_200="InternalError")),
    "no answer to Complete": (
        dict(operation="CompleteMultipartUpload", count=1), dict(reset_at=1 << 40)),
    "no answer to Create": (
        dict(operation="CreateMultipartUpload", count=1), dict(status=500)),
}


@SANDBOX
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("old", [False, True], ids=["new", "over an older object"])
def test_damage_is_mended_part_by_part(ferry, server, fault, old):
    if old:
        server.m.put_object(Bucket="account-m-bucket", Key=KEY, Body=b"older")
    sent = server.requests("UploadPart")
    server.faults(FAULTS[fault])
    ferry.start()
    code, end = ferry.run()
    assert (code, end["verdict"]) == (0, "succeeded"), ferry.log()
    assert arrived(server) == BODY
    # Only what was damaged is sent again; which part was flipped, nobody can tell.
    again = PARTS if "flipped" in fault else 4
    assert server.requests("UploadPart") - sent <= PARTS + again


@SANDBOX
def test_a_run_counts_what_its_parts_sent_again(ferry, server):
    server.faults((dict(operation="UploadPart", skip=1, count=3), dict(status=500)),
                  (dict(operation="CreateMultipartUpload", count=1), dict(status=500)))
    ferry.start()
    assert ferry.run()[0] == 0
    assert server.fired() == [3, 1]
    assert ferry.ctl("show", "daily-report")[1][0]["run"]["sent_again"] == 4


@SANDBOX
def test_status_tells_the_bytes_in_flight(ferry, server):
    def told():
        return ferry.ctl("status")[1][0]["engines"]["bytes_in_flight"]

    server.faults((dict(operation="UploadPart", skip=1), dict(stall_at=0)))
    ferry.start()
    assert told() == 0
    ferry.ctl("run", "daily-report")
    until(lambda: server.requests("UploadPart") > 1 and told() > 64 << 10, "some buffers")
    say = subprocess.run([f"{BUILD}/src/s3ferryctl", "--socket", ferry.sock, "status"],
                         check=True, capture_output=True, text=True, timeout=60).stdout
    assert "1 object under way, " in say and " in flight" in say, say
    assert told() < 32 << 20  # the limit where none is set
    ferry.ctl("cancel", "daily-report")
    until(lambda: ended(ferry), "the end")
    assert told() == 0


@SANDBOX
def test_a_source_that_is_replaced_fails_and_leaves_nothing(ferry, server):
    server.faults((dict(operation="UploadPart", skip=1, count=20), dict(delay_ms=300)))
    ferry.start()
    ferry.ctl("run", "daily-report")
    until(lambda: server.requests("UploadPart") and uploads(server), "the first parts")
    server.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv",
                        Body=BODY[:-1] + b"!")
    row = until(lambda: ended(ferry), "the end")
    if row["state"] == "succeeded":  # all ranges were read before
        assert arrived(server) == BODY
    else:
        assert (row["state"], row["reason"]) == ("failed", "changed")
        with pytest.raises(ClientError):
            server.m.head_object(Bucket="account-m-bucket", Key=KEY)


def ended(ferry):
    row = ferry.ctl("history", "-n", "1")[1][0]["runs"][0]
    return row if row["state"] not in ("claimed", "running", "retry_wait") else None


def test_an_upload_that_somebody_aborts_begins_anew(ferry, server):
    ferry.start()
    ferry.ctl("run", "daily-report")
    [upload] = until(lambda: uploads(server), "the upload")
    try:
        server.m.abort_multipart_upload(Bucket="account-m-bucket", Key=upload["Key"],
                                        UploadId=upload["UploadId"])
    except ClientError:
        pass  # it was complete already
    row = until(lambda: ended(ferry), "the end", 60)
    assert row["state"] == "succeeded"
    assert arrived(server) == BODY


def test_cancel_leaves_nothing(ferry, server):
    ferry.start()
    ferry.ctl("run", "daily-report")
    until(lambda: uploads(server), "the upload")
    ferry.ctl("cancel", "daily-report")
    row = until(lambda: ended(ferry), "the end")
    assert row["state"] in ("cancelled", "succeeded")


@SANDBOX
def test_a_stop_lets_the_run_end(ferry, server):
    server.faults((dict(operation="UploadPart", skip=2, count=1), dict(delay_ms=1000)))
    ferry.start()
    ferry.ctl("run", "daily-report")
    until(lambda: uploads(server), "the upload")
    ferry.proc.send_signal(signal.SIGTERM)
    assert ferry.proc.wait(20) == 0
    assert arrived(server) == BODY


@SANDBOX
def test_a_stop_keeps_the_parts(ferry, server):
    """Drained for its time, then put down; here a second TERM does not wait for that."""
    server.faults((dict(operation="UploadPart", skip=4, count=20),
                   dict(stall_at=10_000)))
    ferry.write(extra="    limits: { parts: 3 }")
    ferry.start()
    sent = server.requests("UploadPart")
    ferry.ctl("run", "daily-report")
    until(lambda: server.requests("UploadPart") - sent == PARTS, "all parts under way")
    until(lambda: parts_stored(server) == 4, "four parts stored")
    ferry.proc.send_signal(signal.SIGTERM)
    until(lambda: any(" stopping" in line for line in ferry.log()), "the first TERM")
    ferry.proc.send_signal(signal.SIGTERM)
    assert ferry.proc.wait(10) == 0
    server.faults()
    sent = server.requests("UploadPart")
    ferry.start()
    row = until(lambda: ended(ferry), "the end")
    assert row["state"] == "succeeded"
    assert server.requests("UploadPart") - sent == 3
    assert any("4 of 7 parts were there already" in line for line in ferry.log())
    assert arrived(server) == BODY


@SANDBOX
def test_a_server_that_gives_an_upload_id_twice_fails_that_object_alone(ferry, server):
    """It would have us complete, or abort, the parts of another."""
    for name in "abc":
        server.s.put_object(Bucket="account-s-bucket", Key=f"twins/{name}", Body=BODY)
    server.faults((dict(operation="CreateMultipartUpload", skip=1, count=1),
                   dict(same_id=True)))
    ferry.write(source="s3://account-s-bucket/twins/",
                destination="s3://account-m-bucket/twins/")
    ferry.start()
    code, end = ferry.run()
    assert (code, end["verdict"], end["objects_done"]) == (2, "partial", 2), ferry.log()
    assert "upload-id" in end["message"], end
    assert ferry.run()[1]["verdict"] == "succeeded"
    for name in "abc":
        got = server.m.get_object(Bucket="account-m-bucket", Key=f"twins/{name}")
        assert got["Body"].read() == BODY


def parts_stored(server):
    [upload] = uploads(server)
    return len(server.m.list_parts(Bucket="account-m-bucket", Key=upload["Key"],
                                   UploadId=upload["UploadId"]).get("Parts", []))


@SANDBOX
def test_a_source_that_changed_during_the_stop_is_sent_whole(ferry, server):
    server.faults((dict(operation="UploadPart", skip=2, count=20),
                   dict(stall_at=10_000)))
    ferry.start()
    ferry.ctl("run", "daily-report")
    until(lambda: uploads(server) and parts_stored(server) == 2, "two parts stored")
    ferry.kill()
    server.faults()
    body = BODY[::-1]
    server.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=body)
    ferry.start()
    row = until(lambda: ended(ferry), "the end")
    assert row["state"] == "succeeded"
    assert arrived(server) == body


@SANDBOX
def test_what_an_abandoned_run_left_is_swept_by_the_next(ferry, server):
    server.faults((dict(operation="UploadPart", skip=2, count=20),
                   dict(stall_at=10_000)))
    ferry.start()
    ferry.ctl("run", "daily-report")
    until(lambda: uploads(server) and parts_stored(server) == 2, "two parts stored")
    ferry.kill()
    server.faults()
    # The job now fetches something else: nobody goes on with that upload.
    server.s.put_object(Bucket="account-s-bucket", Key="daily/other.csv", Body=b"other")
    ferry.write(source="s3://account-s-bucket/daily/other.csv")
    ferry.start()
    row = until(lambda: ended(ferry), "the end")
    assert row["state"] == "succeeded"
    assert not uploads(server)


def test_kill_9_resumes_or_restarts(ferry, server):
    rnd = random.Random(int(os.environ.get("S3FERRY_SEED", "1")))
    for i in range(KILLS):
        server.m.delete_object(Bucket="account-m-bucket", Key=KEY)
        ferry.start()
        ferry.ctl("run", "daily-report")
        time.sleep(rnd.random() * 0.5)  # the random point; nothing waits for it
        ferry.kill()
        ferry.start()
        row = until(lambda: ended(ferry), "the end")
        assert row["state"] == "succeeded", (i, row)
        assert arrived(server) == BODY, i
        ferry.stop()
        assert not uploads(server), i
