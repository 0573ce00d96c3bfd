"""Servers that the daemon is tested against, and the daemon itself.

A server has url, s and m (boto3 clients of the owners of the two buckets), client(),
assumed() and forbidden. The sandbox is the project's own; the other one is Ceph RGW,
which is no work of ours and so has no misunderstandings in common with us.
"""

import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import boto3
import pytest
from botocore.config import Config

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ.get("S3FERRY_BUILD", "build")
WRAP = os.environ.get("S3FERRY_WRAP", "").split()  # valgrind and its options
SANITIZED = b"__asan_init" in pathlib.Path(f"{BUILD}/src/s3ferryd").read_bytes()
RIGS = TOP / "tests" / "rigs"
sys.path.insert(0, str(RIGS))

MOVER = ("AKIAMMOVER0000000001", "mMoverSecret+/0000000000000000000000001")
OWNER_S = ("AKIASOWNER0000000001", "sOwnerSecret+/0000000000000000000000001")
OWNER_M = ("AKIAMOWNER0000000001", "mOwnerSecret+/0000000000000000000000001")
STRANGER = ("AKIAXSTRANGER0000001", "xStrangerSecret/0000000000000000000001")


def until(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)
    return result


def resident_kib(pid, what="VmHWM"):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split(what + ":")[1].split()[0])


def assert_resident(pid, most_kib, what="VmHWM"):
    """AddressSanitizer and valgrind keep what is freed: no bound of ours holds there."""
    assert SANITIZED or WRAP or resident_kib(pid, what) <= most_kib


class Server:
    def connect(self, url):
        self.url = url
        self.port = int(url.rsplit(":", 1)[1])
        self.s = self.client(*OWNER_S)
        self.m = self.client(*OWNER_M)

    def client(self, key, secret, token=None, service="s3"):
        return boto3.client(
            service, endpoint_url=self.url, region_name="eu-west-1",
            aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=token,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1},
                          parameter_validation=False))


class Sandbox(Server):
    forbidden = "s3://account-s-bucket/x/"  # the destination's role may not write there

    def start(self, _):
        self.start_with(TOP / "etc" / "sandbox-accounts.json")

    def start_with(self, accounts):
        self.proc = subprocess.Popen(
            [f"{BUILD}/src/s3ferry-sandbox", "--listen", "127.0.0.1:0",
             "--accounts", accounts],
            stdout=subprocess.PIPE, text=True)
        self.connect("http://" + self.proc.stdout.readline().split()[1])

    def assumed(self):
        """How often a role was assumed since the start."""
        return self.requests("AssumeRole")

    def requests(self, operation):
        with urllib.request.urlopen(self.url + "/_sandbox/log") as answer:
            counters = json.load(answer)["counters"]
        return sum(c["requests"] for c in counters if c["operation"] == operation)

    def faults(self, *rules):
        """Each a (match, action) of the sandbox's fault injector."""
        rules = [{"match": m, "action": a} for m, a in rules]
        urllib.request.urlopen(urllib.request.Request(
            self.url + "/_sandbox/faults", json.dumps({"rules": rules}).encode(),
            method="PUT")).close()

    def fired(self):
        """How often each of these rules did."""
        with urllib.request.urlopen(self.url + "/_sandbox/log") as answer:
            return [f["fired"] for f in json.load(answer)["faults"]]

    def change(self, *changes):
        """Each a {bucket, key, body} made behind every client's back; no body: deleted."""
        urllib.request.urlopen(urllib.request.Request(
            self.url + "/_sandbox/objects", json.dumps(changes).encode(),
            method="PUT")).close()

    def objects(self, bucket, prefix):
        """As a listing has them, by the same back door."""
        with urllib.request.urlopen(f"{self.url}/_sandbox/objects?bucket={bucket}&prefix="
                                    f"{urllib.parse.quote(prefix)}") as answer:
            return json.load(answer)["objects"]

    def thaw(self):
        """Every restore that was asked for is done."""
        urllib.request.urlopen(urllib.request.Request(
            self.url + "/_sandbox/thaw", method="PUT")).close()

    def stop(self):
        self.proc.kill()
        self.proc.wait()
        self.proc.stdout.close()


