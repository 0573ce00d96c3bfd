"""Damage at each part of an object of 100 parts: a model says what must come of it.

A run takes some seconds: S3FERRY_LONG=1 hits each of 100 parts, ten of them in a run that
goes on, S3FERRY_LONG=single one a run. CI hits one of 20 a fault.
"""

import collections
import contextlib
import hashlib
import os
import random
import re
import sqlite3
import subprocess
import time

import pytest

from conftest import TOP, Sandbox, until

PART = 5 << 20
LONG = bool(os.environ.get("S3FERRY_LONG"))
PARTS = 100 if LONG else 20
SIZE = PARTS * PART - 12345
BOTH = "payload_signing: never" if LONG else ""  # half of the time
SOURCE, BUCKET, KEY = "daily/big", "account-m-discard", "faults/big"

LOST = dict(reset_at=1 << 40)  # behind the whole request: it was carried out

# operation, what happens, how often; parts that are sent again at most; the verdict
Fault = collections.namedtuple("Fault", "operation action count again verdict",
                               defaults=(1, 1, "succeeded"))
FAULTS = {
    "reset while read": Fault("GetObject", dict(reset_at=2_000_000)),
    "truncated": Fault("GetObject", dict(truncate_at=2_000_000)),
    # Nobody can tell which part it was, when the source declares the whole alone.
    "flipped": Fault("GetObject", dict(flip_at=2_000_000), again=PARTS),
    "503s of the source": Fault("GetObject", dict(status=503, code="SlowDown"), 3, 3),
    "source's session ended": Fault("GetObject", dict(expired_token=True)),
    "reset while sent": Fault("UploadPart", dict(reset_at=2_000_000)),
    "answer to a part lost": Fault("UploadPart", LOST),
    "503s of the destination": Fault("UploadPart", dict(status=503, code="SlowDown"), 3, 3),
    "500": Fault("UploadPart", dict(status=500)),
    "destination's session ended": Fault("UploadPart", dict(expired_token=True)),
    "refused": Fault("UploadPart", dict(status=403, code="AccessDenied"), verdict="failed"),
}
AT_THE_END = {
    "error in the 200": dict(error_in_200="InternalError"),
    "request lost": dict(reset_at=0),
    "answer lost": LOST,
    "500": dict(status=500),
    "503": dict(status=503, code="SlowDown"),
    "409": dict(status=409, code="ConditionalRequestConflict"),
    "NoSuchUpload": dict(status=404, code="NoSuchUpload"),
    "session ended": dict(expired_token=True),
}
IN_A_RUN = 1 if os.environ.get("S3FERRY_LONG") == "single" else 10


