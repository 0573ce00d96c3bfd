"""What an object carries along, on which route, and what happens where it may not."""

import base64
import contextlib
import datetime
import gzip
import hashlib
import json
import os
import sqlite3
import zlib

import pytest
from awsproxy import AwsProxy
from botocore.exceptions import ClientError

from conftest import Sandbox, TOP, assert_resident, until

KEY = "shared/report.csv"  # the destination's role may read below shared/
BODY = b"a;b\n1;2\n" * 1000
HEADERS = dict(ContentType="text/csv", CacheControl="max-age=60", ContentLanguage="de",
               ContentDisposition="attachment; filename=report.csv",
               ContentEncoding="identity", Metadata={"who": "partner", "empty": ""},
               WebsiteRedirectLocation="/elsewhere")
NAMES = ["GetObject", "HeadObject", "GetObjectTagging", "PutObject", "CopyObject"]
S, M, VERSIONS, VAULT, ACLS, PAID, BIG = (
    "account-s-bucket", "account-m-bucket", "s-versions", "m-vault", "m-acls", "m-paid", "s-big")


class Rich(Sandbox):
    """More kinds of buckets, and roles that lack single rights."""

    def start(self, folder):
        conf = json.loads((TOP / "etc" / "sandbox-accounts.json").read_text())
        s, m = conf["accounts"][:2]
        s["buckets"] += [{"name": VERSIONS, "versioning": True},
                         {"name": BIG, "discard": True}]
        m["buckets"] += [{"name": VAULT, "versioning": True, "object_lock": True},
                         {"name": PAID, "requester_pays": True, "policy": [
                             {"effect": "allow", "principals": ["111111111111"],
                              "actions": ["s3:*"], "resources": [f"arn:aws:s3:::{PAID}/*"]}]},
                         {"name": ACLS, "acls": True, "policy": [
                             {"effect": "allow", "principals": ["111111111111"],
                              "actions": ["s3:*"], "resources": [f"arn:aws:s3:::{ACLS}/*"]}]}]
        trust = {"principals": ["arn:aws:iam::222222222222:user/mover"]}
        everything = ["arn:aws:s3:::*"]

        def role(account, name, *denied):
            account["roles"].append({"name": name, "trust": trust, "policy": [
                {"effect": "allow", "actions": ["s3:*"], "resources": everything},
                *[{"effect": "deny", "actions": [d], "resources": everything}
                  for d in denied]]})
        role(s, "no-tags", "s3:GetObjectTagging")
        role(s, "no-versions", "s3:GetObjectVersion")
        role(s, "no-acls", "s3:PutObjectAcl")
        role(m, "no-tags", "s3:PutObjectTagging")
        accounts = folder / "accounts.json"
        accounts.write_text(json.dumps(conf))
        self.start_with(accounts)

    def count(self):
        return [self.requests(n) for n in NAMES]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = Rich()
    s.name = "sandbox"
    s.start(tmp_path_factory.mktemp("rich"))
    yield s
    s.stop()


@pytest.fixture
def ferry(daemon, server):
    server.faults()
    server.s.put_object(Bucket=S, Key=KEY, Body=BODY, Tagging="team=a%20b&x=1", **HEADERS)
    server.m.delete_object(Bucket=M, Key="in/report.csv")
    write = daemon.write

    def configure(method="auto", **more):
        extra = more.pop("extra", "")
        more.setdefault("source", f"s3://{S}/{KEY}")
        more.setdefault("destination", f"s3://{M}/in/")
        write(extra=f"    method: {method}\n{extra}", **more)
        return daemon.start()
    daemon.configure = configure
    return daemon


def arrived(server, bucket=M, key="in/report.csv"):
    got = server.m.get_object(Bucket=bucket, Key=key)
    tags = server.m.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
    return got, {t["Key"]: t["Value"] for t in tags}


def did(server, before):
    return dict((n, now - b) for n, now, b in zip(NAMES, server.count(), before) if now > b)


ROUTES = {
    "stream": dict(GetObject=1, GetObjectTagging=1, PutObject=1),
    "auto": dict(HeadObject=1, CopyObject=1),
    "server_side": dict(HeadObject=1, CopyObject=1),
}


