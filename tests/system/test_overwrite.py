"""What is there already, what nobody may overwrite, and who comes second."""

import time

import pytest
from botocore.exceptions import ClientError

from conftest import only, until
from faultproxy import Fault, FaultProxy

S, M, KEY, TO = "account-s-bucket", "account-m-bucket", "shared/report.csv", "in/report.csv"
BODY = b"a;b\n1;2\n" * 1000
LARGE = (64 << 20) + 1
SANDBOX = only("sandbox", "requests that are counted, and faults by operation")
NAMES = ["GetObject", "HeadObject", "PutObject", "CopyObject", "CreateMultipartUpload"]


@pytest.fixture
def ferry(daemon, server):
    if server.name == "sandbox":
        server.faults()
    server.s.put_object(Bucket=S, Key=KEY, Body=BODY)
    # A key of its own: RGW remembers for a moment what was at one, and says 412.
    global TO
    TO = f"overwrite/{time.monotonic_ns()}"

    def configure(overwrite, method="stream", source=KEY, **others):
        daemon.write(source=f"s3://{S}/{source}", destination=f"s3://{M}/{TO}",
                     extra=f"    method: {method}\n    overwrite: {overwrite}", **others)
        return daemon.start()
    daemon.configure = configure
    return daemon


def arrived(server):
    return server.m.get_object(Bucket=M, Key=TO)["Body"].read()


def requests(server, run):
    before = [server.requests(n) for n in NAMES]
    code, end = run()
    did = {n: server.requests(n) - b for n, b in zip(NAMES, before)}
    return code, end, {n: c for n, c in did.items() if c}


def test_changed_moves_it_once(ferry, server):
    ferry.configure("changed")
    assert ferry.run()[0] == 0
    code, end = ferry.run()
    assert (code, "1 there already" in end["message"]) == (0, True), end
    server.s.put_object(Bucket=S, Key=KEY, Body=BODY + b"more")
    code, end = ferry.run()
    assert (code, "there already" in end["message"]) == (0, False)
    assert arrived(server) == BODY + b"more"


@SANDBOX
@pytest.mark.parametrize("method", ["stream", "server_side"])
def test_what_is_there_costs_two_requests(ferry, server, method):
    ferry.configure("changed", method)
    new = {"HeadObject": 1, "GetObject": 1, "PutObject": 1} if method == "stream" else {
        "HeadObject": 2, "CopyObject": 1}
    there = {"HeadObject": 1, "GetObject": 1} if method == "stream" else {"HeadObject": 2}
    assert requests(server, ferry.run)[2] == new
    assert requests(server, ferry.run)[2] == there


@SANDBOX
def test_the_checksum_tells_where_etags_differ(ferry, server):
    # One PUT there, parts here.
    server.s.put_object(Bucket=S, Key="shared/large", Body=b"x" * LARGE)
    ferry.configure("changed", source="shared/large")
    assert ferry.run()[0] == 0
    assert server.m.head_object(Bucket=M, Key=TO)["ETag"].endswith('-5"')
    code, end, did = requests(server, ferry.run)
    assert (code, "1 there already" in end["message"]) == (0, True), end
    assert did == {"HeadObject": 1, "GetObject": 1}


def test_the_record_tells_where_nothing_else_does(ferry, server):
    """Parts there, one PUT here, and RGW keeps no checksum of either."""
    upload = server.s.create_multipart_upload(Bucket=S, Key="shared/parts")["UploadId"]
    parts = [{"PartNumber": n, "ETag": server.s.upload_part(
        Bucket=S, Key="shared/parts", UploadId=upload, PartNumber=n,
        Body=b"x" * ((5 << 20) + n))["ETag"]} for n in (1, 2)]
    server.s.complete_multipart_upload(Bucket=S, Key="shared/parts", UploadId=upload,
                                       MultipartUpload={"Parts": parts})
    ferry.configure("changed", source="shared/parts")
    assert ferry.run()[1]["bytes_done"] == (10 << 20) + 3
    code, end = ferry.run()
    assert (code, end["bytes_done"], "1 there already" in end["message"]) == (0, 0, True), end
    assert "same" in str(ferry.ctl("plan", "daily-report")), ferry.ctl("plan", "daily-report")
    server.m.put_object(Bucket=M, Key=TO, Body=b"somebody else's")
    assert ferry.run()[1]["bytes_done"] == (10 << 20) + 3