def where():
    """Each a fault and the parts that it hits in one run."""
    if not LONG:  # spread over the object, the first and the last among them
        return [(f, [1 + i * (PARTS - 1) // (len(FAULTS) - 1)]) for i, f in enumerate(FAULTS)]
    apart = {f: PARTS // (IN_A_RUN if FAULTS[f].verdict == "succeeded" else 1) for f in FAULTS}
    return [(f, list(range(first, PARTS + 1, apart[f])))
            for f in FAULTS for first in range(1, apart[f] + 1)]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = Sandbox()
    s.name = "sandbox"
    s.start(tmp_path_factory.mktemp("faults"))
    yield s
    s.stop()


def prepare(daemon):
    daemon.write(source=f"s3://account-s-bucket/{SOURCE}",
                 destination=f"s3://{BUCKET}/{KEY}", both=BOTH,
                 extra="    limits: { part_size: 5MiB }")
    daemon.conf.write_text(daemon.conf.read_text().replace("attempts: 2", "attempts: 5"))


@pytest.fixture
def ferry(daemon, server, right):
    server.faults()
    prepare(daemon)
    daemon.patience = 600  # beside other work
    if source_etag(server, SOURCE) != source_etag(server, "a"):
        put_source(server, "a")
    server.m.put_object(Bucket=BUCKET, Key=KEY, Body=b"older")
    yield daemon
    server.faults()
    assert not server.m.list_multipart_uploads(Bucket=BUCKET).get("Uploads")


@pytest.fixture(scope="module")
def right(server):
    """The ETag that only the right bytes in the right parts have."""
    noise = random.Random(100)  # which gives at most 256 MiB at once
    body = b"".join(noise.randbytes(PART) for _ in range(PARTS))[:SIZE]
    server.s.put_object(Bucket="account-s-bucket", Key="a", Body=body)
    server.s.put_object(Bucket="account-s-bucket", Key="b", Body=b"!" + body[1:])
    sums = [hashlib.md5(body[at:at + PART]).digest() for at in range(0, SIZE, PART)]
    return f'"{hashlib.md5(b"".join(sums)).hexdigest()}-{PARTS}"'


def source_etag(server, key):
    listed = server.s.list_objects_v2(Bucket="account-s-bucket", Prefix=key)
    return {o["Key"]: o["ETag"] for o in listed.get("Contents", ())}.get(key)


def put_source(server, name):
    server.s.copy_object(Bucket="account-s-bucket", Key=SOURCE,
                         CopySource=f"account-s-bucket/{name}")


def check(server, verdict, right):
    head = server.m.head_object(Bucket=BUCKET, Key=KEY)
    if verdict == "succeeded":
        assert (head["ETag"], head["ContentLength"]) == (right, SIZE)
    else:
        assert head["ContentLength"] == len(b"older")


def is_part(operation, part):
    """What matches the requests of a part."""
    if operation == "UploadPart":
        return dict(operation=operation, part=part)
    first = (part - 1) * PART
    return dict(operation=operation, range=f"bytes={first}-{min(first + PART, SIZE) - 1}")


@pytest.mark.parametrize("name,parts", where(), ids=lambda v: v if isinstance(v, str) else v[0])
def test_damage_at_a_part(ferry, server, right, name, parts):
    fault = FAULTS[name]
    server.faults(*((is_part(fault.operation, p) | dict(count=fault.count), fault.action)
                    for p in parts))
    sent = server.requests("UploadPart")
    ferry.start()
    _, end = ferry.run()
    assert end["verdict"] == fault.verdict, ferry.log()
    check(server, fault.verdict, right)
    assert server.fired() == [fault.count] * len(parts)
    assert server.requests("UploadPart") - sent <= PARTS + fault.again * len(parts)


def test_an_outage_of_sts_at_the_start(ferry, server, right):
    """Both sides fail; that is one attempt of the run, and another follows."""
    server.faults((dict(operation="AssumeRole", count=6), dict(status=503)))
    ferry.start()
    _, end = ferry.run()
    assert (end["verdict"], server.fired()) == ("succeeded", [6]), ferry.log()
    check(server, "succeeded", right)


@pytest.mark.parametrize("name", AT_THE_END)
def test_damage_at_the_end_over_an_older_object(ferry, server, right, name):
    server.faults((dict(operation="CompleteMultipartUpload", count=1), AT_THE_END[name]))
    ferry.start()
    _, end = ferry.run()
    assert end["verdict"] == "succeeded", ferry.log()
    assert server.fired() == [1]
    check(server, "succeeded", right)


def ended(ferry):
    row = ferry.ctl("history", "-n", "1")[1][0]["runs"][0]
    return row if row["state"] not in ("claimed", "running", "retry_wait") else None


@pytest.mark.parametrize("part", range(1, PARTS + 1) if LONG else (1, PARTS // 2, PARTS))
@pytest.mark.parametrize("what", ["replaced", "deleted"])
def test_a_source_that_changes_at_a_part(ferry, server, right, what, part):
    sent = server.requests("UploadPart")
    server.faults((dict(operation="GetObject", skip=part, count=1), dict(delay_ms=400)))
    ferry.start()
    ferry.ctl("run", "daily-report")
    until(lambda: server.requests("UploadPart") - sent >= min(part, PARTS - 8),
          "the part", 300)
    if what == "deleted":
        server.s.delete_object(Bucket="account-s-bucket", Key=SOURCE)
    else:
        put_source(server, "b")
    row = until(lambda: ended(ferry), "the end", 300)
    check(server, row["state"], right)  # the old one whole, or nothing
    if row["state"] != "succeeded":
        assert row["reason"] == {"replaced": "changed", "deleted": "source_missing"}[what]


@pytest.mark.parametrize("part", range(1, PARTS + 1, 10) if LONG else (PARTS // 2,))
def test_a_part_that_stalls_is_moved_again(ferry, server, right, part):
    """Both ways at once: the answer to a GET, and that to an UploadPart, stop coming."""
    server.faults((dict(operation="GetObject", skip=part, count=1), dict(stall_at=2_000_000)),
                  (dict(operation="UploadPart", skip=part - 1, count=1), dict(stall_at=0)))
    sent = server.requests("UploadPart")
    ferry.verbose = True
    ferry.start()
    ferry.ctl("run", "daily-report")
    row = until(lambda: ended(ferry), "the end", 300)
    assert row["state"] == "succeeded", ferry.log()
    assert any(" stall: " in line and "again in" in line for line in ferry.log("debug"))
    check(server, "succeeded", right)
    assert server.requests("UploadPart") - sent <= PARTS + 2


def test_a_destination_that_others_write_meanwhile(ferry, server, right):
    sent = server.requests("UploadPart")
    server.faults((dict(operation="UploadPart", skip=PARTS // 2, count=1), dict(delay_ms=400)))
    ferry.start()
    ferry.ctl("run", "daily-report")
    until(lambda: server.requests("UploadPart") - sent >= PARTS // 2,
          "half of the parts", 300)
    server.m.put_object(Bucket=BUCKET, Key=KEY, Body=b"other")
    row = until(lambda: ended(ferry), "the end", 300)
    assert (row["state"], row["reason"]) == ("failed", "changed"), row
    # Theirs came later than what the run looked at: it stays, and ours leaves nothing.
    assert server.m.head_object(Bucket=BUCKET, Key=KEY)["ContentLength"] == len(b"other")
    assert not server.m.list_multipart_uploads(Bucket=BUCKET).get("Uploads")


KILLS = int(os.environ.get("S3FERRY_KILLS", "1000" if LONG else "50"))
KILLS_A_RUN = 6  # a run that is interrupted ten times is given up


def acknowledged(ferry):
    """Parts that the state says are stored."""
    with contextlib.closing(sqlite3.connect(ferry.tmp / "state" / "state.db")) as db:
        return db.execute("SELECT count(*) FROM upload_part").fetchone()[0]


def test_kill_9_at_random_points_sends_no_part_twice(ferry, server, right):
    seed = int(os.environ.get("S3FERRY_SEED", "1"))
    rnd = random.Random(seed)
    kills = resumed = 0
    while kills < KILLS:
        server.m.delete_object(Bucket=BUCKET, Key=KEY)
        ferry.start()
        ferry.ctl("run", "daily-report")
        for _ in range(KILLS_A_RUN):
            time.sleep(rnd.random() * 0.4)  # the random point; nothing waits for it
            ferry.kill()
            kills += 1
            known, sent = acknowledged(ferry), server.requests("UploadPart")
            resumed += known > 0
            ferry.start()
        row = until(lambda: ended(ferry), "the end", 300)
        assert row["state"] == "succeeded", (seed, kills, row)
        check(server, "succeeded", right)
        assert server.requests("UploadPart") - sent <= PARTS - known, (seed, kills)
        ferry.stop()
        assert not server.m.list_multipart_uploads(Bucket=BUCKET).get("Uploads"), kills
    assert resumed


def schema_steps():
    """What made each version of the state from the one before it."""
    text = (TOP / "src" / "store" / "store_schema.c").read_text()
    text = text[text.index("steps[] = {"):text.index("/* clang-format on")]
    steps, step = [], ""
    for found in re.finditer(r'/\*.*?\*/|"((?:[^"\\]|\\.)*)"|(,)|(};)', text, re.S):
        if found.group(1) is not None:
            step += found.group(1)
        elif step and (found.group(2) or found.group(3)):
            steps.append(step)
            step = ""
    return steps


def make_older(state, version):
    """The same rows as an earlier s3ferry had them."""
    with contextlib.closing(sqlite3.connect(state)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    state.rename(state.with_suffix(".new"))
    with contextlib.closing(sqlite3.connect(state)) as db:
        for step in schema_steps()[:version]:
            db.executescript(step)
        db.execute("ATTACH ? AS newer", (str(state.with_suffix(".new")),))
        of = {row[0] for row in db.execute("SELECT name FROM newer.sqlite_schema")}
        for (table,) in db.execute("SELECT name FROM main.sqlite_schema"
                                   " WHERE type = 'table' AND name NOT LIKE 'sqlite%'"):
            names = [{c[1] for c in db.execute(f"PRAGMA {at}.table_info({table})")}
                     for at in ("main", "newer")]
            names = ", ".join(names[0] & names[1])
            if table in of and names:
                db.execute(f"INSERT INTO main.{table} ({names})"
                           f" SELECT {names} FROM newer.{table}")
        application = db.execute("PRAGMA newer.application_id").fetchone()[0]
        db.execute(f"PRAGMA main.application_id = {application}")
        db.execute(f"PRAGMA main.user_version = {version}")
        db.commit()


@pytest.mark.parametrize("version", [2, len(schema_steps()) - 1])
def test_an_upload_in_flight_survives_an_upgrade(ferry, server, right, version):
    server.faults((dict(operation="UploadPart", skip=5), dict(stall_at=0)))
    ferry.start()
    ferry.ctl("run", "daily-report")
    until(lambda: acknowledged(ferry) == 5, "five parts")
    ferry.kill()
    make_older(ferry.tmp / "state" / "state.db", version)
    server.faults()
    sent = server.requests("UploadPart")
    ferry.start()
    row = until(lambda: ended(ferry), "the end", 300)
    assert row["state"] == "succeeded", ferry.log()
    check(server, "succeeded", right)
    assert server.requests("UploadPart") - sent == PARTS - 5
    with contextlib.closing(sqlite3.connect(ferry.tmp / "state" / "state.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(schema_steps())


@pytest.fixture
def small_state(ferry):
    """A state directory of 1 MiB; what it holds is written until nothing fits."""
    if os.getuid() != 0:
        pytest.skip("mounting needs root")
    state = ferry.tmp / "state"
    state.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", state],
                   check=True)
    yield state
    ferry.kill()
    subprocess.run(["umount", state], check=True)


def fill(state):
    with open(state / "filler", "wb", buffering=0) as f, contextlib.suppress(OSError):
        while True:
            f.write(bytes(4096))


def test_a_run_that_a_full_disk_forbids_is_told_and_the_daemon_goes_on(
        ferry, small_state, server, right):
    ferry.start()
    assert ferry.ctl("status")[0] == 0  # answered after the first look at the schedule
    fill(small_state)
    code, _, err = ferry.ctl("run", "daily-report")
    assert code == 75, err
    assert any("could not be written" in line for line in ferry.log("error"))
    (small_state / "filler").unlink()
    assert ferry.run()[0] == 0
    check(server, "succeeded", right)


def test_a_disk_that_fills_in_a_run_stops_the_daemon_and_loses_nothing(
        ferry, small_state, server, right):
    sent = server.requests("UploadPart")
    server.faults((dict(operation="UploadPart"), dict(delay_ms=200)))
    ferry.start()
    ferry.ctl("run", "daily-report")
    until(lambda: acknowledged(ferry), "a part")
    fill(small_state)
    assert ferry.proc.wait(30) == 74
    assert any("state could not be written" in line for line in ferry.log("error"))
    (small_state / "filler").unlink()
    server.faults()
    known, resent = acknowledged(ferry), server.requests("UploadPart")
    assert resent > sent
    ferry.start()
    row = until(lambda: ended(ferry), "the end", 300)
    assert row["state"] == "succeeded", row
    check(server, "succeeded", right)
    assert server.requests("UploadPart") - resent <= PARTS - known
    ferry.stop()