@pytest.mark.parametrize("method", ROUTES)
def test_all_that_belongs_to_an_object_arrives(ferry, server, method):
    ferry.configure(method, extra="    overwrite: always")
    before = server.count()
    code, end = ferry.run()
    assert (code, end["verdict"]) == (0, "succeeded"), ferry.log()
    assert did(server, before) == ROUTES[method]
    got, tags = arrived(server)
    assert got["Body"].read() == BODY
    assert {k: got[k] for k in HEADERS} == HEADERS
    assert tags == {"team": "a b", "x": "1"}
    assert ("copied on the server" in end["message"]) == (method != "stream")
    assert "not carried" not in end["message"]


def test_an_empty_object_with_tags(ferry, server):
    server.s.put_object(Bucket=S, Key=KEY, Body=b"", Tagging="a=1")
    ferry.configure("stream")
    assert ferry.run()[0] == 0
    got, tags = arrived(server)
    assert (got["Body"].read(), tags) == (b"", {"a": "1"})


def test_a_refused_copy_streams_and_says_why_once(ferry, server):
    for i in range(3):
        server.s.put_object(Bucket=S, Key=f"daily/x{i}", Body=b"x")
    ferry.configure(source=f"s3://{S}/daily/", destination=f"s3://{M}/in/")
    assert ferry.run()[0] == 0
    assert server.m.get_object(Bucket=M, Key="in/x2")["Body"].read() == b"x"
    why = [line for line in ferry.log() if "may copy on the server" in line]
    assert len(why) == 1 and "CopyObject: 403 AccessDenied" in why[0]


def test_a_refusal_is_told_to_its_end(ferry, server):
    told = f"User: arn:aws:sts::222222222222:assumed-role/{'r' * 64}/{'s' * 64} is not " \
           f"authorized to perform: s3:GetObject on resource: arn:aws:s3:::{S}/{KEY}"
    server.faults((dict(operation="CopyObject"), dict(
        status=403, code="AccessDenied", message=told)))
    ferry.configure()
    assert ferry.run()[0] == 0
    assert any(told in line for line in ferry.log()), ferry.log()


def test_server_side_alone_fails_where_nobody_may(ferry, server):
    server.s.put_object(Bucket=S, Key="daily/report.csv", Body=BODY)
    ferry.configure("server_side", source=f"s3://{S}/daily/report.csv")
    before = server.count()
    code, end = ferry.run()
    assert (code, end["reason"]) == (77, "denied")
    assert "CopyObject" in end["message"]
    assert "PutObject" not in did(server, before)


@pytest.mark.parametrize("method,role,writer", [
    ("stream", "no-tags", "dst-writer"), ("stream", "src-reader", "no-tags"),
    ("server_side", "src-reader", "no-tags")])
@pytest.mark.parametrize("rule,verdict", [
    ("require", "failed"), ("best_effort", "succeeded"), ("drop", "succeeded")])
def test_tags_degrade_as_declared(ferry, server, method, role, writer, rule, verdict):
    ferry.configure(method, role=role, writer=f"arn:aws:iam::222222222222:role/{writer}",
                    extra=f"    tags: {rule}")
    end = ferry.run()[1]
    assert end["verdict"] == verdict, ferry.log()
    losses = [line for line in ferry.log("warning") if "not carried along" in line]
    assert len(losses) == (rule == "best_effort")
    if verdict == "succeeded":
        assert arrived(server)[1] == {}
    if losses:
        assert "tags of 1 object" in losses[0] and "tags of 1 object" in end["message"]


@pytest.mark.parametrize("method", ["stream", "server_side"])
@pytest.mark.parametrize("wanted,class_", [
    ("", "STANDARD_IA"), ("storage_class: keep", "STANDARD_IA"),
    ("storage_class: GLACIER_IR", "GLACIER_IR"), ("storage_class: STANDARD", None),
    ("storage_class: { STANDARD_IA: ONEZONE_IA }", "ONEZONE_IA"),
    ("storage_class: { GLACIER: STANDARD }", "STANDARD_IA")])
def test_storage_class(ferry, server, method, wanted, class_):
    server.s.put_object(Bucket=S, Key=KEY, Body=BODY, StorageClass="STANDARD_IA")
    ferry.configure(method, destination_keys=wanted)
    assert ferry.run()[0] == 0
    assert server.m.head_object(Bucket=M, Key="in/report.csv").get("StorageClass") == class_


