#!/usr/bin/python3
"""Measures s3ferryd beside the peers of packages.txt, against null S3 endpoints.

Rounds are interleaved (A B C A B C) and medians are compared, since other work drifts.
What is counted is the whole life of each tool: CPU (user + system) of all its processes,
start and stop included; the endpoints' CPU is nobody's. README.md has the figures.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
MIB = 1 << 20
KEYS = {"AWS_ACCESS_KEY_ID": "AKIANULL0000000000001", "AWS_SECRET_ACCESS_KEY": "nullSecret"}

# name: (kind, object count or 0 for one, bytes each, whether HTTPS, sizes of --quick).
# A case more is a row more.
CASES = {
    "one-http": ("copy", 0, 1 << 30, False, (0, 8 * MIB)),
    "one-https": ("copy", 0, 1 << 30, True, (0, 8 * MIB)),
    "small-http": ("copy", 10000, 4096, False, (200, 4096)),
    "small-https": ("copy", 10000, 4096, True, (200, 4096)),
    "idle": ("idle", 10, 20, False, (10, 1)),
}
LONG_CASES = {
    "huge-http": ("copy", 0, 100 << 30, False, (0, 8 * MIB)),
    "middle-https": ("copy", 200, 8 * MIB, True, (4, MIB)),
    "empty-http": ("copy", 10000, 0, False, (200, 0)),
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
    """Starts processes; counts CPU, wall and the sum of their peaks of memory.

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
                "rss": sum(self.peaks.values()) / 1024}


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
    """Two null endpoints and, in front of them, TLS."""

    def __init__(self, build, tmp, workers):
        self.tmp, self.procs = tmp, []
        self.ports = [self.start(build, workers) for _ in range(2)]
        self.tls_ports = self.start_tls() if shutil.which("stunnel4") else None

    def start(self, build, workers):
        p = subprocess.Popen([build / "tests/bench/null_s3", "0", str(workers)],
                             stdout=subprocess.PIPE, text=True)
        self.procs.append(p)
        return int(p.stdout.readline().rsplit(":", 1)[1])

    def start_tls(self):
        self.ca = self.tmp / "ca.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "3", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-keyout", self.tmp / "key.pem", "-out", self.ca],
            check=True, capture_output=True)
        with contextlib.ExitStack() as stack:
            free = [stack.enter_context(socket.socket()) for _ in self.ports]
            for s in free:
                s.bind(("127.0.0.1", 0))
            ports = [s.getsockname()[1] for s in free]
        conf = self.tmp / "stunnel.conf"
        conf.write_text(f"foreground = yes\npid =\nsyslog = no\ndebug = 3\n"
                        f"cert = {self.ca}\nkey = {self.tmp}/key.pem\n"
                        f"socket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n" + "".join(
                            f"[s{i}]\naccept = 127.0.0.1:{tls}\nconnect = 127.0.0.1:{port}\n"
                            for i, (tls, port) in enumerate(zip(ports, self.ports))))
        self.procs.append(subprocess.Popen(["stunnel4", conf], stderr=subprocess.DEVNULL))
        for port in ports:
            until(lambda: can_connect(port), "stunnel accepts")
        return ports

    def counters(self):
        total = {}
        for port in self.ports:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_null/counters") as f:
                for k, v in json.load(f).items():
                    total[k] = total.get(k, 0) + v
        return total

    def stop(self):
        for p in self.procs:
            p.kill()
            p.wait()


