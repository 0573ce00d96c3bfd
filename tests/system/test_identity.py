"""Where the daemon's identity comes from, asked for over real sockets."""

import copy
import json
import os
import time

import boto3
import pytest
from awsproxy import AwsProxy
from botocore.config import Config
from conftest import MOVER, OWNER_S, TOP, Daemon, Sandbox

MACHINE = "arn:aws:iam::222222222222:role/machine"
ACCOUNTS = json.loads((TOP / "etc" / "sandbox-accounts.json").read_text())
SUBJECT = "system:serviceaccount:ferry:mover"


def role(name, principals, external_id=None, subject=None, policy=None):
    trust = {"principals": principals}
    if external_id:
        trust["external_id"] = external_id
    if subject:
        trust["web_subject"] = subject
    every = [{"effect": "allow", "actions": ["s3:*", "sts:AssumeRole"], "resources": ["*"]}]
    return {"name": name, "trust": trust, "policy": policy or every}


class Lab(Sandbox):
    """A sandbox with an instance, a container, and roles that trust roles."""

    name = "sandbox"

    def accounts(self):
        a = copy.deepcopy(ACCOUNTS)
        arn = "arn:aws:iam::222222222222:"
        a["instance"] = {"role": MACHINE, "region": "eu-west-1"}
        a["container"] = {"role": MACHINE, "token": "bearer me"}
        source, destination, _ = a["accounts"]
        destination["roles"] += [
            role("machine", [], subject=SUBJECT),
            role("hop-1", [arn + "user/mover", MACHINE]),
            role("hop-1x", [arn + "user/mover", MACHINE], "first"),
            role("hop-2", [arn + "role/hop-1", arn + "role/hop-1x"]),
            role("hop-2x", [arn + "role/hop-1", arn + "role/hop-1x"], "second")]
        last = [arn + f"role/{name}" for name in ("hop-2", "hop-2x", "hop-1", "hop-1x")]
        source["roles"] += [role("last", last + [MACHINE]), role("last-x", last, "third")]
        source["roles"][1]["trust"]["principals"].append(MACHINE)
        source["buckets"].append({"name": "frankfurt", "region": "eu-central-1"})
        destination["buckets"].append({"name": "dublin", "region": "eu-west-1"})
        return a

    def start(self, folder):
        path = folder / "accounts.json"
        path.write_text(json.dumps(self.accounts()))
        self.start_with(path)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    s = Lab()
    s.start(tmp_path_factory.mktemp("lab"))
    s.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=b"report")
    yield s
    s.stop()


@pytest.fixture
def ferry(tmp_path, lab):
    d = Daemon(tmp_path, lab.url)
    lab.faults()
    yield d
    d.stop()


def write(d, profiles, source="partner", job="", top=""):
    """profiles: lines of YAML; the job's source is one of them, its destination is ours."""
    d.conf.write_text(f"""version: 1
{top}
profiles:
{profiles}
  ours: {{ role_arn: "arn:aws:iam::222222222222:role/hop-1", region: eu-central-1,
          endpoint_url: "{d.url}" }}
jobs:
  daily-report:
    retry: {{ attempts: 1 }}
{job}
    source: {{ profile: {source}, url: "s3://account-s-bucket/daily/report.csv" }}
    destination: {{ profile: {'ours' if 'ours' not in profiles else 'ours2'},
                    url: "s3://account-m-bucket/incoming/" }}
""")


def partner(d, **keys):
    keys = {"role_arn": "arn:aws:iam::111111111111:role/src-mover", "region": "eu-west-1",
            "endpoint_url": d.url, **keys}
    return "  partner: " + json.dumps({k: v for k, v in keys.items() if v})


def succeeds(d):
    code, end = d.run()
    assert (code, end["verdict"]) == (0, "succeeded"), d.log()
    return end


def has_no_secret(d, *secrets):
    text = "".join(d.log())
    for secret in secrets:
        assert secret not in text


# --- every provider ---