def test_a_class_that_only_the_source_has_is_a_loss(ferry, server):
    server.s.put_object(Bucket=S, Key=KEY, Body=BODY, StorageClass="STANDARD_IA")
    server.faults((dict(operation="PutObject", count=1), dict(
        status=400, code="InvalidStorageClass")))
    ferry.configure("stream")
    code, end = ferry.run()
    assert (code, "storage class of 1 object" in end["message"]) == (0, True)


@pytest.mark.parametrize("method", ["stream", "server_side"])
def test_encryption(ferry, server, method):
    ferry.configure(method, destination_keys=(
        'server_side_encryption: aws:kms, kms_key_id: alias/pos, bucket_key_enabled: true'))
    assert ferry.run()[0] == 0
    head = server.m.head_object(Bucket=M, Key="in/report.csv")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"], head["BucketKeyEnabled"]) == (
        "aws:kms", "alias/pos", True)


@pytest.mark.parametrize("method", ["stream", "server_side"])
def test_object_lock(ferry, server, method):
    until = datetime.datetime(2040, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    ferry.configure(method, destination=f"s3://{VAULT}/in/",
                    destination_keys="object_lock: GOVERNANCE, retain_for: 1000d")
    assert ferry.run()[0] == 0, ferry.log()
    head = server.m.head_object(Bucket=VAULT, Key="in/report.csv")
    days = head["ObjectLockRetainUntilDate"] - datetime.datetime.now(until.tzinfo)
    assert head["ObjectLockMode"] == "GOVERNANCE" and 998 <= days.days <= 1000


@pytest.mark.parametrize("size", [0, 1000, 300_000, 70 << 20])
def test_aws_gets_a_checksum_of_what_no_source_declares(ferry, server, tmp_path, size):
    """Ahead of what is all there, else behind the bytes: what is locked must have one."""
    body, folder = os.urandom(size), tmp_path / "aws"
    folder.mkdir()
    (tmp_path / "x.csv").write_bytes(body)
    ferry.conf.write_text(f"""version: 1
profiles:
  ours: {{ role_arn: "arn:aws:iam::222222222222:role/dst-writer", region: eu-central-1 }}
jobs:
  daily-report:
    schedule: "cron(0 7 * * ? *)"
    source: {{ url: "file://{tmp_path}/x.csv" }}
    destination: {{ profile: ours, url: "s3://{VAULT}/in/", object_lock: GOVERNANCE,
                   retain_for: 10d }}
""")
    with AwsProxy(folder, server.port) as aws:
        ferry.start(variables={"HTTPS_PROXY": aws.url, "AWS_CA_BUNDLE": str(aws.ca)})
        before = server.count()
        code, end = ferry.run()
        ferry.stop()
    assert (code, end["bytes_done"]) == (0, size), ferry.log()
    got = arrived(server, VAULT, "in/x.csv")[0]
    assert got["Body"].read() == body and "ContentEncoding" not in got
    assert got["ObjectLockMode"] == "GOVERNANCE"
    # The answer proves it: the one HEAD was the look at what might be there.
    assert did(server, before)["HeadObject"] == 1


def digest(algorithm, body, part):
    """As S3 tells it; of SHA-256 in parts it is that of their digests."""
    if algorithm == "CRC32":
        return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    if algorithm != "SHA256":
        return None  # no second opinion here, but the sandbox's
    if not part:
        return base64.b64encode(hashlib.sha256(body).digest()).decode()
    sums = [hashlib.sha256(body[at:at + part]).digest() for at in range(0, len(body), part)]
    whole = base64.b64encode(hashlib.sha256(b"".join(sums)).digest()).decode()
    return f"{whole}-{len(sums)}"


@pytest.fixture
def aws(server, tmp_path):
    folder = tmp_path / "aws"
    folder.mkdir()
    with AwsProxy(folder, server.port) as proxy:
        yield dict(HTTPS_PROXY=proxy.url, AWS_CA_BUNDLE=str(proxy.ca))


def ask_for(ferry, algorithm, source, extra=""):
    ferry.conf.write_text(f"""version: 1
profiles:
  partner: {{ role_arn: "arn:aws:iam::111111111111:role/src-reader", external_id: ferry-42,
             region: eu-west-1 }}
  ours: {{ role_arn: "arn:aws:iam::222222222222:role/dst-writer", region: eu-central-1 }}
jobs:
  daily-report:
    schedule: "cron(0 7 * * ? *)"
    checksum_algorithm: {algorithm}
    method: stream
    overwrite: always
    {extra}
    source: {{ {source} }}
    destination: {{ profile: ours, url: "s3://{M}/in/" }}
""")


# How a server other than AWS's may take a part with its checksum behind it, and how many
# parts find that out: a connection may break for another reason, but not three times.
TAKES = {
    "it is read": (None, 0),
    "it is refused": (dict(status=400, code="XAmzContentSHA256Mismatch"), 1),
    "the signature does not match": (dict(status=403, code="SignatureDoesNotMatch"), 1),
    "the connection breaks": (dict(reset_at=0), 3),
    "the frame is stored": (dict(keeps_frame=True), 1),
}


@pytest.mark.parametrize("takes", TAKES)
def test_one_part_finds_out_whether_others_read_what_is_behind_bytes(
        ferry, server, tmp_path, aws, takes):
    """Then it goes behind all streams: a checksum that is asked for is kept there, too."""
    action, asking = TAKES[takes]
    is_read = not action
    (tmp_path / "large").write_bytes(large := os.urandom((21 << 20) + 7))
    (tmp_path / "report.csv").write_bytes(body := os.urandom(200_000))
    if not is_read:
        server.faults((dict(operation="UploadPart", has_trailer=True), action))
    ask_for(ferry, "sha256", f'url: "file://{tmp_path}/large"',
            f"limits: {{ part_size: 5MiB, parts: {1 if asking > 1 else 2} }}")
    conf = ferry.conf.read_text().replace(
        "region: eu-central-1 }", "region: eu-central-1,"
        " endpoint_url: \"https://s3.eu-central-1.amazonaws.com\" }")
    ferry.conf.write_text(conf)
    ferry.start(variables=aws)
    before = server.requests("UploadPart")
    code, end = ferry.run()
    assert code == 0, ferry.log()
    assert arrived(server, key="in/large")[0]["Body"].read() == large
    # No part of the first knew; a part that was sent for nothing is no attempt.
    assert "not carried along: checksum_algorithm" in end["message"]
    assert server.requests("UploadPart") - before == 5 + asking
    assert asking > 1 or not [line for line in ferry.log("warning") if "again" in line]
    [said] = [line for line in ferry.log() if "checksums that follow the bytes" in line]
    assert ("does not read" in said) != is_read
    ferry.conf.write_text(conf.replace("/large", "/report.csv"))
    assert ferry.ctl("reload", "--wait")[0] == 0
    code, end = ferry.run()
    ferry.stop()
    assert code == 0, ferry.log()
    got, _ = arrived(server, key="in/report.csv")
    assert got["Body"].read() == body and "ContentEncoding" not in got
    assert ("not carried along" in end["message"]) != is_read
    head = server.m.head_object(Bucket=M, Key="in/report.csv", ChecksumMode="ENABLED")
    assert head.get("ChecksumSHA256") == (digest("SHA256", body, 0) if is_read else None)


@pytest.mark.parametrize("algorithm", ["crc64nvme", "crc32c", "crc32", "sha256"])
@pytest.mark.parametrize("size", [0, 1000, 200_000, (20 << 20) + 7], ids=[
    "empty", "ahead", "behind", "in parts"])
@pytest.mark.parametrize("scheme", ["s3", "file"])
def test_the_checksum_that_is_asked_for_is_kept(
        ferry, server, tmp_path, aws, algorithm, size, scheme):
    body = os.urandom(size)
    (tmp_path / "report.csv").write_bytes(body)
    server.s.put_object(Bucket=S, Key=KEY, Body=body)
    ask_for(ferry, algorithm, f'profile: partner, url: "s3://{S}/{KEY}"' if scheme == "s3"
            else f'url: "file://{tmp_path}/report.csv"', "limits: { part_size: 5MiB }")
    ferry.start(variables=aws)
    code, end = ferry.run()
    ferry.stop()
    with gzip.open(tmp_path / "state" / "manifests" / "daily-report"
                   / f"{end['run']}.jsonl.gz", "rt") as f:
        [row] = [json.loads(line) for line in f if '"key"' in line]
    assert (code, end["bytes_done"]) == (0, size), ferry.log()
    assert "not carried along" not in end["message"]
    assert not [line for line in ferry.log() if "without a digest" in line]
    got, _ = arrived(server, M, "in/report.csv")
    assert got["Body"].read() == body
    if algorithm == "crc64nvme":
        return  # of which this boto3 knows nothing; the answer proved it
    name = algorithm.upper()
    kept = server.m.head_object(Bucket=M, Key="in/report.csv", ChecksumMode="ENABLED")[
        "Checksum" + name]
    assert digest(name, body, 5 << 20 if size > 20 << 20 else None) in (None, kept)
    assert row["destination"]["checksum"] == f"{algorithm}:{kept}"


@pytest.mark.parametrize("algorithm", ["crc32", "sha256"])
def test_parts_and_their_checksums_survive_a_kill(ferry, server, tmp_path, aws, algorithm):
    body = os.urandom((40 << 20) + 7)
    (tmp_path / "report.csv").write_bytes(body)
    ask_for(ferry, algorithm, f'url: "file://{tmp_path}/report.csv"',
            "limits: { part_size: 5MiB, parts: 1 }")
    server.faults((dict(operation="UploadPart", skip=4), dict(stall_at=0)))
    ferry.start(variables=aws)
    ferry.ctl("run", "daily-report")

    def noted():
        with contextlib.closing(sqlite3.connect(tmp_path / "state" / "state.db")) as db:
            return db.execute("SELECT count(*) FROM upload_part").fetchone()[0]
    # What the killed one has on its way is counted before, not after.
    until(lambda: noted() == 4 and server.fired() == [1], "four parts on disk and the next")
    ferry.kill()
    server.faults()
    before = server.requests("UploadPart")
    ferry.start(variables=aws)
    until(lambda: any("daily-report succeeded" in line for line in ferry.log()), "the end")
    assert server.requests("UploadPart") - before == 5
    head = server.m.head_object(Bucket=M, Key="in/report.csv", ChecksumMode="ENABLED")
    assert head["Checksum" + algorithm.upper()] == digest(algorithm.upper(), body, 5 << 20)


@pytest.mark.parametrize("method", ["stream", "server_side"])
def test_a_checksum_that_cannot_be_had_is_a_loss(ferry, server, method):
    """A stream over HTTP has nothing behind it; a copy is summed up by the server."""
    server.s.put_object(Bucket=S, Key=KEY, Body=b"x" * 200_000)
    ferry.configure(method, role="src-mover", extra="    checksum_algorithm: sha256\n"
                    "    overwrite: always")
    code, end = ferry.run()
    assert (code, "not carried along: checksum_algorithm" in end["message"]) == (
        0, method == "stream"), end
    head = server.m.head_object(Bucket=M, Key="in/report.csv", ChecksumMode="ENABLED")
    assert head.get("ChecksumSHA256") == (
        None if method == "stream" else digest("SHA256", b"x" * 200_000, None))


def test_expected_owner(ferry, server):
    ferry.configure("stream", source_keys='expected_bucket_owner: "111111111111"',
                    destination_keys='expected_bucket_owner: "222222222222"')
    assert ferry.run()[0] == 0
    ferry.stop()
    for side in "source_keys", "destination_keys":
        for method in "stream", "auto":
            ferry.configure(method, **{side: 'expected_bucket_owner: "333333333333"'})
            assert ferry.run()[1]["reason"] == "denied"
            ferry.stop()


def test_requester_pays(ferry, server):
    server.m.put_object(Bucket=PAID, Key="x", Body=BODY)
    keys = dict(role="src-mover", source=f"s3://{PAID}/x")
    ferry.configure("stream", **keys, source_keys="request_payer: requester",
                    extra="    action: move")
    assert ferry.run()[0] == 0, ferry.log()
    assert "Contents" not in server.m.list_objects_v2(Bucket=PAID)
    ferry.stop()
    ferry.configure("stream", **keys)
    assert ferry.run()[1]["reason"] == "denied"


@pytest.mark.parametrize("role,owner,can_read,is_lost", [
    ("src-mover", True, True, False), ("src-mover", False, False, False),
    ("no-acls", True, False, True)])
def test_the_owner_of_a_bucket_with_acls_gets_the_object(
        ferry, server, role, owner, can_read, is_lost):
    server.m.delete_object(Bucket=ACLS, Key="in/report.csv")
    ferry.configure("stream", destination=f"s3://{ACLS}/in/",
                    writer=f"arn:aws:iam::111111111111:role/{role}",
                    destination_keys='expected_bucket_owner: "222222222222"' * owner)
    code, end = ferry.run()
    assert (code, "ACL of 1 object" in end["message"]) == (0, is_lost), ferry.log()
    if can_read:
        assert arrived(server, ACLS)[0]["Body"].read() == BODY
    else:
        with pytest.raises(ClientError, match="Denied"):
            arrived(server, ACLS)


GIB = 1 << 30


@pytest.mark.parametrize("size,copies,parts", [
    (5 * GIB, 1, 0), (5 * GIB + 1, 0, 11)], ids=["one copy", "in parts"])
def test_large_copies(ferry, server, size, copies, parts):
    names = ["CopyObject", "UploadPartCopy", "GetObject", "UploadPart"]
    before = [server.requests(n) for n in names]
    ferry.configure("server_side", source=f"s3://{S}/virtual/{size}", role="src-mover",
                    writer="arn:aws:iam::111111111111:role/src-mover",
                    destination=f"s3://{BIG}/big")
    code, end = ferry.run()
    assert (code, end["bytes_done"]) == (0, size), ferry.log()
    assert [server.requests(n) - b for n, b in zip(names, before)] == [copies, parts, 0, 0]
    assert server.s.head_object(Bucket=BIG, Key="big")["ContentLength"] == size


def test_a_copy_that_is_refused_half_way_goes_on_as_a_stream(ferry, server):
    """What was copied stays; the rest streams in parts of that size, in no more memory."""
    size = 5 * GIB + 1
    server.faults((dict(operation="UploadPartCopy", skip=9),
                   dict(status=403, code="AccessDenied")))
    ferry.configure(source=f"s3://{S}/virtual/{size}", role="src-mover",
                    writer="arn:aws:iam::111111111111:role/src-mover",
                    destination=f"s3://{BIG}/half")
    before = server.requests("UploadPart")
    code, end = ferry.run()
    assert (code, end["bytes_done"]) == (0, size), ferry.log()
    assert server.requests("UploadPart") - before == 2
    head = server.s.head_object(Bucket=BIG, Key="half")
    assert head["ContentLength"] == size and head["ETag"].endswith('-11"')
    assert_resident(ferry.proc.pid, 48 << 10)


def test_a_large_object_that_may_not_be_copied_streams_in_parts_of_a_stream(ferry, server):
    """Not in those of a copy, which would be sent again as a whole when one breaks."""
    server.faults((dict(operation="UploadPart", skip=2), dict(stall_at=0)))
    ferry.configure(source=f"s3://{S}/virtual/{5 * GIB + 1}", destination=f"s3://{M}/big",
                    extra="    limits: { part_size: 5MiB, parts: 1 }")
    ferry.ctl("run", "daily-report")

    def parts():
        [upload] = server.m.list_multipart_uploads(Bucket=M).get("Uploads") or [None]
        return upload and server.m.list_parts(
            Bucket=M, Key="big", UploadId=upload["UploadId"]).get("Parts", [])
    until(lambda: len(parts() or []) == 2, "two parts")
    assert {p["Size"] for p in parts()} == {5 << 20}
    ferry.ctl("cancel", "daily-report")
    until(lambda: not server.m.list_multipart_uploads(Bucket=M).get("Uploads"), "the abort")


# What a server may make of its copy, whatever it answered.
WRONG = {"empty": "", "gone": None, "of other bytes": "!" * len(BODY)}


@pytest.mark.parametrize("what", WRONG)
def test_a_move_leaves_its_source_where_the_copy_is(ferry, server, what):
    change = dict(bucket=S, key="moved/report.csv", body=WRONG[what])
    server.faults((dict(operation="HeadObject", path_prefix=f"/{S}/moved/"),
                   dict(object={k: v for k, v in change.items() if v is not None})))
    ferry.configure("server_side", role="src-mover", destination=f"s3://{S}/moved/",
                    writer="arn:aws:iam::111111111111:role/src-mover",
                    extra="    action: move\n    overwrite: always\n")
    code, end = ferry.run()
    assert (code, end["verdict"], end["reason"]) == (1, "failed", "integrity"), end
    assert "destination" in end["message"]
    assert server.s.get_object(Bucket=S, Key=KEY)["Body"].read() == BODY
    server.faults()
    before = server.count()
    assert ferry.run()[0] == 0
    # The source's for the copy and for the delete, and the copy's between them.
    assert did(server, before) == dict(CopyObject=1, HeadObject=3)
    assert server.s.get_object(Bucket=S, Key="moved/report.csv")["Body"].read() == BODY
    with pytest.raises(ClientError, match="NoSuchKey"):
        server.s.get_object(Bucket=S, Key=KEY)


@pytest.mark.parametrize("known", [True, False], ids=["proven by the answer", "unproven"])
def test_a_move_of_who_may_not_look_needs_a_proof_in_the_answer(ferry, server, known):
    """Without a checksum and with the ETag of parts, only a HEAD could tell of the copy."""
    if not known:
        at = dict(Bucket=S, Key=KEY)
        at["UploadId"] = server.s.create_multipart_upload(**at)["UploadId"]
        etag = server.s.upload_part(**at, PartNumber=1, Body=BODY)["ETag"]
        server.s.complete_multipart_upload(
            **at, MultipartUpload={"Parts": [{"ETag": etag, "PartNumber": 1}]})
    ferry.configure("server_side", role="src-mover", destination=f"s3://{S}/moved/",
                    writer="arn:aws:iam::111111111111:role/src-mover",
                    extra="    action: move\n    overwrite: always\n")
    server.faults((dict(operation="HeadObject", path_prefix=f"/{S}/moved/"),
                   dict(status=403, code="AccessDenied")))
    code, end = ferry.run()
    assert (code, end["reason"]) == ((0, "") if known else (77, "denied")), end


def test_a_move_in_copied_parts_looks_at_the_whole(ferry, server):
    size = 5 * GIB + 1
    server.faults((dict(operation="HeadObject", path_prefix=f"/{BIG}/moved/"),
                   dict(object=dict(bucket=BIG, key="moved/big", body=""))))
    ferry.configure("server_side", source=f"s3://{S}/virtual/{size}", role="src-mover",
                    writer="arn:aws:iam::111111111111:role/src-mover",
                    destination=f"s3://{BIG}/moved/big",
                    extra="    action: move\n    overwrite: always\n")
    code, end = ferry.run()
    assert (code, end["reason"]) == (1, "integrity"), end
    assert server.s.head_object(Bucket=S, Key=f"virtual/{size}")["ContentLength"] == size


def test_an_error_inside_the_answer_to_a_copy_is_no_success(ferry, server):
    server.faults((dict(operation="CopyObject", count=1), dict(error_in_200="InternalError")))
    ferry.configure("server_side")
    before = server.requests("CopyObject")
    assert ferry.run()[0] == 0
    assert arrived(server)[0]["Body"].read() == BODY
    assert server.requests("CopyObject") - before == 2


def test_a_source_that_changes_is_not_copied(ferry, server):
    server.faults((dict(operation="CopyObject", count=1), dict(
        status=412, code="PreconditionFailed")))
    ferry.configure("server_side", extra="    overwrite: always")
    code, end = ferry.run()
    assert (code, end["reason"]) == (1, "changed")


@pytest.mark.parametrize("role,pinned", [("src-mover", True), ("no-versions", False)])
def test_versions_are_pinned_where_they_may_be(ferry, server, role, pinned):
    """Replaced while its parts are read: the version that was begun arrives whole."""
    body, key = b"1" * (70 << 20), "large"
    server.s.put_object(Bucket=VERSIONS, Key=key, Body=body)
    server.faults((dict(operation="GetObject", skip=1, count=30), dict(delay_ms=200)))
    ferry.configure("stream", role=role, source=f"s3://{VERSIONS}/{key}",
                    extra="    overwrite: always")
    before = server.requests("UploadPart")
    ferry.ctl("run", "daily-report")
    until(lambda: server.requests("UploadPart") > before, "the first part")
    server.s.put_object(Bucket=VERSIONS, Key=key, Body=b"2" * len(body))
    row = until(lambda: ended(ferry), "the end")
    if pinned:
        assert row["state"] == "succeeded", ferry.log()
        assert arrived(server, key="in/large")[0]["Body"].read() == body
    elif row["state"] == "succeeded":  # all was read before
        assert arrived(server, key="in/large")[0]["Body"].read() == body
    else:
        assert row["reason"] == "changed"


def ended(ferry):
    row = ferry.ctl("history", "-n", "1")[1][0]["runs"][0]
    return row if row["state"] in ("succeeded", "failed") else None


@pytest.mark.parametrize("verify,heads", [("transfer", 0), ("object", 0), ("full", 2)])
def test_verify(ferry, server, verify, heads):
    ferry.configure("stream", extra=f"    overwrite: always\n    verify: {verify}")
    before = server.count()
    assert ferry.run()[0] == 0
    assert did(server, before).get("HeadObject", 0) == heads


# --- checksums of other algorithms, which the sandbox verifies and keeps as S3 does ---

PART = 6 << 20


def seed(server, body, algorithm, part=None):
    """A source that declares no CRC64NVME; returns what it declares."""
    if not part:
        server.s.put_object(Bucket=S, Key=KEY, Body=body, ChecksumAlgorithm=algorithm)
    else:
        up = dict(Bucket=S, Key=KEY, UploadId=server.s.create_multipart_upload(
            Bucket=S, Key=KEY, ChecksumAlgorithm=algorithm)["UploadId"])
        done = [dict(PartNumber=n + 1, **{k: v for k, v in server.s.upload_part(
            **up, PartNumber=n + 1, Body=body[at:at + part],
            ChecksumAlgorithm=algorithm).items() if k in ("ETag", "Checksum" + algorithm)})
            for n, at in enumerate(range(0, len(body), part))]
        server.s.complete_multipart_upload(**up, MultipartUpload={"Parts": done})
    head = server.s.head_object(Bucket=S, Key=KEY, ChecksumMode="ENABLED")
    return head["Checksum" + algorithm]


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
@pytest.mark.parametrize("size,part", [
    (100_000, None), (2 * PART + 5, PART), (70 << 20, None), (70 << 20, PART)],
    ids=["small", "small composite", "large", "large composite"])
def test_what_the_source_declares_is_recomputed(ferry, server, algorithm, size, part):
    body = BODY * (size // len(BODY)) + b"x" * (size % len(BODY))
    declared = seed(server, body, algorithm, part)
    assert ("-" in declared) == bool(part)
    ferry.configure("stream", extra="    overwrite: always")
    before = server.count()
    assert ferry.run()[0] == 0, ferry.log()
    # One HEAD more tells how long the parts of a composite are.
    assert did(server, before).get("HeadObject", 0) == (1 if part else 0)
    assert not [line for line in ferry.log() if "without a digest" in line]
    assert arrived(server)[0]["Body"].read() == body


@pytest.mark.parametrize("algorithm,part", [("SHA256", None), ("SHA256", PART),
                                            ("CRC32", PART)])
@pytest.mark.parametrize("size", [2 * PART + 5, 70 << 20], ids=["small", "large"])
def test_other_bytes_than_declared_do_not_arrive(ferry, server, algorithm, part, size):
    body = BODY * (size // len(BODY)) + b"x" * (size % len(BODY))
    seed(server, body, algorithm, part)
    # Each GET that carries bytes is damaged; of a large object the first carries none.
    server.faults((dict(operation="GetObject"), dict(flip_at=1000)))
    ferry.configure("stream", extra="    overwrite: always")
    end = ferry.run()[1]
    assert (end["verdict"], end["reason"]) == ("failed", "integrity"), ferry.log()
    with pytest.raises(ClientError, match="NoSuchKey|404"):
        arrived(server)


def test_a_checksum_goes_ahead_and_is_kept(ferry, server):
    declared = seed(server, BODY, "SHA256")
    ferry.configure("stream", extra="    overwrite: always")
    assert ferry.run()[0] == 0
    head = server.m.head_object(Bucket=M, Key="in/report.csv", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == declared
