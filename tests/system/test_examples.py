"""The six jobs of etc/examples/jobs.yaml as they are written: but for endpoints, and for where
local files are, nothing is changed. Of each, plan says what the run then does."""

import datetime
import json
import os
import socket
import time
import zoneinfo

import pytest

from conftest import TOP, Daemon, Sandbox, only

HOST = ("AKIAHOST000000000001", "hostSecret+/00000000000000000000000000001")
HUB, READ, WRITE, VENDOR = "777788889999", "111122223333", "444455556666", "123456789012"
ROLES = {READ: "ferry-read", WRITE: "ferry-write", HUB: "ferry-hub", VENDOR: "partner-export"}
BUCKETS = {"acme-reports": READ, "acme-assets": READ, "dwh-landing": WRITE,
           "acme-assets-dr": WRITE, "pos-ingest": WRITE, "dwh-cold": WRITE,
           "acme-offsite": WRITE, "partner-exports": VENDOR}


def owner(account):
    return f"AKIAOWNER{account[:11]}", f"ownerSecret{account}"


def accounts():
    """For the sandbox: each role may do all in its own account."""
    out = []
    for account, role in ROLES.items():
        trusted = f"{HUB}:role/ferry-hub" if account == VENDOR else f"{HUB}:user/host"
        trust = {"principals": [f"arn:aws:iam::{trusted}"]}
        if account == VENDOR:
            trust["external_id"] = "acme-7f3a"
        key, secret = owner(account)
        out.append({
            "id": account,
            "users": [{"name": "owner", "access_key_id": key, "secret_access_key": secret}],
            "roles": [{"name": role, "trust": trust, "policy": [
                {"effect": "allow", "actions": ["s3:*", "sts:AssumeRole"],
                 "resources": ["arn:aws:s3:::*", "arn:aws:iam::*:role/*"]}]}],
            "buckets": [{"name": b} for b, a in BUCKETS.items() if a == account]})
        if account == HUB:
            out[-1]["users"].append({
                "name": "host", "access_key_id": HOST[0], "secret_access_key": HOST[1],
                "policy": [{"effect": "allow", "actions": ["sts:AssumeRole"],
                            "resources": ["arn:aws:iam::*:role/*"]}]})
    return {"accounts": out}


def on_rgw(rgw):
    """The same accounts as tenants of the gateway that all tests share."""
    trust = json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": [f"arn:aws:iam::{HUB}:user/host"]},
        "Action": ["sts:AssumeRole"]}]})
    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]}]})

    def user(tenant, name, key, secret):
        rgw.call("rgw.sh", "admin", "user", "create", "--tenant", tenant, "--uid", name,
                 "--display-name", name, "--access-key", key, "--secret-key", secret)
    user(HUB, "host", *HOST)
    for account in (READ, WRITE):
        user(account, "owner", *owner(account))
        rgw.call("rgw.sh", "admin", "role", "create", "--tenant", account, "--role-name",
                 ROLES[account], "--assume-role-policy-doc", trust)
        rgw.call("rgw.sh", "admin", "role-policy", "put", "--tenant", account, "--role-name",
                 ROLES[account], "--policy-name", "p", "--policy-doc", policy)
    for bucket, account in BUCKETS.items():
        if account not in (READ, WRITE):
            continue
        # What a role session puts belongs to nobody: the owner needs to be let in.
        client = rgw.client(*owner(account))
        client.create_bucket(Bucket=bucket)
        client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({
            "Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Principal": {"AWS": [f"arn:aws:iam::{account}:user/owner"]},
                "Action": ["s3:*"], "Resource": [f"arn:aws:s3:::{bucket}/*"]}]}))


@pytest.fixture(scope="session")
def world(server, tmp_path_factory):
    """A server with the accounts of the examples."""
    if server.name == "rgw":
        on_rgw(server)
        yield server
        return
    path = tmp_path_factory.mktemp("world") / "accounts.json"
    path.write_text(json.dumps(accounts()))
    other = Sandbox()
    other.name = "sandbox"
    other.start_with(path)
    yield other
    other.stop()


@pytest.fixture
def ferry(tmp_path, world):
    text = (TOP / "etc" / "examples" / "jobs.yaml").read_text()
    text = text.replace("file:///srv/", f"file://{tmp_path}/")
    text = text.replace(", region:", f', endpoint_url: "{world.url}", region:')
    for folder in ("pos/outbox", "feeds/vendor", "archive"):
        (tmp_path / folder).mkdir(parents=True)
    d = Daemon(tmp_path, world.url)
    d.conf.write_text(text)
    d.start(HOST)
    yield d
    d.stop()


def bucket_of(world, bucket):
    """Client of its owner, and its objects by key."""
    client = world.client(*owner(BUCKETS[bucket]))
    found = {o["Key"]: client.get_object(Bucket=bucket, Key=o["Key"])["Body"].read()
             for o in client.list_objects_v2(Bucket=bucket).get("Contents", [])}
    return client, found


def put(world, bucket, objects):
    client = world.client(*owner(BUCKETS[bucket]))
    for key, body in objects.items():
        client.put_object(Bucket=bucket, Key=key, Body=body)


def totals(counts):
    return {c["reason"]: c["objects"] for c in counts}


