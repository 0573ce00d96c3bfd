"""A second scheduler: slow, made of lists, minute by minute. It knows the rules of the manual
and nothing of how the daemon keeps them; generate() makes histories for both.

Slots come from a walk over all minutes of a zone. Policies see the list of slots that are
due; nothing is searched, counted or kept as a range.
"""
import bisect
import datetime
import functools
import random
import zoneinfo

MINUTE, HOUR, DAY = 60, 3600, 86400
US = 10**6
TAIL, GRACE = 370_000, 5_370_000  # microseconds, as in core_model.c
LATE, OVERLAP_OPEN = 300, ("claimed", "running")
KEEP_RUNS, ATTEMPTS_MAX, HOLD_MAX = 100, 10, 600


# --- slots ---

@functools.lru_cache(100_000)
def offset(zone, t):
    at = datetime.datetime.fromtimestamp(t, zoneinfo.ZoneInfo(zone))
    return int(at.utcoffset().total_seconds())


def local_text(local):
    return datetime.datetime.fromtimestamp(local, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M")


class Schedule:
    """minutes and hours of the day, or a grid of `every` seconds."""

    def __init__(self, zone, text, minutes=None, hours=None, every=None):
        self.zone, self.text, self.every = zone, text, every
        self.minutes, self.hours = minutes, hours
        self.is_local = every is None and len(hours) < 24

    def yaml(self):
        return f'every: {self.text}' if self.every else f'schedule: "{self.text}"'

    def matches(self, local):
        return local // HOUR % 24 in self.hours and local // MINUTE % 60 in self.minutes

    def slots(self, start, end):
        """{instant: key} of all of [start, end), which are whole minutes."""
        found = {}
        if self.every:
            return {t: None for t in range(start, end) if t % self.every == 0}
        seen = start - MINUTE + offset(self.zone, start - MINUTE)  # the latest local time
        for t in range(start, end, MINUTE):
            local = t + offset(self.zone, t)
            if not self.is_local:
                if self.matches(local):
                    found[t] = None
                continue
            for skipped in range(seen + MINUTE, local + 1, MINUTE):  # more than one: a gap
                if self.matches(skipped):
                    found[t] = local_text(skipped) + "/0"
                    break
            seen = max(seen, local)
        return found


# --- jobs, and what the ledger says of them ---

class Row:
    def __init__(self, job, slots, state, reason, trigger, gen, key):
        self.job, self.slots, self.state, self.reason = job, slots, state, reason
        self.trigger, self.gen, self.key, self.attempts = trigger, gen, key, 0

    @property
    def nominal(self):
        return self.slots[-1]

    def is_open(self):
        return self.state in OVERLAP_OPEN

    def told(self):
        n = min(len(self.slots), 1000)
        manual = self.trigger == "manual"
        return (self.gen, self.nominal, 0 if manual else self.slots[0],
                0 if manual else self.nominal, n, self.state, self.reason, self.trigger,
                self.attempts)


class Job:
    """What is kept of a job in the state, whatever becomes of the daemon."""

    def __init__(self, name):
        self.name, self.rows, self.taken = name, [], set()
        self.hash, self.watermark, self.gen = None, None, 0
        self.is_paused, self.until, self.was_paused = False, 0, False
        self.waits_from = 0  # of this life of the daemon only

    def open_row(self):
        return next((r for r in self.rows if r.is_open()), None)


class Conf:
    """jobs: {name: dict(schedule, catch_up, limit, deadline, overlap, paused)}"""

    def __init__(self, jobs, gate):
        self.jobs, self.gate = jobs, gate

    def yaml(self):
        text = f"""version: 1
max_parallel_runs: {self.gate}
profiles: {{ p: {{ role_arn: "arn:aws:iam::111111111111:role/r", region: eu-west-1 }} }}
jobs:
"""
        for name, j in self.jobs.items():
            deadline = f"starting_deadline: {j['deadline']}s, " if j["deadline"] else ""
            text += f"""  {name}: {{ {j['schedule'].yaml()}, timezone: {j['schedule'].zone},
    catch_up: {j['catch_up']}, catch_up_limit: {j['limit']}, {deadline}overlap: {j['overlap']},
    paused: {str(j['paused']).lower()}, source: {{ profile: p, url: "s3://bucket-s/{name}" }},
    destination: {{ profile: p, url: "s3://bucket-m/{name}/" }} }}
"""
        return text


class Model:
    def __init__(self, conf, start, end, lastings):
        self.conf, self.wall, self.mono, self.began = conf, start * US, 0, start
        self.lastings = {n: list(l) for n, l in lastings.items()}
        self.jobs, self.is_up = {}, False
        self.horizon = (start - 5 * DAY) // MINUTE * MINUTE, (end + 5 * DAY) // MINUTE * MINUTE
        self.cache, self.seen = {}, None

    # --- time ---

    def now(self):
        return self.wall // US

    def go_to(self, seconds):
        while self.mono < seconds * US:
            nxt = min(self.mono + MINUTE * US - self.wall % (MINUTE * US), seconds * US)
            if self.is_up and self.running:
                nxt = min(nxt, min(ends for ends, _, _ in self.running))
            self.advance(nxt - self.mono)
            self.settle()
            self.end_runs()

    def asleep(self, seconds):
        self.advance(max(0, seconds * US - self.mono))
        self.settle()
        self.end_runs()

    def advance(self, us):
        self.mono += us
        self.wall += us

    def step(self, seconds):
        self.settle()
        self.wall += seconds * US
        self.settle()

    def end_runs(self):
        while self.is_up:
            due = sorted((r for r in self.running if r[0] <= self.mono), key=lambda r: r[0])
            if not due:
                return
            _, row, end = due[0]
            self.running.remove(due[0])
            row.state, row.reason = end
            self.prune(self.jobs[row.job], row.state)
            self.start_queued()
            self.settle()

    # --- lives of the daemon ---

    def up(self):
        self.is_up, self.running, self.queued, self.last_wall = True, [], [], 0
        for job in self.jobs.values():
            job.waits_from = 0
            row = job.open_row()
            if row:
                row.reason = "interrupted"
                row.state = "failed" if row.attempts >= ATTEMPTS_MAX else "claimed"
                if row.is_open():
                    self.queued.append(row)
        self.held_since = None
        if self.seen is not None and self.now() < self.seen - 60:
            self.held_since = self.mono
        self.adopted = set()
        if self.held_since is None:
            self.adopt_all()
        self.start_queued()
        self.settle()

    def crash(self):
        if self.is_up:
            self.settle()
            self.is_up = False

    def prune(self, job, state):
        """Of each kind of end the newest are kept."""
        for row in [r for r in job.rows if r.state == state][:-KEEP_RUNS]:
            job.rows.remove(row)
            job.taken.discard((row.key, row.gen))

    def adopt_all(self):
        for name in self.conf.jobs:
            self.adopt(name)

    def adopt(self, name):
        job = self.jobs.get(name)
        fresh_hash = self.hash_of(name)
        self.adopted.add(name)
        if job is None:
            job = self.jobs[name] = Job(name)
            self.begin_anew(job)
        elif job.hash != fresh_hash:
            job.gen += job.watermark > self.now() + 60
            self.begin_anew(job)
        elif job.watermark > self.now():
            self.step_back(job, job.watermark - self.now())
        self.note_pause(job)

    def hash_of(self, name):
        j = self.conf.jobs.get(name)
        return (j["schedule"].text, j["schedule"].zone) if j else "-"

    def begin_anew(self, job):
        job.watermark, job.hash = self.now(), self.hash_of(job.name)
        self.forget_pause(job)

    def forget_pause(self, job):
        if job.until and job.until <= self.now():
            job.is_paused, job.until = False, 0
        j = self.conf.jobs.get(job.name)
        job.was_paused = bool(j and j["paused"])

    def note_pause(self, job):
        if self.conf.jobs[job.name]["paused"] and not job.was_paused:
            job.hash = self.hash_of(job.name)
            self.forget_pause(job)

    def reload(self, conf):
        old, self.conf = self.conf, conf
        if not self.is_up:
            return
        for name in old.jobs:
            if name not in conf.jobs:
                self.leave_behind(old, self.jobs[name])
                self.adopted.discard(name)
        for name, j in conf.jobs.items():
            if name not in old.jobs:
                self.adopt(name)
                continue
            job = self.jobs[name]
            job.waits_from = 0
            if job.hash != self.hash_of(name):
                self.leave_behind(old, job)
            self.note_pause(job)
        self.settle()

    def leave_behind(self, old, job):
        reason = "paused" if self.is_paused(job, old) else "edited"
        job.waits_from = 0
        self.drop(job, old.jobs[job.name]["schedule"], reason)
        self.begin_anew(job)

    # --- by hand ---

    def pause(self, name, seconds):
        job = self.jobs[name]
        job.is_paused, job.until = True, self.now() + seconds if seconds else 0
        self.settle()

    def resume(self, name):
        job = self.jobs[name]
        if job.is_paused:
            job.until = self.now()
        self.settle()

    def run(self, name):
        job = self.jobs[name]
        if not job.open_row():
            row = Row(name, [self.now()], "claimed", "", "manual", 0, object())
            job.rows.append(row)
            self.queued.append(row)
        self.start_queued()
        self.settle()

    # --- the queue ---

    def start_queued(self):
        for row in sorted(self.queued, key=lambda r: (r.nominal, r.job)):
            if len(self.running) >= self.conf.gate:
                return
            j = self.conf.jobs.get(row.job)
            if j is None:
                self.close_queued(row, "failed", "config")
            elif j["deadline"] and self.now() - row.nominal > j["deadline"] and \
                    row.attempts == 0 and row.trigger != "manual":
                self.close_queued(row, "missed", "deadline")
            else:
                self.queued.remove(row)
                lasting = self.lastings[row.job]
                seconds, end = lasting.pop(0) if len(lasting) > 1 else lasting[0]
                row.state, row.attempts = "running", row.attempts + 1
                self.running.append((self.mono + seconds * US + TAIL, row,
                                     ("succeeded", "") if end == "s" else ("failed", "network")))

    def close_queued(self, row, state, reason):
        self.queued.remove(row)
        row.state, row.reason = state, reason
        self.prune(self.jobs[row.job], state)

    def supersede(self, job):
        row = job.open_row()
        if row in self.queued:
            self.close_queued(row, "cancelled", "superseded")
            return
        for i, (ends, r, _) in enumerate(self.running):
            if r is row:
                self.running[i] = (min(ends, self.mono + GRACE), row, ("cancelled", "superseded"))

    # --- deciding ---

    def settle(self):
        if not self.is_up:
            return
        for _ in range(50):
            if not self.tick():
                return
        raise AssertionError("the model does not come to rest")

    def tick(self):
        """One wake; whether another one has something to do."""
        if self.held_since is not None:
            if self.mono - self.held_since < HOLD_MAX * US and self.now() < self.seen - 60:
                return False
            self.held_since = None
            self.adopt_all()
        before = self.fingerprint()
        if self.check_clock():
            for name in self.conf.jobs:
                self.decide(self.jobs[name])
        self.seen = self.now()
        for job in self.jobs.values():
            if getattr(job, "is_superseding", False):
                job.is_superseding = False
                self.supersede(job)
        self.start_queued()
        return before != self.fingerprint()

    def fingerprint(self):
        return [(j.name, len(j.rows), j.watermark, j.waits_from, j.is_paused, len(self.queued),
                 len(self.running), r.state if (r := j.open_row()) else "")
                for j in self.jobs.values()]

    def check_clock(self):
        back = self.last_wall - self.now()
        if self.last_wall and back > 0:
            if back <= 60:
                return False
            for name in self.conf.jobs:
                self.step_back(self.jobs[name], back)
        self.last_wall = self.now()
        return True

    def step_back(self, job, back):
        if back <= 60:
            return
        job.waits_from = 0
        job.gen += 1
        if not (back <= 3 * HOUR and self.conf.jobs[job.name]["schedule"].is_local):
            job.watermark = self.now()
        job.hash = self.hash_of(job.name)
        self.forget_pause(job)

    def is_paused(self, job, conf=None):
        j = (conf or self.conf).jobs[job.name]
        return j["paused"] or (job.is_paused and (not job.until or self.now() < job.until))

    def due(self, job, schedule):
        key = schedule.text, schedule.zone
        if key not in self.cache:
            self.cache[key] = schedule.slots(*self.horizon)
            self.cache[key, "order"] = sorted(self.cache[key])
        order = self.cache[key, "order"]
        return order[bisect.bisect_right(order, job.watermark):
                     bisect.bisect_right(order, self.now())]

    def put(self, job, slots, state, reason, trigger="schedule"):
        if not slots:
            return
        j = self.conf.jobs.get(job.name)
        schedule = self.schedule_in_force(job)
        key = self.cache[schedule.text, schedule.zone].get(slots[-1]) or slots[-1]
        if (key, job.gen) in job.taken:
            return  # it was settled before the clock moved
        job.taken.add((key, job.gen))
        row = Row(job.name, slots, state, reason, trigger, job.gen, key)
        job.rows.append(row)
        if state == "claimed":
            self.queued.append(row)
        else:
            self.prune(job, state)

    def schedule_in_force(self, job):
        return getattr(self, "dropping", None) or self.conf.jobs[job.name]["schedule"]

    def drop(self, job, schedule, reason):
        slots = self.due(job, schedule)
        self.dropping = schedule
        self.put(job, slots, "skipped", reason)
        self.dropping = None

    def decide(self, job):
        if (job.is_paused or job.was_paused) and not self.is_paused(job):
            job.waits_from = 0
            self.drop(job, self.conf.jobs[job.name]["schedule"], "paused")
            job.watermark = max(job.watermark, self.now())
            job.hash = self.hash_of(job.name)
            self.forget_pause(job)
            return
        if self.is_paused(job) or (job.waits_from and job.open_row()):
            return
        j = self.conf.jobs[job.name]
        due = self.due(job, j["schedule"])
        if not due:
            job.waits_from = 0
            return
        self.decide_due(job, j, due)
        self.forget_pause(job)

    def decide_due(self, job, j, due):
        now, newest = self.now(), due[-1]
        moment = min(job.waits_from, now) if job.waits_from else now
        settled = (self.decide_all if j["catch_up"] == "all" else self.decide_newest)(
            job, j, due, now, moment)
        job.watermark = settled if settled is not None else job.watermark
        if job.watermark >= newest:
            job.waits_from = 0
        elif not job.waits_from:
            job.waits_from = now

    def meet(self, job, j):
        if not job.open_row():
            return "run"
        return {"skip": "skip", "queue-one": "wait", "replace": "replace"}[j["overlap"]]

    def decide_newest(self, job, j, due, now, moment):
        newest, meeting = due[-1], self.meet(job, j)
        is_old = j["deadline"] and now - newest > j["deadline"]
        if is_old or (moment - newest > LATE and j["catch_up"] == "none"):
            self.put(job, due, "missed", "deadline" if is_old else "catch_up")
            return newest
        if meeting == "wait":
            return None
        if meeting == "replace":
            job.is_superseding = True
            return None
        older = due[:-1]
        if j["catch_up"] == "none":
            self.put(job, [t for t in older if t < moment - LATE], "missed", "catch_up")
            older = [t for t in older if t >= moment - LATE]
        self.put(job, older, "skipped", "coalesced")
        late = "catch_up" if moment - newest > LATE else "schedule"
        if meeting == "run":
            self.put(job, [newest], "claimed", "", late)
        else:
            self.put(job, [newest], "skipped", "overlap", late)
        return newest

    def decide_all(self, job, j, due, now, moment):
        settled, active = None, job.open_row()
        old = [t for t in due if t < now - (j["deadline"] or DAY)]
        self.put(job, old, "missed", "deadline")
        rest = due[len(old):]
        many = rest[:max(0, len(rest) - j["limit"])]
        self.put(job, many, "missed", "catch_up_limit")
        rest = rest[len(many):]
        settled = (old + many)[-1] if old + many else None
        if not rest:
            return settled
        meeting, is_late = self.meet(job, j), moment - rest[0] > LATE
        if active and (active.trigger == "catch_up" or is_late):
            meeting = "wait"  # one after another: what is caught up is no overlap
        if meeting == "run":
            self.put(job, rest[:1], "claimed", "", "catch_up" if is_late else "schedule")
            return rest[0]
        if meeting == "skip":
            self.put(job, rest, "skipped", "overlap")
            return rest[-1]
        if meeting == "replace":
            job.is_superseding = True
        return settled


# --- histories ---

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Europe/Dublin",
         "Antarctica/Troll", "Africa/Casablanca", "America/Santiago", "UTC", "Asia/Kathmandu"]


