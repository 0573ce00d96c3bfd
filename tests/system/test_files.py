"""Local files on either side: whole, durable, confined to their folder, or not at all."""

import json
import os
import random
import resource
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

import conftest
from conftest import Daemon, only, until

MIB = 1 << 20
PART = 16 * MIB
BUCKET_S, BUCKET_M = "account-s-bucket", "account-m-bucket"
SANDBOX = only("sandbox", "faults by operation, and requests that are counted")
SIZES = [0, 1, 256 * 1024 - 1, 512 * 1024, 512 * 1024 + 1, 3 * MIB + 17]
LARGE = [4 * PART, 4 * PART + 1, 5 * PART, 5 * PART + 1]


NOISE = random.Random(18).randbytes(12 * PART + 64)


def body_of(size):
    """Another size, another content."""
    return NOISE[size % 61:][:size]


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "files"
    path.mkdir()
    return path


@pytest.fixture
def faults(server):
    server.faults()
    yield server.faults
    server.faults()


@pytest.fixture
def small_disk(folder):
    """4 MiB of it."""
    if os.geteuid():
        pytest.skip("mounting needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def side(url, keys):
    if url.startswith("s3://"):
        keys = "profile: " + ("partner" if BUCKET_S in url else "ours")
    return "{ " + ", ".join(filter(None, [keys, f"url: {json.dumps(url)}"])) + " }"


def write(daemon, source, destination, keys="", job="", role="src-reader"):
    """keys: of the local side, job: of the job."""
    daemon.conf.write_text(f"""version: 1
profiles:
  partner: {{ role_arn: "arn:aws:iam::111111111111:role/{role}", external_id: ferry-42,
             region: eu-west-1, endpoint_url: "{daemon.url}" }}
  ours: {{ role_arn: "arn:aws:iam::222222222222:role/dst-writer", region: eu-central-1,
          endpoint_url: "{daemon.url}" }}
jobs:
  daily-report:
    schedule: "cron(0 7 * * ? *)"
    retry: {{ attempts: 2, backoff: 1s, max_backoff: 1s }}
    {job}
    source: {side(source, keys)}
    destination: {side(destination, keys)}
""")


def stored(server, key, bucket=BUCKET_M):
    return server.m.get_object(Bucket=bucket, Key=key)


def uploads(server):
    return server.m.list_multipart_uploads(Bucket=BUCKET_M).get("Uploads", [])


def ended(daemon):
    row = daemon.ctl("history", "-n", "1")[1][0]["runs"][0]
    return row if row["state"] not in ("claimed", "running", "retry_wait") else None


def only_files(folder):
    """Whatever is there, hidden or not, as relative paths."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


@pytest.mark.parametrize("size", SIZES + LARGE)
def test_an_object_becomes_a_file(daemon, server, folder, size):
    body = body_of(size)
    server.s.put_object(Bucket=BUCKET_S, Key="f/x.bin", Body=body)
    head = server.s.head_object(Bucket=BUCKET_S, Key="f/x.bin")
    write(daemon, f"s3://{BUCKET_S}/f/x.bin", f"file://{folder}/")
    daemon.start()
    code, end = daemon.run()
    assert (code, end["verdict"], end["bytes_done"]) == (0, "succeeded", size), daemon.log()
    assert only_files(folder) == ["x.bin"]
    assert (folder / "x.bin").read_bytes() == body
    assert int((folder / "x.bin").stat().st_mtime) == int(head["LastModified"].timestamp())
    assert any("verified" in line and "without" not in line for line in daemon.log())


@pytest.mark.parametrize("size", SIZES + LARGE)
def test_a_file_becomes_an_object(daemon, server, folder, size):
    body = body_of(size)
    (folder / "y.bin").write_bytes(body)
    write(daemon, f"file://{folder}/y.bin", f"s3://{BUCKET_M}/up/{size}/")
    daemon.start()
    code, end = daemon.run()
    assert (code, end["verdict"], end["bytes_done"]) == (0, "succeeded", size), daemon.log()
    assert stored(server, f"up/{size}/y.bin")["Body"].read() == body


@pytest.mark.parametrize("way", ["down", "up"])
def test_a_plan_of_one_key_says_what_the_run_does(daemon, server, folder, way):
    def put_object(client, bucket, body):
        if body is None:
            client.delete_object(Bucket=bucket, Key="plan/x")
        else:
            client.put_object(Bucket=bucket, Key="plan/x", Body=body)

    def put_file(_, __, body):
        if file.is_dir():
            file.rmdir()
        file.unlink(missing_ok=True)
        if body is not None:
            file.write_bytes(body)

    def configure(overwrite):
        write(daemon, *ends, job=f"overwrite: {overwrite}")
        daemon.ctl("reload")

    def both():
        """What is planned, and then is so."""
        plan = daemon.ctl("plan", "daily-report")[1][0]
        end = daemon.run()[1]
        assert (plan["verdict"], plan["reason"]) == (end["verdict"], end["reason"]), (plan, end)
        (counted,) = plan["counts"]
        return counted["reason"], end
    file = folder / "x"
    local, source, target = f"file://{file}", f"s3://{BUCKET_S}/plan/x", f"s3://{BUCKET_M}/plan/x"
    ends = (source, local) if way == "down" else (local, target)
    put_source, put_target = (put_object, put_file)[::1 if way == "down" else -1]
    put_source(server.s, BUCKET_S, b"one")
    put_target(server.m, BUCKET_M, None)
    write(daemon, *ends, job="overwrite: changed")
    daemon.start()
    why, end = both()
    assert why == "new" and end["bytes_done"] == 3, end
    why, end = both()
    assert why == "same" and "1 there already" in end["message"], end
    put_target(server.m, BUCKET_M, b"two")
    why, end = both()
    assert why in ("changed", "unproven") and end["bytes_done"] == 3, end
    put_source(server.s, BUCKET_S, b"three")
    configure("never")
    why, end = both()
    assert why == "exists" and "1 not overwritten" in end["message"], end
    configure("changed")
    why, end = both()
    assert why == "changed" and end["bytes_done"] == 5, end
    if way == "down":
        file.unlink()
        file.mkdir()
        why, end = both()
        assert (why, end["verdict"]) == ("local", "failed") and str(folder) in end["message"], end
    put_target(server.m, BUCKET_M, b"two")
    put_source(server.s, BUCKET_S, None)
    why, end = both()
    assert (why, end["verdict"]) == ("vanished", "failed"), end


def test_mode_and_group_are_set_before_anybody_sees_the_file(daemon, server, folder):
    if os.geteuid():
        pytest.skip("changing to a group that is not ours needs root")
    server.s.put_object(Bucket=BUCKET_S, Key="sub/a/x", Body=b"x")
    write(daemon, f"s3://{BUCKET_S}/sub/", f"file://{folder}/", 'mode: "0640", group: 7')
    daemon.start()
    assert daemon.run()[1]["verdict"] == "succeeded"
    made, inside = (folder / "a").stat(), (folder / "a" / "x").stat()
    assert (made.st_mode & 0o7777, made.st_gid) == (0o750, 7)
    assert (inside.st_mode & 0o7777, inside.st_gid) == (0o640, 7)


@SANDBOX
def test_no_request_more_than_needed(daemon, server, folder):
    names = ["HeadObject", "GetObject", "PutObject"]

    def count(source, destination):
        before = [server.requests(n) for n in names]
        write(daemon, source, destination)
        daemon.ctl("reload")
        assert daemon.run()[0] == 0
        return [server.requests(n) - b for n, b in zip(names, before)]
    server.s.put_object(Bucket=BUCKET_S, Key="f/x", Body=b"x")
    daemon.start()
    assert count(f"s3://{BUCKET_S}/f/x", f"file://{folder}/") == [0, 1, 0]
    # One look at what might be overwritten: the file tells nothing of it.
    assert count(f"file://{folder}/x", f"s3://{BUCKET_M}/f/") == [1, 0, 1]


@SANDBOX
@pytest.mark.parametrize("size", [7, 4 * PART + 1])
def test_an_object_that_is_there_as_a_file_is_not_read_again(daemon, server, folder, size):
    """Every second run would tell by its record; another file, or another object, is news."""
    server.s.put_object(Bucket=BUCKET_S, Key="f/x", Body=body_of(size))
    write(daemon, f"s3://{BUCKET_S}/f/x", f"file://{folder}/")
    daemon.start()

    def run():
        before = [server.requests(n) for n in ("HeadObject", "GetObject")]
        code, end = daemon.run()
        assert code == 0, daemon.log()
        did = [server.requests(n) - b for n, b in zip(("HeadObject", "GetObject"), before)]
        return did, end["bytes_done"], "1 there already" in end["message"]
    parts = -(-size // PART)
    whole = [0, 1 if parts == 1 else 1 + parts], size, False
    assert run() == whole
    written = (folder / "x").stat()
    assert run() == ([0, 1], 0, True)  # "not modified": an answer without a body
    assert (folder / "x").stat().st_ino == written.st_ino
    (folder / "x").write_bytes(b"!" + body_of(size)[1:])
    os.utime(folder / "x", ns=(written.st_atime_ns, written.st_mtime_ns))
    assert run() == whole
    assert run() == ([0, 1], 0, True)
    server.s.put_object(Bucket=BUCKET_S, Key="f/x", Body=body_of(size)[::-1])
    assert run() == whole
    assert (folder / "x").read_bytes() == body_of(size)[::-1]


@SANDBOX
@pytest.mark.parametrize("size", [7, 4 * PART + 1])
def test_a_file_that_is_there_as_an_object_is_not_sent_again(daemon, server, folder, size):
    names = ["HeadObject", "GetObject", "PutObject", "CreateMultipartUpload"]
    (folder / "x").write_bytes(body_of(size))
    os.utime(folder / "x", ns=(0, 10**18))
    server.m.delete_object(Bucket=BUCKET_M, Key="f/x")
    write(daemon, f"file://{folder}/x", f"s3://{BUCKET_M}/f/")
    daemon.start()

    def run():
        before = [server.requests(n) for n in names]
        code, end = daemon.run()
        assert code == 0, daemon.log()
        return [server.requests(n) - b for n, b in zip(names, before)]
    # Before a Complete one more look: not every server of others heeds conditions.
    sent = [1, 0, 1, 0] if size == 7 else [2, 0, 0, 1]
    assert run() == sent
    assert run() == [1, 0, 0, 0]
    (folder / "x").write_bytes(body_of(size)[::-1])
    os.utime(folder / "x", ns=(0, 10**18))
    assert run() == sent
    assert stored(server, "f/x")["Body"].read() == body_of(size)[::-1]
    server.m.put_object(Bucket=BUCKET_M, Key="f/x", Body=b"somebody else's")
    assert run() == sent


def test_hostile_keys_become_files_or_are_told(daemon, server, folder):
    """Those that S3 takes; what keys may do to a disk, tests/unit/test_file.c tries."""
    keys = ["../x", "a/../../b", "/abs", "//", "x/", "a//b", "n\nl", "%2F", "\u202egpj",
            "e\u0301", "\u00e9", "-rf", "$(x)", "\U0001f600", "c", "c/d", "n" * 256, "..", "."]
    for key in keys:
        server.s.put_object(Bucket=BUCKET_S, Key="hostile/" + key, Body=key.encode())
    write(daemon, f"s3://{BUCKET_S}/hostile/", f"file://{folder}/in/")
    (folder / "in").mkdir()
    daemon.start()
    end = daemon.run()[1]
    # The long one, and of .. and ../x, of c and c/d, those that came second.
    assert end["verdict"] == "partial", daemon.log()
    assert "3 of 19 objects failed" in " ".join(daemon.log()), end
    found = {(folder / "in" / name).read_bytes() for name in only_files(folder / "in")}
    assert found <= {key.encode() for key in keys} and len(found) == len(keys) - 3
    assert {p.split("/")[0] for p in only_files(folder)} == {"in"}


# --- what goes wrong at the source ---

def overwrite(path):
    with open(path, "r+b") as f:
        f.seek(5 * PART)
        f.write(b"!")


def keep_time(path):
    before = path.stat()
    overwrite(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path):
    other = path.with_name("other")
    shutil.copy(path, other)
    other.rename(path)


CHANGES = {
    "written to": overwrite,
    "written to, its time set back": keep_time,
    "appended to": lambda path: os.truncate(path, path.stat().st_size + 1),
    "cut": lambda path: os.truncate(path, 2 * PART),
    "replaced by an equal one": replace,
    "removed": lambda path: path.unlink(),
}


@SANDBOX
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_read_fails(daemon, server, folder, faults, change):
    path = folder / "y.bin"
    path.write_bytes(body_of(12 * PART))
    faults((dict(operation="UploadPart", skip=1, count=20), dict(delay_ms=400)))
    write(daemon, f"file://{path}", f"s3://{BUCKET_M}/changing/")
    daemon.start()
    daemon.ctl("run", "daily-report")
    until(lambda: uploads(server), "the upload")
    CHANGES[change](path)
    row = until(lambda: ended(daemon), "the end")
    # Gone for the next part, or with another ctime for the one under way.
    reasons = ("changed", "source_missing")[:2 if change == "removed" else 1]
    assert row["state"] == "failed" and row["reason"] in reasons, daemon.log()
    assert not uploads(server)
    with pytest.raises(ClientError):
        server.m.head_object(Bucket=BUCKET_M, Key="changing/y.bin")


@SANDBOX
@pytest.mark.parametrize("is_same", [True, False], ids=["unchanged", "touched"])
def test_an_upload_goes_on_if_the_file_is_the_same(daemon, server, folder, faults, is_same):
    path, body = folder / "y.bin", body_of(7 * PART)
    path.write_bytes(body)
    faults((dict(operation="UploadPart", skip=4, count=20), dict(stall_at=10_000)))
    write(daemon, f"file://{path}", f"s3://{BUCKET_M}/resumed/")
    daemon.start()
    daemon.ctl("run", "daily-report")
    until(lambda: uploads(server) and len(server.m.list_parts(
        Bucket=BUCKET_M, Key="resumed/y.bin",
        UploadId=uploads(server)[0]["UploadId"]).get("Parts", [])) == 4, "four parts")
    daemon.kill()
    if not is_same:
        path.touch()
    faults()
    sent = server.requests("UploadPart")
    daemon.start()
    row = until(lambda: ended(daemon), "the end")
    assert row["state"] == "succeeded", daemon.log()
    assert server.requests("UploadPart") - sent == (3 if is_same else 7)
    assert stored(server, "resumed/y.bin")["Body"].read() == body
    assert not uploads(server)


def test_what_is_no_file_is_told(daemon, server, folder):
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "folder").mkdir()
    daemon.start()
    for name, code in (("pipe", "not-regular"), ("link", "ELOOP"), ("folder", "name-clash"),
                       ("none", "ENOENT")):
        write(daemon, f"file://{folder}/{name}", f"s3://{BUCKET_M}/no/")
        daemon.ctl("reload")
        end = daemon.run()[1]
        assert end["verdict"] == "failed" and f": {code}: " in end["message"], end
        assert f"source file://{folder}/{name}: open: " in end["message"]


# --- what goes wrong on the way to a file ---

DAMAGE = {
    "cut": dict(reset_at=5_000_000), "ends early": dict(truncate_at=5_000_000),
    "flipped": dict(flip_at=5_000_000), "denied": dict(status=403, code="AccessDenied")}


@SANDBOX
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("size", [6 * MIB, 5 * PART])
@pytest.mark.parametrize("is_once", [True, False], ids=["once", "each time"])
def test_the_old_file_stays_until_the_new_one_is_whole(
        daemon, server, folder, faults, damage, size, is_once):
    body = body_of(size)
    server.s.put_object(Bucket=BUCKET_S, Key="f/x.bin", Body=body)
    (folder / "x.bin").write_bytes(b"old")
    faults((dict(operation="GetObject", skip=0 if size < PART else 2,
                 count=1 if is_once else 1000), DAMAGE[damage]))
    write(daemon, f"s3://{BUCKET_S}/f/x.bin", f"file://{folder}/")
    daemon.start()
    verdict = daemon.run()[1]["verdict"]
    assert only_files(folder) == ["x.bin"]
    if is_once and damage != "denied":
        assert verdict == "succeeded", daemon.log()
        assert (folder / "x.bin").read_bytes() == body
    else:
        assert verdict == "failed"
        assert (folder / "x.bin").read_bytes() == b"old"


@SANDBOX
def test_a_source_that_is_replaced_is_never_mixed(daemon, server, folder, faults):
    server.s.put_object(Bucket=BUCKET_S, Key="f/x.bin", Body=body_of(12 * PART))
    faults((dict(operation="GetObject", skip=4, count=20), dict(delay_ms=2000)))
    write(daemon, f"s3://{BUCKET_S}/f/x.bin", f"file://{folder}/")
    before = server.requests("GetObject")
    daemon.start()
    daemon.ctl("run", "daily-report")
    until(lambda: server.requests("GetObject") - before > 5, "some parts")
    server.s.put_object(Bucket=BUCKET_S, Key="f/x.bin", Body=b"another")
    row = until(lambda: ended(daemon), "the end")
    assert (row["state"], row["reason"]) == ("failed", "changed")
    assert only_files(folder) == []


@pytest.mark.parametrize("size", [3 * MIB, 4 * PART + 1])
def test_kill_9_leaves_the_old_file_or_the_new_one(daemon, server, folder, size):
    body, path = body_of(size), folder / "x.bin"
    server.s.put_object(Bucket=BUCKET_S, Key="f/x.bin", Body=body)
    path.write_bytes(b"old")
    rnd = random.Random(1)
    write(daemon, f"s3://{BUCKET_S}/f/x.bin", f"file://{folder}/")
    for _ in range(int(os.environ.get("S3FERRY_KILLS", "6"))):
        daemon.start()
        daemon.ctl("run", "daily-report")
        # The random point; nothing waits for it.
        threading.Event().wait(rnd.random() * 0.4)
        daemon.kill()
        assert path.read_bytes() in (b"old", body)
        assert only_files(folder) == ["x.bin"]
        daemon.start()
        row = until(lambda: ended(daemon), "the end")
        assert row["state"] == "succeeded"
        assert path.read_bytes() == body
        assert only_files(folder) == ["x.bin"]
        daemon.stop()
        path.write_bytes(b"old")


def test_readers_see_the_old_file_or_the_new_one(daemon, server, folder):
    bodies = [body_of(3 * MIB), body_of(3 * MIB + 1)]
    path, seen, stop = folder / "x.bin", set(), threading.Event()
    path.write_bytes(bodies[0])
    write(daemon, f"s3://{BUCKET_S}/f/x.bin", f"file://{folder}/")
    daemon.start()

    def watch():
        while not stop.is_set():
            seen.add(hash(path.read_bytes()))
    reader = threading.Thread(target=watch)
    reader.start()
    for i in range(1, 7):
        server.s.put_object(Bucket=BUCKET_S, Key="f/x.bin", Body=bodies[i % 2])
        assert daemon.run()[0] == 0
    stop.set()
    reader.join()
    assert seen == {hash(b) for b in bodies}


# --- what this host lacks ---

@pytest.mark.parametrize("size", [5 * MIB, 5 * PART])
def test_a_full_disk_fails_that_object_and_no_other(daemon, server, small_disk, size):
    prefix = f"room{size}/"
    for name, body in (("a", b"a"), ("b", body_of(size)), ("c", b"c")):
        server.s.put_object(Bucket=BUCKET_S, Key=prefix + name, Body=body)
    write(daemon, f"s3://{BUCKET_S}/{prefix}", f"file://{small_disk}/")
    daemon.start()
    end = daemon.run()[1]
    assert end["verdict"] == "partial", end
    assert "1 of 3 objects failed" in " ".join(daemon.log())
    assert "ENOSPC" in end["message"] and "the disk or the quota is full" in end["message"]
    assert only_files(small_disk) == ["a", "c"]


def test_a_read_only_disk_says_what_to_do(daemon, server, small_disk):
    server.s.put_object(Bucket=BUCKET_S, Key="f/x.bin", Body=b"x")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    write(daemon, f"s3://{BUCKET_S}/f/x.bin", f"file://{small_disk}/")
    daemon.start()
    end = daemon.run()[1]
    assert (end["verdict"], end["reason"]) == ("failed", "local")
    assert "EROFS" in end["message"] and "ReadWritePaths=" in end["message"]


def test_a_folder_of_somebody_else_says_what_to_do(server, monkeypatch):
    if os.geteuid() or not shutil.which("setpriv"):
        pytest.skip("becoming somebody else needs root and setpriv")
    server.s.put_object(Bucket=BUCKET_S, Key="f/x.bin", Body=b"x")
    with tempfile.TemporaryDirectory(prefix="s3ferry-files-") as top:
        os.chmod(top, 0o755)
        home, theirs = Path(top) / "home", Path(top) / "theirs"
        home.mkdir()
        theirs.mkdir()
        (theirs / "secret").write_text("x")
        os.chmod(theirs / "secret", 0o600)
        os.chown(home, 65534, 65534)
        monkeypatch.setattr(conftest, "WRAP", ["setpriv", "--reuid=65534", "--regid=65534",
                                               "--clear-groups", *conftest.WRAP])
        daemon = Daemon(home, server.url)
        write(daemon, f"s3://{BUCKET_S}/f/x.bin", f"file://{theirs}/")
        os.chown(daemon.conf, 65534, 65534)
        mask = os.umask(0)  # the socket on which it says that it is ready
        daemon.start()
        os.umask(mask)
        end = daemon.run()[1]
        assert (end["verdict"], end["reason"]) == ("failed", "local")
        assert "EACCES" in end["message"] and "ReadWritePaths=" in end["message"]
        assert only_files(theirs) == ["secret"]
        write(daemon, f"file://{theirs}/secret", f"s3://{BUCKET_M}/no/")
        daemon.ctl("reload")
        end = daemon.run()[1]
        assert (end["verdict"], end["reason"]) == ("failed", "local")
        assert "EACCES" in end["message"]
        daemon.stop()


def test_too_few_descriptors_are_waited_for(daemon, server, folder):
    (folder / "y.bin").write_bytes(b"y")
    write(daemon, f"file://{folder}/y.bin", f"s3://{BUCKET_M}/fds/")
    daemon.start()
    assert daemon.run()[0] == 0
    pid = daemon.proc.pid
    old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    # The one that is left is the control connection's.
    few = len(os.listdir(f"/proc/{pid}/fd")) + 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, old[1]))
    end = daemon.run()[1]
    assert (end["verdict"], end["reason"]) == ("failed", "local"), end
    assert "EMFILE" in end["message"] and "LimitNOFILE=" in end["message"]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, old)
    assert daemon.run()[0] == 0


@pytest.mark.parametrize("left", [3, 12])
def test_too_few_descriptors_for_connections(daemon, server, left):
    """Some wait for others, some may fail and say why; none is lost, and none hangs."""
    for i in range(60):
        server.s.put_object(Bucket=BUCKET_S, Key=f"fds/{i}", Body=b"x" * 100_000)
    prefix = f"fds{left}/"
    write(daemon, f"s3://{BUCKET_S}/fds/", f"s3://{BUCKET_M}/{prefix}")
    daemon.start()
    pid = daemon.proc.pid
    old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    few = len(os.listdir(f"/proc/{pid}/fd")) + left
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, old[1]))
    end = daemon.run()[1]
    if end["verdict"] != "succeeded":
        assert "open files" in end["message"] and "LimitNOFILE=" in end["message"], end
    resource.prlimit(pid, resource.RLIMIT_NOFILE, old)
    assert daemon.run()[1]["verdict"] == "succeeded", daemon.log()
    assert len(keys_of(server, prefix)) == 60


@pytest.fixture
def broken_sync(tmp_path):
    """A library that answers EIO when a file of 3 MiB is flushed to the disk."""
    source, library = tmp_path / "sync.c", tmp_path / "sync.so"
    source.write_text("""
#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
int fsync(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 3 << 20) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}
""")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    return {"LD_PRELOAD": str(library), "ASAN_OPTIONS": "verify_asan_link_order=0"}


def test_a_disk_that_cannot_flush_fails_that_object_and_no_other(
        daemon, server, folder, broken_sync):
    for name, body in (("a", b"a"), ("b", body_of(3 * MIB)), ("c", b"c")):
        server.s.put_object(Bucket=BUCKET_S, Key="sync/" + name, Body=body)
    (folder / "b").write_bytes(b"older")
    write(daemon, f"s3://{BUCKET_S}/sync/", f"file://{folder}/")
    daemon.start(variables=broken_sync)
    end = daemon.run()[1]
    assert end["verdict"] == "partial", end
    assert "1 of 3 objects failed" in " ".join(daemon.log())
    assert "EIO" in end["message"], end
    assert only_files(folder) == ["a", "b", "c"]
    assert (folder / "b").read_bytes() == b"older"


# --- folders ---

def fill(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def keys_of(server, prefix):
    pages = server.m.get_paginator("list_objects_v2").paginate(Bucket=BUCKET_M, Prefix=prefix)
    return [o["Key"][len(prefix):] for page in pages for o in page.get("Contents", [])]


@SANDBOX
def test_a_folder_goes_up_and_only_what_is_new_the_next_time(daemon, server, folder):
    names = ["a-b", "a/x", "a0", "b/c/d/e", "ünï", "%0A", "100%.txt", "sp ace"]
    fill(folder, names)
    (folder / "link").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    write(daemon, f"file://{folder}/", f"s3://{BUCKET_M}/folder/")
    daemon.start()
    assert daemon.run()[1]["verdict"] == "succeeded", daemon.log()
    want = sorted(n.replace("%0A", "\n") for n in names)
    assert keys_of(server, "folder/") == sorted(want, key=lambda k: k.encode())
    assert stored(server, "folder/b/c/d/e")["Body"].read() == b"b/c/d/e"
    puts = server.requests("PutObject")
    assert daemon.run()[1]["verdict"] == "succeeded"
    assert server.requests("PutObject") == puts
    (folder / "a0").write_text("other")
    fill(folder, ["new"])
    assert daemon.run()[1]["verdict"] == "succeeded"
    assert server.requests("PutObject") == puts + 2
    assert stored(server, "folder/a0")["Body"].read() == b"other"


@SANDBOX
def test_a_prefix_comes_down_and_only_what_is_new_the_next_time(daemon, server, folder):
    for name in ("a-b", "a/x", "a0", "b//c"):
        server.s.put_object(Bucket=BUCKET_S, Key="down/" + name, Body=name.encode())
    write(daemon, f"s3://{BUCKET_S}/down/", f"file://{folder}/")
    daemon.start()
    assert daemon.run()[1]["verdict"] == "succeeded", daemon.log()
    assert only_files(folder) == ["a-b", "a/x", "a0", "b/%2Fc"]
    gets = server.requests("GetObject")
    assert daemon.run()[1]["verdict"] == "succeeded"
    assert server.requests("GetObject") == gets
    (folder / "a0").write_text("00")
    os.utime(folder / "a0", (1, 1))
    (folder / "a-b").unlink()
    assert daemon.run()[1]["verdict"] == "succeeded"
    assert server.requests("GetObject") == gets + 2
    assert (folder / "a0").read_text() == "a0"


@SANDBOX
def test_files_are_moved_once_they_are_proven(daemon, server, folder, faults):
    fill(folder, ["a", "b/c", "b/d"])
    faults((dict(operation="PutObject", path_prefix=f"/{BUCKET_M}/moved/b/d", count=100),
            dict(status=403, code="AccessDenied")))
    write(daemon, f"file://{folder}/", f"s3://{BUCKET_M}/moved/", job="action: move")
    daemon.start()
    assert daemon.run()[1]["verdict"] == "partial", daemon.log()
    assert only_files(folder) == ["b/d"]
    faults()
    assert daemon.run()[1]["verdict"] == "succeeded"
    assert only_files(folder) == []
    assert keys_of(server, "moved/") == ["a", "b/c", "b/d"]


@SANDBOX  # whose reader of the source may delete there, by the name of src-mover
def test_objects_are_moved_to_files(daemon, server, folder):
    for name in ("a", "b/c"):
        server.s.put_object(Bucket=BUCKET_S, Key="leave/" + name, Body=name.encode())
    write(daemon, f"s3://{BUCKET_S}/leave/", f"file://{folder}/", job="action: move",
          role="src-mover")
    daemon.start()
    assert daemon.run()[1]["verdict"] == "succeeded", daemon.log()
    assert only_files(folder) == ["a", "b/c"]
    assert not server.s.list_objects_v2(Bucket=BUCKET_S, Prefix="leave/").get("Contents")
    # One that is there already leaves as well, without another record.
    for name in ("one", "two"):
        server.s.put_object(Bucket=BUCKET_S, Key="leave/" + name, Body=b"1")
        (folder / name).write_text("1")
        write(daemon, f"s3://{BUCKET_S}/leave/{name}", f"file://{folder}/{name}",
              job="action: move", role="src-mover")
        assert daemon.ctl("reload", "--wait")[0] == 0
        assert daemon.run()[1]["verdict"] == "succeeded", daemon.log()
    assert not server.s.list_objects_v2(Bucket=BUCKET_S, Prefix="leave/").get("Contents")


def test_a_mirror_of_files_deletes_what_is_gone_and_no_link(daemon, server, folder):
    for name in ("a", "b/c", "d"):
        server.s.put_object(Bucket=BUCKET_S, Key="mirror/" + name, Body=name.encode())
    fill(folder, ["old", "b/old", "b/c/old"][:2])
    (folder / "link").symlink_to("/etc/passwd")
    write(daemon, f"s3://{BUCKET_S}/mirror/", f"file://{folder}/",
          job="action: sync\n    delete: true\n    max_delete: 2")
    daemon.start()
    assert daemon.run()[1]["verdict"] == "succeeded", daemon.log()
    assert only_files(folder) == ["a", "b/c", "d", "link"]