def test_keys_of_the_environment(ferry):
    write(ferry, partner(ferry))
    ferry.start()
    succeeds(ferry)
    has_no_secret(ferry, MOVER[1])


def test_keys_of_the_files(ferry, tmp_path):
    (tmp_path / "credentials").write_text(
        f"[base]\naws_access_key_id={MOVER[0]}\naws_secret_access_key={MOVER[1]}\n"
        f"[default]\naws_access_key_id={MOVER[0]}\naws_secret_access_key={MOVER[1]}\n")
    (tmp_path / "config").write_text(
        f"[profile deep]\nrole_arn = arn:aws:iam::222222222222:role/hop-1x\n"
        f"external_id = first\nsource_profile = base\nregion = eu-west-1\n"
        f"endpoint_url = {ferry.url}\n")
    write(ferry, partner(ferry, role_arn="arn:aws:iam::111111111111:role/last",
                         source_profile="deep"))
    ferry.start(keys=(), variables={
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")})
    succeeds(ferry)
    has_no_secret(ferry, MOVER[1])


def test_keys_of_a_systemd_credential(ferry, tmp_path):
    folder = tmp_path / "credentials.d"
    folder.mkdir()
    (folder / "aws").write_text(
        f"[default]\naws_access_key_id={MOVER[0]}\naws_secret_access_key={MOVER[1]}\n")
    write(ferry, partner(ferry), top='aws_credentials_file: "${cred:aws}"')
    ferry.start(keys=(), variables={"CREDENTIALS_DIRECTORY": str(folder)})
    succeeds(ferry)
    has_no_secret(ferry, MOVER[1])


def test_a_program_gives_the_keys(ferry, tmp_path):
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(
        {"Version": 1, "AccessKeyId": MOVER[0], "SecretAccessKey": MOVER[1]}))
    base = f"  base: {{ region: eu-west-1, credential_process: \"/bin/cat '{keys}'\" }}\n"
    write(ferry, base + partner(ferry, source_profile="base") +
          '\n  ours2: { source_profile: base, role_arn: '
          f'"arn:aws:iam::222222222222:role/hop-1", endpoint_url: "{ferry.url}" }}')
    ferry.start(keys=())
    succeeds(ferry)
    has_no_secret(ferry, MOVER[1])


@pytest.mark.parametrize("from_environment", [True, False])
def test_a_web_identity(ferry, lab, tmp_path, from_environment):
    token = tmp_path / "token"
    token.write_text(f"sandbox:{SUBJECT}:{int(time.time()) + 600}\n")
    variables = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_ARN": MACHINE,
                 "AWS_ENDPOINT_URL_STS": lab.url, "AWS_REGION": "eu-west-1"}
    web = (f'  web: {{ role_arn: "{MACHINE}", web_identity_token_file: "{token}",'
           f' region: eu-west-1, endpoint_url: "{lab.url}" }}\n')
    if from_environment:
        write(ferry, partner(ferry))
    else:
        write(ferry, web + partner(ferry, source_profile="web") +
              '\n  ours2: { source_profile: web, region: eu-west-1, role_arn: '
              f'"arn:aws:iam::222222222222:role/hop-1", endpoint_url: "{lab.url}" }}')
        variables = {}
    before = lab.requests("AssumeRoleWithWebIdentity")
    ferry.start(keys=(), variables=variables)
    succeeds(ferry)
    assert lab.requests("AssumeRoleWithWebIdentity") == before + 1
    has_no_secret(ferry, token.read_text().strip())


@pytest.mark.parametrize("text,word", [
    ("nonsense", "InvalidIdentityToken"), ("sandbox:somebody:9999999999", "AccessDenied"),
    (f"sandbox:{SUBJECT}:1", "ExpiredTokenException"), (None, "No such file")])
