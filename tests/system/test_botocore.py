"""Signatures, endpoints and profiles against botocore, which has no misunderstandings in
common with us. 1,000 random cases of each; S3FERRY_CASES makes more, S3FERRY_SEED replays.

Where the two differ on purpose, the generators do not go:
- a path of another service than S3 that ends in /. or /.. keeps its last slash here, as in
  RFC 3986, and loses it there; we send / alone to STS;
- no global endpoints (aws-global, us-east-1 legacy), no regions that are none, at which
  botocore looks before its rules; no multi-region access points, Outposts, Object Lambda and
  directory buckets, which we refuse by name; only partitions that Debian's botocore knows;
- its rules of 2022 refused FIPS with path style, and took what is refused today: FIPS, dual
  stack or an IP address where an endpoint_url or an access point excludes it, accounts of
  ARNs that are no 12 digits, ARNs of another partition, acceleration without a bucket or
  outside of the partition aws, names with dots before an IPv6 address;
- an endpoint_url without a region is signed for us-east-1 here, refused there;
- profiles: files that configparser and AWS's newer SDKs read alike (no duplicate sections or
  keys, no continuation lines, no spaces in names); no mfa_serial, SSO or login, which need a
  person; no duration_seconds that is no number (dropped there, refused here) or is above an
  hour in a chain; no credential_source in another case; no profile whose keys stand in two
  files (merged here, each file alone there) or beside a credential_process (which wins here,
  as in the newer SDKs); no web identity, which AWS's vectors hold.
"""

import datetime
import json
import os
import random
import subprocess

import botocore
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.endpoint_provider
import botocore.exceptions
import botocore.loaders
import botocore.session
import pytest

from botocore.utils import percent_encode

from conftest import first_seed

PROBE = os.path.join(os.environ.get("S3FERRY_BUILD", "build"), "tests/probe/aws_probe")
CASES = int(os.environ.get("S3FERRY_CASES", 1000))
pytestmark = pytest.mark.skipif(not os.path.exists(PROBE),
                                reason="tests/probe/aws_probe is not built (make check)")


@pytest.fixture
def r():
    return random.Random(first_seed())


def ask(questions):
    out = subprocess.run([PROBE], input="".join(json.dumps(q) + "\n" for q in questions),
                         stdout=subprocess.PIPE, text=True, check=True, timeout=600).stdout
    answers = [json.loads(line) for line in out.splitlines()]
    assert len(answers) == len(questions)
    return answers


def texts(r, most, letters):
    return "".join(r.choice(letters) for _ in range(r.randint(1, most)))


# --- signatures ---

HOSTILE = list("abzAZ019-._~/+ %&=?#@:;,'\"*()[]{}<>|\\^`!$\t") + [
    "é", "ß", "語", "😀", "..", "/./", "/../", "//", "%2F", "%20", "\x7f", "\u2028"]
VALUES = list("abcXYZ019 -_./=+,:;\"'()é語") + ["  ", "   "]
WORDS = ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
         "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "e3b0c44298fc1c149afbf4c8996fb924"
         "27ae41e4649b934ca495991b7852b855"]


