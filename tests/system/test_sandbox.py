"""s3ferry-sandbox against boto3: an independent client signs, the sandbox verifies.

Run: S3FERRY_BUILD=<build dir> /usr/bin/python3 -m pytest tests/system/test_sandbox.py
"""
import datetime
import http.client
import json
import os
import pathlib
import subprocess
import time
import urllib.error
import urllib.request

import pytest

boto3 = pytest.importorskip("boto3")
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError, ConnectionClosedError  # noqa: E402
from botocore.exceptions import HTTPClientError, ReadTimeoutError  # noqa: E402
from conftest import assert_resident  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("S3FERRY_BUILD", TOP / "build"))
ACCOUNTS = TOP / "etc" / "sandbox-accounts.json"
READER = "arn:aws:iam::111111111111:role/src-reader"
WRITER = "arn:aws:iam::222222222222:role/dst-writer"
S, M, D = "account-s-bucket", "account-m-bucket", "account-m-discard"
KEYS = {
    user["name"]: (user["access_key_id"], user["secret_access_key"])
    for account in json.loads(ACCOUNTS.read_text())["accounts"]
    for user in account["users"]
}


class Sandbox:
    def __init__(self):
        self.process = subprocess.Popen(
            [BUILD / "src" / "s3ferry-sandbox", "--accounts", ACCOUNTS],
            stdout=subprocess.PIPE, text=True)
        word, self.address = self.process.stdout.readline().split()
        assert word == "listening"
        self.url = "http://" + self.address

    def client(self, service, keys, token=None, **config):
        config.setdefault("retries", {"total_max_attempts": 1})
        if service == "s3":
            config.setdefault("s3", {})["addressing_style"] = "path"
        return boto3.client(
            service, endpoint_url=self.url, region_name="eu-west-1",
            aws_access_key_id=keys[0], aws_secret_access_key=keys[1],
            aws_session_token=token, config=Config(**config))

    def s3(self, user, **config):
        return self.client("s3", KEYS[user], **config)

    def assume(self, user, role, **more):
        answer = self.client("sts", KEYS[user], parameter_validation=False).assume_role(
            RoleArn=role, RoleSessionName="test", **more)["Credentials"]
        return (answer["AccessKeyId"], answer["SecretAccessKey"]), answer["SessionToken"]

    def admin(self, method, what, body=None):
        request = urllib.request.Request(
            f"{self.url}/_sandbox/{what}", method=method,
            data=json.dumps(body).encode() if body is not None else None)
        with urllib.request.urlopen(request) as answer:
            return answer.read()

    def faults(self, *rules):
        self.admin("PUT", "faults", {"rules": rules})


@pytest.fixture(scope="module")
def server():
    sandbox = Sandbox()
    yield sandbox
    sandbox.process.terminate()
    assert sandbox.process.wait(10) == 0
    sandbox.process.stdout.close()


@pytest.fixture
def box(server):
    yield server
    server.admin("DELETE", "faults")


def code_of(call, *args, **kwargs):
    with pytest.raises(ClientError) as caught:
        call(*args, **kwargs)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"]
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


# --- STS ---

def test_right_external_id_opens_a_session(box):
    keys, token = box.assume("mover", READER, ExternalId="ferry-42")
    arn = box.client("sts", keys, token).get_caller_identity()["Arn"]
    assert arn == "arn:aws:sts::111111111111:assumed-role/src-reader/test"
    box.s3("owner-s").put_object(Bucket=S, Key="daily/report.csv", Body=b"a;b\n")
    s3 = box.client("s3", keys, token)
    assert s3.get_object(Bucket=S, Key="daily/report.csv")["Body"].read() == b"a;b\n"
    assert code_of(s3.put_object, Bucket=S, Key="x", Body=b"") == (403, "AccessDenied")