def test_a_web_identity_that_is_refused(ferry, lab, tmp_path, text, word):
    token = tmp_path / "token"
    if text:
        token.write_text(text)
    write(ferry, partner(ferry))
    ferry.start(keys=(), variables={
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_ARN": MACHINE,
        "AWS_ENDPOINT_URL_STS": lab.url})
    code, end = ferry.run()
    assert code != 0 and word in end["message"], end
    assert "token" in end["message"]


@pytest.mark.parametrize("by_file", [True, False])
def test_a_container(ferry, lab, tmp_path, by_file):
    """ECS gives the token as a variable, EKS Pod Identity in a file, renewed there."""
    token = tmp_path / "token"
    token.write_text("bearer me")
    write(ferry, partner(ferry))
    ferry.start(keys=(), variables={
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{lab.url}/container/credentials",
        **({"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token)} if by_file else
           {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "bearer me"})})
    succeeds(ferry)
    has_no_secret(ferry, "bearer me")


def test_a_container_that_refuses(ferry, lab):
    write(ferry, partner(ferry))
    ferry.start(keys=(), variables={
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{lab.url}/container/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "bearer you"})
    code, end = ferry.run()
    assert code != 0 and "container" in end["message"] and "403" in end["message"], end
    has_no_secret(ferry, "bearer you")


def test_an_instance(ferry, lab):
    """It names the region of STS, too; and it is never asked through a proxy."""
    write(ferry, partner(ferry, region=None))
    before = lab.requests("GetMetadata")
    ferry.start(keys=(), variables={"AWS_EC2_METADATA_SERVICE_ENDPOINT": lab.url,
                                    "http_proxy": "http://127.0.0.1:1",
                                    "NO_PROXY": "127.0.0.1"})
    succeeds(ferry)
    assert lab.requests("GetMetadata") >= before + 2
    assert lab.requests("GetMetadataToken") > 0


def test_an_instance_that_is_slow_to_answer(ferry, lab):
    lab.faults(({"operation": "GetMetadata", "nth": 1}, {"status": 500}))
    write(ferry, partner(ferry, credential_source="Ec2InstanceMetadata"))
    ferry.start(keys=(), variables={"AWS_EC2_METADATA_SERVICE_ENDPOINT": lab.url})
    succeeds(ferry)


def test_nothing_is_configured(ferry):
    write(ferry, partner(ferry))
    ferry.start(keys=(), variables={"AWS_EC2_METADATA_DISABLED": "true"})
    code, end = ferry.run()
    assert code != 0
    for word in ("AWS_ACCESS_KEY_ID", "config file", "web identity", "container",
                 "instance metadata"):
        assert word in end["message"], end


@pytest.mark.parametrize("config,words", [
    ("[profile base]\nsso_session = x\n", ["'base'", "config:1", "SSO", "instance role"]),
    ("[profile base]\naws_access_key_id = A\n", ["'base'", "config:1", "half a pair"]),
    ("[profile base]\nregion = x\nrole_arn = r\nsource_profile = gone\n",
     ["config:4", "'gone'", "not in the AWS files"]),
    ("[profile base]\nrole_arn\n", ["config:2"])])
def test_what_is_wrong_in_a_file_is_told_with_its_place(ferry, tmp_path, config, words):
    (tmp_path / "config").write_text(config)
    write(ferry, partner(ferry, source_profile="base"),
          top=f"aws_config_file: {tmp_path}/config")
    ferry.start(keys=())
    code, end = ferry.run()
    assert code != 0
    for word in words:
        assert word in end["message"], end


# --- AWS's own endpoints, by a proxy that brings all of them to the sandbox ---

@pytest.fixture
def aws(lab, tmp_path):
    folder = tmp_path / "aws"
    folder.mkdir()
    with AwsProxy(folder, lab.port, "user", "proxy-word") as p:
        yield p


def write_aws(d, source, destination, keys="", region="eu-west-1"):
    """Profiles of AWS itself, in one region, wherever the buckets are."""
    at = f"region: {region}, " if region else ""
    d.conf.write_text(f"""version: 1
profiles:
  partner: {{ {at}role_arn: "arn:aws:iam::111111111111:role/src-mover", {keys} }}
  ours: {{ {at}role_arn: "arn:aws:iam::222222222222:role/hop-1", {keys} }}
jobs:
  daily-report:
    retry: {{ attempts: 1 }}
    source: {{ profile: partner, url: "s3://{source}" }}
    destination: {{ profile: ours, url: "s3://{destination}" }}
""")


def start_aws(d, aws, **variables):
    d.start(variables={"HTTPS_PROXY": aws.url, "AWS_CA_BUNDLE": str(aws.ca), **variables})


@pytest.fixture
def frankfurt(lab):
    """The bucket insists on its own region."""
    return boto3.client(
        "s3", endpoint_url=lab.url, region_name="eu-central-1",
        aws_access_key_id=OWNER_S[0], aws_secret_access_key=OWNER_S[1],
        config=Config(s3={"addressing_style": "path"}))


@pytest.mark.parametrize("size", [10, 300_000])
def test_buckets_in_other_regions_are_found(ferry, lab, aws, frankfurt, size):
    """Both sides are elsewhere; a small object is sent again, a stream begins anew."""
    body = os.urandom(size)
    frankfurt.put_object(Bucket="frankfurt", Key="a/x", Body=body)
    frankfurt.put_object(Bucket="frankfurt", Key="a/y", Body=body)
    write_aws(ferry, "frankfurt/a/", "dublin/in/", region="us-east-1")
    start_aws(ferry, aws)
    end = succeeds(ferry)
    assert end["objects_done"] == 2
    assert lab.m.get_object(Bucket="dublin", Key="in/x")["Body"].read() == body
    assert ferry.log("warning") == ferry.log("error") == []
    for host in ("sts.us-east-1.amazonaws.com", "frankfurt.s3.us-east-1.amazonaws.com",
                 "frankfurt.s3.eu-central-1.amazonaws.com",
                 "dublin.s3.eu-west-1.amazonaws.com"):
        assert host in aws.asked
    has_no_secret(ferry, "proxy-word")


def test_the_region_of_sts_and_no_other(ferry, lab, aws, frankfurt):
    frankfurt.put_object(Bucket="frankfurt", Key="a/x", Body=b"x")
    write_aws(ferry, "frankfurt/a/x", "dublin/in/", region=None)
    start_aws(ferry, aws, AWS_DEFAULT_REGION="eu-west-1")
    succeeds(ferry)
    assert "sts.eu-west-1.amazonaws.com" in aws.asked


def test_no_region_at_all_is_told(ferry, aws):
    write_aws(ferry, "frankfurt/a/x", "dublin/in/", region=None)
    start_aws(ferry, aws)
    code, end = ferry.run()
    assert code != 0 and "hop 1 of 1" in end["message"]
    assert "the profile needs a region" in end["message"]


def test_variants_have_hosts_of_their_own(ferry, lab, aws):
    lab.s.put_object(Bucket="account-s-bucket", Key="v/x", Body=b"x")
    write_aws(ferry, "account-s-bucket/v/x", "account-m-bucket/w/",
              keys="use_dualstack_endpoint: true, addressing_style: path")
    start_aws(ferry, aws)
    succeeds(ferry)
    assert "s3.dualstack.eu-west-1.amazonaws.com" in aws.asked
    assert "sts.eu-west-1.api.aws" in aws.asked


def test_clocks_that_differ_by_twenty_minutes(ferry, lab, aws):
    """STS, listing and transfers are signed in AWS's time; it is said once."""
    lab.s.put_object(Bucket="account-s-bucket", Key="late/x", Body=b"x")
    write_aws(ferry, "account-s-bucket/late/", "account-m-bucket/late/")
    lab.faults(({}, {"clock_offset_s": 1200}))
    start_aws(ferry, aws)
    succeeds(ferry)
    lab.faults()
    [line] = [line for line in ferry.log("warning") if "clock" in line]
    assert "the clock of AWS is 1" in line and "ahead of this host's" in line


def test_a_proxy_that_asks_for_a_password(ferry, aws):
    write_aws(ferry, "frankfurt/a/x", "dublin/in/")
    start_aws(ferry, aws, HTTPS_PROXY=aws.url.replace("proxy-word", "wrong-word"))
    code, end = ferry.run()
    assert code != 0 and "the proxy answers 407" in end["message"], end
    has_no_secret(ferry, "wrong-word")
    assert b"word" not in open(f"/proc/{ferry.proc.pid}/environ", "rb").read()


def test_hosts_without_a_proxy(ferry, lab, aws):
    write(ferry, partner(ferry))
    start_aws(ferry, aws, http_proxy="http://127.0.0.1:1", NO_PROXY="127.0.0.1")
    succeeds(ferry)
    assert aws.asked == []


# --- chains ---

@pytest.mark.parametrize("with_ids", [False, True])
@pytest.mark.parametrize("length", [1, 2, 3])
def test_chains(ferry, lab, length, with_ids):
    """One, two and three roles; each hop asks STS once."""
    x, dash = ("x", "-x") if with_ids else ("", "")
    ours = "arn:aws:iam::222222222222:role/"
    hops = [(ours + "hop-1" + x, "first"), (ours + "hop-2" + x, "second"),
            ("arn:aws:iam::111111111111:role/last" + dash, "third")]
    if length == 1:
        hops = [("arn:aws:iam::111111111111:role/src-" + ("reader" if with_ids else "mover"),
                 "ferry-42")]
    elif length == 2:
        hops = [hops[0], hops[2]]
    lines = []
    for i, (arn, external_id) in enumerate(hops):
        keys = {"role_arn": arn, "region": "eu-west-1", "endpoint_url": lab.url}
        if with_ids:
            keys["external_id"] = external_id
        if i:
            keys["source_profile"] = f"link-{i - 1}"
        lines.append(f"  link-{i}: {json.dumps(keys)}")
    write(ferry, "\n".join(lines), source=f"link-{length - 1}")
    before = lab.assumed()
    ferry.start()
    succeeds(ferry)
    assert lab.assumed() - before == length + 1  # and the destination's


def test_the_hop_that_fails_is_named(ferry, lab):
    lines = [f'  link-0: {{ role_arn: "arn:aws:iam::222222222222:role/hop-1", '
             f'region: eu-west-1, endpoint_url: "{lab.url}" }}']
    write(ferry, "\n".join(lines) + "\n" + partner(
        ferry, role_arn="arn:aws:iam::111111111111:role/last-x", source_profile="link-0",
        external_id="wrong"))
    ferry.start()
    code, end = ferry.run()
    assert code == 77
    for word in ("source", "hop 2 of 2", "role/last-x", "external_id", "AccessDenied"):
        assert word in end["message"], end


@pytest.mark.parametrize("code,status", [("InvalidClientTokenId", 403),
                                         ("SignatureDoesNotMatch", 403)])
def test_base_keys_that_are_revoked_fail_at_once(ferry, lab, code, status):
    write(ferry, partner(ferry), job="")
    ferry.conf.write_text(ferry.conf.read_text().replace("attempts: 1", "attempts: 5"))
    ferry.start()
    succeeds(ferry)  # and again in the next run, with sessions that live
    lab.faults(({"operation": "AssumeRole"}, {"status": status, "code": code}))
    ferry.stop()
    before = lab.assumed()
    ferry.start()
    exit_code, end = ferry.run()
    assert exit_code == 77 and end["verdict"] == "failed"
    for word in ("hop 1 of 1", code, "base credentials"):
        assert word in end["message"], end
    assert lab.assumed() - before <= 2  # once a side


def test_many_jobs_share_sessions(tmp_path, lab):
    """1,000 jobs of 10 profiles at the same second: 10 calls of STS."""
    d = Daemon(tmp_path, lab.url)
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 6))
    profiles = "".join(
        f'  p{i}: {{ role_arn: "arn:aws:iam::111111111111:role/src-mover", region: eu-west-1,'
        f' endpoint_url: "{lab.url}" }}\n' for i in range(10))
    jobs = "".join(
        f'  j{i}: {{ schedule: "at({at})", source: {{ profile: p{i % 10}, url: '
        f'"s3://account-s-bucket/daily/report.csv" }}, destination: {{ profile: p{i % 10}, '
        f'url: "s3://account-s-bucket/many/{i}" }} }}\n' for i in range(1000))
    d.conf.write_text(f"version: 1\nmax_parallel_runs: 1000\nprofiles:\n{profiles}"
                      f"jobs:\n{jobs}")
    lab.faults()
    before = lab.assumed()
    d.start()
    try:
        deadline = time.monotonic() + 90
        count = 0
        while count < 1000 and time.monotonic() < deadline:
            page = lab.s.list_objects_v2(Bucket="account-s-bucket", Prefix="many/")
            count = page["KeyCount"]
            time.sleep(0.1)
        assert count == 1000
        assert lab.assumed() - before == 10
    finally:
        d.stop()