def a_request(r):
    service = r.choice(["s3", "s3", "s3", "sts", "execute-api"])
    path = "/" + texts(r, 24, HOSTILE)
    query = {texts(r, 8, HOSTILE): texts(r, 12, HOSTILE) if r.random() < 0.8 else ""
             for _ in range(r.choice([0, 0, 1, 2, 5]))}
    headers = {"Host": r.choice(["b.s3.eu-west-1.amazonaws.com", "127.0.0.1:9000", "h"])}
    for _ in range(r.choice([0, 0, 1, 3])):
        name = r.choice(["x-amz-meta-", "X-Amz-Meta-", "x-amz-", "Content-", "Range-"])
        headers[name + texts(r, 6, "abcXYZ019-")] = " " * r.choice([0, 0, 2]) + texts(
            r, 20, VALUES)
    for name in ("User-Agent", "Expect", "x-amzn-trace-id"):  # never signed
        if r.random() < 0.1:
            headers[name] = "x"
    if service != "s3" and path.endswith(("/.", "/..")):
        return a_request(r)
    lower = [name.lower() for name in headers]
    if len(set(lower)) != len(lower):
        return a_request(r)
    token = texts(r, 40, "abcXYZ019/+=") if r.random() < 0.5 else None
    return {"do": "sign", "method": r.choice(["GET", "PUT", "POST", "HEAD", "DELETE"]),
            "path": path, "query": list(query.items()), "headers": list(headers.items()),
            "payload": r.choice(WORDS), "service": service, "region": r.choice(
                ["eu-west-1", "us-gov-west-1", "x"]), "key": "AKIA" + texts(r, 16, "A0"),
            "secret": texts(r, 40, "abcXYZ019/+"), "token": token,
            "at": r.randrange(0, 4102444800)}


def theirs(q, is_presign=False):
    """What botocore signs, stage by stage, for that time and payload."""
    credentials = botocore.credentials.Credentials(q["key"], q["secret"], q["token"])
    kinds = {(True, False): botocore.auth.S3SigV4Auth, (False, False): botocore.auth.SigV4Auth,
             (True, True): botocore.auth.S3SigV4QueryAuth}
    auth = kinds[q["service"] == "s3", is_presign](credentials, q["service"], q["region"])
    auth.payload = lambda request: q["payload"]
    if is_presign:
        auth._expires = q["expires"]
    headers = dict(q["headers"])
    url = f"https://{headers['Host']}" + percent_encode(q["path"], safe="/~")
    request = botocore.awsrequest.AWSRequest(q["method"], url, params=dict(q["query"]))
    for name, value in headers.items():
        request.headers[name] = value
    at = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=q["at"])
    request.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
    auth._modify_request_before_signing(request)
    canonical = auth.canonical_request(request)
    return (auth.signature(auth.string_to_sign(request, canonical), request),
            auth.signed_headers(auth.headers_to_sign(request)), canonical)


@pytest.mark.parametrize("is_presign", [False, True])
def test_signatures(r, is_presign):
    questions = [a_request(r) for _ in range(CASES)]
    if is_presign:
        for q in questions:
            q.update(do="presign", service="s3", payload="UNSIGNED-PAYLOAD",
                     expires=r.randint(1, 604800))
            q["headers"] = q["headers"][:1]
    for q, a in zip(questions, ask(questions)):
        signature, signed, canonical = theirs(q, is_presign)
        assert (a.get("signature"), a.get("signed_headers")) == (signature, signed), (
            q, a, canonical)


# --- endpoints ---

REGIONS = ["us-east-1", "us-east-2", "eu-west-1", "eu-central-1", "ap-southeast-3",
           "me-central-1", "xx-new-7", "cn-north-1", "cn-northwest-1", "us-gov-west-1",
           "us-gov-east-1", ""]
BUCKETS = ["bucket", "b-u-c", "bucket.with.dots", "Upper", "under_score", "ab", "1.2.3.4",
           "a" * 63, "a" * 64, "-bucket", "bucket-", "xn--bucket", None]
ARNS = ["arn:{p}:s3:{r}:123456789012:accesspoint/ap", "arn:{p}:s3:{r}:123456789012:"
        "accesspoint:ap-name", "arn:{p}:s3:{r}:123456789012:accesspoint/", "arn:{p}:s3::123456789012:bucket/x",
        "arn:{p}:sqs:{r}:123456789012:accesspoint/ap"]
URLS = ["https://storage.example", "http://storage.example:9000", "https://1.2.3.4",
        "https://storage.example/base", "http://[::1]:9000"]


