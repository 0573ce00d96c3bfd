"""Base credentials that are not in the environment: a program, a container, an instance."""

import http.server
import json
import threading

import pytest
from conftest import MOVER, only

KEYS = {"AccessKeyId": MOVER[0], "SecretAccessKey": MOVER[1]}


class Metadata(http.server.BaseHTTPRequestHandler):
    """ECS's agent at /keys, the instance's service elsewhere."""

    def do_PUT(self):
        self.answer("imds-token")

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        if self.path.endswith("/security-credentials-extended/"):
            self.answer("role-1")
        else:
            self.answer(json.dumps({"Code": "Success", **self.server.keys}))

    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def metadata(server):
    """Knows a session of the mover's, as the service of an instance does."""
    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    role = server.client(*MOVER, service="sts").assume_role(
        RoleArn="arn:aws:iam::222222222222:role/dst-writer", RoleSessionName="base")
    c = role["Credentials"]
    s.keys = {"AccessKeyId": c["AccessKeyId"], "SecretAccessKey": c["SecretAccessKey"],
              "Token": c["SessionToken"], "Expiration": c["Expiration"].isoformat()}
    s.seen = []
    thread = threading.Thread(target=s.serve_forever)
    thread.start()
    yield s
    s.shutdown()
    thread.join()
    s.server_close()


@only("sandbox", "keys come from the same place on any server")
def test_a_program_gives_the_keys(daemon, server, tmp_path):
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"Version": 1, **KEYS}))
    daemon.write(both="source_profile: keys")
    text = daemon.conf.read_text().replace(
        "profiles:\n", f"profiles:\n  keys: {{ region: eu-west-1, "
        f"credential_process: \"/bin/cat '{keys}'\" }}\n", 1)
    daemon.conf.write_text(text)
    server.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=b"program")
    daemon.start(keys=())
    assert daemon.run()[0] == 0
    assert server.m.get_object(Bucket="account-m-bucket", Key="incoming/report.csv")[
        "Body"].read() == b"program"
    assert MOVER[1] not in "".join(daemon.log())


@only("sandbox", "keys come from the same place on any server")
@pytest.mark.parametrize("place", ["EcsContainer", "Ec2InstanceMetadata"])
def test_a_metadata_service_is_asked(daemon, metadata, place):
    """Whether its session may assume roles is the account's to say: here it may not."""
    url = f"http://127.0.0.1:{metadata.server_address[1]}"
    daemon.write(both=f"credential_source: {place}")
    daemon.start(keys=(), variables={
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/keys",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "bearer me",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": url})
    code, end = daemon.run()
    assert code != 0
    assert "AccessDenied" in json.dumps(end) and "hop 1 of 1" in json.dumps(end)
    path, headers = metadata.seen[-1]
    if place == "EcsContainer":
        assert path == "/keys" and headers["Authorization"] == "bearer me"
    else:
        assert path.endswith("/role-1")
        assert headers["x-aws-ec2-metadata-token"] == "imds-token"
    assert "bearer me" not in "".join(daemon.log())
    assert metadata.keys["SecretAccessKey"] not in "".join(daemon.log())