def free_ports(count):
    """Below the range that the kernel gives to connections, so that they stay free."""
    sockets = []
    while len(sockets) < count:
        s = socket.socket()
        try:
            s.bind(("127.0.0.1", random.SystemRandom().randrange(20000, 32000)))
            sockets.append(s)
        except OSError:
            s.close()
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Rgw(Server):
    # A role session of RGW does not even see buckets of other accounts.
    forbidden = "s3://account-m-locked/x/"

    def start(self, folder):
        mon, rgw, tls = free_ports(3)
        self.dir = folder
        self.env = {**os.environ, "DIR": str(folder), "MONPORT": str(mon),
                    "RGWPORT": str(rgw), "TLSPORT": str(tls)}
        self.tls_url = f"https://127.0.0.1:{tls}"
        self.ca = folder / "tls" / "ca.pem"
        self.call("rgw.sh", "up")
        self.call("rgw-accounts.sh")
        self.connect(f"http://127.0.0.1:{rgw}")
        self.s.create_bucket(Bucket="account-s-bucket")
        # What a role session puts belongs to nobody: its bucket's owner needs to be let in.
        self.make_bucket("account-m-bucket", "Allow", "222222222222:user/owner-m", "Get")
        self.make_bucket("account-m-locked", "Deny", "222222222222:role/dst-writer", "Put")

    def call(self, *args):
        r = subprocess.run([RIGS / args[0], *args[1:]], env=self.env, capture_output=True,
                           text=True, timeout=120)
        if r.returncode:
            logs = "".join(f"\n-- {p}\n{p.read_text()}" for p in self.dir.glob("log/*.out"))
            self.stop()
            raise RuntimeError(f"{args} failed, is all of packages.txt installed? "
                               f"{r.stderr}{logs}")

    def make_bucket(self, name, effect, who, what):
        self.m.create_bucket(Bucket=name)
        self.m.put_bucket_policy(Bucket=name, Policy=json.dumps({
            "Version": "2012-10-17",
            "Statement": [{"Effect": effect, "Principal": {"AWS": ["arn:aws:iam::" + who]},
                           "Action": [f"s3:{what}Object"],
                           "Resource": [f"arn:aws:s3:::{name}/*"]}]}))

    def assumed(self):
        log = (self.dir / "log" / "client.rgw.0.log").read_text(errors="replace")
        return sum(' "POST / HTTP/1.1" 200 ' in line for line in log.splitlines())

    def stop(self):
        subprocess.run([RIGS / "rgw.sh", "down"], env=self.env, timeout=60, check=True)


@pytest.fixture(scope="session", params=["sandbox", "rgw"])
def server(request, tmp_path_factory):
    s = {"sandbox": Sandbox, "rgw": Rgw}[request.param]()
    s.name = request.param
    s.start(tmp_path_factory.mktemp(s.name))
    yield s
    s.stop()


def first_seed():
    """S3FERRY_SEED replays one. A check is of the tree alone; make check-long rolls the dice."""
    seed = int(os.environ.get("S3FERRY_SEED", 0))
    if not seed and os.environ.get("S3FERRY_LONG"):
        seed = random.SystemRandom().randrange(1, 2**31)
    print(f"S3FERRY_SEED={seed or 1}")
    return seed or 1


def seeds(count):
    first = first_seed()
    return [first] if os.environ.get("S3FERRY_SEED") else range(first, first + count)


def only(name, why):
    """A test that needs the one server; why says what the other lacks."""
    assert why
    return pytest.mark.parametrize("server", [name], indirect=True, scope="session")


# --- the canary: no secret of any test's daemon is anywhere but on its pages of secrets ---

SIGNATURE = re.compile(rb"Signature=[0-9a-f]{64}")
TEXT = re.compile(rb"(?<=\0)[!-~]{24,}(?=\0)")  # whole ones: no words of sentences
SHADOW = 16 << 20  # larger mappings are a sanitizer's, terabytes of them
# What logs may have. A secret key, 40 of base64's letters, may begin as a path does.
NO_SECRET = re.compile(rb"(?![A-Za-z0-9+/]{40}\Z)(arn:|\d{8}/|/|tx0|AssumeRole)")


def mappings(pid, are_secret):
    """Those that a core would not have, or would."""
    with open(f"/proc/{pid}/smaps") as f, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in f:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if m:
                first, last = int(m[1], 16), int(m[2], 16)
            elif line.startswith("VmFlags:") and " io" not in line and \
                    (" dd" in line) == are_secret and last - first < SHADOW:
                mem.seek(first)
                try:
                    yield mem.read(last - first)
                except OSError:  # of the kernel's own
                    pass


def secrets_of(pid):
    return {s for m in mappings(pid, True) for s in TEXT.findall(m)
            if not NO_SECRET.match(s)}