def an_endpoint(r):
    service = r.choice(["s3", "s3", "s3", "sts"])
    q = {"do": "endpoint", "service": service, "region": r.choice(REGIONS),
         "fips": r.random() < 0.25, "dualstack": r.random() < 0.25,
         "endpoint_url": r.choice(URLS) if r.random() < 0.3 else None}
    if q["endpoint_url"] and not q["region"]:
        q["region"] = "eu-west-1"
    if service == "s3":
        region = r.choice(REGIONS[:9])
        arn = r.choice(ARNS).format(p="aws-cn" if region[:2] == "cn" else "aws", r=region)
        q.update(bucket=arn if r.random() < 0.3 else r.choice(BUCKETS),
                 accelerate=r.random() < 0.2, path_style=r.random() < 0.25,
                 ignore_arn_region=r.random() < 0.3)
        q["dualstack"] &= not q["endpoint_url"]
        q["accelerate"] &= q["bucket"] is not None
        if (q["bucket"] or "").startswith("arn:"):
            q["endpoint_url"] = q["endpoint_url"] and "https://storage.example"
        q["fips"] &= not q["endpoint_url"] or q["bucket"] == "bucket"
        if "[" in (q["endpoint_url"] or "") and q["bucket"]:
            q["bucket"] = "bucket"
        q["accelerate"] &= not q["region"].startswith(("cn-", "us-gov-"))
        is_virtual = q["bucket"] in (None, "bucket", "b-u-c", "xn--bucket", "a" * 63)
        if q["path_style"] or not (is_virtual or q["bucket"].startswith("arn:")):
            q["fips"] = False
    return q


@pytest.fixture(scope="module")
def rules():
    load = botocore.loaders.create_loader()
    return {s: botocore.endpoint_provider.EndpointProvider(
        load.load_service_model(s, "endpoint-rule-set-1"), load.load_data("partitions"))
        for s in ("s3", "sts")}


def their_endpoint(rules, q):
    inputs = {"Region": q["region"] or None, "UseFIPS": q["fips"],
              "UseDualStack": q["dualstack"], "Endpoint": q["endpoint_url"]}
    if q["service"] == "s3":
        inputs.update(Bucket=q["bucket"], Accelerate=q["accelerate"],
                      ForcePathStyle=q["path_style"], UseGlobalEndpoint=False,
                      UseArnRegion=not q["ignore_arn_region"])
    else:
        inputs.update(UseGlobalEndpoint=False)
    inputs = {k: v for k, v in inputs.items() if v is not None}
    try:
        e = rules[q["service"]].resolve_endpoint(**inputs)
    except (botocore.exceptions.BotoCoreError, KeyError) as error:  # KeyError: no region
        return {"error": str(error)}
    schemes = (e.properties or {}).get("authSchemes") or [{}]
    return {"url": e.url, "region": schemes[0].get("signingRegion", q["region"])}


def test_endpoints(r, rules):
    questions = [an_endpoint(r) for _ in range(CASES)]
    for q, a in zip(questions, ask(questions)):
        b = their_endpoint(rules, q)
        assert ("error" in a) == ("error" in b), (q, a, b)
        if "error" not in a:
            assert (a["url"], a["region"]) == (b["url"], b["region"]), q


# --- profiles ---

NAMES = ["default", "base", "a", "b", "c", "d"]


def a_profile(r, name):
    keys = {}
    pick = r.random()
    if pick < 0.45:
        keys["role_arn"] = f"arn:aws:iam::123456789012:role/of-{name}"
        if r.random() < 0.9:
            keys["source_profile"] = r.choice(NAMES + [name, "gone"])
        if r.random() < 0.1:
            keys["credential_source"] = r.choice(["Environment", "Elsewhere"])
        if r.random() < 0.4:
            keys["external_id"] = "id-" + name
        if r.random() < 0.4:
            keys["role_session_name"] = "session-" + name
        if r.random() < 0.3:
            keys["duration_seconds"] = str(r.choice([900, 3600]))
    if name == "c" and "role_arn" not in keys:
        keys["credential_process"] = f"/bin/keys {name}"
        return keys
    if r.random() < 0.4:
        keys["aws_access_key_id"] = "AKIA" + name
    if r.random() < 0.4 or "aws_access_key_id" in keys and r.random() < 0.9:
        keys["aws_secret_access_key"] = "secret"
    if r.random() < 0.2:
        keys["region"] = "eu-west-1"
    return keys