@pytest.mark.parametrize("user,role,more", [
    ("mover", READER, {}),
    ("mover", READER, {"ExternalId": "ferry-43"}),
    ("stranger", READER, {"ExternalId": "ferry-42"}),
    ("stranger", WRITER, {}),
    ("owner-m", WRITER, {}),
    ("mover", "arn:aws:iam::111111111111:role/nobody", {}),
])
def test_untrusted_callers_are_denied(box, user, role, more):
    sts = box.client("sts", KEYS[user])
    assert code_of(sts.assume_role, RoleArn=role, RoleSessionName="test",
                   **more) == (403, "AccessDenied")


def test_session_expires(box):
    keys, token = box.assume("mover", WRITER, DurationSeconds=900)
    s3 = box.client("s3", keys, token)
    s3.put_object(Bucket=M, Key="before", Body=b"1")
    # Shorter than AWS allows; then the clock of the server moves, within the skew.
    keys, token = box.assume("mover", WRITER, DurationSeconds=1)
    s3 = box.client("s3", keys, token)
    box.faults({"match": {}, "action": {"clock_offset_s": 60}})
    assert code_of(s3.list_objects_v2, Bucket=M) == (400, "ExpiredToken")
    sts = box.client("sts", keys, token)
    assert code_of(sts.get_caller_identity) == (403, "ExpiredToken")


def test_a_delete_is_of_the_object_that_was_meant(box):
    s3 = box.s3("owner-s")
    meant = s3.put_object(Bucket=S, Key="meant", Body=b"1")["ETag"]
    other = s3.put_object(Bucket=S, Key="meant", Body=b"2")["ETag"]

    def remove(etag):
        # Debian's botocore knows no IfMatch of a delete.
        s3.meta.events.register_first("before-sign.s3.DeleteObject", lambda request, **_:
                                      request.headers.add_header("If-Match", etag), "if")
        try:
            return s3.delete_object(Bucket=S, Key="meant")
        finally:
            s3.meta.events.unregister("before-sign.s3.DeleteObject", unique_id="if")

    assert code_of(remove, meant) == (412, "PreconditionFailed")
    remove(other)
    remove(other)
    assert code_of(s3.head_object, Bucket=S, Key="meant") == (404, "404")


# --- the back door ---

def test_objects_change_behind_the_back_of_clients(box):
    s3 = box.s3("owner-s")
    box.admin("PUT", "objects", [{"bucket": S, "key": "door/a b", "body": "1"},
                                 {"bucket": S, "key": "door/c", "body": ""}])
    assert s3.get_object(Bucket=S, Key="door/a b")["Body"].read() == b"1"
    told = json.loads(box.admin("GET", f"objects?bucket={S}&prefix=door/"))["objects"]
    listed = s3.list_objects_v2(Bucket=S, Prefix="door/")["Contents"]
    assert [(o["key"], o["etag"], o["size"], o["modified"]) for o in told] == \
        [(o["Key"], o["ETag"], o["Size"], o["LastModified"].timestamp()) for o in listed]
    box.admin("PUT", "objects", [{"bucket": S, "key": "door/c"}])
    assert code_of(s3.head_object, Bucket=S, Key="door/c") == (404, "404")
    for bad in ([{"bucket": S}], [{"bucket": "nowhere", "key": "k"}], {}):
        with pytest.raises(urllib.error.HTTPError):
            box.admin("PUT", "objects", bad)


def test_a_rule_changes_an_object_before_the_answer(box):
    s3 = box.s3("owner-s")
    s3.put_object(Bucket=S, Key="rule", Body=b"1")
    box.faults({"match": {"operation": "GetObject", "nth": 2},
                "action": {"object": {"bucket": S, "key": "rule", "body": "2"}}})
    assert [s3.get_object(Bucket=S, Key="rule")["Body"].read() for _ in range(3)] == \
        [b"1", b"2", b"2"]


# --- signatures ---

def test_wrong_secret(box):
    s3 = box.client("s3", (KEYS["owner-s"][0], "wrong"))
    assert code_of(s3.list_objects_v2, Bucket=S) == (403, "SignatureDoesNotMatch")
    sts = box.client("sts", (KEYS["owner-s"][0], "wrong"))
    assert code_of(sts.get_caller_identity) == (403, "SignatureDoesNotMatch")


