"""Runs against tests/model/sync_model.py: random prefixes, configurations and changes, also
by others at a random request of the run, and kill -9 in the middle. The seed of each is printed; S3FERRY_SEED replays one, S3FERRY_CASES
and S3FERRY_KILLS make more."""

import collections
import gzip
import hashlib
import json
import os
import pathlib
import random
import sys
import time
import urllib.parse

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
BODIES = ["", "1", "2", "3", "22", "33"]
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


def contents(side):
    return {key: e.etag for key, e in side.items()}


def counted(counts):
    out = collections.Counter()
    for c in counts:
        out[WHYS.get(c["reason"], c["reason"])] += c["objects"]
    return out


def md5(body):
    return f'"{hashlib.md5(body.encode()).hexdigest()}"'


class Case:
    """One pair of prefixes, and what the daemon did to it. Seeds and looks by the sandbox's
    back door and asks the daemon on its socket: a case is some milliseconds."""

    def __init__(self, rig, seed):
        self.server, self.daemon = rig
        self.seed, self.r = seed, random.Random(seed)
        self.prefix, self.trash_prefix = f"model-{seed}/", f"trash-{seed}/"
        self.record = {}

    # --- what it works on ---

    def some_change(self, keys=()):
        """keys: mostly one of these."""
        r = self.r
        bucket = r.choice([SOURCE, SOURCE, TARGET])
        key = r.choice(FOLDERS) + r.choice(NAMES)
        if keys and r.random() < 0.8:
            key = r.choice(keys)
        change = {"bucket": bucket, "key": self.prefix + key}
        if r.random() >= 0.3:
            change["body"] = r.choice(BODIES)
        return change

    def change(self, count):
        self.server.change(*(self.some_change() for _ in range(count)))

    def side(self, bucket, prefix):
        return {o["key"][len(prefix):]: model.Entry(o["etag"], o["size"], o["modified"])
                for o in self.server.objects(bucket, prefix)}

    def sides(self):
        return (self.side(SOURCE, self.prefix), self.side(TARGET, self.prefix),
                self.side(TARGET, self.trash_prefix))

    # --- what is to be done ---

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
        job.at_once = r.choice([1, 2, 8])
        return job

    def write(self, job):
        self.daemon.write(source=f"s3://{SOURCE}/{self.prefix}", role="src-mover",
                          destination=f"s3://{TARGET}/{self.prefix}", extra=job.lines())

    def load(self, job):
        self.write(job)
        answer = self.daemon.ask("Reload")[-1]
        assert "error" not in answer, f"S3FERRY_SEED={self.seed} {job}: {answer}"
        before = self.sides()
        return before, f"S3FERRY_SEED={self.seed} {job}\n{json.dumps([contents(b) for b in before])}"

    def run(self):
        """Its end, and its objects by reason."""
        end = self.daemon.ask("Run", more=True, job="daily-report")[-1]["parameters"]
        shown = self.daemon.ask("Show", target="daily-report")[-1]["parameters"]
        return end, counted(shown["counts"]), shown["manifest"]

    def round(self, flattens=True):
        job, d = self.choose(), self.daemon
        job.flatten &= flattens
        before, where = self.load(job)
        want = model.predict(job, *before, self.record)
        plan = d.ask("Plan", job="daily-report", limit=0)[-1]
        assert "error" not in plan, f"{where}: {plan}"
        plan = counted(plan["parameters"]["counts"])
        plan.pop("braked", None)
        assert plan == want.plan, where
        assert self.sides() == before, f"a plan wrote: {where}"
        end, counts, _ = self.run()
        assert end["verdict"] == want.verdict, f"{end} {where}"
        assert counts == want.run, where
        got = self.sides()
        for name, a, b in zip(("source", "target", "trash"), got,
                              (want.source, want.target, want.trash)):
            assert contents(a) == contents(b), f"{name} {where}"
        self.record = want.record

    # --- while others change keys ---

    def rule(self, change):
        """When the change comes: before a request that it is about, or before any."""
        r, key = self.r, change["key"]
        match = {"path_prefix": "/account-", "nth": 1 + int(r.expovariate(1 / 8))}
        if r.random() < 0.5:
            path = urllib.parse.quote(key, safe="/~")
            match = {"path_prefix": f"/{r.choice([SOURCE, TARGET])}/{path}",
                     "method": r.choice(["HEAD", "GET", "PUT", "DELETE"]), "nth": 1}
        return match, {"object": change}

    def restless_round(self):
        """A run while which others change keys, each at most once."""
        job = self.choose()
        before, where = self.load(job)
        keys = sorted({*before[0], *before[1]})
        script = {}
        for change in [self.some_change(keys) for _ in range(self.r.choice([1, 2, 4, 6]))]:
            script[change["bucket"], change["key"]] = change
        self.server.faults(*(self.rule(c) for c in script.values()))
        end, counts, manifest = self.run()
        made = [c for c, f in zip(script.values(), self.server.fired()) if f]
        self.server.faults()
        changes = {SOURCE: {}, TARGET: {}}
        for c in made:
            entry = None
            if "body" in c:
                entry = model.Entry(md5(c["body"]), len(c["body"]), int(time.time()))
            changes[c["bucket"]][c["key"][len(self.prefix):]] = entry
        failed = failures(manifest)
        assert len(failed) == sum(counts[why] for why in model.FAILURES), f"{counts} {where}"
        x = model.Episode(job, before, (changes[SOURCE], changes[TARGET]), self.sides(),
                          self.record)
        wrong = model.judge(x, failed, end["verdict"])
        assert not wrong, f"{wrong}\n{end}\n{counts}\n{failed}\n{made}\n{where}\n" \
            f"{[contents(a) for a in x.after]}"
        return len(made), len(failed)

    def play(self):
        """Quiet runs, a restless one, and a quiet one that finds nothing that it left behind."""
        self.change(20)
        for _ in range(self.r.choice([1, 2])):
            self.round()
            self.change(5)
        made = self.restless_round()
        self.round(flattens=False)  # nobody told the model what is recorded of renamed keys
        return made


