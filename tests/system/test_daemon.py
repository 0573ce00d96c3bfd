"""The real daemon against s3ferry-sandbox, with boto3 as the second client."""

import json
import os
import random
import signal
import socket
import subprocess
import time

import boto3
import pytest
from botocore.config import Config

BUILD = os.environ.get("S3FERRY_BUILD", "build")
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MOVER = ("AKIAMMOVER0000000001", "mMoverSecret+/0000000000000000000000001")
OWNER_S = ("AKIASOWNER0000000001", "sOwnerSecret+/0000000000000000000000001")
OWNER_M = ("AKIAMOWNER0000000001", "mOwnerSecret+/0000000000000000000000001")
KILLS = int(os.environ.get("S3FERRY_KILLS", "10"))


class Sandbox:
    def __init__(self):
        self.proc = subprocess.Popen(
            [f"{BUILD}/src/s3ferry-sandbox", "--listen", "127.0.0.1:0",
             "--accounts", f"{TOP}/etc/sandbox-accounts.json"],
            stdout=subprocess.PIPE, text=True)
        line = self.proc.stdout.readline()
        self.url = "http://" + line.split()[1]
        self.s = self.client(*OWNER_S)
        self.m = self.client(*OWNER_M)

    def client(self, key, secret):
        return boto3.client(
            "s3", endpoint_url=self.url, region_name="eu-west-1",
            aws_access_key_id=key, aws_secret_access_key=secret,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}))

    def stop(self):
        self.proc.kill()
        self.proc.wait()


@pytest.fixture(scope="session")
def sandbox():
    s = Sandbox()
    yield s
    s.stop()


class Daemon:
    """s3ferryd with a configuration, a state directory and a socket of its own."""

    def __init__(self, tmp, url):
        self.tmp, self.url = tmp, url
        self.conf = tmp / "s3ferry.yaml"
        self.sock = str(tmp / "io.s3ferry")
        self.log_path = tmp / "log"
        self.proc = None

    def write(self, source="s3://account-s-bucket/daily/report.csv",
              destination="s3://account-m-bucket/incoming/", external_id="ferry-42",
              role="src-reader", source_url=None, extra=""):
        url = source_url or self.url
        self.conf.write_text(f"""version: 1
profiles:
  partner: {{ role_arn: "arn:aws:iam::111111111111:role/{role}", external_id: "{external_id}",
             region: eu-west-1, endpoint_url: "{url}" }}
  ours: {{ role_arn: "arn:aws:iam::222222222222:role/dst-writer", region: eu-central-1,
          endpoint_url: "{self.url}" }}
jobs:
  daily-report:
    schedule: "cron(0 7 * * ? *)"
    timezone: Europe/Berlin
    retry: {{ attempts: 2, backoff: 1s, max_backoff: 1s }}
{extra}
    source: {{ profile: partner, url: {json.dumps(source)} }}
    destination: {{ profile: ours, url: {json.dumps(destination)} }}
""")

    def start(self, keys=MOVER):
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = str(self.tmp / f"notify{time.monotonic_ns()}")
        notify.bind(path)
        notify.settimeout(20)
        env = {"PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": keys[0],
               "AWS_SECRET_ACCESS_KEY": keys[1], "NOTIFY_SOCKET": path}
        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen(
                [f"{BUILD}/src/s3ferryd", "-c", str(self.conf), "--state-dir",
                 str(self.tmp / "state"), "--socket", self.sock], stderr=log, env=env)
        while b"READY=1" not in notify.recv(4096):
            pass
        notify.close()
        return self

    def stop(self):
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            assert self.proc.wait(40) == 0

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def ctl(self, *args):
        r = subprocess.run([f"{BUILD}/src/s3ferryctl", "--socket", self.sock, "--json", *args],
                           capture_output=True, text=True, timeout=60)
        lines = [json.loads(line) for line in r.stdout.splitlines()]
        return r.returncode, lines, r.stderr

    def run(self):
        code, lines, err = self.ctl("run", "daily-report", "--wait")
        assert lines, err
        return code, lines[-1]

    def log(self):
        return self.log_path.read_text()

    def error_line(self):
        return [line for line in self.log().splitlines() if " error " in line][-1]


@pytest.fixture
def daemon(tmp_path, sandbox):
    d = Daemon(tmp_path, sandbox.url)
    d.write()
    yield d
    d.stop()


def test_the_daily_pull(daemon, sandbox):
    body = os.urandom(300_000)
    sandbox.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=body,
                         ContentType="text/csv", Metadata={"who": "partner"})
    daemon.start()
    code, end = daemon.run()
    assert (code, end["verdict"], end["bytes_done"]) == (0, "succeeded", len(body))
    got = sandbox.m.get_object(Bucket="account-m-bucket", Key="incoming/report.csv")
    assert got["Body"].read() == body
    assert (got["ContentType"], got["Metadata"]) == ("text/csv", {"who": "partner"})
    code, lines, _ = daemon.ctl("status")
    job = lines[0]["jobs"][0]
    assert (code, job["state"], job["last"]["state"]) == (0, "idle", "succeeded")
    code, lines, _ = daemon.ctl("history")
    assert [r["state"] for r in lines[0]["runs"]] == ["succeeded"]


@pytest.mark.parametrize("key", [
    "with space", "a+b", "100%", "%20", "a//b", "a/../b", "ümläut/ß", "x" * 1000,
    "q?u=e&r#y", "<&'\">", "trailing."])
