"""What may happen between the daemon and a server: damage, sessions that end, TLS."""

import os
import random
import subprocess
import time

import pytest
from botocore.exceptions import ClientError

from conftest import only, until
from faultproxy import Fault, FaultProxy

GET = b"GET /account-s-bucket/"
PUT = b"PUT /account-m-bucket/"
STS = b"POST / "
SIZE = 1_000_000


@pytest.fixture
def proxy(server):
    with FaultProxy(server.port) as p:
        yield p


@pytest.fixture
def ferry(daemon, proxy, server):
    """A daemon that reaches the server through the proxy, and an object to fetch."""
    daemon.body = os.urandom(SIZE)
    server.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=daemon.body)
    server.m.delete_object(Bucket="account-m-bucket", Key="incoming/report.csv")
    daemon.write(source_url=proxy.url, destination_url=proxy.url,
                 extra="    method: stream\n    overwrite: always")
    return daemon


def arrived(server, key="incoming/report.csv"):
    try:
        return server.m.get_object(Bucket="account-m-bucket", Key=key)["Body"].read()
    except ClientError as e:
        assert e.response["Error"]["Code"] == "NoSuchKey"


@pytest.mark.parametrize("size,part", [(SIZE, 1), ((64 << 20) + 1, 1), ((64 << 20) + 1, 3)])
def test_a_source_without_a_length_is_told_and_nothing_is_written(
        ferry, proxy, server, size, part):
    """Where its answer ends, nobody could say: it may be half of the object."""
    server.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=b"x" * size)
    match = GET if part == 1 else b"-%d\r\n" % ((part << 24) - 1)  # the end of its range
    proxy.faults.append(Fault(match, "chunk"))
    ferry.start()
    code, end = ferry.run()
    assert (code, end["verdict"]) == (1, "failed"), ferry.log()
    assert "no-length: the source does not tell the object's length" in end["message"]
    assert proxy.faults[0].struck == 1
    assert arrived(server) is None
    assert not server.m.list_multipart_uploads(Bucket="account-m-bucket").get("Uploads")


