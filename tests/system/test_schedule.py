"""The scheduler as people steer it: the real daemon, slots a few seconds ahead."""

import datetime
import os
import sqlite3
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from conftest import BUILD, only, until
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
    # New each time, so that no destination has it yet.
    server.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=os.urandom(8))
    yield
    server.faults()  # those of a test that failed are not the next one's


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


def past(days):
    day = datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=days)
    return day.isoformat()


@SANDBOX
def test_a_backfill_runs_past_dates(daemon, source):
    write_jobs(daemon, daily='schedule: "0 0 * * *"', late="after: daily")
    daemon.start()
    dry = daemon.ctl("backfill", "daily", past(5), past(2), "--dry-run")[1][0]
    assert [s["local"] for s in dry["slots"]] == [f"{past(n)} 00:00" for n in (5, 4, 3, 2)]
    assert (dry["count"], dry["done"], history(daemon, "daily")) == (4, 0, [])
    assert daemon.ctl("run", "daily", "--wait", "--date", past(4))[0] == 0
    until(lambda: len(history(daemon, "late")) == 1, "the job that follows")
    assert daemon.ctl("backfill", "daily", past(5), past(2))[1] == [
        {"job": "daily", "count": 3, "done": 1}]
    until(lambda: len(history(daemon, "daily")) == 4, "three more")
    until(lambda: {h[0] for h in history(daemon, "daily")} == {"succeeded"}, "their ends")
    rows = daemon.ctl("history", "daily")[1][0]["runs"]
    assert [(r["nominal_at"][:10], r["trigger"]) for r in reversed(rows)] == [
        (past(4), "manual"), (past(5), "backfill"), (past(3), "backfill"), (past(2), "backfill")]
    assert len({r["slot"] for r in rows}) == 4
    assert len(history(daemon, "late")) == 1  # nobody follows a backfill
    assert daemon.ctl("backfill", "daily", past(5), past(2))[1][0]["count"] == 0
    assert daemon.ctl("backfill", "daily", past(3), past(3), "--again")[1][0]["count"] == 1
    until(lambda: len(history(daemon, "daily")) == 5, "once more")


@SANDBOX
def test_a_backfill_names_keys_by_the_date_of_each_slot(daemon, server):
    """In the job's zone: its midnight is the day before in UTC."""
    def day(n, form):
        return (datetime.date(2026, 3, 28) + datetime.timedelta(days=n)).strftime(form)

    for n in range(-1, 4):
        server.s.put_object(Bucket="account-s-bucket", Key=f"dates/{day(n, '%Y/%m/%d')}.csv",
                            Body=day(n, "%F").encode())
    text = daemon.conf.read_text()
    daemon.conf.write_text(text + """  dated:
    schedule: "0 0 * * *"
    timezone: Europe/Berlin
    source: { profile: partner, url: "s3://account-s-bucket/dates/${date-1d:%Y/%m/%d}.csv" }
    destination: { profile: ours, url: "s3://account-m-bucket/dated/dt=${date:%F}/in.csv" }
""")
    daemon.start()
    assert daemon.ctl("run", "dated", "--wait", "--date", day(0, "%F"))[0] == 0
    assert daemon.ctl("backfill", "dated", day(0, "%F"), day(3, "%F"))[1][0]["count"] == 3
    until(lambda: [h[0] for h in history(daemon, "dated")] == ["succeeded"] * 4, "four dates")
    listed = server.m.list_objects_v2(Bucket="account-m-bucket", Prefix="dated/")["Contents"]
    assert {o["Key"]: server.m.get_object(Bucket="account-m-bucket", Key=o["Key"])["Body"].read()
            for o in listed} == {f"dated/dt={day(n, '%F')}/in.csv": day(n - 1, "%F").encode()
                                 for n in range(4)}


@SANDBOX
def test_a_backfill_survives_a_crash_and_can_be_cancelled(daemon, server, source):
    write_jobs(daemon, daily='schedule: "0 0 * * *"')
    server.faults((dict(operation="GetObject", count=1000), dict(stall_at=1)))
    daemon.start()
    assert daemon.ctl("backfill", "daily", past(6), past(2))[0] == 0
    until(lambda: status(daemon, "daily")["state"] == "running", "the first date")
    assert status(daemon, "daily")["backfill"]["left"] == 4
    code, _, err = daemon.ctl("backfill", "daily", past(9), past(8))
    assert code == 75 and "under way" in err
    daemon.kill()
    daemon.start()
    until(lambda: status(daemon, "daily")["state"] == "running", "the first date again")
    assert history(daemon, "daily") == [("running", "interrupted", "backfill", 1)]
    # A slot of another job is not held up by it.
    write_jobs(daemon, soon=f'schedule: "at({seconds_ahead(6)})"')
    assert daemon.ctl("reload")[0] == 0
    until(lambda: history(daemon, "soon")[:1] and history(daemon, "soon")[0][0] == "running",
          "the slot")
    run = daemon.ctl("history", "daily")[1][0]["runs"][0]["run"]
    assert daemon.ctl("cancel", run)[1][0]["backfill"] is False
    until(lambda: len(history(daemon, "daily")) == 2, "the second date")
    assert daemon.ctl("cancel", "daily")[1][0]["backfill"] is True
    until(lambda: [h[0] for h in history(daemon, "daily")] == ["cancelled"] * 2, "the end")
    assert "backfill" not in status(daemon, "daily")
    daemon.ctl("cancel", "soon")