def can_connect(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def until(condition, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


# --- one case ---

class Copy:
    """What a tool has to know of one round."""

    def __init__(self, bench, count, size, is_tls):
        self.build, self.tmp, self.count, self.size = bench.build, bench.tmp, count, size
        self.is_tls = is_tls
        e = bench.endpoints
        self.ports = e.tls_ports if is_tls else e.ports
        self.ca = e.ca if is_tls else None
        self.urls = [f"http{'s' if is_tls else ''}://localhost:{p}" for p in self.ports]
        self.source = f"list/{count}/{size}/" if count else f"virtual/{size}"
        self.name = "out/" if count else "out/object"

    def fresh(self, number):
        self.name = f"out{number}/" + ("" if self.count else "object")
        return self

    @property
    def bytes(self):
        return self.size * (self.count or 1)


class Daemon:
    name = "s3ferry"

    def __init__(self, build, tmp):
        self.build, self.dir = build, tmp / f"daemon{time.monotonic_ns()}"
        self.dir.mkdir()
        self.conf, self.sock = self.dir / "s3ferry.yaml", self.dir / "sock"

    def write(self, urls, jobs, ca=None):
        """jobs: (name, source URL, destination URL)"""
        more = f', ca_bundle: "{ca}"' if ca else ""
        self.conf.write_text(
            "version: 1\nprofiles:\n" + "".join(
                f"  side{i}: {{ role_arn: 'arn:aws:iam::{i + 1}11111111111:role/side{i}', "
                f"region: us-east-1, endpoint_url: '{url}'{more} }}\n"
                for i, url in enumerate(urls)) + "jobs:\n" + "".join(
                f"  {name}:\n    schedule: 'cron(0 7 1 1 ? *)'\n"
                f"    method: stream\n    overwrite: always\n"
                f"    source: {{ profile: side0, url: '{source}' }}\n"
                f"    destination: {{ profile: side1, url: '{destination}' }}\n"
                for name, source, destination in jobs))

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


def with_s3ferry(c):
    d = Daemon(c.build, c.tmp)
    d.write(c.urls, [("copy", f"s3://src/{c.source}", f"s3://dst/{c.name}")], c.ca)
    meter = Meter()
    d.start(meter)
    d.run(meter)
    d.stop(meter)
    shutil.rmtree(d.dir)
    return meter.done()


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
    return run_pipe(["rclone", "copy" if c.count else "copyto", "--retries", "1",
                     "--low-level-retries", "1", *many,
                     *(["--ca-cert", c.ca] if c.ca else []),
                     f"src:src/{c.source}", f"dst:dst/{c.name}"], env=env)


def with_awscli(c):
    aws = "/usr/bin/aws" if os.path.exists("/usr/bin/aws") else "aws"
    env = {**clean_env(c), **KEYS, "AWS_DEFAULT_REGION": "us-east-1",
           "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
           "PYTHONWARNINGS": "ignore"}
    common = [*(["--ca-bundle", c.ca] if c.ca else []), "s3", "cp"]
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
    return run_pipe(s3cmd(c.urls[0], "get", f"s3://src/{c.source}", "-"),
                    s3cmd(c.urls[1], "put", "-", f"s3://dst/{c.name}"),
                    env=clean_env(c))


# name: (how, the program that must be there, whether it also copies many objects)
TOOLS = {
    "s3ferry": (with_s3ferry, None, True),
    "pump": (with_pump, None, True),
    "rclone": (with_rclone, "rclone", True),
    "s3cmd": (with_s3cmd, "s3cmd", False),
    "aws": (with_awscli, "aws", False),
}


def measure_idle(bench, jobs, seconds):
    """A daemon whose jobs are all far ahead."""
    d = Daemon(bench.build, bench.tmp)
    d.write([f"http://localhost:{p}" for p in bench.endpoints.ports],
            [(f"job{i}", f"s3://src/a{i}", f"s3://dst/b{i}") for i in range(jobs)])
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
    def __init__(self, options, tmp):
        self.options, self.tmp = options, tmp
        self.build = pathlib.Path(options.build).resolve()
        self.endpoints = Endpoints(self.build, tmp, options.workers)
        self.serial = 0

    def tools(self, count):
        for name, (how, program, does_many) in TOOLS.items():
            if self.options.tool and name not in self.options.tool:
                continue
            if (not program or shutil.which(program)) and (does_many or not count):
                yield name, how

    def copy(self, name, count, size, is_tls):
        if is_tls and not self.endpoints.tls_ports:
            print(f"{name}: skipped, stunnel4 is not installed", flush=True)
            return None
        rounds = {tool: [] for tool, _ in self.tools(count)}
        case = Copy(self, count, size, is_tls)
        for n in range(self.options.runs):
            for tool, how in self.tools(count):
                self.serial += 1
                before = self.endpoints.counters()
                try:
                    figures = how(case.fresh(self.serial))
                except RuntimeError as e:
                    if tool in ("s3ferry", "pump"):
                        raise
                    print(f"{name}: {tool} is left out: {e}", flush=True)
                    rounds.pop(tool, None)
                    continue
                for k, v in self.endpoints.counters().items():
                    figures[k] = v - before[k]
                if tool in rounds:
                    rounds[tool].append(figures)
        return {"count": count, "bytes": case.bytes, "tools": summary(rounds)}


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
    peers = {t: f for t, f in case["tools"].items() if t not in ("s3ferry", "pump")}
    if peers and "s3ferry" in case["tools"]:
        us, best = case["tools"]["s3ferry"], {}
        for k in ("cpu", "wall", "rss", "requests"):
            best[k] = min(f[k] for f in peers.values())
        print("to the best peer: " + ", ".join(
            f"{k} 1/{best[k] / us[k]:.1f}" for k in best if us[k]), flush=True)


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
    for _, program, _ in TOOLS.values():
        if program and not shutil.which(program):
            print(f"left out: {program} is not installed", flush=True)
    result = {"date": time.strftime("%Y-%m-%d"), "runs": options.runs, "cases": {}}
    with tempfile.TemporaryDirectory(prefix="s3ferry-bench-") as tmp:
        bench = Bench(options, pathlib.Path(tmp))
        try:
            for name in options.only or CASES:
                kind, count, size, is_tls, quick = {**CASES, **LONG_CASES}[name]
                if options.quick:
                    count, size = quick
                if kind == "idle":
                    case = measure_idle(bench, count, size)
                    print(f"\n{name}: {case['jobs']} jobs, {case['seconds']} s: "
                          f"{case['cpu_ms']:.2f} ms CPU, {case['wakeups']} wake-ups, "
                          f"RSS {case['rss']:.1f} MiB", flush=True)
                else:
                    case = bench.copy(name, count, size, is_tls)
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