def a_file_pair(r, folder, i):
    """config and credentials; what a profile has may stand in both."""
    texts = {"config": "", "credentials": ""}
    for name in NAMES:
        if r.random() < 0.15:
            continue
        profile, is_split = a_profile(r, name), r.random() < 0.4
        for where in texts:
            keys = {k: v for k, v in profile.items()
                    if k.startswith("aws_") == (where == "credentials") or not is_split}
            if where == "credentials" and not is_split:
                continue
            head = f"profile {name}" if where == "config" and name != "default" else name
            texts[where] += f"[{head}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items())
    paths = {}
    for where, text in texts.items():
        paths[where] = str(folder / f"{where}-{i}")
        with open(paths[where], "w") as f:
            f.write(text)
    return paths


class FakeSts:
    """Notes what would be asked, and gives a session that tells of it."""

    def __init__(self, seen, key):
        self.seen, self.key = seen, key

    def assume_role(self, **kw):
        self.seen.append({"arn": kw["RoleArn"], "external_id": kw.get("ExternalId"),
                          "duration": kw.get("DurationSeconds", 0),
                          "session": kw["RoleSessionName"], "by": self.key})
        return {"Credentials": {"AccessKeyId": "ASIA" + kw["RoleArn"],
                                "SecretAccessKey": "s", "SessionToken": "t",
                                "Expiration": "2099-01-01T00:00:00Z"}}


def their_profile(paths, name, monkeypatch):
    seen = []
    session = botocore.session.Session()
    session.set_config_variable("config_file", paths["config"])
    session.set_config_variable("credentials_file", paths["credentials"])
    session.set_config_variable("profile", name)
    session.create_client = lambda service, **kw: FakeSts(seen, kw["aws_access_key_id"])
    monkeypatch.setattr(botocore.credentials.ProcessProvider, "_retrieve_credentials_using",
                        lambda self, command: {"access_key": command, "secret_key": "s",
                                               "token": None, "expiry_time": None,
                                               "account_id": None})
    try:
        credentials = botocore.credentials.create_credential_resolver(
            session).load_credentials()
        frozen = credentials and credentials.get_frozen_credentials()
    except (botocore.exceptions.BotoCoreError, KeyError) as e:
        return {"error": repr(e)}
    if not credentials:
        return {"error": "no credentials"}
    return {"base": seen[0]["by"] if seen else frozen.access_key, "roles": seen}


def test_profiles(r, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in list(os.environ):
        if name.startswith("AWS_") and name != "AWS_EC2_METADATA_DISABLED":
            monkeypatch.delenv(name)
    questions = []
    for i in range(CASES):
        paths = a_file_pair(r, tmp_path, i)
        questions.append({"do": "profile", "profile": r.choice(NAMES), **paths})
    good = 0
    for q, a in zip(questions, ask(questions)):
        b = their_profile(q, q["profile"], monkeypatch)
        told = (q, open(q["config"]).read(), open(q["credentials"]).read(), a, b)
        assert ("error" in a) == ("error" in b), told
        if "error" in a:
            continue
        good += 1
        assert (a["key"] or a["command"]) == b["base"], told
        for ours, other in zip(a["roles"], b["roles"], strict=True):
            assert (ours["arn"], ours["external_id"], ours["duration"]) == (
                other["arn"], other["external_id"], other["duration"]), told
            assert ours["session"] == other["session"] or (
                ours["session"].startswith("s3ferry-")
                and other["session"].startswith("botocore-session-")), told
    assert good > CASES / 10