def test_unknown_key_and_token(box):
    s3 = box.client("s3", ("AKIANOBODY0000000001", "x"))
    assert code_of(s3.list_objects_v2, Bucket=S) == (403, "InvalidAccessKeyId")
    s3 = box.client("s3", KEYS["owner-s"], "made-up")
    assert code_of(s3.list_objects_v2, Bucket=S) == (400, "InvalidToken")
    sts = box.client("sts", ("AKIANOBODY0000000001", "x"))
    assert code_of(sts.get_caller_identity) == (403, "InvalidClientTokenId")


def test_clock_skew(box):
    for offset, expected in ((890, None), (-890, None), (920, 403), (-920, 403)):
        box.faults({"match": {"operation": "ListObjectsV2"},
                    "action": {"clock_offset_s": offset}})
        s3 = box.s3("owner-s")
        if expected:
            assert code_of(s3.list_objects_v2, Bucket=S) == (403, "RequestTimeTooSkewed")
        else:
            s3.list_objects_v2(Bucket=S)


def test_anonymous_is_denied(box):
    connection = http.client.HTTPConnection(box.address)
    connection.request("GET", f"/{S}/daily/report.csv")
    answer = connection.getresponse()
    assert answer.status == 403 and b"<Code>AccessDenied</Code>" in answer.read()
    connection.close()


def test_presigned(box):
    s3 = box.s3("owner-s", signature_version="s3v4")
    s3.put_object(Bucket=S, Key="pre signed+%", Body=b"here")
    url = s3.generate_presigned_url(
        "get_object", Params={"Bucket": S, "Key": "pre signed+%"}, ExpiresIn=60)
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"here"
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(url.replace("Expires=60", "Expires=61"))


