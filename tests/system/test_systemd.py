"""s3ferryd as a service of a real systemd: installed, started, reloaded, hung, stopped."""

import json
import os
import subprocess

import pytest

from conftest import BUILD, MOVER, RIGS, SANITIZED, Sandbox, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a container needs root")
CONF = "/usr/local/etc/s3ferry/s3ferry.yaml"
CONFIG = """version: 1
aws_credentials_file: "${{cred:aws}}"
profiles:
  partner: {{ role_arn: "arn:aws:iam::111111111111:role/src-reader", external_id: ferry-42,
             region: eu-west-1, endpoint_url: "{url}" }}
  ours: {{ role_arn: "arn:aws:iam::222222222222:role/dst-writer", region: eu-central-1,
          endpoint_url: "{url}" }}
jobs:
  daily-report:
    schedule: "cron(0 7 * * ? *)"
    timezone: Europe/Berlin
    timeout: {timeout}
    source: {{ profile: partner, url: "s3://account-s-bucket/daily/report.csv" }}
    destination: {{ profile: ours, url: "s3://account-m-bucket/incoming/" }}
"""
DROP_IN = """[Service]
WatchdogSec=2
LoadCredential=aws:/usr/local/etc/s3ferry/aws-credentials
"""
if SANITIZED:  # the unit lets nobody trace, which LeakSanitizer does at the end
    DROP_IN += "Environment=ASAN_OPTIONS=detect_leaks=0\n"
KEYS = f"[default]\naws_access_key_id = {MOVER[0]}\naws_secret_access_key = {MOVER[1]}\n"


class Machine:
    def __init__(self, folder):
        self.tmp = folder
        stage = folder / "stage"
        subprocess.run(["make", "-C", BUILD, "install", f"DESTDIR={stage}"], check=True,
                       capture_output=True, timeout=120)
        self.env = {**os.environ, "DIR": str(folder / "rig"), "STAGE": str(stage)}
        self.rig("up")

    def rig(self, *args, check=True):
        r = subprocess.run([RIGS / "systemd.sh", *args], env=self.env, capture_output=True,
                           text=True, timeout=90)
        assert r.returncode == 0 or not check, (args, r.stdout, r.stderr)
        return r

    def run(self, *args, check=True):
        return self.rig("run", *args, check=check)

    def write(self, path, text):
        f = self.tmp / "file"
        f.write_text(text)
        self.rig("put", str(f), path)

    def show(self, prop):
        return self.run("systemctl", "show", "-P", prop, "s3ferryd").stdout.strip()

    def journal(self):
        out = self.run("journalctl", "-u", "s3ferryd", "-o", "json").stdout
        return [json.loads(line) for line in out.splitlines()]


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    sandbox = Sandbox()
    sandbox.start(None)
    m = None
    try:
        m = Machine(tmp_path_factory.mktemp("systemd"))
        m.sandbox = sandbox
        m.run("systemd-sysusers")
        m.run("systemd-tmpfiles", "--create", "s3ferry.conf")
        m.run("journalctl", "--update-catalog")
        m.write("/usr/local/etc/s3ferry/aws-credentials", KEYS)
        m.write(CONF, CONFIG.format(url=sandbox.url, timeout="1h"))
        m.run("mkdir", "-p", "/etc/systemd/system/s3ferryd.service.d")
        m.write("/etc/systemd/system/s3ferryd.service.d/test.conf", DROP_IN)
        m.run("systemctl", "daemon-reload")
        yield m
    finally:
        if m:
            m.rig("down", check=False)
        sandbox.stop()


@pytest.fixture
def service(machine):
    machine.write(CONF, CONFIG.format(url=machine.sandbox.url, timeout="1h"))
    machine.run("systemctl", "reset-failed", "s3ferryd", check=False)
    machine.run("systemctl", "restart", "s3ferryd")
    return machine


def test_it_starts_runs_and_says_so(service):
    service.sandbox.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv",
                                 Body=b"day,sales\n")
    assert service.show("ActiveState") == "active"
    r = service.run("s3ferryctl", "--socket", "/run/s3ferry/io.s3ferry", "run",
                    "daily-report", "--wait", check=False)
    assert r.returncode == 0, (r.stdout, r.stderr, service.journal()[-5:])
    got = service.sandbox.m.get_object(Bucket="account-m-bucket", Key="incoming/report.csv")
    assert got["Body"].read() == b"day,sales\n"
    status = service.run("systemctl", "status", "s3ferryd").stdout
    assert "1 job" in status and "next daily-report" in status
    [end] = [e for e in service.journal() if e.get("S3FERRY_RESULT") == "succeeded"]
    assert (end["S3FERRY_JOB"], end["S3FERRY_OBJECTS"]) == ("daily-report", "1")
    assert end["MESSAGE_ID"] and end["PRIORITY"] == "5"
    explained = service.run("journalctl", "-x", "-u", "s3ferryd").stdout
    assert "Every object arrived" in explained


def test_reload_takes_the_good_and_keeps_the_old_for_the_bad(service):
    service.write(CONF, CONFIG.format(url=service.sandbox.url, timeout="2h"))
    service.run("systemctl", "reload", "s3ferryd")
    service.write(CONF, CONFIG.format(url=service.sandbox.url, timeout="two"))
    r = service.run("systemctl", "reload", "s3ferryd", check=False)
    assert r.returncode != 0
    assert service.show("ActiveState") == "active"
    lines = "\n".join(str(e["MESSAGE"]) for e in service.journal())
    assert f"{CONF}:12:14: error: jobs.daily-report.timeout" in lines
    status = service.run("s3ferryctl", "--socket", "/run/s3ferry/io.s3ferry", "--json",
                         "status").stdout
    assert [j["name"] for j in json.loads(status)["jobs"]] == ["daily-report"]


def test_a_hung_daemon_is_killed_and_started_again(service):
    before = int(service.show("NRestarts"))
    service.run("systemctl", "kill", "--signal=STOP", "--kill-who=main", "s3ferryd")
    until(lambda: int(service.show("NRestarts")) == before + 1, "the restart", 30)
    until(lambda: service.show("ActiveState") == "active", "the daemon", 30)


def test_a_bad_configuration_at_start_is_not_tried_again(service):
    service.run("systemctl", "stop", "s3ferryd")
    assert service.show("Result") == "success"
    service.write(CONF, "version: 7\n")
    assert service.run("systemctl", "start", "s3ferryd", check=False).returncode != 0
    assert (service.show("ExecMainStatus"), service.show("NRestarts")) == ("78", "0")
    assert service.show("ActiveState") == "failed"


def test_no_secret_is_in_the_journal(service):
    text = service.run("journalctl", "-o", "export").stdout
    assert "s3ferryd" in text and MOVER[1] not in text


def test_the_unit_is_clean(service):
    r = service.run("systemd-analyze", "verify", "s3ferryd.service", check=False)
    assert "s3ferry" not in r.stderr, r.stderr
