"""The scheduler as people steer it: the real daemon, slots a few seconds ahead."""

import datetime

import pytest

from conftest import only, until
from test_multipart import BODY, parts_stored, uploads

SANDBOX = only("sandbox", "the scheduler knows nothing of the server")


def seconds_ahead(n):
    due = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=n)
    return f"{due:%Y-%m-%dT%H:%M:%S}"


def write_jobs(daemon, **jobs):
    """Jobs with an object each; the value is further keys of the job, in YAML's {} form."""
    text = daemon.conf.read_text()
    for name, keys in jobs.items():
        text += f"""  {name}: {{ {keys}, retry: {{ attempts: 1 }},
    source: {{ profile: partner, url: "s3://account-s-bucket/daily/report.csv" }},
    destination: {{ profile: ours, url: "s3://account-m-bucket/{name}/" }} }}
"""
    daemon.conf.write_text(text)


def history(daemon, job):
    """(state, reason, trigger, count), oldest first."""
    runs = daemon.ctl("history", job, "-n", "100")[1][0]["runs"]
    return [(r["state"], r["reason"], r["trigger"], r["count"]) for r in reversed(runs)]


def status(daemon, job):
    return next(j for j in daemon.ctl("status")[1][0]["jobs"] if j["name"] == job)


@pytest.fixture
def source(server):
    server.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=b"a,b\n")


@SANDBOX
def test_slots_of_a_pause_never_run(daemon, source):
    write_jobs(daemon, twice=f'schedule: ["at({seconds_ahead(3)})", "at({seconds_ahead(4)})"]')
    daemon.start()
    assert daemon.ctl("pause", "twice")[1] == [{"jobs": ["twice"], "until": None}]
    assert status(daemon, "twice")["state"] == "paused"
    daemon.kill()
    daemon.start()  # it is in the state
    assert status(daemon, "twice")["state"] == "paused"
    assert daemon.ctl("run", "twice", "--wait")[0] == 0  # by hand it runs
    assert daemon.ctl("reload")[0] == 0
    passed = datetime.datetime.now() + datetime.timedelta(seconds=5)
    until(lambda: datetime.datetime.now() > passed, "two slots")
    assert history(daemon, "twice") == [("succeeded", "", "manual", 1)]
    assert daemon.ctl("resume", "twice")[1] == [{"jobs": ["twice"], "until": None}]
    until(lambda: len(history(daemon, "twice")) == 2, "the row of the pause")
    assert history(daemon, "twice")[1] == ("skipped", "paused", "schedule", 2)
    assert daemon.ctl("resume", "twice")[1] == [{"jobs": [], "until": None}]


@SANDBOX
def test_a_pause_ends_by_itself(daemon, source):
    write_jobs(daemon, once=f'schedule: "at({seconds_ahead(6)})"')
    daemon.start()
    code, answer, _ = daemon.ctl("pause", "--all", "--for", "2s")
    assert (code, answer[0]["jobs"]) == (0, ["daily-report", "once"])
    assert status(daemon, "once")["paused_until"] == answer[0]["until"]
    until(lambda: status(daemon, "once")["state"] == "idle", "the end of the pause")
    until(lambda: history(daemon, "once") == [("succeeded", "", "schedule", 1)], "the slot")


@SANDBOX
def test_what_cannot_be_paused_says_why(daemon):
    write_jobs(daemon, off='every: 1h, paused: true')
    daemon.start()
    assert daemon.ctl("pause", "dayly-report")[0] == 66
    assert daemon.ctl("pause")[0] == 64
    code, _, err = daemon.ctl("resume", "off")
    assert code == 78 and "paused: true" in err


