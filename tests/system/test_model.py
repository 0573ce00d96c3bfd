"""The core's scheduling against tests/model/model.py, over generated histories of DST nights,
clock steps, suspends, crashes, reloads, edits and pauses. The seed of each is printed;
S3FERRY_SEED replays one, S3FERRY_CASES makes more."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

from conftest import seeds

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "model"))
import model  # noqa: E402

PROBE = os.path.join(os.environ.get("S3FERRY_BUILD", "build"), "tests/model/core_model")
CASES = int(os.environ.get("S3FERRY_CASES", 300))


class Core:
    """One process plays one history after another."""

    def __init__(self):
        self.proc = subprocess.Popen([PROBE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True)

    def play(self, lines):
        self.proc.stdin.write("\n".join(lines) + "\n")
        self.proc.stdin.flush()
        rows = []
        for line in self.proc.stdout:
            if line == ".\n":
                return rows[::-1]
            rows.append(line.rstrip("\n").split("\t"))
        raise AssertionError(f"core_model ended: {self.proc.stderr.read()}")

    def close(self):
        self.proc.stdin.close()
        assert self.proc.wait(30) == 0
        self.proc.stdout.close()
        self.proc.stderr.close()


def by_job(rows):
    told = {}
    for job, _, gen, nominal, first, last, count, state, reason, trigger, attempts, *_ in rows:
        told.setdefault(job, []).append((int(gen), int(nominal), int(first), int(last), int(count),
                                         state, reason, trigger, int(attempts)))
    return told


def check_alone(seed, rows):
    """What holds of any ledger, whatever a model says."""
    keys = [(r[0], r[1], r[2]) for r in rows if r[1] != "manual"]
    assert len(keys) == len(set(keys)), f"S3FERRY_SEED={seed}: a slot has two rows"
    spans = {}
    for job, slot, gen, _, first, last, *rest in rows:
        if slot != "manual" and "edited" not in rest:  # those are slots of a schedule that is gone
            spans.setdefault((job, gen), []).append((int(first), int(last)))
    for spans_of_one in spans.values():
        spans_of_one.sort()
        for (_, end), (start, _) in zip(spans_of_one, spans_of_one[1:]):
            assert start > end, f"S3FERRY_SEED={seed}: slots are in two rows"
    for job in {r[0] for r in rows}:
        opened = [r for r in rows if r[0] == job and r[7] in ("claimed", "running")]
        assert len(opened) <= 1, f"S3FERRY_SEED={seed}: two open runs of a job"


def play(core, seed, base):
    folder = pathlib.Path(tempfile.mkdtemp(dir=base))
    history = model.History(seed, folder)
    rows = core.play(history.lines)
    shutil.rmtree(folder)
    check_alone(seed, rows)
    got, want = by_job(rows), history.expected()
    if got == want:
        return len(rows)
    differ = [f"{job}: core {a} model {b}"
              for job in sorted(set(got) | set(want))
              for a, b in zip(got.get(job, []) + [None] * 9, want.get(job, []) + [None] * 9) if a != b]
    raise AssertionError(f"S3FERRY_SEED={seed}\n" + "\n".join(history.lines) + "\n" +
                         "\n".join(differ[:6]))


@pytest.mark.skipif(not os.path.exists(PROBE), reason="tests/model/core_model is not built")
def test_the_core_does_as_the_model(tmp_path_factory):
    # In memory where there is such a place: each claim is on disk before it counts.
    base = "/dev/shm" if os.path.isdir("/dev/shm") else str(tmp_path_factory.mktemp("model"))
    core, rows = Core(), 0
    try:
        for s in seeds(CASES):
            rows += play(core, s, base)
    finally:
        core.proc.kill() if core.proc.poll() is None and sys.exc_info()[0] else core.close()
    print(f"{CASES} histories, {rows} rows")


@pytest.mark.skipif(not os.path.exists(PROBE), reason="tests/model/core_model is not built")
def test_two_hundred_jobs_at_once(tmp_path):
    names = [f"job-{n:03d}" for n in range(200)]
    schedule = model.Schedule("UTC", "0 14 * * *", {0}, {14})
    job = dict(schedule=schedule, catch_up="latest", limit=1, deadline=0, overlap="skip", paused=False)
    conf = model.write_conf(tmp_path, 1, model.Conf({n: job for n in names}, 4))
    start = 1830000000  # 2027-12-28T13:20:00Z
    (tmp_path / "state").mkdir()
    lines = [f"begin {tmp_path}/state {conf} {start}", "tell", *(f"runs {n} 60:s" for n in names),
             "up", "to 10000", "end"]
    out = subprocess.run([PROBE], input="\n".join(lines) + "\n", capture_output=True, text=True,
                         timeout=100, check=True)
    words = [line.split("\t") for line in out.stdout.splitlines()]
    assert [w[1] for w in words if w[0] == "started"] == names  # by name, as all are due at once
    rows = [w for w in words if len(w) > 3]
    assert {w[7] for w in rows} == {"succeeded"} and len(rows) == 200
    spans = [(int(w[11]), int(w[12])) for w in rows]
    assert max(sum(b <= t < e for b, e in spans) for t, _ in spans) == 4