def signed(box, method, path, headers, body, payload):
    """A request signed by botocore with a payload hash of our choice."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    class Auth(S3SigV4Auth):
        def payload(self, request):
            return payload

    request = AWSRequest(method, box.url + path, data=b"",
                         headers=dict(headers, Host=box.address))
    auth = Auth(Credentials(*KEYS["owner-s"]), "s3", "eu-west-1")
    auth.add_auth(request)
    text = body(request, auth) if callable(body) else body
    connection = http.client.HTTPConnection(box.address)
    connection.request(method, path, text, dict(request.headers.items()))
    answer = connection.getresponse()
    result = answer.status, answer.read()
    connection.close()
    return result


def test_payload_hash_is_verified(box):
    assert signed(box, "PUT", f"/{S}/unsigned", {}, b"abc", "UNSIGNED-PAYLOAD")[0] == 200
    status, text = signed(box, "PUT", f"/{S}/bad", {}, b"abc", "0" * 64)
    assert status == 400 and b"XAmzContentSHA256Mismatch" in text
    assert code_of(box.s3("owner-s").head_object, Bucket=S, Key="bad")[0] == 404


@pytest.mark.parametrize("is_broken", [False, True])
def test_signed_chunks(box, is_broken):
    import hashlib
    import hmac
    pieces = [b"x" * 70000, b"y" * 1234, b""]

    def body(request, auth):
        _, secret = KEYS["owner-s"]
        date = request.headers["X-Amz-Date"]
        key = ("AWS4" + secret).encode()
        for word in (date[:8], "eu-west-1", "s3", "aws4_request"):
            key = hmac.new(key, word.encode(), "sha256").digest()
        previous = request.headers["Authorization"].rsplit("Signature=", 1)[1]
        out = b""
        for piece in pieces:
            text = "\n".join([
                "AWS4-HMAC-SHA256-PAYLOAD", date,
                f"{date[:8]}/eu-west-1/s3/aws4_request", previous,
                hashlib.sha256(b"").hexdigest(), hashlib.sha256(piece).hexdigest()])
            previous = hmac.new(key, text.encode(), "sha256").hexdigest()
            if is_broken and piece == pieces[1]:
                piece = b"z" + piece[1:]
            out += b"%x;chunk-signature=%s\r\n%s\r\n" % (
                len(piece), previous.encode(), piece)
        return out

    headers = {"x-amz-decoded-content-length": str(sum(map(len, pieces)))}
    status, text = signed(box, "PUT", f"/{S}/chunked{is_broken}", headers, body,
                          "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
    if is_broken:
        assert status == 403 and b"SignatureDoesNotMatch" in text
    else:
        assert status == 200, text
        got = box.s3("owner-s").get_object(Bucket=S, Key="chunkedFalse")
        assert got["Body"].read() == b"".join(pieces)


# --- objects ---

@pytest.mark.parametrize("key", [
    "plain", "with space", "plus+and%percent", "double//slash", "a/../b", "./x", "ünïcödé/日本",
    "q?uery&amp=1", "k" * 1024, "*~'()!@$,;:=", "tab\tkey",
])
def test_keys_survive(box, key):
    s3 = box.s3("owner-s")
    s3.put_object(Bucket=S, Key=key, Body=key.encode(), ContentType="text/x-test",
                  Metadata={"colour": "blue"}, Tagging="a=1&b=two%20words")
    got = s3.get_object(Bucket=S, Key=key)
    assert got["Body"].read() == key.encode()
    assert got["ContentType"] == "text/x-test" and got["Metadata"] == {"colour": "blue"}
    assert got["TagCount"] == 2
    listed = [o["Key"] for o in s3.list_objects_v2(Bucket=S, Prefix=key)["Contents"]]
    assert key in listed
    tags = s3.get_object_tagging(Bucket=S, Key=key)["TagSet"]
    assert tags == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "two words"}]
    s3.delete_object(Bucket=S, Key=key)
    assert code_of(s3.get_object, Bucket=S, Key=key) == (404, "NoSuchKey")


def test_ranges_and_conditions(box):
    s3 = box.s3("owner-s")
    etag = s3.put_object(Bucket=S, Key="r", Body=b"0123456789")["ETag"]

    def get(**more):
        return s3.get_object(Bucket=S, Key="r", **more)

    for text, expected in (("bytes=2-4", b"234"), ("bytes=7-", b"789"),
                           ("bytes=-2", b"89"), ("bytes=8-99", b"89")):
        answer = get(Range=text)
        assert answer["Body"].read() == expected
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert code_of(get, Range="bytes=10-") == (416, "InvalidRange")
    assert get(IfMatch=etag)["ContentLength"] == 10
    assert code_of(get, IfMatch='"other"') == (412, "PreconditionFailed")
    assert code_of(get, IfNoneMatch=etag)[0] == 304
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    assert code_of(get, IfModifiedSince=later)[0] == 304


def test_list_pages_and_groups(box):
    s3 = box.s3("owner-m")
    for i in range(7):
        s3.put_object(Bucket=M, Key=f"l/{i % 2}/{i}", Body=b"x")
    s3.put_object(Bucket=M, Key="l/z", Body=b"")
    pages = list(s3.get_paginator("list_objects_v2").paginate(
        Bucket=M, Prefix="l/", PaginationConfig={"PageSize": 3}))
    keys = [o["Key"] for p in pages for o in p["Contents"]]
    assert len(pages) == 3 and keys == sorted(keys) and len(keys) == 8
    first = s3.list_objects_v2(Bucket=M, Prefix="l/", Delimiter="/", MaxKeys=1)
    assert [p["Prefix"] for p in first["CommonPrefixes"]] == ["l/0/"]
    rest = s3.list_objects_v2(Bucket=M, Prefix="l/", Delimiter="/",
                              ContinuationToken=first["NextContinuationToken"])
    assert [p["Prefix"] for p in rest["CommonPrefixes"]] == ["l/1/"]
    assert [o["Key"] for o in rest["Contents"]] == ["l/z"]
    after = s3.list_objects_v2(Bucket=M, Prefix="l/", StartAfter="l/1/3")
    assert [o["Key"] for o in after["Contents"]] == ["l/1/5", "l/z"]


def test_multipart(box):
    s3 = box.s3("owner-m")
    first, second = os.urandom(5 << 20), b"tail"
    up = s3.create_multipart_upload(Bucket=M, Key="big", ContentType="a/b")["UploadId"]
    assert s3.list_multipart_uploads(Bucket=M)["Uploads"][0]["UploadId"] == up
    parts = []
    for number, body in ((1, first), (2, second)):
        etag = s3.upload_part(Bucket=M, Key="big", UploadId=up, PartNumber=number,
                              Body=body)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    listed = s3.list_parts(Bucket=M, Key="big", UploadId=up)["Parts"]
    assert [(p["PartNumber"], p["Size"]) for p in listed] == [(1, 5 << 20), (2, 4)]

    def complete(chosen):
        return s3.complete_multipart_upload(
            Bucket=M, Key="big", UploadId=up, MultipartUpload={"Parts": chosen})

    assert code_of(complete, parts[::-1]) == (400, "InvalidPartOrder")
    assert code_of(complete, [dict(parts[0], ETag='"x"')]) == (400, "InvalidPart")
    assert complete(parts)["ETag"].endswith('-2"')
    got = s3.get_object(Bucket=M, Key="big")
    assert got["Body"].read() == first + second and got["ContentType"] == "a/b"
    up = s3.create_multipart_upload(Bucket=M, Key="big2")["UploadId"]
    s3.upload_part_copy(Bucket=M, Key="big2", UploadId=up, PartNumber=1,
                        CopySource={"Bucket": M, "Key": "big"}, CopySourceRange="bytes=1-3")
    assert s3.list_parts(Bucket=M, Key="big2", UploadId=up)["Parts"][0]["Size"] == 3
    s3.abort_multipart_upload(Bucket=M, Key="big2", UploadId=up)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=M)
    assert code_of(s3.list_parts, Bucket=M, Key="big2", UploadId=up) == (404, "NoSuchUpload")


def test_copy_across_accounts_needs_both_policies(box):
    owner = box.s3("owner-s")
    for key in ("shared/a b", "private/a"):
        owner.put_object(Bucket=S, Key=key, Body=b"mine", Metadata={"k": "v"})
    keys, token = box.assume("mover", WRITER)
    s3 = box.client("s3", keys, token)
    s3.copy_object(Bucket=M, Key="copied", CopySource={"Bucket": S, "Key": "shared/a b"})
    got = s3.get_object(Bucket=M, Key="copied")
    assert got["Body"].read() == b"mine" and got["Metadata"] == {"k": "v"}
    assert code_of(s3.copy_object, Bucket=M, Key="no",
                   CopySource={"Bucket": S, "Key": "private/a"}) == (403, "AccessDenied")
    assert code_of(box.s3("owner-m").get_object, Bucket=S,
                   Key="private/a") == (403, "AccessDenied")


def test_buckets_and_bulk_delete(box):
    s3 = box.s3("owner-m")
    s3.create_bucket(Bucket="fresh-bucket",
                     CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.head_bucket(Bucket="fresh-bucket")
    assert "fresh-bucket" in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    for key in "abc":
        s3.put_object(Bucket="fresh-bucket", Key=key, Body=b"")
    assert code_of(s3.delete_bucket, Bucket="fresh-bucket") == (409, "BucketNotEmpty")
    gone = s3.delete_objects(Bucket="fresh-bucket",
                             Delete={"Objects": [{"Key": k} for k in "abc"]})
    assert [d["Key"] for d in gone["Deleted"]] == ["a", "b", "c"]
    s3.delete_bucket(Bucket="fresh-bucket")
    assert code_of(s3.list_objects_v2, Bucket="fresh-bucket") == (404, "NoSuchBucket")


def test_virtual_objects_and_the_discard_bucket(box):
    s3 = box.s3("owner-m")
    key = f"virtual/{64 << 20}"
    whole = s3.get_object(Bucket=M, Key=key)["Body"].read()
    assert len(whole) == 64 << 20
    part = s3.get_object(Bucket=M, Key=key, Range="bytes=1000003-1000100")["Body"].read()
    assert part == whole[1000003:1000101]
    s3.put_object(Bucket=D, Key="dropped", Body=whole)
    assert s3.head_object(Bucket=D, Key="dropped")["ContentLength"] == 64 << 20
    assert_resident(box.process.pid, 48 << 10, "VmRSS")


# --- faults ---

def test_fault_status_is_counted_and_ends(box):
    s3 = box.s3("owner-m")
    box.faults({"match": {"operation": "PutObject", "skip": 1, "count": 1},
                "action": {"status": 503, "code": "SlowDown"}})
    s3.put_object(Bucket=M, Key="f", Body=b"1")
    assert code_of(s3.put_object, Bucket=M, Key="f", Body=b"2") == (503, "SlowDown")
    s3.put_object(Bucket=M, Key="f", Body=b"3")
    log = json.loads(box.admin("GET", "log"))
    assert log["faults"] == [{"matched": 3, "fired": 1}]
    assert any(c["operation"] == "PutObject" and c["access_key"] == KEYS["owner-m"][0] and
               c["requests"] >= 3 for c in log["counters"])


def test_faults_damage_bodies(box):
    s3 = box.s3("owner-m", read_timeout=1)
    s3.put_object(Bucket=M, Key="f", Body=b"0123456789")

    def get():
        return s3.get_object(Bucket=M, Key="f")["Body"].read()

    match = {"operation": "GetObject"}
    box.faults({"match": match, "action": {"flip_at": 3}})
    assert get() == b"012" + bytes([ord("3") ^ 0xff]) + b"456789"
    for action in ({"truncate_at": 4}, {"reset_at": 4}, {"stall_at": 4}):
        box.faults({"match": match, "action": action})
        with pytest.raises((HTTPClientError, ReadTimeoutError, ConnectionError)):
            get()
    box.faults({"match": {"operation": "PutObject"}, "action": {"reset_at": 100}})
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        s3.put_object(Bucket=M, Key="cut", Body=b"x" * 100000)
    assert code_of(s3.head_object, Bucket=M, Key="cut")[0] == 404


def test_faults_of_answers(box):
    s3 = box.s3("owner-m")
    s3.put_object(Bucket=M, Key="f", Body=b"1")
    box.faults({"match": {"operation": "GetObject", "nth": 2},
                "action": {"expired_token": True}},
               {"match": {"operation": "CopyObject"},
                "action": {"error_in_200": "InternalError"}},
               {"match": {"operation": "HeadObject"}, "action": {"delay_ms": 300}})
    s3.get_object(Bucket=M, Key="f")
    assert code_of(s3.get_object, Bucket=M, Key="f") == (400, "ExpiredToken")
    s3.get_object(Bucket=M, Key="f")
    with pytest.raises(ClientError):
        s3.copy_object(Bucket=M, Key="g", CopySource=f"{M}/f")
    assert code_of(s3.get_object, Bucket=M, Key="g") == (404, "NoSuchKey")
    began = time.monotonic()
    s3.head_object(Bucket=M, Key="f")
    assert time.monotonic() - began >= 0.3


def test_bad_faults_are_refused(box):
    with pytest.raises(urllib.error.HTTPError) as caught:
        box.faults({"match": {}, "action": {"reset_att": 1}})
    assert caught.value.code == 400 and b"reset_att" in caught.value.read()


def test_only_loopback():
    done = subprocess.run(
        [BUILD / "src" / "s3ferry-sandbox", "--accounts", ACCOUNTS, "--listen", "0.0.0.0:0"],
        capture_output=True, text=True, timeout=10)
    assert done.returncode == 64 and "loopback" in done.stderr
