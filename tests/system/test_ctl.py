"""s3ferryctl as people use it: mistakes are told where they are made, and nothing that was
asked for is passed over."""

import os
import select
import signal
import subprocess
import termios

import pytest

from conftest import BUILD, TOP, only

once = only("sandbox", "no server is asked")


def ctl(daemon, *args):
    r = subprocess.run([f"{BUILD}/src/s3ferryctl", "--socket", daemon.sock, *args],
                       capture_output=True, text=True, timeout=60)
    return r.returncode, r.stdout, r.stderr


def in_terminal(daemon, columns, *args):
    """What a terminal that is so wide would show."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    subprocess.run([f"{BUILD}/src/s3ferryctl", "--socket", daemon.sock, *args],
                   stdout=theirs, check=True, timeout=60)
    os.close(theirs)
    out = b""
    try:
        while piece := os.read(ours, 4096):
            out += piece
    except OSError:
        pass  # its end
    os.close(ours)
    return out.decode()


@once
@pytest.mark.parametrize("args, says", [
    (["--bad"], "there is no option '--bad'; see --help"),
    (["run", "daily-report", "--wiat"], "'--wiat'; did you mean '--wait'?"),
    (["pause", "daily-report", "--for"], "--for needs a value"),
    (["status", "extra"], "usage: s3ferryctl status\n"),
    (["reload", "-c", "x.yaml"], "reload takes no --config\nusage: s3ferryctl reload"),
    (["history", "--wait"], "history takes no --wait"),
    (["status", "-n", "3"], "status takes no -n"),
    (["run"], "usage: s3ferryctl run JOB [--wait] [--date DATE] [--dry-run]"),
    (["backfill", "daily-report", "2026-11-02", "2026-11-01"], "FROM is later than TO"),
])
def test_a_wrong_command_line_is_told(daemon, args, says):
    daemon.start()
    code, out, err = ctl(daemon, *args)
    assert code == 64 and not out and says in err, (out, err)
    assert f"{BUILD}/" not in err, err


@once
@pytest.mark.parametrize("args, says", [
    (["cancel", "daily-report"], "nothing to cancel"),
    (["cancel", "nobody"], "no such run and no such job"),
    (["show", "daily-report"], "the job has not run yet"),
    (["show", "nobody"], "no such run and no such job"),
    (["history", "daily-reprot"], "there is no job 'daily-reprot'; did you mean 'daily-report'?"),
])
def test_what_is_not_there_is_told(daemon, args, says):
    daemon.start()
    code, out, err = ctl(daemon, *args)
    assert code == 66 and not out and says in err, (out, err)
    code, out, err = ctl(daemon, "history", "daily-report")
    assert (code, out, err) == (0, "no runs yet\n", "")


@once
def test_the_ledger_fits_a_terminal(daemon, server):
    """And what it shows of a run's id is enough to ask for the run."""
    server.s.put_object(Bucket="account-s-bucket", Key="there", Body=bytes(96000))
    daemon.write(source="s3://account-s-bucket/there")
    daemon.start()
    assert daemon.run()[0] == 0
    daemon.write(source="s3://account-s-bucket/not/there")
    assert ctl(daemon, "reload")[0] == 0
    assert daemon.run()[0] == 66
    rows = daemon.ctl("history")[1][0]["runs"]
    code, out, _ = ctl(daemon, "history")
    head, failed, good = out.splitlines()
    assert code == 0 and len(good) <= 120 and len(failed) > 120, out
    assert head.split() == "SLOT JOB BY RESULT SLOTS RUN MESSAGE".split()
    assert "failed: source_missing" in failed and failed.endswith(rows[0]["message"])
    for row, line in zip(rows, (failed, good)):
        beginning = row["run"][:8]
        assert beginning in line and row["run"] not in line
        assert daemon.ctl("show", beginning)[1][0]["run"]["run"] == row["run"]
        assert ctl(daemon, "show", row["run"][:7])[0] == 66
        assert "nothing to cancel" in ctl(daemon, "cancel", beginning)[2]
    assert max(map(len, in_terminal(daemon, 120, "history").splitlines())) <= 120


@once
def test_help_is_a_verb_too(daemon):
    code, out, err = ctl(daemon, "help")
    assert code == 0 and not err and out == ctl(daemon, "--help")[1]
    assert max(map(len, out.splitlines())) <= 80, out


@once
def test_check_takes_its_file_both_ways(daemon):
    for args in (["check", str(daemon.conf)], ["check", "-c", str(daemon.conf)]):
        assert ctl(daemon, *args) == (0, f"{daemon.conf}: ok, 1 job\n", "")


@once
def test_metrics_are_json_where_json_is_asked_for(daemon):
    daemon.start()
    code, (answer,), _ = daemon.ctl("metrics")
    assert code == 0 and answer["jobs"][0]["name"] == "daily-report"


