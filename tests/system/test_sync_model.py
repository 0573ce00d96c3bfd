"""Runs against tests/model/sync_model.py: random prefixes, configurations and changes, and
kill -9 in the middle. The seed of each is printed; S3FERRY_SEED replays one, S3FERRY_CASES
and S3FERRY_KILLS make more."""

import collections
import json
import os
import pathlib
import random
import sys
import time

import pytest

from conftest import Daemon, Sandbox, seeds, until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "model"))
import sync_model as model  # noqa: E402

SOURCE, TARGET = "account-s-bucket", "account-m-bucket"
CASES = int(os.environ.get("S3FERRY_CASES", 30))
KILLS = int(os.environ.get("S3FERRY_KILLS", 20))
FOLDERS = ["", "", "in/", "in/deep er/", "tmp/", "/", "a//b/", "ä+%2F/", "./", "../"]
NAMES = ["a.csv", "b.csv", "b", "c d.txt", "e+f&<g>.txt", "%41", "ü\U0001f600.csv", "q\"'", "..",
         "x\\y", "~!*()", "=#?;", "k" * 200, ""]
PATTERNS = ["in/**", "tmp/**", "**/*.csv", "**/*.txt"]
WHYS = {"unproven": "changed"}  # the model does not tell these two apart


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    """A server and a daemon for all cases: starting them takes longer than a case."""
    server = Sandbox()
    server.start(None)
    daemon = Daemon(tmp_path_factory.mktemp("model"), server.url)
    daemon.write()
    daemon.start()
    yield server, daemon
    if daemon.proc.poll() is None:
        daemon.stop()
    server.stop()


def listing(client, bucket, prefix):
    found = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for o in page.get("Contents", []):
            found[o["Key"][len(prefix):]] = model.Entry(
                o["ETag"], o["Size"], o["LastModified"].timestamp())
    return found


def contents(side):
    return {key: e.etag for key, e in side.items()}


def counted(counts):
    out = collections.Counter()
    for c in counts:
        out[WHYS.get(c["reason"], c["reason"])] += c["objects"]
    return out


class Case:
    """One pair of prefixes, and what the daemon did to it."""

    def __init__(self, rig, seed):
        self.server, self.daemon = rig
        self.seed, self.r = seed, random.Random(seed)
        self.prefix, self.trash_prefix = f"model-{seed}/", f"trash-{seed}/"
        self.record = {}

    def put(self, client, bucket, key):
        body = self.r.choice([b"", b"1", b"2", b"3", b"22", b"33"])
        client.put_object(Bucket=bucket, Key=self.prefix + key, Body=body)

    def change(self, count):
        r, s = self.r, self.server
        for _ in range(count):
            client, bucket = r.choice([(s.s, SOURCE), (s.s, SOURCE), (s.m, TARGET)])
            key = r.choice(FOLDERS) + r.choice(NAMES)
            if r.random() < 0.3:
                client.delete_object(Bucket=bucket, Key=self.prefix + key)
            else:
                self.put(client, bucket, key)

    def choose(self):
        r = self.r
        action = r.choice(["copy", "sync", "sync", "move"])
        job = model.Job(action, r.choice(["auto", "size", "mtime", "etag", "checksum", "version"]),
                        r.choice(["changed"] * 4 + ["always", "never"]),
                        r.choice(["", ""] + PATTERNS), r.choice(["", ""] + PATTERNS))
        job.delete = action == "sync" and r.random() < 0.8
        job.max_percent = r.choice([10, 50, 100])
        job.allow_empty = r.random() < 0.5
        job.trash = r.choice(["", self.trash_prefix]) if job.delete else ""
        job.flatten = not job.delete and job.overwrite != "never" and r.random() < 0.3
        return job

    def write(self, job):
        self.daemon.write(source=f"s3://{SOURCE}/{self.prefix}", role="src-mover",
                          destination=f"s3://{TARGET}/{self.prefix}", extra=job.lines())

    def sides(self):
        s = self.server
        return (listing(s.s, SOURCE, self.prefix), listing(s.m, TARGET, self.prefix),
                listing(s.m, TARGET, self.trash_prefix))

    def check(self, job, want):
        got = self.sides()
        for name, a, b in zip(("source", "target", "trash"), got,
                              (want.source, want.target, want.trash)):
            assert contents(a) == contents(b), f"S3FERRY_SEED={self.seed} {name} {job}"
        self.record = want.record

    def round(self):
        job, d = self.choose(), self.daemon
        self.write(job)
        code, _, err = d.ctl("reload", "--wait")
        assert code == 0, f"S3FERRY_SEED={self.seed} {job}: {err}"
        before = self.sides()
        want = model.predict(job, *before, self.record)
        where = f"S3FERRY_SEED={self.seed} {job}\n{json.dumps([contents(b) for b in before])}"
        code, lines, err = d.ctl("plan", "daily-report")
        assert lines, f"{where}: {err}"
        plan = counted(lines[0]["counts"])
        plan.pop("braked", None)
        assert plan == want.plan, where
        assert self.sides() == before, f"a plan wrote: {where}"
        end = d.run()[1]
        assert end["verdict"] == want.verdict, f"{end} {where}"
        assert counted(d.ctl("show", "daily-report")[1][0]["counts"]) == want.run, where
        self.check(job, want)