def test_a_move_of_what_is_there_already_ends_and_takes_it_away(ferry, server):
    server.s.put_object(Bucket=S, Key="shared/moved", Body=BODY)
    server.m.put_object(Bucket=M, Key=TO, Body=BODY)
    ferry.write(source=f"s3://{S}/shared/moved", destination=f"s3://{M}/{TO}",
                extra="    action: move", role="src-mover")
    ferry.start()
    code, end = ferry.run()
    assert (code, "1 there already" in end["message"]) == (0, True), end
    assert arrived(server) == BODY
    with pytest.raises(ClientError):
        server.s.head_object(Bucket=S, Key="shared/moved")


@pytest.mark.parametrize("method", ["stream", "auto"])
def test_never_leaves_what_is_there(ferry, server, method):
    server.m.put_object(Bucket=M, Key=TO, Body=b"older")
    ferry.configure("never", method)
    code, end = ferry.run()
    assert (code, "1 not overwritten" in end["message"]) == (0, True), end
    assert arrived(server) == b"older"


def test_always_does_not_look(ferry, server):
    server.m.put_object(Bucket=M, Key=TO, Body=BODY)
    ferry.configure("always")
    assert "1 object, 7.8 KiB" in ferry.run()[1]["message"]


def ended(ferry):
    row = ferry.ctl("history", "-n", "1")[1][0]["runs"][0]
    return row if row["state"] in ("succeeded", "failed") else None


def race(server, ferry, method, overwrite, source=KEY):
    """Somebody else writes between our look and our write."""
    ferry.configure(overwrite, method, source)
    step = {"stream": "GetObject", "server_side": "CopyObject"}[method]
    server.faults((dict(operation=step, count=1), dict(delay_ms=700)))
    before = server.requests(step)
    ferry.ctl("run", "daily-report")
    until(lambda: server.requests(step) > before, step)
    server.m.put_object(Bucket=M, Key=TO, Body=b"somebody else's")
    return until(lambda: ended(ferry), "the end")


@SANDBOX
@pytest.mark.parametrize("overwrite,old", [
    ("changed", False), ("changed", True), ("never", False)])
def test_who_comes_second_does_not_overwrite(ferry, server, overwrite, old):
    if old:
        server.m.put_object(Bucket=M, Key=TO, Body=b"older")
    row = race(server, ferry, "stream", overwrite)
    assert row["state"] == "failed" and "destination-changed" in row["message"], row
    assert arrived(server) == b"somebody else's"


@SANDBOX
def test_who_comes_second_with_parts_leaves_no_upload(ferry, server):
    row = race(server, ferry, "stream", "changed", f"virtual/{LARGE}")
    assert row["state"] == "failed" and "destination-changed" in row["message"], row
    assert arrived(server) == b"somebody else's"
    assert "Uploads" not in server.m.list_multipart_uploads(Bucket=M)


@SANDBOX
@pytest.mark.parametrize("operation,source", [
    ("PutObject", KEY), ("CompleteMultipartUpload", f"virtual/{LARGE}")])
def test_a_conflict_of_two_writers_is_tried_again(ferry, server, operation, source):
    server.faults((dict(operation=operation, count=1), dict(
        status=409, code="ConditionalRequestConflict")))
    ferry.configure("changed", source=source)
    assert ferry.run()[0] == 0, ferry.log()
    assert "Uploads" not in server.m.list_multipart_uploads(Bucket=M)