@SANDBOX
def test_dates_that_cannot_be_backfilled_say_why(daemon):
    write_jobs(daemon, often='every: 1m', byhand="paused: false")
    daemon.start()
    assert daemon.ctl("backfill", "ofen", past(2), past(1))[0] == 66
    code, _, err = daemon.ctl("backfill", "often", past(30), past(1))
    assert code == 64 and "10,000" in err
    code, _, err = daemon.ctl("backfill", "byhand", past(2), past(1))
    assert code == 78 and "no schedule" in err
    code, _, err = daemon.ctl("backfill", "often", "yesterday", past(1))
    assert code == 64 and "'yesterday' is no date" in err
    assert daemon.ctl("run", "often", "--date", "2026-02-30")[0] == 64
    assert daemon.ctl("backfill", "often", past(-2), past(-3))[1][0]["count"] == 0


def preview(daemon, *args):
    code, lines, err = daemon.ctl(*args)
    return code, lines[0] if lines else None, err


@SANDBOX
def test_next_and_calendar_need_no_daemon(daemon):
    code, answer, _ = preview(daemon, "next", "30 2 * * *", "--timezone", "Europe/Berlin",
                              "--from", "2026-03-28T12:00", "-n", "2")
    assert code == 0
    assert [(s["at"], s["local"], s["zone"], s.get("mark")) for s in answer["slots"]] == [
        ("2026-03-29T01:00:00Z", "2026-03-29 03:00", "CEST", "gap-moved"),
        ("2026-03-30T00:30:00Z", "2026-03-30 02:30", "CEST", None)]
    answer = preview(daemon, "next", "daily-report", "-c", str(daemon.conf), "--from",
                     "2026-10-24", "-n", "2")[1]
    daemon.start()
    assert preview(daemon, "next", "daily-report", "--from", "2026-10-24", "-n", "2")[1] == answer
    assert [s["local"] for s in answer["slots"]] == ["2026-10-24 07:00", "2026-10-25 07:00"]
    code, month, _ = preview(daemon, "calendar", "30 2 * * SUN", "2026-10", "--timezone",
                             "Europe/Berlin")
    assert (code, month["month"], len(month["slots"])) == (0, "2026-10", 4)
    assert month["slots"][-1]["mark"] == "first-of-two"
    month = preview(daemon, "calendar", "daily-report", "--month=2026-02", "-c",
                    str(daemon.conf))[1]
    assert len(month["slots"]) == 28
    code, _, err = preview(daemon, "next", "*/90 * * * *")
    assert code == 64 and "every: 90m" in err
    assert preview(daemon, "next", "dayly-report", "-c", str(daemon.conf))[0] == 66
    assert preview(daemon, "calendar", "daily-report", "2026-13", "-c", str(daemon.conf))[0] == 64


def edit_state(daemon, job, **columns):
    """What another life of the daemon would have left behind."""
    daemon.stop()
    with sqlite3.connect(daemon.tmp / "state" / "state.db") as db:
        for name, value in columns.items():
            assert db.execute(f"UPDATE job_state SET {name} = ? WHERE name = ?",
                              (value, job)).rowcount == 1
    db.close()


@SANDBOX
def test_a_job_is_overdue_at_the_hour_that_it_names(daemon):
    now = datetime.datetime.now(datetime.timezone.utc)
    slot, due = now - datetime.timedelta(hours=3), now + datetime.timedelta(hours=1)

    def write(by):
        daemon.write(extra="    catch_up: none\n" + by)
        daemon.conf.write_text(daemon.conf.read_text().replace("Europe/Berlin", "UTC").replace(
            "cron(0 7 * * ? *)", f"{slot.minute} {slot.hour} * * *"))
    write(f'    expect: {{ by: "{due:%H:%M}" }}\n')
    daemon.start()
    before = int(slot.timestamp()) - 3600
    edit_state(daemon, "daily-report", served_utc=before, watermark_utc=before)
    daemon.start()
    until(lambda: history(daemon, "daily-report"), "the missed slot")
    assert status(daemon, "daily-report")["overdue"] is False  # by its own word
    write("")
    assert daemon.ctl("reload")[0] == 0
    until(lambda: status(daemon, "daily-report")["overdue"], "overdue")
    write(f'    expect: {{ by: "{now - datetime.timedelta(hours=1):%H:%M}" }}\n')
    assert daemon.ctl("reload")[0] == 0
    assert status(daemon, "daily-report")["overdue"] is True