def test_runs_do_as_the_model(rig):
    todo, rounds = seeds(CASES), 0
    print(f"seeds {todo[0]} to {todo[-1]}")
    for seed in todo:
        case = Case(rig, seed)
        case.change(20)
        for _ in range(3):
            case.round()
            case.change(5)
            rounds += 1
    print(f"{len(todo)} seeds, {rounds} runs")


# --- kill -9 ---

def fill(case):
    """Objects to be moved or copied, and for a mirror some that are to stay and to go."""
    s = case.server
    for n in range(25):
        key = case.r.choice(["", "in/", "ä+/"]) + f"{n:03}"
        case.put(s.s, SOURCE, key)
        if n % 3 == 0:
            case.put(s.m, TARGET, key)
        if n % 2:
            case.put(s.m, TARGET, f"old/{n}")


def kill_once(case, job):
    d = case.daemon
    case.write(job)
    fill(case)
    before = case.sides()
    want = model.predict(job, *before, {})
    d.start()
    code, _, err = d.ctl("run", "daily-report")
    assert code == 0, err
    time.sleep(case.r.random() * 0.15)  # the random point: anywhere in the run, or behind it
    d.kill()
    source, target, trash = case.sides()
    where = f"S3FERRY_SEED={case.seed} {job}"
    safe = {(k, e.etag) for side in (source, target, trash) for k, e in side.items()}
    for key, e in before[0].items():
        assert (key, e.etag) in safe, f"{where}: {key} is lost"
    for key in before[1]:
        assert key in target or key not in want.target, f"{where}: {key} should stay"
    d.start()
    # What was cut off may be running again by itself.
    end = until(lambda: (e := d.run()[1]).get("error") != "io.s3ferry.AlreadyRunning" and e,
                "a run of its own")
    assert end.get("verdict") == "succeeded", f"{where} {end}"
    got = case.sides()
    for a, b in zip(got, (want.source, want.target, want.trash)):
        assert contents(a) == contents(b), where
    d.stop()
    return contents(source) != contents(before[0]) or contents(target) != contents(before[1])


def test_kill_9_loses_nothing(rig, tmp_path):
    todo, begun = seeds(KILLS), 0
    print(f"seeds {todo[0]} to {todo[-1]}")
    for seed in todo:
        folder = tmp_path / str(seed)
        folder.mkdir()
        case = Case((rig[0], Daemon(folder, rig[0].url)), seed)
        case.prefix = f"kill-{seed}/"
        job = case.r.choice([model.Job("move"), model.Job("move", "size"),
                             model.Job("sync", delete=True, max_percent=100),
                             model.Job("sync", delete=True, max_percent=100,
                                       trash=case.trash_prefix)])
        begun += kill_once(case, job)
    print(f"{len(todo)} kills, {begun} of them after the first change")