# --- policies of sessions ---

def test_a_policy_made_for_the_job(ferry, lab):
    """It does the job; with what it has nothing else can be done."""
    for key in ("daily/a", "daily/b", "secret/c"):
        lab.s.put_object(Bucket="account-s-bucket", Key=key, Body=b"x")
    write(ferry, partner(ferry, session_policy="auto"), job="    session_policy: auto")
    text = ferry.conf.read_text().replace("daily/report.csv", "daily/")
    ferry.conf.write_text(text.replace("incoming/", "narrow/"))
    ferry.start()
    succeeds(ferry)
    assert lab.m.get_object(Bucket="account-m-bucket", Key="narrow/a")["Body"].read() == b"x"
    assert ferry.log("warning") == []


def test_a_policy_of_the_job_holds(ferry, lab):
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}]}
    write(ferry, partner(ferry), job=f"    session_policy: '{json.dumps(policy)}'")
    ferry.start()
    code, end = ferry.run()
    assert code == 77 and "GetObject" in end["message"] and "403" in end["message"], end


def test_a_job_with_a_policy_has_sessions_of_its_own(ferry, lab):
    write(ferry, partner(ferry))
    text = ferry.conf.read_text()
    job = text[text.index("  daily-report"):]
    more = (job.replace("daily-report", "narrow").replace("attempts: 1 }",
                                                          "attempts: 1 }\n    "
                                                          "session_policy: auto"),
            job.replace("daily-report", "tagged").replace("attempts: 1 }",
                                                          "attempts: 1 }\n    "
                                                          "session_tags: { team: data }"),
            job.replace("daily-report", "named").replace("attempts: 1 }",
                                                         "attempts: 1 }\n    "
                                                         "role_session_name: me-alone"),
            job.replace("daily-report", "another"))
    ferry.conf.write_text(text + "".join(more))
    before = lab.assumed()
    ferry.start()
    counts = []
    for name in ("daily-report", "narrow", "tagged", "named", "another"):
        assert ferry.ctl("run", name, "--wait")[0] == 0, ferry.log()
        counts.append(lab.assumed() - before)
    assert counts == [2, 4, 6, 8, 8]  # two sides each; the last shares with the first


def test_a_policy_that_is_too_long_is_wider_and_says_so(ferry, lab):
    key = "long/" + "k" * 1000 + "/"
    lab.s.put_object(Bucket="account-s-bucket", Key=key + "a", Body=b"x")
    write(ferry, partner(ferry), job="    session_policy: auto")
    ferry.conf.write_text(ferry.conf.read_text().replace("daily/report.csv", key))
    ferry.start()
    code, end = ferry.run()
    assert code == 0, end
    [line] = ferry.log("warning")
    assert "source would be longer than 2048 characters" in line
