"""No secret leaves the daemon's memory: not to a log, to /proc, to the state, or to a core."""

import re
import resource
import signal
import subprocess

import pytest

from conftest import MOVER, SANITIZED, mappings, secrets_of
from faultproxy import FaultProxy

TOKEN = re.compile(rb"<SessionToken>([^<]+)<")
SECRET = re.compile(rb"<SecretAccessKey>([^<]+)<")
SIGNATURE = re.compile(rb"Signature=([0-9a-f]{64})")


class Ears(FaultProxy):
    """Hears all that passes, which is how the test knows the secrets."""

    def __init__(self, target):
        super().__init__(target)
        self.heard = bytearray()

    async def _strike(self, data, armed):
        self.heard += data
        return await super()._strike(data, armed)

    def secrets(self):
        found = {m for p in (TOKEN, SECRET, SIGNATURE) for m in p.findall(self.heard)}
        assert len(found) > 6, "two sessions and some signatures"
        return {MOVER[1].encode(), *found}


@pytest.fixture
def ears(server):
    with Ears(server.port) as e:
        yield e


@pytest.fixture
def ferry(daemon, ears, server):
    """At debug level, with a large object, one that is missing, and a denial."""
    server.s.put_object(Bucket="account-s-bucket", Key="canary/a", Body=b"x" * 100)
    server.s.put_object(Bucket="account-s-bucket", Key="canary/large", Body=b"x" * (65 << 20))
    daemon.write(source="s3://account-s-bucket/canary/", source_url=ears.url,
                 destination_url=ears.url)
    more = daemon.conf.read_text()
    job = more[more.index("  daily-report"):]
    daemon.conf.write_text(
        more + job.replace("daily-report", "missing").replace("canary/", "gone.csv")
        + job.replace("daily-report", "denied").replace("canary/", "canary/a").replace(
            "s3://account-m-bucket/incoming/", server.forbidden))
    daemon.verbose = True
    daemon.cwd = daemon.tmp / "work"
    daemon.cwd.mkdir()
    daemon.start()
    daemon.ctl("run", "daily-report", "--wait")
    daemon.ctl("run", "missing", "--wait")
    daemon.ctl("run", "denied", "--wait")
    daemon.ctl("status")
    daemon.ctl("history")
    return daemon


def files_below(folder):
    return [p for p in folder.rglob("*") if p.is_file()]


def test_nothing_is_told(ferry, ears):
    secrets = ears.secrets()
    proc = f"/proc/{ferry.proc.pid}"
    places = {name: open(f"{proc}/{name}", "rb").read() for name in ("cmdline", "environ")}
    state = files_below(ferry.tmp)
    assert any(p.name.endswith("-wal") for p in state), "the state's write-ahead log"
    places.update({str(p): p.read_bytes() for p in state})
    assert b" debug " in places[str(ferry.log_path)]
    for name, content in places.items():
        for secret in secrets:
            assert secret not in content, name
    assert b"X-Amz-Signature" not in places[str(ferry.log_path)]


def test_no_core_is_left(ferry, ears, tmp_path):
    """A program of no secrets shows that this host does write cores, where it does."""
    cores = tmp_path / "cores"
    cores.mkdir()
    resource.prlimit(ferry.proc.pid, resource.RLIMIT_CORE,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    witness = subprocess.Popen(["sleep", "60"], cwd=cores)
    resource.prlimit(witness.pid, resource.RLIMIT_CORE,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    witness.send_signal(signal.SIGABRT)
    assert witness.wait(10) == -signal.SIGABRT
    ferry.proc.send_signal(signal.SIGABRT)
    assert ferry.proc.wait(30) == -signal.SIGABRT
    left = [p for folder in (cores, ferry.tmp, ferry.cwd) for p in folder.glob("core*")
            if p.is_file()]
    assert not any(p.parent != cores for p in left), left
    for p in left:  # of the witness
        assert MOVER[1].encode() not in p.read_bytes()


@pytest.mark.skipif(SANITIZED, reason="AddressSanitizer keeps what libcurl and expat freed, "
                                      "and a copy of the environment")
def test_sessions_lie_on_pages_that_no_core_has(ferry, ears):
    ours = {MOVER[1].encode(), *SECRET.findall(ears.heard)}
    assert len(ours) > 2
    assert ours <= secrets_of(ferry.proc.pid)  # what each test's end looks for elsewhere
    for memory in mappings(ferry.proc.pid, are_secret=False):
        for secret in ours:
            assert secret not in memory, memory[memory.index(secret) - 200:][:400]