@functools.lru_cache(None)
def changes(zone):
    """Hours of 2027 to 2032 in which the zone's offset changes."""
    start = int(datetime.datetime(2027, 1, 10, tzinfo=datetime.timezone.utc).timestamp())
    found, day = [], start
    while day < start + 5 * 366 * DAY:
        if offset(zone, day) != offset(zone, day + DAY):
            found += [t for t in range(day, day + DAY, HOUR)
                      if offset(zone, t) != offset(zone, t + HOUR)]
        day += DAY
    return found or [start + n * 37 * DAY for n in range(40)]


def some(r, low, high, most):
    return sorted(r.sample(range(low, high), r.randint(1, most)))


def a_schedule(r, zone):
    kind = r.randrange(7)
    if kind == 0:
        step = r.choice([15, 20, 30])
        return Schedule(zone, f"*/{step} * * * *", set(range(0, 60, step)), set(range(24)))
    if kind == 1:
        every = r.choice([10, 13, 45, 90, 150])
        return Schedule(zone, f"{every}m", every=every * MINUTE)
    if kind == 2:  # all minutes of an hour that clocks like to skip or repeat
        hour = r.choice([0, 1, 2, 3])
        return Schedule(zone, f"*/10 {hour} * * *", set(range(0, 60, 10)), {hour})
    minutes = some(r, 0, 60, 2)
    text = ",".join(map(str, minutes))
    if kind == 3:
        return Schedule(zone, f"{text} * * * *", set(minutes), set(range(24)))
    if kind == 4:
        return Schedule(zone, f"{text} */3 * * *", set(minutes), set(range(0, 24, 3)))
    hours = some(r, 0, 5 if kind == 5 else 24, 3)
    return Schedule(zone, f"{text} {','.join(map(str, hours))} * * *", set(minutes), set(hours))


