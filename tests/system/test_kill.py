"""kill -9 around the commits of the core: before one, after it, between claim and start.

The rule: a slot that is not in the ledger at death is claimed later; one that is open there is
started once more; one that is closed is not touched. S3FERRY_KILLS makes more,
S3FERRY_SEED replays."""

import collections
import os
import pathlib
import random
import sqlite3
import subprocess
import tempfile

import pytest

from conftest import first_seed

PROBE = os.path.join(os.environ.get("S3FERRY_BUILD", "build"), "tests/model/core_model")
KILLS = int(os.environ.get("S3FERRY_KILLS", 50))
START = 1830000000  # 2027-12-28T13:20:00Z
CONF = """version: 1
max_parallel_runs: 2
profiles: { p: { role_arn: "arn:aws:iam::111111111111:role/r", region: eu-west-1 } }
jobs:
"""
JOB = """  %s: { schedule: "* * * * *", catch_up: all, catch_up_limit: 100, overlap: %s,
    source: { profile: p, url: "s3://bucket-s/%s" },
    destination: { profile: p, url: "s3://bucket-m/%s/" } }
"""


def live(lines):
    """(starts, rows, exit code) of one process."""
    p = subprocess.run([PROBE], input="\n".join(lines) + "\n", capture_output=True, text=True,
                       timeout=60)
    words = [line.split("\t") for line in p.stdout.splitlines()]
    starts = [(w[1], int(w[2])) for w in words if w[0] == "started"]
    return starts, [w for w in words if len(w) > 3], p.returncode


def ledger(folder):
    with sqlite3.connect(folder / "state.db") as db:
        rows = db.execute("SELECT job, nominal_utc, state FROM run WHERE count = 1").fetchall()
        wall = db.execute("SELECT last_wall_utc FROM daemon").fetchone()
    db.close()
    return {(job, at): state for job, at, state in rows}, wall[0] if wall else START


def spans_of(rows, job):
    """All minutes that rows of a job tell of, each as often as it is told."""
    minutes = []
    for r in rows:
        if r[0] == job:
            minutes += range(int(r[4]), int(r[5]) + 1, 60)
    return sorted(minutes)


def kill_once(r, base):
    folder = pathlib.Path(tempfile.mkdtemp(dir=base))
    (folder / "conf.yaml").write_text(CONF + "".join(
        JOB % (n, r.choice(["queue-one", "skip"]), n, n) for n in "ab"))
    (folder / "state").mkdir()
    runs = [f"runs {n} " + " ".join(f"{r.choice([1, 20, 50, 70, 130])}:s" for _ in range(30))
            for n in "ab"]
    script = [f"begin {folder}/state {folder}/conf.yaml {START}", "tell", *runs, "up"]
    kill = f"kill {r.randint(1, 60)} {r.choice(['before', 'after'])}"
    first, _, code = live(script + [kill, "to 3600"])
    assert code == -9, (kill, code)
    known, wall = ledger(folder / "state")
    begin = f"begin {folder}/state {folder}/conf.yaml {wall + r.choice([1, 30, 400])}"
    second, rows, code = live([begin, *script[1:], "to 1500", "end"])
    assert code == 0
    before, after = collections.Counter(first), collections.Counter(second)
    for slot in set(before) | set(after):
        closed = known.get(slot, "") not in ("", "claimed", "running")
        still = next(row[7] for row in rows if (row[0], int(row[3])) == slot)
        assert after[slot] == (0 if closed else 1), f"{kill}: {slot} was {known.get(slot)}, is {still}"
        assert before[slot] <= 1
    for job in "ab":
        minutes = spans_of(rows, job)
        assert minutes == list(range(minutes[0], minutes[-1] + 60, 60)), f"{kill}: {job}"
        assert minutes[0] == START + 60 - START % 60
    return known, before


@pytest.mark.skipif(not os.path.exists(PROBE), reason="tests/model/core_model is not built")
def test_kill_9_around_each_commit(tmp_path):
    r, between = random.Random(first_seed()), 0
    base = "/dev/shm" if os.path.isdir("/dev/shm") else tmp_path
    with tempfile.TemporaryDirectory(dir=base) as folder:
        for _ in range(KILLS):
            known, started = kill_once(r, folder)
            between += any(state == "claimed" and not started[slot]
                           for slot, state in known.items())
    print(f"{KILLS} kills, {between} of them between claim and start")
    assert between >= KILLS // 20
