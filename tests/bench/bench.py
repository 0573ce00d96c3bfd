#!/usr/bin/python3
"""Measures s3ferryd beside the peers of packages.txt, against null S3 endpoints.

Rounds are interleaved (A B C A B C) and medians are compared, since other work drifts.
What is counted is the whole life of each tool: CPU (user + system) of all its processes,
start and stop included; the endpoints' CPU is nobody's. README.md has the figures.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import typing
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
MIB = 1 << 20
KEYS = {"AWS_ACCESS_KEY_ID": "AKIANULL0000000000001", "AWS_SECRET_ACCESS_KEY": "nullSecret"}



class Case(typing.NamedTuple):
    """kind: copy, get (to a file), put (from one), same (nothing to do), stall, idle."""
    kind: str
    count: int          # objects; 0: one
    size: int           # bytes each
    is_tls: bool
    quick: tuple        # count and size of --quick
    job: str = ""       # more keys of s3ferry's job, or ...
    top: str = ""       # ... of its configuration
    twin: str = ""      # the configuration of a second s3ferry beside it
    signing: str = "auto"
    delay_ms: int = 0   # of each of the endpoint's answers


# None of them matches, so each is tried on each key.
PATTERNS = ", ".join(f"'{p}'" for i in range(25) for p in (
    f"tmp-{i}/**", f"**/*.part{i}", f"*-{i}-draft.csv", f"**/old{i}/*.gz"))

# A case more is a row more.
CASES = {
    "one-http": Case("copy", 0, 1 << 30, False, (0, 8 * MIB), signing="never"),
    "one-https": Case("copy", 0, 1 << 30, True, (0, 8 * MIB)),
    "small-http": Case("copy", 10000, 4096, False, (200, 4096)),
    "small-https": Case("copy", 10000, 4096, True, (200, 4096)),
    "get-http": Case("get", 0, 1 << 30, False, (0, 8 * MIB)),
    "put-http": Case("put", 0, 1 << 30, False, (0, 8 * MIB), signing="never"),
    "get-https": Case("get", 0, 1 << 30, True, (0, 8 * MIB)),
    "put-https": Case("put", 0, 1 << 30, True, (0, 8 * MIB)),
    "parts64-https": Case("copy", 0, 2 << 30, True, (0, 80 * MIB),
                          "limits: { parts: 64, part_size: 16 MiB }"),
    # So late that none is free again before the last of its wave is opened.
    "storm-https": Case("copy", 192, 4096, True, (32, 4096), "limits: { objects: 64 }",
                        delay_ms=200),
    "stall": Case("stall", 4000, MIB, False, (64, 4096), "limits: { objects: 256 }"),
    "same": Case("same", 100000, 4096, False, (2000, 4096)),
    "idle": Case("idle", 10, 20, False, (10, 1)),
}
LONG_CASES = {
    "huge-http": Case("copy", 0, 100 << 30, False, (0, 8 * MIB), signing="never"),
    "middle-https": Case("copy", 200, 8 * MIB, True, (4, MIB)),
    "empty-http": Case("copy", 10000, 0, False, (200, 0)),
    "engines-https": Case("copy", 8, 1 << 30, True, (4, MIB), twin="engines: 2"),
    "engines-small": Case("copy", 10000, 4096, False, (200, 4096), twin="engines: 2"),
    "same-patterns": Case("same", 100000, 4096, False, (2000, 4096),
                          f"exclude: [{PATTERNS}]"),
    "same-million": Case("same", 1000000, 4096, False, (2000, 4096)),
    "same-10-million": Case("same", 10000000, 4096, False, (2000, 4096)),
    "files-million": Case("files", 1000000, 1, False, (200, 1)),
}


def of(tool, figure):
    return lambda c: c["tools"][tool][figure]


def to(tool):
    return lambda c: c["tools"][tool]["s3ferry_cpu_ratio"]


def us_each(c):
    return c["tools"]["s3ferry"]["cpu"] * 1e6 / c["count"]


# case: (what, how it comes from the case's figures, the most that is good)
ONE = [("peak RSS MiB", of("s3ferry", "rss"), 20)]
LISTED = [("us an object", us_each, 3), ("peak RSS MiB", of("s3ferry", "rss"), 16)]
MILLIONS = [("peak RSS MiB", of("s3ferry", "rss"), 32)]
GOALS = {
    "one-http": [("CPU to rclone", to("rclone"), 1 / 10), ("CPU to pump", to("pump"), 1.3),
                 *ONE],
    "one-https": [("CPU to rclone", to("rclone"), 1 / 3), ("CPU to pump", to("pump"), 1.1),
                  *ONE],
    "huge-http": ONE,
    "small-http": [("CPU us an object", us_each, 75), ("CPU to rclone", to("rclone"), 1 / 5)],
    "small-https": [("CPU us an object", us_each, 95),
                    ("CPU to rclone", to("rclone"), 1 / 5)],
    "get-http": [("CPU to curl", to("curl"), 1.15)],
    "get-https": [("CPU to curl", to("curl"), 1.15)],
    "put-http": [("CPU to curl", to("curl"), 1.15), ("CPU to rclone", to("rclone"), 1 / 5)],
    "put-https": [("CPU to curl", to("curl"), 1.15), ("CPU to rclone", to("rclone"), 1 / 5)],
    "parts64-https": [("peak RSS MiB", of("s3ferry", "rss"), 48)],
    "storm-https": [("CPU s", of("s3ferry", "cpu"), 0.3),
                    ("peak RSS MiB", of("s3ferry", "rss"), 32)],
    "stall": [("99.9 % of answers ms", of("s3ferry", "p999_ms"), 20)],
    "same": [*LISTED, ("CPU to rclone", to("rclone"), 1 / 15), ("CPU to aws", to("aws"), 1 / 40)],
    "same-patterns": [("us an object, one of them the patterns'", us_each, 4)],
    "same-million": MILLIONS, "same-10-million": MILLIONS, "files-million": MILLIONS,
    # Cores to spare are the endpoints', too.
    "engines-https": [("wall to one engine's", lambda c: c["tools"]["s3ferry-twin"]["wall"]
                       / c["tools"]["s3ferry"]["wall"], 1 / 1.6)],
    "engines-small": [("us of wall an object", lambda c: c["tools"]["s3ferry-twin"]["wall"]
                       * 1e6 / c["count"], 50)],
}


# --- processes and what they cost ---

def status_kib(pid, field):
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


class Meter:
    """Starts processes; counts CPU, wall and the largest peak of memory.

    ru_maxrss would count this interpreter's own pages before the exec.
    """

    def __init__(self):
        self.procs, self.peaks, self.cpu = [], {}, 0.0
        self.begun = time.monotonic()
        self.ended = threading.Event()
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()

    def watch(self):
        while not self.ended.wait(0.01):
            self.look()

    def look(self):
        for p in list(self.procs):
            self.peaks[p.pid] = max(self.peaks.get(p.pid, 0), status_kib(p.pid, "VmHWM"))

    def popen(self, argv, **more):
        p = subprocess.Popen([str(a) for a in argv], **more)
        self.procs.append(p)
        return p

    def reap(self, p):
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        self.cpu += usage.ru_utime + usage.ru_stime
        return p.returncode

    def done(self):
        self.ended.set()
        self.watcher.join()
        return {"cpu": self.cpu, "wall": time.monotonic() - self.begun,
                "rss": max(self.peaks.values()) / 1024}


def run_pipe(*commands, env=None):
    """The commands joined by pipes, all counted."""
    meter, before, log = Meter(), None, tempfile.TemporaryFile()
    for i, argv in enumerate(commands):
        is_last = i == len(commands) - 1
        p = meter.popen(argv, env=env, stdin=before or subprocess.DEVNULL,
                        stdout=log if is_last else subprocess.PIPE, stderr=log)
        if before:
            before.close()
        before = p.stdout
    codes = [meter.reap(p) for p in meter.procs]
    if any(codes):
        log.seek(0)
        raise RuntimeError(f"{commands[0][0]} exits with {codes}: "
                           + log.read().decode(errors="replace")[-800:])
    return meter.done()


# --- endpoints ---

class Endpoints:
    """Pairs of null endpoints, by what a case asks of them; started when one asks."""

    def __init__(self, build, tmp, workers):
        self.argv = [build / "tests/bench/null_s3", "0", str(workers)]
        self.tmp, self.procs, self.pairs = tmp, [], {}
        self.ca, self.key = tmp / "ca.pem", tmp / "key.pem"

    def ports(self, case):
        what = (case.is_tls, case.delay_ms)
        if case.is_tls and not self.ca.exists():
            self.make_certificate()
        if what not in self.pairs:
            self.pairs[what] = [self.start(*what) for _ in range(2)]
        return self.pairs[what]

    def start(self, is_tls, delay_ms):
        p = subprocess.Popen([*self.argv, str(delay_ms),
                              *((self.ca, self.key) if is_tls else ())],
                             stdout=subprocess.PIPE, text=True)
        self.procs.append(p)
        return int(p.stdout.readline().rsplit(":", 1)[1])

    def urls(self, case):
        scheme = "https" if case.is_tls else "http"
        return [f"{scheme}://localhost:{p}" for p in self.ports(case)]

    def make_certificate(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "3", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-keyout", self.key, "-out", self.ca], check=True, capture_output=True)

    def counters(self, case):
        total = {}
        trust = ssl.create_default_context(cafile=self.ca) if case.is_tls else None
        for url in self.urls(case):
            with urllib.request.urlopen(url + "/_null/counters", context=trust) as f:
                for k, v in json.load(f).items():
                    total[k] = total.get(k, 0) + v
        return total

    def stop(self):
        for p in self.procs:
            p.kill()
            p.wait()


# --- one case ---

class Copy:
    """What a tool has to know of one round."""

    def __init__(self, bench, case):
        self.build, self.tmp, self.case = bench.build, bench.tmp, case
        self.kind, self.count, self.size, self.is_tls = case[:4]
        e = bench.endpoints
        self.ports, self.urls = e.ports(case), e.urls(case)
        self.ca = e.ca if self.is_tls else None
        listed = f"list/{self.count}/{self.size}/"
        self.source = listed if self.count else f"virtual/{self.size}"
        self.name = listed
        self.file = bench.shm / "file"
        if self.kind == "put":
            with open(self.file, "wb") as f:
                for _ in range(0, self.size, MIB):
                    f.write(bytes(MIB))
        if self.kind == "files":
            self.file = bench.shm / "files"
            make_files(self.file, self.count)

    def fresh(self, number):
        if self.kind == "get":
            self.file.unlink(missing_ok=True)
        elif self.kind in ("copy", "put", "stall"):
            self.name = f"out{number}/" + ("" if self.count else "object")
        return self

    def ends(self, *buckets):
        """Source and destination as a tool calls them; buckets: its words for those."""
        a, b = buckets[0] + self.source, buckets[1] + self.name
        return (self.file if self.kind in ("put", "files") else a,
                self.file if self.kind == "get" else b)

    def clean(self):
        if self.kind == "files":
            shutil.rmtree(self.file)
        else:
            self.file.unlink(missing_ok=True)

    @property
    def bytes(self):
        return self.size * (self.count or 1)


def make_files(folder, count):
    folder.mkdir()
    for i in range(count):
        with open(folder / f"{i:08}", "wb") as f:
            f.write(b"0")


class Daemon:
    name = "s3ferry"

    def __init__(self, build, tmp):
        self.build, self.dir = build, tmp / f"daemon{time.monotonic_ns()}"
        self.dir.mkdir()
        self.conf, self.sock = self.dir / "s3ferry.yaml", self.dir / "sock"

    def write(self, urls, jobs, ca=None, signing="auto", top=""):
        """jobs: (name, source, destination, more keys)"""
        more = f', ca_bundle: "{ca}"' if ca else ""
        self.conf.write_text(
            f"version: 1\n{top}\nprofiles:\n" + "".join(
                f"  side{i}: {{ role_arn: 'arn:aws:iam::{i + 1}11111111111:role/side{i}', "
                f"payload_signing: {signing}, "
                f"region: us-east-1, endpoint_url: '{url}'{more} }}\n"
                for i, url in enumerate(urls)) + "jobs:\n" + "".join(
                f"  {name}:\n    schedule: 'cron(0 7 1 1 ? *)'\n"
                f"    method: stream\n    {more_keys}\n"
                f"    source: {{ {source} }}\n    destination: {{ {destination} }}\n"
                for name, source, destination, more_keys in jobs))

    def start(self, meter, prefix=()):
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(self.dir / "notify"))
        notify.settimeout(20)
        self.log = open(self.dir / "log", "ab")
        self.proc = meter.popen(
            [*prefix, self.build / "src/s3ferryd", "-c", self.conf, "--state-dir",
             self.dir / "state", "--socket", self.sock], stderr=self.log,
            env={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": str(self.dir / "notify"),
                 **KEYS})
        while b"READY=1" not in notify.recv(4096):
            pass
        notify.close()

    def run(self, meter):
        ctl = meter.popen([self.build / "src/s3ferryctl", "--socket", self.sock, "--json",
                           "run", "copy", "--wait"], stdout=subprocess.PIPE)
        out = ctl.stdout.read().decode()
        if meter.reap(ctl):
            raise RuntimeError(f"s3ferryctl run fails: {out} "
                               + (self.dir / "log").read_text()[-800:])

    def stop(self, meter):
        meter.look()
        self.proc.send_signal(signal.SIGTERM)
        meter.reap(self.proc)
        self.log.close()


def side(number, end):
    if isinstance(end, str):
        return f"profile: side{number}, url: '{end}'"
    return f"url: 'file://{end}{'/' if end.is_dir() else ''}'"


def start_s3ferry(c, meter, top=""):
    d = Daemon(c.build, c.tmp)
    source, destination = c.ends("s3://src/", "s3://dst/")
    is_same = c.kind in ("same", "files")
    how = "action: sync" if is_same else "overwrite: always"
    if c.kind == "files": # the listing's times are older
        how += "\n    compare: size"
    d.write(c.urls, [("copy", side(0, source), side(1, destination),
                      how + (f"\n    {c.case.job}" if c.case.job else ""))],
            c.ca, c.case.signing, top or c.case.top)
    d.start(meter)
    return d


def with_s3ferry(c, top=""):
    meter = Meter()
    d = start_s3ferry(c, meter, top)
    d.run(meter)
    d.stop(meter)
    shutil.rmtree(d.dir)
    return meter.done()


def with_twin(c):
    return with_s3ferry(c, c.case.twin)


def ping(path, ended, times):
    """How long the core's loop takes to answer: it is the engine's loop, too."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        while not ended.wait(0.001):
            begun = time.monotonic()
            s.sendall(b'{"method":"org.varlink.service.GetInfo"}\0')
            while not s.recv(65536).endswith(b"\0"):
                pass
            times.append((time.monotonic() - begun) * 1000)