def failures(manifest):
    """{key: reason} of the rows with a failure of an object."""
    with gzip.open(manifest) as f:
        rows = [json.loads(line) for line in f]
    return {r["key"]: r["reason"] for r in rows
            if "key" in r and r["reason"] in model.FAILURES}


def test_runs_do_as_the_model(rig):
    todo, made, failed = seeds(CASES), 0, 0
    print(f"seeds {todo[0]} to {todo[-1]}")
    for seed in todo:
        m, f = Case(rig, seed).play()
        made, failed = made + m, failed + f
    print(f"{len(todo)} seeds, {made} changes during runs, {failed} keys named as failed")
    assert len(todo) < 20 or made >= len(todo)


# --- kill -9 ---

def fill(case):
    """Objects to be moved or copied, and for a mirror some that are to stay and to go."""
    def put(bucket, key):
        case.server.change({"bucket": bucket, "key": case.prefix + key,
                            "body": case.r.choice(BODIES)})

    for n in range(25):
        key = case.r.choice(["", "in/", "ä+/"]) + f"{n:03}"
        put(SOURCE, key)
        if n % 3 == 0:
            put(TARGET, key)
        if n % 2:
            put(TARGET, f"old/{n}")


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
    end = until(lambda: (e := d.ask("Run", more=True, job="daily-report")[-1]).get("error") !=
                "io.s3ferry.AlreadyRunning" and e, "a run of its own")["parameters"]
    assert end.get("verdict") == "succeeded", f"{where} {end}"
    got = case.sides()
    for a, b in zip(got, (want.source, want.target, want.trash)):
        assert contents(a) == contents(b), where
    check_manifests(d, before, want, where)
    d.stop()
    return contents(source) != contents(before[0]) or contents(target) != contents(before[1])


def check_manifests(d, before, want, where):
    """Each is whole, and they tell of each key what became of it."""
    told = collections.defaultdict(set)
    for run in d.ask("History", job="daily-report")[-1]["parameters"]["runs"]:
        found = d.ask("Verify", target=run["run"])[-1]["parameters"]
        assert found["is_good"], f"{where} {found}"
        for key in {*before[0], *before[1]}:
            row = d.ask("Find", target=run["run"], key=key)[-1]["parameters"]["row"]
            told[key].add((row or {}).get("reason"))
    for key in before[0]:
        assert told[key] & ({"copied", "same"} if key in want.source else {"moved"}), \
            f"{where} {key} {told[key]}"
    for key in set(before[1]) - set(want.target):
        assert told[key] & {"deleted", "trashed"}, f"{where} {key} {told[key]}"


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
        try:
            begun += kill_once(case, job)
        finally:
            if case.daemon.proc.poll() is None:
                case.daemon.kill()
    print(f"{len(todo)} kills, {begun} of them after the first change")