@SANDBOX
def test_a_job_is_overdue_until_it_succeeds(daemon, server):
    key = "daily/late.csv"
    server.s.delete_object(Bucket="account-s-bucket", Key=key)
    daemon.write(source=f"s3://account-s-bucket/{key}", extra="    catch_up: none")
    daemon.start()
    assert status(daemon, "daily-report")["overdue"] is False
    two_days_ago = int(datetime.datetime.now().timestamp()) - 2 * 86400
    edit_state(daemon, "daily-report", served_utc=two_days_ago, watermark_utc=two_days_ago)
    daemon.start()
    until(lambda: status(daemon, "daily-report")["overdue"], "overdue")
    job = status(daemon, "daily-report")
    assert job["state"] == "overdue" and job["overdue_slot"] > past(3)
    assert history(daemon, "daily-report") == [("missed", "catch_up", "schedule", 2)]
    row = daemon.ctl("history", "daily-report")[1][0]["runs"][0]
    assert row["first_at"] < row["last_at"] == row["nominal_at"]
    assert daemon.run()[0] != 0  # it fails: still overdue
    assert status(daemon, "daily-report")["state"] == "failing"
    assert status(daemon, "daily-report")["overdue"] is True
    server.s.put_object(Bucket="account-s-bucket", Key=key, Body=b"a,b\n")
    assert daemon.run()[0] == 0
    until(lambda: not status(daemon, "daily-report")["overdue"], "served")
    told = [line for line in daemon.log() if "daily-report is" in line]
    assert len(told) == 2 and "is overdue" in told[0] and "no longer overdue" in told[1]


def metrics(daemon):
    text = subprocess.run([f"{BUILD}/src/s3ferryctl", "--socket", daemon.sock, "metrics"],
                          check=True, capture_output=True, text=True, timeout=60).stdout
    return {(s.name, s.labels.get("job")): s.value
            for family in text_string_to_metric_families(text) for s in family.samples}


@SANDBOX
def test_metrics_tell_what_status_tells(daemon, source):
    write_jobs(daemon, off='schedule: "@daily", paused: true',
               late='schedule: "0 7 * * *", catch_up: none')
    daemon.start()
    assert daemon.run()[0] == 0
    two_days_ago = int(datetime.datetime.now().timestamp()) - 2 * 86400
    edit_state(daemon, "late", served_utc=two_days_ago, watermark_utc=two_days_ago)
    daemon.start()
    until(lambda: status(daemon, "late")["overdue"], "overdue")
    m = metrics(daemon)
    for name in "daily-report", "off", "late":
        assert m["s3ferry_job_overdue", name] == (name == "late")
        assert m["s3ferry_job_paused", name] == (name == "off")
        assert m["s3ferry_job_running", name] == m["s3ferry_job_consecutive_failures", name] == 0
    job = status(daemon, "daily-report")
    for key, value in dict(last_success=job["last_success_at"], last_run=job["last"]["ended_at"],
                           next_run=job["next_effective"]).items():
        assert datetime.datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp() == m[
            f"s3ferry_job_{key}_timestamp_seconds", "daily-report"]
    assert m["s3ferry_job_last_success_timestamp_seconds", "off"] == 0
    assert m["s3ferry_config_last_reload_successful", None] == 1
    assert m["s3ferry_loop_longest_turn_seconds", None] > 0
    assert m["s3ferry_engines", None] >= 1 and m["s3ferry_slowed_buckets", None] == 0
    daemon.conf.write_text("version: 2\n")
    assert daemon.ctl("reload")[0] == 78
    assert metrics(daemon)["s3ferry_config_last_reload_successful", None] == 0


@SANDBOX
def test_at_reboot_is_once_a_boot(daemon, source):
    write_jobs(daemon, once='schedule: "@reboot"', off='schedule: "@reboot", paused: true')
    daemon.start()
    assert history(daemon, "once") == []  # new: the next boot is its first
    edit_state(daemon, "once", watermark_utc=1000)
    edit_state(daemon, "off", watermark_utc=1000)
    daemon.start()
    until(lambda: history(daemon, "once") == [("succeeded", "", "schedule", 1)], "the run")
    assert history(daemon, "off") == [("skipped", "paused", "schedule", 1)]
    daemon.kill()
    daemon.start()
    assert daemon.ctl("reload")[0] == 0
    edit_state(daemon, "once", watermark_utc=1000)  # even so: this boot has had its slot
    daemon.start()
    assert daemon.ctl("run", "daily-report", "--wait")[0] == 0
    assert history(daemon, "once") == [("succeeded", "", "schedule", 1)]


@SANDBOX
def test_three_overlaps_in_a_row_are_told(daemon, server, source):
    slots = ", ".join(f'"at({seconds_ahead(n)})"' for n in (5, 6, 7, 8, 9))
    write_jobs(daemon, slow=f"schedule: [{slots}]")
    server.faults((dict(operation="GetObject", count=1000), dict(stall_at=1)))
    daemon.start()
    until(lambda: len(history(daemon, "slow")) == 5, "five slots")
    assert history(daemon, "slow")[1:] == [("skipped", "overlap", "schedule", 1)] * 4
    assert sum("3 slots in a row" in line for line in daemon.log("warning")) == 1
    daemon.ctl("cancel", "slow")