def a_job(r, zone):
    return dict(schedule=a_schedule(r, zone), catch_up=r.choice(["none", "latest", "latest", "all"]),
                limit=r.randint(1, 5), deadline=r.choice([0, 0, 0, 1200, 2 * HOUR]),
                overlap=r.choice(["skip", "queue-one", "replace"]), paused=r.random() < 0.05)


def a_conf(r, zone):
    names = "abc"[:r.choice([1, 2, 3])]
    return Conf({n: a_job(r, zone) for n in names}, r.randint(1, 3))


def edited(r, conf, zone):
    jobs = {n: dict(j) for n, j in conf.jobs.items()}
    name = r.choice("abc")
    kind = r.randrange(4)
    if kind == 0 and name in jobs:
        jobs[name]["schedule"] = a_schedule(r, zone)
    elif kind == 1 and name in jobs:
        jobs[name]["paused"] = not jobs[name]["paused"]
    elif kind == 2 and name in jobs and len(jobs) > 1:
        del jobs[name]
    elif kind == 3 and name in jobs:
        other = a_job(r, zone)
        jobs[name].update((k, other[k]) for k in ("catch_up", "limit", "deadline", "overlap"))
    else:
        jobs[name] = a_job(r, zone)
    return Conf(jobs, r.choice([conf.gate, r.randint(1, 3)]))