def to_file(ferry, folder, source):
    ferry.write(source=f"s3://{S}/{source}", destination="s3://x/",
                extra="    overwrite: never")
    text = ferry.conf.read_text().replace(
        'profile: ours, url: "s3://x/"', f'url: "file://{folder}/"')
    ferry.conf.write_text(text)
    return ferry.start()


@pytest.mark.parametrize("size", [7, LARGE])
def test_never_leaves_a_file_that_is_there(ferry, server, tmp_path, size):
    server.s.put_object(Bucket=S, Key="shared/x", Body=b"x" * size)
    to_file(ferry, tmp_path, "shared/x")
    assert ferry.run()[0] == 0
    assert (tmp_path / "x").stat().st_size == size
    (tmp_path / "x").write_bytes(b"older")
    code, end = ferry.run()
    assert (code, "1 not overwritten" in end["message"]) == (0, True), end
    assert (tmp_path / "x").read_bytes() == b"older"


@SANDBOX
@pytest.mark.parametrize("size", [7, LARGE])
def test_a_file_that_comes_meanwhile_is_not_overwritten(ferry, server, tmp_path, size):
    server.s.put_object(Bucket=S, Key="shared/x", Body=b"x" * size)
    server.faults((dict(operation="GetObject", count=1), dict(delay_ms=700)))
    before = server.requests("GetObject")
    to_file(ferry, tmp_path, "shared/x")
    ferry.ctl("run", "daily-report")
    until(lambda: server.requests("GetObject") > before, "the read")
    (tmp_path / "x").write_bytes(b"somebody else's")
    row = until(lambda: ended(ferry), "the end")
    assert row["state"] == "failed" and "destination-changed" in row["message"], row
    assert (tmp_path / "x").read_bytes() == b"somebody else's"
    assert not list(tmp_path.glob(".s3ferry*"))


@pytest.mark.parametrize("overwrite", ["never", "changed"])
@pytest.mark.parametrize("size", [len(BODY), 100 << 10, LARGE])
def test_a_lost_answer_is_no_race(ferry, server, overwrite, size):
    """The object came to be, the answer did not: what is there is ours. libcurl sends a
    small body once more by itself, and the condition does not hold any longer."""
    server.s.put_object(Bucket=S, Key="shared/lost", Body=b"x" * size)
    with FaultProxy(server.port) as proxy:
        ferry.configure(overwrite, source="shared/lost", destination_url=proxy.url)
        what = "POST" if size == LARGE else "PUT"
        fault = Fault(f"{what} /{M}/{TO}{'?uploadId' * (size == LARGE)}".encode(), "cut")
        proxy.faults = [fault]
        code, end = ferry.run()
        assert (code, fault.struck) == (0, 1), ferry.log()
        assert end["objects_done"] == 1, end
        ferry.stop()
    assert arrived(server) == b"x" * size


@SANDBOX
@pytest.mark.parametrize("overwrite", ["never", "changed"])
def test_a_lost_answer_and_a_server_that_is_ill(ferry, server, overwrite):
    """It cannot be asked what became of the first attempt: the second's refusal tells."""
    server.s.put_object(Bucket=S, Key="shared/lost", Body=b"x" * (100 << 10))
    server.faults((dict(operation="HeadObject", skip=1, count=1), dict(status=500)))
    with FaultProxy(server.port) as proxy:
        ferry.configure(overwrite, source="shared/lost", destination_url=proxy.url)
        proxy.faults = [Fault(f"PUT /{M}/{TO}".encode(), "cut")]
        code, end = ferry.run()
        assert (code, end["objects_done"], server.fired()) == (0, 1, [1]), ferry.log()
        ferry.stop()


@SANDBOX
@pytest.mark.parametrize("overwrite", ["never", "changed"])
def test_a_second_look_that_fails_is_no_look(ferry, server, overwrite):
    """Before the end of an upload: what comes to the key meanwhile is not overwritten."""
    server.faults((dict(operation="HeadObject", skip=1, count=1), dict(status=503, object=dict(
        bucket=M, key=TO, body="somebody else's"))))
    ferry.configure(overwrite, source=f"virtual/{LARGE}")
    code, end = ferry.run()
    assert "destination-changed" in end["message"], (end, server.fired())
    assert server.fired() == [1]
    assert arrived(server) == b"somebody else's"


