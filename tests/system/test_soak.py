"""Hundreds of runs in one daemon, with damage, reloads and files that change: it takes no more
memory, descriptors or disk at the end than after the first rounds, and each run is right.
S3FERRY_ROUNDS makes more."""

import os
import pathlib
import random

import pytest

from conftest import SANITIZED, first_seed, only, until

pytestmark = only("sandbox", "what grows is the daemon")
ROUNDS = int(os.environ.get("S3FERRY_ROUNDS", 25))
WARM = 10
SOURCE, TARGET = "account-s-bucket", "account-m-bucket"
JOBS = {
    "sync": f'action: sync, delete: true, source: {{profile: partner, url: "s3://{SOURCE}/soak/"}}, '
            f'destination: {{profile: ours, url: "s3://{TARGET}/soak/"}}',
    "large": f'limits: {{part_size: 5MiB}}, overwrite: always, '
             f'source: {{profile: partner, url: "s3://{SOURCE}/soak-large"}}, '
             f'destination: {{profile: ours, url: "s3://{TARGET}/soak-large"}}',
    "down": f'action: sync, source: {{profile: partner, url: "s3://{SOURCE}/soak/"}}, '
            'destination: {url: "file://TMP/files/"}',
    "up": 'action: sync, source: {url: "file://TMP/files/"}, '
          f'destination: {{profile: ours, url: "s3://{TARGET}/soak-up/"}}',
    "missing": f'source: {{profile: partner, url: "s3://{SOURCE}/not-there"}}, '
               f'destination: {{profile: ours, url: "s3://{TARGET}/not-there"}}',
}
DAMAGE = [
    (dict(operation="GetObject", count=2), dict(reset_at=0)),
    (dict(operation="PutObject", count=1), dict(status=503, code="SlowDown")),
    (dict(operation="ListObjectsV2", count=1), dict(status=500)),
    (dict(operation="UploadPart", count=1), dict(status=500)),
    (dict(operation="AssumeRole", count=1), dict(status=500)),
    (dict(operation="GetObject", count=1), dict(expired_token=True)),
]


def write(daemon, extra):
    text = f"""version: 1
profiles:
  partner: {{ role_arn: "arn:aws:iam::111111111111:role/src-reader", external_id: "ferry-42",
             region: eu-west-1, endpoint_url: "{daemon.url}" }}
  ours: {{ role_arn: "arn:aws:iam::222222222222:role/dst-writer", region: eu-central-1,
          endpoint_url: "{daemon.url}" }}
jobs:
"""
    for name, keys in JOBS.items():
        keys = keys.replace("TMP", str(daemon.tmp))
        text += f"  {name}: {{ schedule: '@yearly', retry: {{attempts: 4, backoff: 1s, " \
                f"max_backoff: 1s}}, {keys}{extra} }}\n"
    daemon.conf.write_text(text)


def contents(client, bucket, prefix):
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {o["Key"][len(prefix):]: o["ETag"] for p in pages for o in p.get("Contents", [])}


def change(server, rnd):
    """Some of the prefix; never most of it, as then the brake of deletes would hold."""
    keys = [f"{n:03d}" for n in range(60)]
    for key in rnd.sample(keys, 4):
        server.s.put_object(Bucket=SOURCE, Key=f"soak/{key}", Body=rnd.randbytes(rnd.randrange(9000)))
    server.s.delete_object(Bucket=SOURCE, Key=f"soak/{rnd.choice(keys)}")


def taken(daemon):
    """Resident KiB, descriptors that are no connections, threads."""
    proc = pathlib.Path("/proc") / str(daemon.proc.pid)
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    kinds = [os.readlink(fd) for fd in (proc / "fd").iterdir()]
    return (int(status["VmRSS"].split()[0]), sum(not k.startswith("socket:") for k in kinds),
            int(status["Threads"]))


def disk(daemon):
    return sum(f.stat().st_size for f in (daemon.tmp / "state").rglob("*") if f.is_file())


def idle(daemon):
    jobs = daemon.ctl("status")[1][0]["jobs"]
    return jobs if not any("running" in j for j in jobs) else None


@pytest.fixture
def soaked(daemon, server):
    (daemon.tmp / "files").mkdir()
    server.s.put_object(Bucket=SOURCE, Key="soak-large", Body=random.Random(0).randbytes(12 << 20))
    for n in range(60):
        server.s.put_object(Bucket=SOURCE, Key=f"soak/{n:03d}", Body=b"%d" % n)
    write(daemon, "")
    yield daemon
    server.faults()


def test_nothing_grows(soaked, server):
    rnd, warm = random.Random(first_seed()), None
    soaked.start()
    for n in range(ROUNDS):
        change(server, rnd)
        server.faults(*rnd.sample(DAMAGE, rnd.randrange(3)))
        if n % 5 == 4:
            write(soaked, f", tags_of_round: {n}" if n % 2 else f", timeout: {n + 60}m")
            assert soaked.ctl("reload")[0] == (78 if n % 2 else 0)
        for job in JOBS:
            assert soaked.ctl("run", job)[0] == 0, soaked.log()[-5:]
        jobs = until(lambda: idle(soaked), "the runs", 60)
        ends = {j["name"]: j["last"]["state"] for j in jobs}
        assert ends.pop("missing") == "failed"
        if n == WARM:
            warm, used = taken(soaked), disk(soaked)
    server.faults()
    for job in "sync", "down", "up":
        code, lines, err = soaked.ctl("run", job, "--wait")
        assert code == 0, (job, lines, err)
    want = contents(server.s, SOURCE, "soak/")
    assert contents(server.m, TARGET, "soak/") == want
    assert set(want) <= set(contents(server.m, TARGET, "soak-up/"))
    rss, files, threads = taken(soaked)
    print(f"{ROUNDS} rounds: RSS {warm[0]} -> {rss} KiB, disk {used} -> {disk(soaked)}")
    assert (files, threads) <= warm[1:]
    assert SANITIZED or rss < warm[0] + 4096  # it keeps what is freed