@pytest.mark.parametrize("fault,level,word", [
    (Fault(GET, "cut", at=40), "debug", "GetObject short"),
    (Fault(GET, "cut", at=SIZE // 2), "debug", "GetObject short"),
    (Fault(PUT, "cut", at=SIZE // 2, is_up=True), "debug", "PutObject reset"),
    (Fault(GET, "flip", at=SIZE // 2), "warning", "GetObject digest"),
], ids=["half a head", "half a body", "half an upload", "flipped"])
def test_damage_is_seen_and_mended(ferry, proxy, server, fault, level, word):
    """A request that failed is sent again, which is nobody's business; wrong bytes are."""
    proxy.faults.append(Fault(**vars(fault)))  # each test wears its own
    ferry.verbose = True
    ferry.start()
    code, end = ferry.run()
    assert (code, end["verdict"]) == (0, "succeeded")
    assert proxy.faults[0].struck == 1
    assert arrived(server) == ferry.body
    [line] = [x for x in ferry.log(level) if word in x]
    assert ("attempt 1 of 2" if level == "warning" else "again in ") in line
    assert len(ferry.log("warning")) == (1 if level == "warning" else 0)


def test_a_connection_that_ends_without_an_answer_is_replaced(ferry, proxy, server):
    proxy.faults += [Fault(GET, "cut")]
    ferry.start()
    assert ferry.run()[0] == 0
    assert proxy.faults[0].struck == 1
    assert arrived(server) == ferry.body
    # An end of a kept-alive connection is nobody's fault, that of a new one is an attempt.
    assert len(ferry.log("warning")) <= 1


def test_an_answer_lost_after_the_upload_costs_no_second_one(ferry, proxy, server):
    # A fault that never strikes counts the requests.
    proxy.faults += [Fault(PUT, "cut"), Fault(GET, "cut", at=SIZE * 9, times=9)]
    ferry.start()
    assert ferry.run()[0] == 0
    assert (proxy.faults[0].struck, proxy.faults[1].times) == (1, 8)
    assert arrived(server) == ferry.body
    assert ferry.log("warning") == []


def test_a_session_is_asked_for_again(ferry, proxy, server):
    proxy.faults += [Fault(STS, "cut", at=20, times=2)]
    ferry.start()
    assert ferry.run()[0] == 0
    assert proxy.faults[0].struck == 2
    assert arrived(server) == ferry.body


def test_damage_of_the_source_never_makes_an_object(ferry, proxy, server):
    proxy.faults += [Fault(GET, "flip", at=SIZE // 2, times=99)]
    ferry.start()
    code, end = ferry.run()
    assert (code, end["verdict"]) == (1, "failed")
    [line] = ferry.log("error")
    assert "the bytes read are not those the source declares" in line
    assert arrived(server) is None


def test_damage_of_an_upload_is_refused(ferry, proxy, server):
    proxy.faults += [Fault(PUT, "flip", at=SIZE // 2, times=99, is_up=True)]
    ferry.start()
    code, end = ferry.run()
    assert (code, end["verdict"]) == (77, "failed")
    [line] = ferry.log("error")
    assert "PutObject: 403 SignatureDoesNotMatch" in line
    assert "s3://account-m-bucket/incoming/report.csv" in line
    assert arrived(server) is None


def test_kill_9_in_the_middle_loses_nothing_and_shows_nothing(ferry, proxy, server):
    seed = int(os.environ.get("S3FERRY_SEED", "1"))
    rnd = random.Random(seed)

    def is_done():
        _, lines, _ = ferry.ctl("history", "-n", "1")
        return lines[0]["runs"][0]["state"] == "succeeded"

    for i in range(8):
        slow = Fault(GET, "rate", value=2e6)
        proxy.faults[:] = [slow]
        point = rnd.randrange(SIZE // 10, SIZE - SIZE // 10)
        ferry.start()
        ferry.ctl("run", "daily-report")
        until(lambda: slow.passed >= point, "the middle of the transfer")
        ferry.kill()
        assert arrived(server) is None, (seed, i)
        ferry.start()
        until(is_done, f"success after kill {i} of seed {seed}")
        assert arrived(server) == ferry.body, (seed, i)
        ferry.stop()
        server.m.delete_object(Bucket="account-m-bucket", Key="incoming/report.csv")


# --- sessions of seconds, which only servers other than AWS's give ---

def test_sessions_that_end_in_the_middle_are_renewed(ferry, proxy, server):
    """500 small objects, sessions of 3 s: nothing fails, STS is asked once a refresh."""
    names = [f"renew/{i:03d}" for i in range(500)]
    for name in names:
        server.s.put_object(Bucket="account-s-bucket", Key=name, Body=name.encode() * 4000)
    proxy.faults += [Fault(GET + b"renew/", "rate", value=60_000, times=9999)]
    ferry.write(source="s3://account-s-bucket/renew/", both="duration_seconds: 3",
                destination="s3://account-m-bucket/renewed/",
                source_url=proxy.url, destination_url=proxy.url)
    before = server.assumed()
    ferry.start()
    began = time.monotonic()
    code, end = ferry.run()
    seconds = time.monotonic() - began
    assert (code, end["objects_done"], end["verdict"]) == (0, len(names), "succeeded")
    until(lambda: server.assumed() - before >= 4, "more sessions than one a side")
    # Refreshed when half of a session is over, at the earliest; one link a side.
    assert server.assumed() - before <= 2 * (1 + seconds / 1.5)
    for name in names[::30] + names[-1:]:
        assert arrived(server, name.replace("renew", "renewed")) == name.encode() * 4000
    assert ferry.log("warning") == ferry.log("error") == []


@pytest.mark.parametrize("match", [GET, PUT], ids=["source", "destination"])
def test_a_session_refused_as_ended_is_renewed(ferry, proxy, server, match):
    # The request is on its way for longer than its session lives.
    proxy.faults += [Fault(match, "stall", value=2.5, is_up=True)]
    ferry.write(both="duration_seconds: 2", source_url=proxy.url, destination_url=proxy.url,
                extra="    method: stream\n    overwrite: always")
    before = server.assumed()
    ferry.start()
    assert ferry.run()[0] == 0
    assert proxy.faults[0].struck == 1
    assert arrived(server) == ferry.body
    until(lambda: server.assumed() - before >= 3, "a third session")
    assert ferry.log("error") == []


@only("rgw", "its chains, with external ids too, are in test_identity.py")
@pytest.mark.parametrize("length", [1, 2, 3])
def test_chains_of_roles(daemon, server, length):
    """Who signs for the source's bucket is the last of so many roles."""
    chain = ["222222222222:role/dst-writer", "111111111111:role/src-mover",
             "111111111111:role/src-reader"]
    hops = chain[-length:]
    server.s.put_object(Bucket="account-s-bucket", Key="chain", Body=b"chained")
    daemon.write(source="s3://account-s-bucket/chain", destination="s3://account-m-bucket/chain/",
                 extra="    overwrite: always")
    profiles = "".join(
        f'  hop-{i}: {{ role_arn: "arn:aws:iam::{hop}", region: eu-west-1, endpoint_url: '
        f'"{server.url}"{f", source_profile: hop-{i - 1}" if i else ""} }}\n'
        for i, hop in enumerate(hops))
    text = daemon.conf.read_text().replace("profiles:\n", "profiles:\n" + profiles)
    text = text.replace("source: { profile: partner", f"source: {{ profile: hop-{length - 1}")
    daemon.conf.write_text(text)
    before = server.assumed()
    daemon.start()
    code, end = daemon.run()
    assert (code, end["verdict"]) == (0, "succeeded"), daemon.log()
    assert arrived(server, "chain/chain") == b"chained"
    assert server.assumed() - before == length + 1  # and the destination's


# --- TLS ---

tls = only("rgw", "the sandbox speaks no TLS")


@tls
def test_both_sides_over_tls(ferry, server):
    ferry.write(source_url=server.tls_url, destination_url=server.tls_url,
                both=f"ca_bundle: {server.ca}")
    ferry.start()
    assert ferry.run()[0] == 0
    assert arrived(server) == ferry.body


@tls
@pytest.mark.parametrize("has_ca", [False, True], ids=["the system's", "another's"])
def test_a_wrong_ca_is_told_in_one_line(ferry, server, tmp_path, has_ca):
    other = tmp_path / "other.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=other",
                    "-keyout", tmp_path / "other.key", "-out", other],
                   check=True, capture_output=True)
    ferry.write(source_url=server.tls_url, both=f"ca_bundle: {other}" if has_ca else "")
    ferry.start()
    code, end = ferry.run()
    assert (code, end["verdict"]) == (1, "failed")
    [line] = ferry.log("error")
    for word in ("source", "AssumeRole", "certificate", "ca_bundle", server.tls_url):
        assert word in line, f"{word!r} is not in: {line}"
    assert ferry.log("warning") == []
