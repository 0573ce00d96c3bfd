"""The real daemon against s3ferry-sandbox and Ceph RGW, with boto3 as the second client."""

import os
import random
import subprocess
import time

import pytest
from botocore.exceptions import ClientError

from conftest import BUILD, MOVER, STRANGER, only, until

KILLS = {"sandbox": int(os.environ.get("S3FERRY_KILLS", "10")), "rgw": 8}
# Tests of what has nothing to do with S3 run against one server.
once = only("sandbox", "it would show the same with any server")


def read(server, key):
    return server.m.get_object(Bucket="account-m-bucket", Key=key)["Body"].read()


def test_the_daily_pull(daemon, server):
    body = os.urandom(300_000)
    server.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=body,
                        ContentType="text/csv", CacheControl="max-age=9",
                        ContentLanguage="de", Metadata={"who": "partner"})
    daemon.start()
    code, end = daemon.run()
    assert (code, end["verdict"], end["bytes_done"]) == (0, "succeeded", len(body))
    got = server.m.get_object(Bucket="account-m-bucket", Key="incoming/report.csv")
    assert got["Body"].read() == body
    assert (got["ContentType"], got["Metadata"]) == ("text/csv", {"who": "partner"})
    assert (got["CacheControl"], got["ContentLanguage"]) == ("max-age=9", "de")
    code, lines, _ = daemon.ctl("status")
    job = lines[0]["jobs"][0]
    assert (code, job["state"], job["last"]["state"]) == (0, "idle", "succeeded")
    code, lines, _ = daemon.ctl("history")
    assert [r["state"] for r in lines[0]["runs"]] == ["succeeded"]


@pytest.mark.parametrize("key", [
    "with space", "a+b", "100%", "%20", "a//b", "a/../b", "ümläut/ß", "日本語 €",
    "x" * 1020, "q?u=e&r#y", "<&'\">", "trailing."])
def test_hostile_keys_arrive_byte_for_byte(daemon, server, key):
    server.s.put_object(Bucket="account-s-bucket", Key="odd/" + key, Body=key.encode())
    daemon.write(source="s3://account-s-bucket/odd/" + key,
                 destination="s3://account-m-bucket/odd/" + key)
    daemon.start()
    assert daemon.run()[0] == 0
    assert read(server, "odd/" + key) == key.encode()


def test_an_empty_object_arrives(daemon, server):
    server.s.put_object(Bucket="account-s-bucket", Key="empty", Body=b"")
    daemon.write(source="s3://account-s-bucket/empty")
    daemon.start()
    assert daemon.run()[0] == 0
    assert read(server, "incoming/empty") == b""


def test_a_prefix_arrives_whole(daemon, server):
    names = [f"many/{i:04d}" for i in range(1100)]  # more than one page
    for n in names:
        server.s.put_object(Bucket="account-s-bucket", Key=n, Body=n.encode())
    daemon.write(source="s3://account-s-bucket/many/", destination="s3://account-m-bucket/all/")
    daemon.start()
    code, end = daemon.run()
    assert (code, end["objects_done"]) == (0, len(names))
    assert server.m.get_object(Bucket="account-m-bucket",
                                Key="all/1099")["Body"].read() == b"many/1099"


# Each: what is wrong, how the configuration says it, the exit status, and what the one log
# line must name. Where the servers differ, it is AWS's way in the sandbox.
MISSING_ROLE = dict(role="nobody")
FAILURES = {
    "both": {
        "missing bucket": (dict(source="s3://no-such-bucket-here/k"), 66, ["NoSuchBucket"]),
        "missing key": (dict(source="s3://account-s-bucket/not/there"), 66,
                        ["GetObject", "404", "NoSuchKey", "AWS_REQUEST_ID="]),
        "missing destination bucket": (dict(destination="s3://no-such-bucket-here/"), 66,
                                       ["destination", "PutObject", "NoSuchBucket"]),
        "write not allowed": (dict(destination="FORBIDDEN"), 77,
                              ["destination", "PutObject", "AccessDenied", "AWS_REQUEST_ID="]),
        "closed port": (dict(source_url="http://127.0.0.1:9"), 75, ["connect"]),
    },
    "sandbox": {
        "wrong external id": (dict(external_id="wrong-1"), 77,
                              ["source", "AssumeRole", "AccessDenied", "src-reader",
                               "external_id", "hop 1", "111111111111"]),
        "no such role": (MISSING_ROLE, 77, ["AssumeRole", "nobody", "AccessDenied"]),
        "unknown host": (dict(source_url="https://no-such-host.invalid:9"), 75,
                         ["resolve", "DNS"]),
    },
    "rgw": {
        "role of somebody else": (dict(role="src-closed"), 77,
                                  ["source", "AssumeRole", "AccessDenied", "src-closed",
                                   "hop 1", "111111111111"]),
        # RGW 16.2 denies every ExternalId that a role asks for, the right one too.
        "external id": (dict(role="src-extid"), 77,
                        ["AssumeRole", "AccessDenied", "src-extid", "external_id"]),
        # AWS and the sandbox do not tell whether a role is missing; RGW does.
        "no such role": (MISSING_ROLE, 77, ["AssumeRole", "nobody", "NoSuchEntity"]),
    },
}


@pytest.mark.parametrize("server,case", [
    (server, case) for server in ("sandbox", "rgw")
    for case in [*FAILURES["both"], *FAILURES[server]]], indirect=["server"], scope="session")
