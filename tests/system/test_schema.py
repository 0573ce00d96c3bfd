"""The JSON Schema for editors: what the daemon takes, it takes, and it knows what is wrong."""

import json
import os
import pathlib
import subprocess

import jsonschema
import pytest
import yaml

BUILD = os.environ.get("S3FERRY_BUILD", "build")
ETC = pathlib.Path(__file__).resolve().parents[2] / "etc"
PROFILES = {"p": {"role_arn": "arn:aws:iam::111111111111:role/r", "region": "eu-west-1"}}
SIDES = {"source": {"url": "s3://a-bucket/k"}, "destination": {"url": "s3://b-bucket/k/"}}


class Loader(yaml.SafeLoader):
    """As editors read it: a time is text."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if not tag.endswith(":timestamp")]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()}


@pytest.fixture(scope="module")
def schema():
    text = subprocess.run([f"{BUILD}/src/s3ferryd", "--schema"], check=True,
                          capture_output=True, text=True).stdout
    schema = json.loads(text)
    jsonschema.Draft7Validator.check_schema(schema)
    assert {} not in schema["definitions"]["job"]["properties"].values(), "a key without a type"
    return jsonschema.Draft7Validator(schema)


@pytest.mark.parametrize("path", sorted(ETC.rglob("*.yaml")), ids=lambda p: p.name)
def test_what_is_shipped_is_valid(schema, path):
    text = path.read_text()
    assert text.startswith("# yaml-language-server: $schema=file:///"), "no completion there"
    errors = [f"{list(e.absolute_path)}: {e.message}" for e in
              schema.iter_errors(yaml.load(text, Loader))]
    assert not errors


GOOD = [{"jitter": "1h30m"}, {"jitter": "0s"}, {"timeout": "1w2d3h4m5s"}, {"min_size": "20 kB"},
        {"min_size": "5GiB", "max_size": "7 TB"}, {"bandwidth": "20 MB/s"}, {"every": "15m", "start": "2026-01-01T00:07:00Z"}, {"schedule": ["@daily", "30 2 * * *"]},
        {"max_delete": "10%", "action": "sync"}, {"max_delete": {"percent": 10, "count": 100}},
        {"retry": {"attempts": 3, "factor": 1.5}}, {"window": {"start": "20:00", "end": "06:00"}},
        {"bandwidth": [{"limit": "20 MB/s", "when": "Mon-Fri 07:00-19:00"}, {"limit": "1 MB/s"}]}]
BAD = [{"scheduel": "@daily"}, {"overlap": "allow"}, {"retry": {"attempts": 0}}, {"jitter": 10},
       {"jitter": "5"}, {"jitter": "30s5m"}, {"jitter": ""}, {"jitter": "5 m"},
       {"min_size": "20"}, {"min_size": "20 mb"}, {"bandwidth": "20 MB"},
       {"bandwidth": [{"limit": "20 MB/h"}]}, {"retry": {"tries": 3}}, {"paused": "yes"}, {"after": []}, {"source": "s3://a/b"}]


@pytest.mark.parametrize("job", GOOD + BAD, ids=str)
def test_jobs(schema, job):
    conf = {"version": 1, "profiles": PROFILES, "jobs": {"j": {**SIDES, **job}}}
    assert schema.is_valid(conf) == (job in GOOD)