class Daemon:
    """s3ferryd with a configuration, a state directory and a socket of its own."""

    def __init__(self, tmp, url):
        self.tmp, self.url = tmp, url
        self.conf = tmp / "s3ferry.yaml"
        self.sock = str(tmp / "io.s3ferry")
        self.log_path = tmp / "log"
        self.proc = None
        self.verbose = False
        self.cwd = None  # of the process; None: ours
        self.patience = 300 if SANITIZED or WRAP else 60  # seconds that s3ferryctl may take

    def write(self, source="s3://account-s-bucket/daily/report.csv",
              destination="s3://account-m-bucket/incoming/", external_id="ferry-42",
              role="src-reader", source_url=None, destination_url=None, both="", extra="",
              top="", source_keys="", destination_keys="",
              writer="arn:aws:iam::222222222222:role/dst-writer"):
        """both: keys of both profiles, extra: of the job, ..._keys: of its sides, top: of
        the top level."""
        self.conf.write_text(f"""version: 1
{top}
profiles:
  partner: {{ role_arn: "arn:aws:iam::111111111111:role/{role}", external_id: "{external_id}",
             region: eu-west-1, endpoint_url: "{source_url or self.url}", {both} }}
  ours: {{ role_arn: "{writer}", region: eu-central-1,
          endpoint_url: "{destination_url or self.url}", {both} }}
jobs:
  daily-report:
    schedule: "cron(0 7 * * ? *)"
    timezone: Europe/Berlin
    retry: {{ attempts: 2, backoff: 1s, max_backoff: 1s }}
{extra}
    source: {{ profile: partner, url: {json.dumps(source)}, {source_keys} }}
    destination: {{ profile: ours, url: {json.dumps(destination)}, {destination_keys} }}
""")

    def start(self, keys=MOVER, variables=None):
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = str(self.tmp / f"notify{time.monotonic_ns()}")
        notify.bind(path)
        notify.settimeout(20)
        env = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": path, **(variables or {})}
        env.update(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
                       keys))
        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen(
                [*WRAP, f"{BUILD}/src/s3ferryd", "-c", str(self.conf), "--state-dir",
                 str(self.tmp / "state"), "--socket", self.sock,
                 *(["-v"] if self.verbose else [])], stderr=log, env=env, cwd=self.cwd)
        while b"READY=1" not in notify.recv(4096):
            pass
        notify.close()
        return self

    def stop(self):
        if self.proc and self.proc.poll() is None:
            places = [f"/proc/{self.proc.pid}/cmdline"]
            if not WRAP:  # which keeps a copy of what it was started with
                places.append(f"/proc/{self.proc.pid}/environ")
            try:
                secrets = secrets_of(self.proc.pid)
                self.has_no(secrets, places)
            finally:
                self.proc.send_signal(signal.SIGTERM)
                code = self.proc.wait(40)
            assert code == 0
            state = [p for p in (self.tmp / "state").rglob("*") if p.is_file()]
            self.has_no(secrets, [self.log_path, *state])

    def has_no(self, secrets, places):
        for place in places:
            content = pathlib.Path(place).read_bytes()
            for secret in secrets:
                assert secret not in content, (place, secret[:8])
            assert not SIGNATURE.search(content), place

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def ctl(self, *args):
        r = subprocess.run([f"{BUILD}/src/s3ferryctl", "--socket", self.sock, "--json", *args],
                           capture_output=True, text=True, timeout=self.patience)
        lines = [json.loads(line) for line in r.stdout.splitlines()]
        return r.returncode, lines, r.stderr

    def ask(self, method, more=False, **parameters):
        """What s3ferryctl asks, without its process: all replies."""
        call = {"method": "io.s3ferry." + method, "parameters": parameters, "more": more}
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(self.sock)
            s.sendall(json.dumps(call).encode() + b"\0")
            replies, text = [], b""
            while not replies or replies[-1].get("continues"):
                text += (got := s.recv(1 << 20))
                assert got, f"{method}: the daemon hung up"
                *whole, text = text.split(b"\0")
                replies += map(json.loads, whole)
        return replies

    def run(self):
        code, lines, err = self.ctl("run", "daily-report", "--wait")
        assert lines, err
        return code, lines[-1]

    def log(self, level=""):
        lines = self.log_path.read_text().splitlines()
        return [line for line in lines if f" {level} " in line or not level]


@pytest.fixture
def daemon(tmp_path, server):
    d = Daemon(tmp_path, server.url)
    d.write()
    yield d
    d.stop()