def test_each_failure_says_why(daemon, server, case):
    change, want_code, words = {**FAILURES["both"], **FAILURES[server.name]}[case]
    server.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=b"x")
    daemon.write(**{k: server.forbidden if v == "FORBIDDEN" else v
                    for k, v in change.items()})
    daemon.start()
    code, end = daemon.run()
    assert (code, end["verdict"]) == (want_code, "failed")
    [line] = daemon.log("error")
    for word in ["daily-report", "JOB=daily-report", *words]:
        assert word in line, f"{word!r} is not in: {line}"


@pytest.mark.parametrize("keys,word", [
    ((MOVER[0], "wrong"), {"SignatureDoesNotMatch"}),
    # STS of AWS calls it by the first name, RGW by S3's.
    (("AKIAUNKNOWN000000001", "x"), {"InvalidClientTokenId", "InvalidAccessKeyId"}),
    (STRANGER, {"AccessDenied"}),
], ids=["wrong secret", "unknown key", "a stranger"])
def test_wrong_base_keys_are_named(daemon, keys, word):
    daemon.start(keys=keys)
    code, end = daemon.run()
    assert (code, end["verdict"]) == (77, "failed")
    [line] = daemon.log("error")
    assert any(w in line for w in word) and "AssumeRole" in line, line


def test_a_base_session_that_has_ended_is_named(daemon, server):
    answer = server.client(*MOVER, service="sts").assume_role(
        RoleArn="arn:aws:iam::222222222222:role/dst-writer", RoleSessionName="base",
        DurationSeconds=1)["Credentials"]
    keys = answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"]

    def is_over():
        try:
            server.client(*keys).list_objects_v2(Bucket="account-m-bucket")
        except ClientError:
            return True

    until(is_over, "end of the session")
    daemon.start(keys=keys)
    code, end = daemon.run()
    assert (code, end["verdict"]) == (77, "failed")
    [line] = daemon.log("error")
    # RGW has no word of its own for an ended session.
    assert {"sandbox": "ExpiredToken", "rgw": "InvalidAccessKeyId"}[server.name] in line


@once
def test_reload_takes_a_good_file_and_refuses_a_bad_one(daemon):
    daemon.start()
    daemon.write(extra="    timeout: 2h")
    code, lines, _ = daemon.ctl("reload")
    assert code == 0 and "daily-report: timeout" in lines[0]["changes"]
    text = daemon.conf.read_text().replace("timezone:", "timezoen:")
    daemon.conf.write_text(text)
    row = text[:text.index("timezoen")].count("\n") + 1
    code, _, err = daemon.ctl("reload")
    assert code == 78
    assert f"{daemon.conf}:{row}:5: error" in err and "did you mean 'timezone'?" in err
    code, lines, _ = daemon.ctl("status")
    assert "timezoen" in lines[0]["config"]["error"]
    assert [j["name"] for j in lines[0]["jobs"]] == ["daily-report"]


@once
def test_reload_says_what_waits_for_the_next_start(daemon):
    daemon.start()
    text = daemon.conf.read_text()
    daemon.conf.write_text(text + "engines: 2\nmax_parallel_runs: 3\n")
    changes = daemon.ctl("reload")[1][0]["changes"]
    assert changes == "~ max_parallel_runs\n~ engines: takes effect at the next start\n"
    # Until then it is said each time.
    assert daemon.ctl("reload")[1][0]["changes"] == "~ engines: takes effect at the next start\n"
    daemon.conf.write_text(text)
    assert daemon.ctl("reload")[1][0]["changes"] == "~ max_parallel_runs\n"
    assert daemon.ctl("reload")[1][0]["changes"] == "nothing changed\n"


@once
def test_a_second_daemon_is_refused(daemon, tmp_path):
    daemon.start()
    r = subprocess.run([f"{BUILD}/src/s3ferryd", "-c", str(daemon.conf), "--state-dir",
                        str(tmp_path / "state"), "--socket", str(tmp_path / "other")],
                       capture_output=True, text=True, timeout=20)
    assert r.returncode == 75
    assert str(daemon.proc.pid) in r.stderr


def test_no_secret_is_left_behind(daemon, server):
    server.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=b"x")
    daemon.start()
    daemon.run()
    secret = MOVER[1].encode()
    with open(f"/proc/{daemon.proc.pid}/environ", "rb") as f:
        assert secret not in f.read()
    for root, _, files in os.walk(daemon.tmp):
        for name in files:
            path = os.path.join(root, name)
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    assert secret not in f.read(), path


def test_kill_9_loses_nothing(daemon, server):
    seed = int(os.environ.get("S3FERRY_SEED", "1"))
    rnd = random.Random(seed)
    body = os.urandom(20_000_000)
    server.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=body)

    def has_arrived():
        _, lines, _ = daemon.ctl("history", "-n", "1")
        return lines[0]["runs"][0]["state"] == "succeeded"

    for i in range(KILLS[server.name]):
        server.m.delete_object(Bucket="account-m-bucket", Key="incoming/report.csv")
        daemon.start()
        daemon.ctl("run", "daily-report")
        time.sleep(rnd.random() * 0.08)  # the random point; nothing waits for it
        daemon.kill()
        daemon.start()
        until(has_arrived, f"success after kill {i} of seed {seed}")
        assert read(server, "incoming/report.csv") == body, (seed, i)
        daemon.stop()
    uploads = server.m.list_multipart_uploads(Bucket="account-m-bucket")
    assert not uploads.get("Uploads")