@once
def test_a_daemon_that_hangs_is_not_waited_for_silently(daemon):
    daemon.start()
    daemon.proc.send_signal(signal.SIGSTOP)
    waiting = subprocess.Popen([f"{BUILD}/src/s3ferryctl", "--socket", daemon.sock],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    is_told = select.select([waiting.stderr], [], [], 20)[0]
    daemon.proc.send_signal(signal.SIGCONT)
    out, err = waiting.communicate(timeout=30)
    assert is_told and err == "s3ferryctl: no answer yet; still waiting (Ctrl-C ends that)\n"
    assert waiting.returncode == 0 and "1 job: " in out


@once
def test_a_socket_in_the_place_of_a_file_removes_nothing(daemon, tmp_path):
    daemon.start()
    mine = tmp_path / "precious"
    mine.write_text("mine")
    r = subprocess.run([f"{BUILD}/src/s3ferryd", "-c", str(daemon.conf), "--state-dir",
                        str(tmp_path / "other"), "--socket", str(mine)],
                       capture_output=True, text=True, timeout=30)
    assert r.returncode != 0 and "no socket" in r.stderr, r.stderr
    assert mine.read_text() == "mine"


@once
def test_explain_knows_the_one_key_of_its_job(daemon, server):
    server.s.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=b"1")
    daemon.start()
    assert daemon.run()[0] == 0
    code, out, err = ctl(daemon, "explain", "daily-report", "daily/report.csv")
    assert code == 0 and "copied" in out and "now:       same" in out, err
    assert "not by this job" not in out
    code, out, err = ctl(daemon, "explain", "daily-report", "daily/other.csv")
    assert (code, out) == (0, "the source of this job is one key, and another one\n"), err


@once
def test_explain_takes_a_whole_key_and_one_below_the_prefix(daemon, server):
    server.s.put_object(Bucket="account-s-bucket", Key="shop/k1", Body=b"1")
    daemon.write(source="s3://account-s-bucket/shop/", destination="s3://account-m-bucket/shop/")
    daemon.start()
    assert daemon.run()[0] == 0
    for key in ("k1", "shop/k1"):
        code, out, err = ctl(daemon, "explain", "daily-report", key)
        assert code == 0 and "last run:  copied" in out and "now:       same" in out, (out, err)


@once
def test_a_prefix_without_objects_is_told(daemon, server):
    daemon.write(source="s3://account-s-bucket/no-such-prefix/")
    daemon.start()
    code, end = daemon.run()
    assert code == 0 and end["message"].endswith("; nothing is at the source"), end
    server.s.put_object(Bucket="account-s-bucket", Key="such-prefix/k", Body=b"1")
    daemon.write(source="s3://account-s-bucket/such-prefix/")
    assert daemon.ctl("reload")[0] == 0
    for _ in range(2):
        code, end = daemon.run()
        assert code == 0 and "nothing" not in end["message"], end


def completes(daemon, *words):
    """What bash offers for the last of the words."""
    script = """source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _s3ferryctl
                for word in "${COMPREPLY[@]}"; do echo "$word"; done"""
    r = subprocess.run(
        ["bash", "-uc", script, "bash", TOP / "contrib" / "completion" / "s3ferryctl",
         "s3ferryctl", *words], capture_output=True, text=True, timeout=60,
        env={"PATH": f"{os.path.abspath(BUILD)}/src:{os.environ['PATH']}",
             "S3FERRY_SOCKET": daemon.sock})
    assert not r.stderr
    return set(r.stdout.split())


@once
def test_bash_completes_verbs_options_and_jobs(daemon):
    assert completes(daemon, "ca") == {"calendar", "cancel"}
    assert completes(daemon, "run", "--") == {
        "--wait", "--date", "--dry-run", "--allow-deletes", "--socket", "--json", "--help"}
    assert completes(daemon, "run", "") == set()
    daemon.start()
    assert completes(daemon, "run", "") == {"daily-report"}
    assert completes(daemon, "--json", "--socket", daemon.sock, "explain", "d") == {"daily-report"}
    assert completes(daemon, "pause", "daily-report", "--for", "") == set()


def test_an_installation_leaves_the_configuration_that_was_edited(tmp_path):
    conf = tmp_path / "s3ferry.yaml"
    conf.write_text("version: 1  # mine\n")
    for target in "install-data-local", "uninstall-local":
        subprocess.run(["make", "-s", "-C", BUILD, target, f"DESTDIR={tmp_path}", "confdir="],
                       check=True, timeout=120)
        assert conf.read_text() == "version: 1  # mine\n"
    conf.unlink()
    subprocess.run(["make", "-s", "-C", BUILD, "install-data-local", f"DESTDIR={tmp_path}",
                    "confdir="], check=True, timeout=120)
    assert conf.read_text() == (TOP / "etc" / "s3ferry.yaml").read_text()


@once
def test_who_gave_an_order_is_in_the_log(daemon):
    daemon.start()
    daemon.ctl("status")
    daemon.ctl("pause", "daily-report")
    daemon.ask("Cancel", target="nothing\n2026 error forged")
    told = [line for line in daemon.log() if "asked for by uid" in line]
    for line, what in zip(told, ("Pause daily-report: ", "Cancel nothing"), strict=True):
        assert what in line and f"asked for by uid {os.getuid()} (pid " in line, told
        assert f"CALLER_UID={os.getuid()}" in line, told