@SANDBOX
@pytest.mark.parametrize("overwrite", ["never", "changed"])
def test_a_second_look_that_is_refused_is_no_look(ferry, server, overwrite):
    """Who was told what is there may see it: 403 is no sign that nothing is."""
    server.faults((dict(operation="HeadObject", skip=1, count=1), dict(
        status=403, object=dict(bucket=M, key=TO, body="somebody else's"))))
    ferry.configure(overwrite, source=f"virtual/{LARGE}")
    code, end = ferry.run()
    assert (end["verdict"], server.fired()) == ("failed", [1]), end
    assert arrived(server) == b"somebody else's"
    assert "Uploads" not in server.m.list_multipart_uploads(Bucket=M)


@SANDBOX
@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize("overwrite", ["never", "changed"])
def test_an_end_of_an_upload_of_which_nobody_can_tell(ferry, server, overwrite, count):
    """The answer is lost and HEADs fail for a while: it is ours, not what was there before."""
    server.faults((dict(operation="HeadObject", skip=2, count=count), dict(status=500)),
                  (dict(operation="CompleteMultipartUpload", count=1), dict(reset_at=1 << 40)))
    ferry.configure(overwrite, source=f"virtual/{LARGE}")
    code, end = ferry.run()
    assert (code, end["objects_done"], server.fired()) == (0, 1, [count, 1]), ferry.log()
    assert "Uploads" not in server.m.list_multipart_uploads(Bucket=M)


@SANDBOX
@pytest.mark.parametrize("overwrite", ["never", "changed"])
def test_an_end_of_an_upload_of_which_the_next_run_can_tell(ferry, server, overwrite):
    server.faults((dict(operation="HeadObject", skip=2), dict(status=500)),
                  (dict(operation="CompleteMultipartUpload", count=1), dict(reset_at=1 << 40)))
    ferry.configure(overwrite, source=f"virtual/{LARGE}")
    code, end = ferry.run()
    assert (code, end["objects_done"]) == (75, 0), ferry.log()
    server.faults()
    sent = server.requests("UploadPart")
    code, end = ferry.run()
    assert (code, end["objects_done"]) == (0, 1), (end, ferry.log())
    assert server.requests("UploadPart") == sent


@SANDBOX
@pytest.mark.parametrize("overwrite", ["never", "changed"])
def test_who_comes_while_an_upload_is_resumed_is_not_overwritten(ferry, server, overwrite):
    server.faults((dict(operation="UploadPart", skip=2), dict(stall_at=10_000)))
    ferry.configure(overwrite, source=f"virtual/{5 << 24}")  # no part too small to stall
    ferry.ctl("run", "daily-report")
    until(lambda: parts_stored(server) == 2, "two parts stored")
    ferry.kill()
    server.faults((dict(operation="UploadPart"), dict(delay_ms=500)))
    if overwrite == "never":
        server.m.put_object(Bucket=M, Key=TO, Body=b"somebody else's")
    before = server.requests("UploadPart")
    ferry.start()
    until(lambda: server.requests("UploadPart") > before, "it goes on")
    server.m.put_object(Bucket=M, Key=TO, Body=b"somebody else's")
    row = until(lambda: ended(ferry), "the end")
    assert any("2 of 5 parts were there" in line for line in ferry.log()), ferry.log()
    assert row["state"] == "failed" and "destination-changed" in row["message"], row
    assert arrived(server) == b"somebody else's"
    assert "Uploads" not in server.m.list_multipart_uploads(Bucket=M)


def parts_stored(server):
    uploads = server.m.list_multipart_uploads(Bucket=M).get("Uploads", [])
    return sum(len(server.m.list_parts(Bucket=M, Key=u["Key"], UploadId=u["UploadId"])
                   .get("Parts", [])) for u in uploads)