@SANDBOX
def test_a_job_follows_others(daemon, source):
    write_jobs(daemon, a="paused: false", b="paused: false", c="after: [a, b]", d="after: c")
    daemon.start()
    for job in "aab":
        assert daemon.ctl("run", job, "--wait")[0] == 0
    until(lambda: history(daemon, "d") == [("succeeded", "", "after", 1)], "the last")
    assert history(daemon, "c") == [("succeeded", "", "after", 1)]
    newest = daemon.ctl("history", "b")[1][0]["runs"][0]["nominal_at"]
    assert daemon.ctl("history", "d")[1][0]["runs"][0]["nominal_at"] == newest
    assert daemon.ctl("run", "b", "--wait")[0] == 0  # a has not succeeded again
    daemon.stop()
    daemon.start()
    assert daemon.ctl("run", "a", "--wait")[0] == 0  # b's success was kept
    until(lambda: len(history(daemon, "d")) == 2, "once more")
    assert status(daemon, "c")["after"] == ["a", "b"]


@SANDBOX
def test_a_failure_and_a_pause_stop_the_chain(daemon, server, source):
    write_jobs(daemon, a="paused: false", b="after: a")
    daemon.start()
    server.s.delete_object(Bucket="account-s-bucket", Key="daily/report.csv")
    assert daemon.ctl("run", "a", "--wait")[0] != 0
    server.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=b"a,b\n")
    daemon.ctl("pause", "b")
    assert daemon.ctl("run", "a", "--wait")[0] == 0
    until(lambda: history(daemon, "b") == [("skipped", "paused", "after", 1)], "the skip")
    daemon.ctl("resume", "b")
    assert daemon.ctl("run", "a", "--wait")[0] == 0
    until(lambda: history(daemon, "b")[1:] == [("succeeded", "", "after", 1)], "the run")


def hours(is_open, at_end="pause"):
    now = datetime.datetime.now(datetime.timezone.utc)
    start = now + datetime.timedelta(hours=-2 if is_open else 2)
    end = start + datetime.timedelta(hours=4)
    return f'window: {{ start: "{start:%H:%M}", end: "{end:%H:%M}", at_end: {at_end} }}'


@SANDBOX
def test_a_slot_waits_for_its_window(daemon, source):
    text = daemon.conf.read_text()
    slot = f'schedule: ["at({seconds_ahead(2)})", "at({seconds_ahead(4)})"]'
    write_jobs(daemon, nightly=f"{slot}, {hours(False)}")
    daemon.start()
    until(lambda: len(history(daemon, "nightly")) == 2, "two slots")
    assert history(daemon, "nightly") == [("cancelled", "superseded", "schedule", 1),
                                          ("parked", "window", "schedule", 1)]
    assert status(daemon, "nightly")["state"] == "parked"
    daemon.kill()
    daemon.start()
    assert status(daemon, "nightly")["state"] == "parked"
    daemon.conf.write_text(text)
    write_jobs(daemon, nightly=f"{slot}, {hours(True)}")
    assert daemon.ctl("reload")[0] == 0
    until(lambda: history(daemon, "nightly")[1] == ("succeeded", "", "schedule", 1), "the run")


@SANDBOX
@pytest.mark.parametrize("at_end", ["pause", "cancel"])
def test_a_window_ends_a_run(daemon, server, at_end):
    def write(is_open):
        daemon.conf.write_text(text)
        write_jobs(daemon, nightly=f"{slot}, {hours(is_open, at_end)}")
        assert not daemon.proc or daemon.ctl("reload")[0] == 0

    def row():
        return history(daemon, "nightly")[-1]
    server.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=BODY)
    server.m.delete_object(Bucket="account-m-bucket", Key="nightly/report.csv")
    server.faults((dict(operation="UploadPart", skip=4, count=20), dict(stall_at=10_000)))
    text, slot = daemon.conf.read_text(), f'schedule: "at({seconds_ahead(2)})"'
    write(True)
    daemon.start()
    until(lambda: uploads(server) and parts_stored(server) == 4, "four parts stored")
    write(False)
    if at_end == "cancel":
        until(lambda: row() == ("cancelled", "window", "schedule", 1), "the end")
        server.faults()
        until(lambda: not uploads(server), "no upload left")
        return
    until(lambda: row() == ("parked", "window", "schedule", 1), "the pause")
    server.faults()
    assert parts_stored(server) == 4
    write(True)
    until(lambda: row() == ("succeeded", "", "schedule", 1), "the end")
    assert any("4 of 7 parts were there already" in line for line in daemon.log())
    assert not uploads(server)