def lasting(r):
    """(seconds, end) of each start; most are short, some longer than the interval."""
    return [(r.choice([r.randint(1, 50), r.randint(60, 1500), r.randint(1000, 9000)]),
             r.choice("sssf")) for _ in range(20)]


def write_conf(folder, n, conf):
    path = folder / f"{n}.yaml"
    path.write_text(conf.yaml())
    return path


class History:
    """Commands for core_model, and what the model makes of the same ones."""

    def __init__(self, seed, folder):
        self.r = r = random.Random(seed)
        self.folder, self.confs, self.lines = folder, 0, []
        self.zone = r.choice(ZONES)
        start = r.choice(changes(self.zone)) - r.randint(0, 30 * HOUR)
        self.conf = a_conf(r, self.zone)
        lastings = {n: lasting(r) for n in "abc"}
        self.model = Model(self.conf, start, start + 3 * DAY, lastings)
        self.at = 0  # seconds since the beginning
        (folder / "state").mkdir()
        self.say(f"begin {folder}/state {self.write(self.conf)} {start}")
        for name, l in lastings.items():
            self.say(f"runs {name} " + " ".join(f"{s}:{e}" for s, e in l))
        self.do("up")
        for _ in range(r.randint(3, 25)):
            self.event()
        self.go(r.randint(10, 3 * HOUR))
        self.say("end")

    def say(self, line):
        self.lines.append(line)

    def write(self, conf):
        self.confs += 1
        return write_conf(self.folder, self.confs, conf)

    def do(self, verb, *args):
        self.say(" ".join(map(str, (verb, *args))))
        getattr(self.model, {"to": "go_to"}.get(verb, verb))(*args)

    def go(self, seconds):
        self.at += seconds
        self.do("to", self.at)

    def change(self):
        self.conf = edited(self.r, self.conf, self.zone)
        self.say(f"conf {self.write(self.conf)}")
        self.model.reload(self.conf)

    def event(self):
        r, m = self.r, self.model
        kind = r.choice(["to"] * 5 + ["asleep", "step", "crash", "reload", "pause", "resume", "run"])
        name = r.choice(list(self.conf.jobs))
        if kind == "to":
            self.go(r.choice([r.randint(1, 300), r.randint(60, 2 * HOUR), r.randint(HOUR, 12 * HOUR)]))
        elif kind == "asleep":
            self.at += r.choice([r.randint(1, 400), r.randint(60, 8 * HOUR)])
            self.do("asleep", self.at)
        elif kind == "step":
            self.do("step", r.choice([-1, 1]) * r.choice(
                [r.randint(1, 60), r.randint(61, 400), HOUR, r.randint(HOUR, 3 * HOUR), 4 * HOUR, DAY]))
        elif kind == "crash":
            self.crash()
        elif kind == "reload":
            self.change()
        elif kind == "pause":
            self.do("pause", name, r.choice([0, r.randint(1, 200) * MINUTE]))
        elif kind == "resume" and not self.conf.jobs[name]["paused"]:
            self.do("resume", name)
        elif kind == "run":
            self.do("run", name)

    def crash(self):
        r = self.r
        self.do("crash")
        if r.random() < 0.7:
            self.go(r.choice([r.randint(1, 60), r.randint(60, 10 * HOUR)]))
        if r.random() < 0.2:
            self.do("step", r.choice([-1, 1]) * r.choice([30, 3000, 2 * HOUR, 5 * HOUR]))
        if r.random() < 0.2:
            self.change()
        self.do("up")
        if self.model.held_since is not None:
            self.go(HOLD_MAX + MINUTE)

    def expected(self):
        return {n: [row.told() for row in j.rows] for n, j in self.model.jobs.items() if j.rows}