def come_to(said, copied):
    """What the run has to count, if it does what plan said."""
    ends = {**dict.fromkeys(["new", "changed", "unproven", "forced"], copied), "gone": "deleted"}
    out = {}
    for reason, objects in said.items():
        end = ends.get(reason, reason)
        out[end] = out.get(end, 0) + objects
    return out


def run(ferry, job, date=(), copied="copied"):
    """plan, then run; what was counted."""
    code, lines, err = ferry.ctl("plan", job, *date)
    assert code == 0, (lines, err)
    said = totals(lines[0]["counts"])
    code, lines, err = ferry.ctl("run", job, "--wait", *date)
    assert code == 0, (lines, err, ferry.log())
    did = totals(ferry.ctl("show", job)[1][0]["counts"])
    assert did == come_to(said, copied), said
    return did


def days_ago(days, zone="Europe/Berlin"):
    return datetime.datetime.now(zoneinfo.ZoneInfo(zone)) - datetime.timedelta(days=days)


def test_daily_report(ferry, world):
    key = f"sales/{days_ago(1):%Y/%m/%d}/report.csv.gz"
    put(world, "acme-reports", {key: b"1;2\n"})
    assert run(ferry, "daily-report") == {"copied": 1}
    found = bucket_of(world, "dwh-landing")[1]
    assert found[f"sales/dt={days_ago(1):%F}/report.csv.gz"] == b"1;2\n"
    assert run(ferry, "daily-report") == {"same": 1}


def test_assets_mirror(ferry, world):
    pictures = {f"public/img/{n}.jpg": b"%d" % n for n in range(30)}
    put(world, "acme-assets", {**pictures, "public/site.css": b"css", "public/a.txt": b"-",
                               "public/tmp/x.jpg": b"-"})
    put(world, "acme-assets-dr", {"public/old.jpg": b"o", "public/site.css": b"old",
                                  "public/keep.txt": b"k"})
    assert run(ferry, "assets-mirror") == {
        "copied": 31, "deleted": 1, "filtered": 3}
    assert bucket_of(world, "acme-assets-dr")[1] == {
        **pictures, "public/site.css": b"css", "public/keep.txt": b"k"}
    assert run(ferry, "assets-mirror") == {"same": 31, "filtered": 3}


@only("sandbox", "RGW 16.2 has neither STANDARD_IA nor a KMS")
def test_pos_outbox(ferry, world):
    outbox = ferry.tmp / "pos" / "outbox"
    old = time.time() - 60
    for name in ("a.xml", "b.xml", "c.txt"):
        (outbox / name).write_text(name)
        os.utime(outbox / name, (old, old))
    (outbox / "fresh.xml").write_text("being written")
    assert run(ferry, "pos-outbox", copied="moved") == {"moved": 2, "unstable": 1, "filtered": 1}
    assert sorted(p.name for p in outbox.iterdir()) == ["c.txt", "fresh.xml"]
    below = f"{socket.gethostname()}/{days_ago(0):%Y/%m/%d}/"
    client, found = bucket_of(world, "pos-ingest")
    assert found == {below + "a.xml": b"a.xml", below + "b.xml": b"b.xml"}
    head = client.head_object(Bucket="pos-ingest", Key=below + "a.xml")
    assert (head["StorageClass"], head["ServerSideEncryption"], head["SSEKMSKeyId"]) == (
        "STANDARD_IA", "aws:kms", "alias/pos")


@only("sandbox", "RGW 16.2 has no GLACIER_IR")
def test_to_cold(ferry, world):
    put(world, "dwh-landing", {"cold/a": b"1", "cold/b": b"22"})
    there = len(bucket_of(world, "dwh-landing")[1])
    assert run(ferry, "to-cold") == {"too-new": there}
    before = world.requests("GetObject")
    later = ["--date", "2036-01-01"]
    assert run(ferry, "to-cold", later) == {"copied": there}
    assert world.requests("GetObject") == before, "bytes came by here"
    client, found = bucket_of(world, "dwh-cold")
    assert found["cold/b"] == b"22" and len(found) == there
    assert client.head_object(Bucket="dwh-cold", Key="cold/a")["StorageClass"] == "GLACIER_IR"
    assert run(ferry, "to-cold", later) == {"same": there}


@only("sandbox", "RGW 16.2 lets no role session assume a role, and knows no external id")
def test_vendor_feed(ferry, world):
    put(world, "partner-exports", {"acme/px/1.csv": b"1", "acme/2.csv": b"22", "other/3": b"3"})
    assert run(ferry, "vendor-feed") == {"copied": 2}
    folder = ferry.tmp / "feeds" / "vendor"
    assert (folder / "px/1.csv").read_bytes() == b"1"
    assert (folder / "2.csv").stat().st_mode & 0o777 == 0o640
    assert not (folder / "3").exists()
    assert run(ferry, "vendor-feed") == {"same": 2}


def test_bulk_offsite(ferry, world):
    large = os.urandom(3 << 20)
    (ferry.tmp / "archive" / "2026").mkdir()
    (ferry.tmp / "archive" / "2026" / "a.tar").write_bytes(large)
    (ferry.tmp / "archive" / "b.tar").write_bytes(b"b")
    assert run(ferry, "bulk-offsite") == {"copied": 2}
    assert bucket_of(world, "acme-offsite")[1] == {"2026/a.tar": large, "b.tar": b"b"}
    assert run(ferry, "bulk-offsite") == {"same": 2}