def with_pings(c):
    meter, ended, times = Meter(), threading.Event(), []
    d = start_s3ferry(c, meter)
    pinger = threading.Thread(target=ping, args=(d.sock, ended, times), daemon=True)
    pinger.start()
    d.run(meter)
    ended.set()
    pinger.join()
    d.stop(meter)
    times.sort()
    return {**meter.done(), "p50_ms": times[len(times) // 2],
            "p999_ms": times[int(len(times) * 0.999)], "max_ms": times[-1]}


def with_pump(c):
    return run_pipe([c.build / "tests/bench/pump", c.ports[0], f"/src/{c.source}", c.ports[1],
                     f"/dst/{c.name}", c.count, *([c.ca] if c.ca else [])])


def clean_env(c):
    """No setting of whoever runs this reaches a peer."""
    return {"PATH": os.environ["PATH"], "HOME": str(c.tmp), "LANG": "C.UTF-8"}


def with_rclone(c):
    # It still makes MD5s of all parts; the endpoint cannot make an ETag of them.
    env = {**clean_env(c), "RCLONE_CONFIG": str(c.tmp / "rclone.conf")}
    (c.tmp / "rclone.conf").touch()
    for side, url in zip(("SRC", "DST"), c.urls):
        for k, v in (("TYPE", "s3"), ("PROVIDER", "Minio"), ("ENDPOINT", url),
                     ("REGION", "us-east-1"), ("USE_MULTIPART_ETAG", "false"),
                     ("ACCESS_KEY_ID", KEYS["AWS_ACCESS_KEY_ID"]),
                     ("SECRET_ACCESS_KEY", KEYS["AWS_SECRET_ACCESS_KEY"])):
            env[f"RCLONE_CONFIG_{side}_{k}"] = v
    many = ["--transfers", "32", "--checkers", "32"] if c.count else []
    if c.kind == "same":
        many += ["--checksum", "--fast-list"]
    return run_pipe(["rclone", "sync" if c.kind == "same" else "copy" if c.count
                     else "copyto", "--retries", "1",
                     "--low-level-retries", "1", *many,
                     *(["--ca-cert", c.ca] if c.ca else []),
                     *c.ends("src:src/", "dst:dst/")], env=env)


def with_awscli(c):
    aws = "/usr/bin/aws" if os.path.exists("/usr/bin/aws") else "aws"
    env = {**clean_env(c), **KEYS, "AWS_DEFAULT_REGION": "us-east-1",
           "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
           "PYTHONWARNINGS": "ignore"}
    common = [*(["--ca-bundle", c.ca] if c.ca else []), "s3",
              "sync" if c.kind == "same" else "cp"]
    if c.kind != "copy": # both sides of a sync at one endpoint
        return run_pipe([aws, "--endpoint-url", c.urls[0], *common,
                         *c.ends("s3://src/", "s3://dst/")], env=env)
    return run_pipe([aws, "--endpoint-url", c.urls[0], *common, f"s3://src/{c.source}", "-"],
                    [aws, "--endpoint-url", c.urls[1], *common, "-", f"s3://dst/{c.name}"],
                    env=env)


def with_s3cmd(c):
    def s3cmd(url, *args):
        host = url.split("://")[1]
        return ["s3cmd", "-c", "/dev/null", "--access_key", KEYS["AWS_ACCESS_KEY_ID"],
                "--secret_key", KEYS["AWS_SECRET_ACCESS_KEY"], "--host", host,
                "--host-bucket", host, "--region", "us-east-1", "--no-progress", "-q",
                *(["--ssl", "--ca-certs", c.ca] if c.ca else ["--no-ssl"]), *args]
    if c.kind in ("get", "put"):
        return run_pipe(s3cmd(c.urls[0], c.kind, *c.ends("s3://src/", "s3://dst/")),
                        env=clean_env(c))
    return run_pipe(s3cmd(c.urls[0], "get", f"s3://src/{c.source}", "-"),
                    s3cmd(c.urls[1], "put", "-", f"s3://dst/{c.name}"),
                    env=clean_env(c))


def with_curl(c):
    source, destination = c.ends(c.urls[0] + "/src/", c.urls[1] + "/dst/")
    return run_pipe(["curl", "-sS", "--fail", *(["--cacert", c.ca] if c.ca else []),
                     *(["-o", destination, source] if c.kind == "get"
                       else ["-T", source, destination])], env=clean_env(c))


# name: (how, the program that must be there, by kind: for one object, for many)
TOOLS = {
    "s3ferry": (with_s3ferry, None, ("copy", "get", "put"), ("copy", "same", "files")),
    "s3ferry-twin": (with_twin, None, ("twin",), ("twin",)),
    "pump": (with_pump, None, ("copy",), ("copy",)),
    "curl": (with_curl, "curl", ("get", "put"), ()),
    "rclone": (with_rclone, "rclone", ("copy", "get", "put"), ("copy", "same")),
    "s3cmd": (with_s3cmd, "s3cmd", ("copy", "get", "put"), ()),
    "aws": (with_awscli, "aws", ("copy", "get", "put"), ("same",)),
}


def measure_idle(bench, case):
    """A daemon whose jobs are all far ahead."""
    jobs, seconds = case.count, case.size
    d = Daemon(bench.build, bench.tmp)
    d.write(bench.endpoints.urls(case),
            [(f"job{i}", side(0, f"s3://src/a{i}"), side(1, f"s3://dst/b{i}"), "")
             for i in range(jobs)])
    meter = Meter()
    d.start(meter)
    time.sleep(1)

    def now():
        run_ns = int(pathlib.Path(f"/proc/{d.proc.pid}/schedstat").read_text().split()[0])
        return run_ns, sum(status_kib(d.proc.pid, f) for f in (
            "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"))

    before = now()
    time.sleep(seconds)
    after = now()
    rss = status_kib(d.proc.pid, "VmRSS") / 1024
    d.stop(meter)
    meter.done()
    return {"cpu_ms": (after[0] - before[0]) / 1e6, "wakeups": after[1] - before[1],
            "seconds": seconds, "rss": rss, "jobs": jobs}


# --- all of it ---

class Bench:
    def __init__(self, options, tmp, shm):
        self.options, self.tmp, self.shm = options, tmp, shm
        self.build = pathlib.Path(options.build).resolve()
        self.endpoints = Endpoints(self.build, tmp, options.workers)
        self.serial = 0

    def tools(self, case):
        if case.kind == "stall":
            yield "s3ferry", with_pings
            return
        for name, (how, program, one, many) in TOOLS.items():
            if self.options.tool and name not in self.options.tool:
                continue
            kinds = many if case.count else one
            if case.kind not in kinds and not (case.twin and "twin" in kinds):
                continue
            if not program or shutil.which(program):
                yield name, how

    def measure(self, name, case):
        if case.is_tls and not shutil.which("openssl"):
            print(f"{name}: skipped, openssl is not installed", flush=True)
            return None
        rounds = {tool: [] for tool, _ in self.tools(case)}
        c = Copy(self, case)
        for _ in range(self.options.runs):
            for tool, how in self.tools(case):
                self.serial += 1
                before = self.endpoints.counters(case)
                try:
                    figures = how(c.fresh(self.serial))
                except RuntimeError as e:
                    if tool in ("s3ferry", "s3ferry-twin", "pump"):
                        raise
                    print(f"{name}: {tool} is left out: {e}", flush=True)
                    rounds.pop(tool, None)
                    continue
                for k, v in self.endpoints.counters(case).items():
                    figures[k] = v - before[k]
                if tool in rounds:
                    rounds[tool].append(figures)
        c.clean()
        result = {"count": case.count, "bytes": c.bytes, "tools": summary(rounds)}
        if not self.options.quick: # start and stop would be most of it
            result["goals"] = judge(name, result)
        return result


def judge(name, result):
    """What of GOALS can be said with the tools that were there."""
    said = []
    for what, figure, goal in GOALS.get(name, ()):
        try:
            value = figure(result)
        except KeyError:
            continue
        said.append({"what": what, "value": value, "goal": goal, "is_reached": value <= goal})
    return said


def summary(rounds):
    """Medians, and the ratio to each other tool of s3ferry's CPU, round by round."""
    result = {}
    for tool, runs in rounds.items():
        result[tool] = {k: statistics.median(r[k] for r in runs) for k in runs[0]}
        result[tool]["cpu_min_max"] = [f(r["cpu"] for r in runs) for f in (min, max)]
    for tool, runs in rounds.items():
        if tool != "s3ferry" and "s3ferry" in rounds:
            result[tool]["s3ferry_cpu_ratio"] = statistics.median(
                a["cpu"] / b["cpu"] for a, b in zip(rounds["s3ferry"], runs) if b["cpu"])
    return result


def print_copy(name, case):
    print(f"\n{name}: {case['count'] or 1} x {case['bytes'] // (case['count'] or 1)} bytes\n"
          "| tool | CPU s | min-max | wall s | peak RSS MiB | requests | connections "
          "| CPU of s3ferry to it |\n|---|---|---|---|---|---|---|---|")
    for tool, f in case["tools"].items():
        ratio = f.get("s3ferry_cpu_ratio")
        print(f"| {tool} | {f['cpu']:.3f} | {f['cpu_min_max'][0]:.2f}-"
              f"{f['cpu_min_max'][1]:.2f} | {f['wall']:.2f} | {f['rss']:.0f} "
              f"| {f['requests']:.0f} | {f['connections']:.0f} "
              f"| {f'{ratio:.3f}' if ratio else ''} |")
    peers = {t: f for t, f in case["tools"].items()
             if t not in ("s3ferry", "s3ferry-twin", "pump")}
    if peers and "s3ferry" in case["tools"]:
        us, best = case["tools"]["s3ferry"], {}
        for k in ("cpu", "wall", "rss", "requests"):
            best[k] = min(f[k] for f in peers.values())
        print("to the best peer: " + ", ".join(
            f"{k} 1/{best[k] / us[k]:.1f}" for k in best if us[k]))
    for g in case.get("goals", ()):
        print(f"goal: {g['what']} {g['value']:.3g} (at most {g['goal']:.3g}): "
              + ("reached" if g["is_reached"] else "MISSED"))
    sys.stdout.flush()


def install():
    wanted = [line for line in (HERE / "packages.txt").read_text().split("\n")
              if line and not line.startswith("#")]
    missing = [p for p in wanted if "ok installed" not in subprocess.run(
        ["dpkg-query", "-W", "-f", "${Status}", p], capture_output=True, text=True).stdout]
    if missing and os.getuid() == 0:
        print("installing:", *missing, flush=True)
        subprocess.run("apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install "
                       "-y -qq --no-install-recommends " + " ".join(missing) + " >/dev/null",
                       shell=True, check=False)


def parse():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--build", default="build", help="where s3ferryd was built")
    p.add_argument("--quick", action="store_true",
                   help="small sizes, one round, nothing installed: does it still run?")
    p.add_argument("--only", action="append", choices=[*CASES, *LONG_CASES], metavar="CASE",
                   help=", ".join([*CASES, *LONG_CASES]))
    p.add_argument("--tool", action="append", help="one of: " + ", ".join(TOOLS))
    p.add_argument("--runs", type=int, help="rounds of each case (5; 1 with --quick)")
    p.add_argument("--workers", type=int, default=1, help="processes of each endpoint (1)")
    p.add_argument("--json", help="where the figures go (BUILD/bench.json)")
    options = p.parse_args()
    options.runs = options.runs or (1 if options.quick else 5)
    return options


def main():
    options = parse()
    if not options.quick:
        install()
    for _, program, *_ in TOOLS.values():
        if program and not shutil.which(program):
            print(f"left out: {program} is not installed", flush=True)
    result = {"date": time.strftime("%Y-%m-%d"), "runs": options.runs, "cases": {}}
    shm = "/dev/shm" if os.path.isdir("/dev/shm") else None # no disk's speed is measured
    with tempfile.TemporaryDirectory(prefix="s3ferry-bench-") as tmp, \
            tempfile.TemporaryDirectory(prefix="s3ferry-bench-", dir=shm) as files:
        bench = Bench(options, pathlib.Path(tmp), pathlib.Path(files))
        try:
            for name in options.only or CASES:
                row = {**CASES, **LONG_CASES}[name]
                if options.quick:
                    row = row._replace(count=row.quick[0], size=row.quick[1])
                if row.kind == "idle":
                    case = measure_idle(bench, row)
                    print(f"\n{name}: {case['jobs']} jobs, {case['seconds']} s: "
                          f"{case['cpu_ms']:.2f} ms CPU, {case['wakeups']} wake-ups, "
                          f"RSS {case['rss']:.1f} MiB", flush=True)
                else:
                    case = bench.measure(name, row)
                    if case:
                        print_copy(name, case)
                result["cases"][name] = case
        finally:
            bench.endpoints.stop()
    out = pathlib.Path(options.json or pathlib.Path(options.build) / "bench.json")
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\n{out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
