"""What it must not cost: memory by size, slots by number, reloads by the hundred."""

import datetime

from conftest import assert_resident, only, until

GIB = 1 << 30
SANDBOX = only("sandbox", "objects of any size without a disk to keep them")


@SANDBOX
def test_a_gibibyte_streams_in_32_mib(daemon, server):
    daemon.write(source=f"s3://account-s-bucket/virtual/{GIB}",
                 destination="s3://account-m-discard/gib")
    daemon.start()
    code, end = daemon.run()
    assert (code, end["bytes_done"]) == (0, GIB)
    assert server.m.head_object(Bucket="account-m-discard", Key="gib")["ContentLength"] == GIB
    assert_resident(daemon.proc.pid, 32 << 10)


def jobs_at(daemon, count, schedule):
    """count jobs more, each with an object of its own."""
    text = daemon.conf.read_text()
    for i in range(count):
        text += f"""  job-{i:03d}:
    schedule: "{schedule}"
    source: {{ profile: partner, url: "s3://account-s-bucket/daily/{i:03d}" }}
    destination: {{ profile: ours, url: "s3://account-m-bucket/same-second/{i:03d}" }}
"""
    daemon.conf.write_text(text)


@SANDBOX
def test_200_jobs_of_one_second_all_run(daemon, server):
    for i in range(200):
        server.s.put_object(Bucket="account-s-bucket", Key=f"daily/{i:03d}", Body=b"%d" % i)
    due = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
    jobs_at(daemon, 200, f"at({due:%Y-%m-%dT%H:%M:%S})")
    daemon.start()

    def rows():
        return [r for r in daemon.ctl("history", "-n", "1000")[1][0]["runs"]
                if r["state"] == "succeeded"]
    until(lambda: len(rows()) == 200, "200 runs")
    assert len({r["job"] for r in rows()}) == 200
    assert len({r["nominal_at"] for r in rows()}) == 1
    found = server.m.list_objects_v2(Bucket="account-m-bucket", Prefix="same-second/")
    assert found["KeyCount"] == 200


@SANDBOX
def test_ten_idle_jobs_rest_in_16_mib(daemon):
    jobs_at(daemon, 9, "cron(0 7 * * ? *)")
    daemon.start()
    assert len(daemon.ctl("status")[1][0]["jobs"]) == 10
    assert_resident(daemon.proc.pid, 16 << 10, "VmRSS")


@SANDBOX
def test_100_reloads_in_one_transfer_pass_unnoticed(daemon):
    def write(timeout):
        daemon.write(source=f"s3://account-s-bucket/virtual/{4 * GIB}",
                     destination="s3://account-m-discard/reloads",
                     extra=f"    timeout: {timeout}h")
    write(1)
    daemon.start()
    run = daemon.ctl("run", "daily-report")[1][0]["run"]
    in_transfer = 0
    for i in range(100):
        write(2 + i % 2)
        assert daemon.ctl("reload")[0] == 0
        job = daemon.ctl("status")[1][0]["jobs"][0]
        in_transfer += job["state"] == "running"
    assert in_transfer == 100

    def ended():
        row = daemon.ctl("history", "-n", "1")[1][0]["runs"][0]
        return row if row["state"] not in ("claimed", "running") else None
    row = until(ended, "the end of the transfer", daemon.patience)
    assert (row["run"], row["state"], row["attempts"]) == (run, "succeeded", 1)
    assert not daemon.log("error") and not daemon.log("warning")
