"""Local files on either side: whole, durable, confined to their folder, or not at all."""

import hashlib
import json
import os
import pathlib
import random
import resource
import subprocess

import pytest
from botocore.exceptions import ClientError

from conftest import Daemon, only, until

MIB = 1 << 20
PART = 16 * MIB
BUCKET_S, BUCKET_M = "account-s-bucket", "account-m-bucket"
SANDBOX = only("sandbox", "faults by operation, and requests that are counted")
SIZES = [0, 1, 256 * 1024 - 1, 512 * 1024, 512 * 1024 + 1, 3 * MIB + 17]
LARGE = [4 * PART, 4 * PART + 1, 5 * PART, 5 * PART + 1]


def body_of(size):
    return random.Random(size).randbytes(size)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "files"
    path.mkdir()
    return path


def write(daemon, source, destination, keys="", extra=""):
    """keys: of the local side."""
    def side(url):
        profile = {BUCKET_S: "partner", BUCKET_M: "ours"}.get(url.split("/")[2])
        return f"profile: {profile}" if profile else keys.lstrip(", ") or "url: x"

    def whole(url):
        s3 = url.startswith("s3://")
        profile = "profile: " + ("partner" if BUCKET_S in url else "ours") if s3 else ""
        parts = [p for p in (profile, "" if s3 else keys, f"url: {json.dumps(url)}") if p]
        return "{ " + ", ".join(parts) + " }"

    daemon.conf.write_text(f"""version: 1
profiles:
  partner: {{ role_arn: "arn:aws:iam::111111111111:role/src-reader", external_id: ferry-42,
             region: eu-west-1, endpoint_url: "{daemon.url}" }}
  ours: {{ role_arn: "arn:aws:iam::222222222222:role/dst-writer", region: eu-central-1,
          endpoint_url: "{daemon.url}" }}
jobs:
  daily-report:
    schedule: "cron(0 7 * * ? *)"
    retry: {{ attempts: 2, backoff: 1s, max_backoff: 1s }}
{extra}
    source: {whole(source)}
    destination: {whole(destination)}
""")


def stored(server, key, bucket=BUCKET_M):
    return server.m.get_object(Bucket=bucket, Key=key)


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
    write(daemon, f"file://{folder}/y.bin", f"s3://{BUCKET_M}/up/")
    daemon.start()
    code, end = daemon.run()
    assert (code, end["verdict"], end["bytes_done"]) == (0, "succeeded", size), daemon.log()
    assert stored(server, "up/y.bin")["Body"].read() == body