def test_hostile_keys_arrive_byte_for_byte(daemon, sandbox, key):
    sandbox.s.put_object(Bucket="account-s-bucket", Key="odd/" + key, Body=key.encode())
    daemon.write(source="s3://account-s-bucket/odd/" + key,
                 destination="s3://account-m-bucket/odd/" + key)
    daemon.start()
    assert daemon.run()[0] == 0
    got = sandbox.m.get_object(Bucket="account-m-bucket", Key="odd/" + key)
    assert got["Body"].read() == key.encode()


def test_an_empty_object_arrives(daemon, sandbox):
    sandbox.s.put_object(Bucket="account-s-bucket", Key="empty", Body=b"")
    daemon.write(source="s3://account-s-bucket/empty")
    daemon.start()
    assert daemon.run()[0] == 0
    assert sandbox.m.head_object(Bucket="account-m-bucket",
                                 Key="incoming/empty")["ContentLength"] == 0


def test_a_prefix_arrives_whole(daemon, sandbox):
    names = [f"many/{i:04d}" for i in range(1100)]  # more than one page
    for n in names:
        sandbox.s.put_object(Bucket="account-s-bucket", Key=n, Body=n.encode())
    daemon.write(source="s3://account-s-bucket/many/", destination="s3://account-m-bucket/all/")
    daemon.start()
    code, end = daemon.run()
    assert (code, end["objects_done"]) == (0, len(names))
    assert sandbox.m.get_object(Bucket="account-m-bucket",
                                Key="all/1099")["Body"].read() == b"many/1099"


# Each: what is wrong, how the configuration says it, and what the one log line must name.
FAILURES = {
    "wrong external id": (dict(external_id="wrong-1"), 77,
                          ["source", "AssumeRole", "AccessDenied", "src-reader", "external_id",
                           "hop 1", "111111111111"]),
    "no such role": (dict(role="nobody"), 77, ["AssumeRole", "nobody", "AccessDenied"]),
    "missing bucket": (dict(source="s3://no-such-bucket-here/k"), None, ["NoSuchBucket"]),
    "missing key": (dict(source="s3://account-s-bucket/not/there"), 66,
                    ["GetObject", "404", "NoSuchKey", "AWS_REQUEST_ID="]),
    "write not allowed": (dict(destination="s3://account-s-bucket/x/"), 77,
                          ["destination", "PutObject", "AccessDenied", "AWS_REQUEST_ID="]),
    "unknown host": (dict(source_url="http://no-such-host.invalid:9"), 75, ["resolve", "DNS"]),
    "closed port": (dict(source_url="http://127.0.0.1:9"), 75, ["connect"]),
}


@pytest.mark.parametrize("case", FAILURES)
def test_each_failure_says_why(daemon, sandbox, case):
    change, want_code, words = FAILURES[case]
    sandbox.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=b"x")
    daemon.write(**change)
    daemon.start()
    code, end = daemon.run()
    assert end["verdict"] == "failed"
    assert code == want_code or want_code is None
    line = daemon.error_line()
    for word in ["daily-report", "JOB=daily-report", *words]:
        assert word in line, f"{word!r} is not in: {line}"


def test_wrong_base_keys_are_named(daemon, sandbox):
    daemon.start(keys=(MOVER[0], "wrong"))
    code, end = daemon.run()
    assert (code, end["verdict"]) == (77, "failed")
    assert "SignatureDoesNotMatch" in daemon.error_line()


def test_reload_takes_a_good_file_and_refuses_a_bad_one(daemon):
    daemon.start()
    daemon.write(extra="    timeout: 2h")
    code, lines, _ = daemon.ctl("reload")
    assert code == 0 and "daily-report: timeout" in lines[0]["changes"]
    daemon.conf.write_text(daemon.conf.read_text().replace("timezone:", "timezoen:"))
    code, _, err = daemon.ctl("reload")
    assert code == 78
    assert f"{daemon.conf}:10:5: error" in err and "did you mean 'timezone'?" in err
    code, lines, _ = daemon.ctl("status")
    assert "timezoen" in lines[0]["config"]["error"]
    assert [j["name"] for j in lines[0]["jobs"]] == ["daily-report"]


def test_a_second_daemon_is_refused(daemon, tmp_path):
    daemon.start()
    r = subprocess.run([f"{BUILD}/src/s3ferryd", "-c", str(daemon.conf), "--state-dir",
                        str(tmp_path / "state"), "--socket", str(tmp_path / "other")],
                       capture_output=True, text=True, timeout=20)
    assert r.returncode == 75
    assert str(daemon.proc.pid) in r.stderr


def test_no_secret_is_left_behind(daemon, sandbox):
    sandbox.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=b"x")
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


def test_kill_9_loses_nothing(daemon, sandbox):
    seed = int(os.environ.get("S3FERRY_SEED", "1"))
    rnd = random.Random(seed)
    body = os.urandom(20_000_000)
    sandbox.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=body)
    for i in range(KILLS):
        sandbox.m.delete_object(Bucket="account-m-bucket", Key="incoming/report.csv")
        daemon.start()
        daemon.ctl("run", "daily-report")
        time.sleep(rnd.random() * 0.08)  # the random point; nothing waits for it
        daemon.kill()
        daemon.start()
        deadline = time.monotonic() + 30
        while True:
            _, lines, _ = daemon.ctl("history", "-n", "1")
            if lines[0]["runs"][0]["state"] == "succeeded":
                break
            assert time.monotonic() < deadline, (seed, i, lines)
        got = sandbox.m.get_object(Bucket="account-m-bucket", Key="incoming/report.csv")
        assert got["Body"].read() == body, (seed, i)
        daemon.stop()
    uploads = sandbox.m.list_multipart_uploads(Bucket="account-m-bucket")
    assert not uploads.get("Uploads")
