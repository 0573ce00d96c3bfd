"""The calendar against others who know the answer: systemd-analyze and Python's zoneinfo.

Seeds are printed; S3FERRY_SEED replays one, S3FERRY_CASES makes more cases.
"""
import concurrent.futures
import datetime
import os
import random
import re
import shutil
import subprocess
import zoneinfo

import pytest

from conftest import first_seed

PROBE = os.path.join(os.environ.get("S3FERRY_BUILD", "build"), "tests/probe/calendar_probe")
UTC = datetime.timezone.utc
needs_probe = pytest.mark.skipif(not os.path.exists(PROBE),
                                 reason="tests/probe/calendar_probe is not built (make check)")


def ask(questions):
    text = "".join("\t".join(map(str, q)) + "\n" for q in questions)
    out = subprocess.run([PROBE], input=text.encode(), stdout=subprocess.PIPE, check=True,
                         timeout=300).stdout.decode(errors="replace")
    answers = out.split("\n")[:-1]
    assert len(answers) == len(questions)
    return answers


# --- OnCalendar against systemd-analyze ---

DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "monday", "FRIDAY"]
SHORT = ["minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "semiannually",
         "yearly", "annually", "Bi-Annually", "semi-annually", "biannually"]
# Zones without changes of clocks after 2026: there our rules and systemd's are the same.
FIXED = ["", "", "", " UTC", " Asia/Tokyo", " America/Phoenix", " Asia/Kathmandu", " utc"]


def component(r, low, high):
    a = r.randint(low, high)
    text = str(a) if r.random() < 0.8 else f"{a:02d}"
    if r.random() < 0.3:
        text += f"..{r.randint(low, high) if r.random() < 0.2 else r.randint(a, high)}"
    if r.random() < 0.25:
        text += f"/{r.randint(0 if r.random() < 0.1 else 1, max(1, (high - low) // 2))}"
    return text


def chain(r, low, high, star=0.4):
    if r.random() < star:
        return "*"
    return ",".join(component(r, low, high) for _ in range(r.choice([1, 1, 1, 2, 3])))


def weekdays(r):
    parts = []
    for _ in range(r.choice([1, 1, 2])):
        a = r.choice(DAYS)
        parts.append(a + r.choice(["..", "-"]) + r.choice(DAYS) if r.random() < 0.3 else a)
    return ",".join(parts) + ("," if r.random() < 0.1 else "") + " "


def expression(r):
    if r.random() < 0.06:
        return r.choice(SHORT) + r.choice(FIXED)
    if r.random() < 0.02:
        return f"@{r.randint(0, 2**32)}"
    text = weekdays(r) if r.random() < 0.35 else ""
    if r.random() < 0.7:
        if r.random() < 0.6:
            text += chain(r, 2024, 2060, 0.8) if r.random() < 0.8 else chain(r, 0, 99)
            text += "-"
        text += chain(r, 1, 12) + ("~" + chain(r, 1, r.choice([19, 28]), 0.1) if r.random() < 0.25 else
                                   "-" + chain(r, 1, 31))
        text += " "
    if r.random() < 0.8:
        text += chain(r, 0, 23) + ":" + chain(r, 0, 59)
        if r.random() < 0.5:
            text += ":" + chain(r, 0, 59, 0.1)
    text = text.rstrip(" ") if r.random() < 0.95 else text
    if r.random() < 0.12 and text:
        i = r.randrange(len(text))
        text = text[:i] + r.choice("0123456789*/-.,:~ @xT") + text[i + r.randint(0, 1):]
    return text + r.choice(FIXED)


def systemd_says(text):
    """The next three fires, [] for none, None for a refusal, "?" where it gives up."""
    p = subprocess.run(["systemd-analyze", "calendar", "--iterations=3",
                        "--base-time=2026-11-24 12:00:00 UTC", "--", text],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       env=dict(os.environ, TZ="UTC", LC_ALL="C", SYSTEMD_COLORS="0"), timeout=60)
    out = p.stdout.decode(errors="replace")
    if p.returncode:
        return "?" if "nfinite loop" in out or "Failed to determine" in out else None
    found = re.findall(r"(?:Next elapse|Iter\. #\d+|Iteration #\d+): \w+ (\S+ \S+) UTC", out)
    return [int(datetime.datetime.fromisoformat(f).replace(tzinfo=UTC).timestamp())
            for f in found]


def is_known(text):
    """Refused by systemd 252, for no reason in its manual: 5..5 in seconds; and in a list of
    days from a month's end the 26th and above, as each element lowers the limit by three."""
    return re.search(r"\b0*(\d+)\.\.0*\1\b", text) or \
        re.search(r"~[\d./]*,[\d.,/]*", text) and re.search(r"~[\d./,]*2\d", text)


@needs_probe
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is missing")
def test_oncalendar_is_systemds():
    r = random.Random(first_seed())
    texts = [expression(r) for _ in range(int(os.environ.get("S3FERRY_CASES", 400)))]
    start = int(datetime.datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp())
    ours = ask([("next", "calendar", "UTC", start, 3, t) for t in texts])
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        theirs = list(pool.map(systemd_says, texts))
    wrong, agreed = [], 0
    for text, mine, want in zip(texts, ours, theirs):
        got = [int(t) for t in mine.split()[1:]] if mine.startswith("ok") else None
        if want == "?" or "whole seconds" in mine:
            continue
        if got is not None and want is None and is_known(text):
            continue
        if got != want:
            wrong.append(f"{text!r}: {mine}, systemd: {want}")
        elif got:
            agreed += 1
    assert not wrong, "\n".join(wrong[:20])
    assert agreed > len(texts) // 4


# --- the zone reader against zoneinfo ---

FROM = int(datetime.datetime(1940, 1, 1, tzinfo=UTC).timestamp())
TO = int(datetime.datetime(2199, 1, 1, tzinfo=UTC).timestamp())


def offset(zone, t):
    return int(datetime.datetime.fromtimestamp(t, zone).utcoffset().total_seconds())


def check_zone(name, answer, step):
    """Each change of ours is one of theirs, and between two of ours theirs has none."""
    zone = zoneinfo.ZoneInfo.no_cache(name)
    assert answer.startswith("ok"), f"{name}: {answer}"
    starts = [tuple(map(int, p.split(":"))) for p in answer.split()[1:]]
    ends = [s for s, _ in starts[1:]] + [TO]
    probed = 0
    for (start, mine), end in zip(starts, ends):
        for t in {start, end - 1, *range(start, end, step)}:
            assert offset(zone, t) == mine, f"{name} at {t}"
            probed += 1
    return probed


@needs_probe
def test_zones_are_zoneinfos():
    names = sorted(zoneinfo.available_timezones() - {"localtime"})
    answers = ask([("zone", n, FROM, TO) for n in names])
    probed = sum(check_zone(n, a, 5 * 86400) for n, a in zip(names, answers))
    print(f"{len(names)} zones, {probed} instants, {sum(a.count(':') for a in answers)} intervals")
    assert probed > 100 * len(names)
