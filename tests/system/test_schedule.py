"""The scheduler as people steer it: the real daemon, slots a few seconds ahead."""

import datetime

import pytest

from conftest import only, until

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
