/*
 * The composition root: builds the parts in the order of their dependencies, listens to
 * signals, and tears down in reverse. Not the ledger (core_runs), not reload, not status.
 */
#include "config.h"

#include "daemon/core.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/creds.h"
#include "aws/retry.h"
#include "aws/skew.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "calendar/tz.h"
#include "conf/conf.h"
#include "conf/conf_load.h"
#include "daemon/control.h"
#include "daemon/core_impl.h"
#include "daemon/sdnotify.h"
#include "engine/engine_set.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/pool.h"
#include "run/message_ids.h"
#include "s3/regions.h"

#define FILE_THREADS 2
#define STATUS_MS 2000

/* --- building --- */

static int open_store(struct core *c, const char *dir)
{
	enum store_open_result how;
	char moved[512] = "";
	int64_t pid = 0;
	int r = store_open(dir, &c->store, &how, moved, &pid);

	switch (r) {
	case 0:
		break;
	case -EBUSY:
		log_err(NULL, "the state directory %s is in use by process %lld", dir,
			(long long)pid);
		return CORE_EXIT_TEMPFAIL;
	case -EPROTO:
		log_err(NULL,
			"the state in %s was written by a newer s3ferry; install that "
			"version, or name another --state-dir",
			dir);
		return CORE_EXIT_STATE;
	case -EPERM:
		log_err(NULL, "the state in %s belongs to somebody else", dir);
		return CORE_EXIT_STATE;
	case -EACCES:
		log_err(NULL, "the state directory %s cannot be written: %s", dir,
			strerror(-r));
		return CORE_EXIT_PERM;
	default:
		log_err(NULL, "the state in %s cannot be opened: %s", dir, strerror(-r));
		return r == -EIO || r == -ENOSPC || r == -EROFS ? CORE_EXIT_IO
								: CORE_EXIT_OS;
	}
	if (how != STORE_RECOVERED)
		return 0;
	log_err(LOG_FIELDS({"MESSAGE_ID", MSG_STATE_DAMAGED}),
		"the state database was damaged and is now %s; history and "
		"watermarks are lost, every job starts from now (no catch-up)",
		moved);
	core_uploads_lost(c);
	return c->exit_code;
}

static int load_conf(struct core *c)
{
	struct conf_messages messages = {0};
	struct buf text = BUF_INIT(256 * 1024);
	int r = conf_load(c->config_path, &c->conf, &messages);

	conf_messages_format(&messages, &text);
	if (r == -ENOENT || r == -EACCES)
		log_err(NULL, "%s: %s", c->config_path, strerror(-r));
	core_log_config(buf_str(&text), r < 0 ? LOG_ERR : LOG_WARNING,
		r < 0 ? MSG_CONFIG_REJECTED : NULL);
	buf_done(&text);
	conf_messages_done(&messages);
	if (r == -EACCES || r == -EPERM)
		return CORE_EXIT_PERM;
	return r < 0 ? CORE_EXIT_CONFIG : 0;
}

/* Of sets that are in use: a fetch with nothing cached fails its run, which tells. */
static void on_creds_event(
	void *arg, enum creds_event event, const char *label, const struct err *e)
{
	switch (event) {
	case CREDS_REFRESH_FAILED:
		log_warning(NULL, "the credentials of %s were not refreshed: %s", label,
			e->text);
		break;
	case CREDS_RECOVERED:
		log_notice(NULL, "the credentials of %s are refreshed again", label);
		break;
	case CREDS_CLOCK_WRONG:
		log_warning(NULL, "%s", e->text);
		break;
	case CREDS_DURATION_CAPPED:
		log_warning(NULL, "%s: %s", label, e->text);
		break;
	}
}

static int open_net(struct core *c)
{
	struct http_options options = {.user_agent = "s3ferry/" PACKAGE_VERSION};
	struct engine_options engines = {
		.engines = c->conf->engines ? (int)c->conf->engines : ENGINES_AUTO,
		.buffer_bytes = (uint64_t)c->conf->memory_bytes,
		.user_agent = options.user_agent};

	c->engines_began_with = c->conf->engines;
	c->memory_began_with = c->conf->memory_bytes;
	creds_env_get_proxies(
		c->env, &options.https_proxy, &options.http_proxy, &options.no_proxy);
	engines.https_proxy = options.https_proxy;
	engines.http_proxy = options.http_proxy;
	engines.no_proxy = options.no_proxy;
	c->http = http_new(c->loop, &options);
	if (!c->http) {
		log_err(NULL, "the HTTP client cannot start");
		return CORE_EXIT_OS;
	}
	c->creds = creds_pool_new(c->loop, c->http, c->env);
	creds_pool_on_warning(c->creds, on_creds_event, c);
	c->regions = s3_regions_new();
	c->skews = skews_new();
	c->quotas = retry_quotas_new();
	c->files = pool_new(c->loop, FILE_THREADS);
	creds_pool_use_clocks(c->creds, c->skews);
	c->engines = engine_set_new(c->loop, c->http, &engines, core_on_engine, c);
	if (c->engines && c->files)
		return 0;
	log_err(NULL, "the kernel refused the engines: %s", strerror(errno));
	return CORE_EXIT_OS;
}

static int open_sched(struct core *c)
{
	struct sched_ops ops;

	core_recover(c);
	if (c->exit_code)
		return c->exit_code;
	c->sched = sched_new(c->loop, c->clock, core_sched_ops(c, &ops));
	if (!c->sched) {
		log_err(NULL, "the kernel refused a timer: %s", strerror(errno));
		return CORE_EXIT_OS;
	}
	core_sched_hold(c);
	core_sched_take_conf(c);
	return c->exit_code;
}

static int open_control(struct core *c, const char *path)
{
	char why[256] = "";

	c->control = control_new(c->loop, path, core_verbs, c, why, sizeof(why));
	if (c->control)
		return 0;
	log_err(NULL, "the control socket %s cannot be opened: %s", path, why);
	return CORE_EXIT_OS;
}

/* --- signals --- */

static void stop_now(struct core *c)
{
	struct core_run *cr;

	LIST_FOREACH (cr, &c->active, link)
		core_run_cancel(cr, RUN_CANCEL_STOPPING);
	if (list_is_empty(&c->active))
		loop_stop(c->loop);
}

static void on_drained(void *arg)
{
	struct core *c = arg;

	log_notice(NULL, "%zu run%s did not end in time and will go on at the next start",
		c->active_count, c->active_count == 1 ? "" : "s");
	stop_now(c);
}

/* A run that waits, for a file or for its next attempt, moves nothing to its end. */
void core_stop_waiting(void *arg)
{
	struct core *c = arg;
	struct core_run *cr;

	LIST_FOREACH (cr, &c->active, link) {
		if (cr->row.state == RUN_RETRY_WAIT)
			core_run_cancel(cr, RUN_CANCEL_STOPPING);
	}
}

/* First: stop claiming, let runs end. Second: put them down at once. */
static void on_term(void *arg)
{
	struct core *c = arg;

	if (c->is_stopping) {
		stop_now(c);
		return;
	}
	c->is_stopping = true;
	sched_stop(c->sched);
	log_notice(LOG_FIELDS({"MESSAGE_ID", MSG_DAEMON_STOPPING}),
		"stopping; %zu run%s under way", c->active_count,
		c->active_count == 1 ? "" : "s");
	sdnotify_stopping("stopping");
	if (list_is_empty(&c->active)) {
		loop_stop(c->loop);
		return;
	}
	sdnotify_extend((CORE_DRAIN_MS + 10000) * USEC_PER_MSEC);
	loop_timer_set(c->drain, CORE_DRAIN_MS);
	core_stop_waiting(c);
}

static void on_hup(void *arg)
{
	_cleanup_free_ char *changes = NULL, *errors = NULL;

	core_reload(arg, &changes, &errors);
}

static void on_watchdog(void *arg)
{
	struct core *c = arg;

	sdnotify_watchdog();
	loop_timer_set(c->watchdog, c->watchdog_usec / 2 / USEC_PER_MSEC);
}

/* While something runs: STATUS and waiting clients hear of progress. */
static void on_status(void *arg)
{
	struct core *c = arg;
	struct core_run *cr;

	LIST_FOREACH (cr, &c->active, link)
		core_report_progress(cr);
	core_update_status(c);
	loop_timer_set(c->status_timer, STATUS_MS);
}

static void watch_signals(struct core *c)
{
	signal(SIGPIPE, SIG_IGN);
	loop_on_signal(c->loop, SIGTERM, on_term, c);
	loop_on_signal(c->loop, SIGINT, on_term, c);
	loop_on_signal(c->loop, SIGHUP, on_hup, c);
	c->drain = loop_timer_new(c->loop, on_drained, c);
	c->watchdog = loop_timer_new(c->loop, on_watchdog, c);
	c->status_timer = loop_timer_new(c->loop, on_status, c);
	c->watchdog_usec = sdnotify_watchdog_usec();
	if (c->watchdog_usec)
		on_watchdog(c);
}

/* --- life --- */

static int build(struct core *c, const struct core_options *options)
{
	int r;

	c->clock = clock_system();
	c->started_at_s = core_now_s(c);
	c->env = creds_env_take();
	c->loop = loop_new(c->clock);
	if (!c->loop) {
		log_err(NULL, "the kernel refused an event loop: %s", strerror(errno));
		return CORE_EXIT_OS;
	}
	watch_signals(c);
	c->bandwidth_timer = loop_timer_new(c->loop, core_bandwidth_update, c);
	r = load_conf(c);
	if (r == 0)
		r = open_store(c, options->state_dir);
	if (r == 0)
		r = open_net(c);
	if (r == 0)
		r = open_sched(c);
	if (r == 0)
		r = open_control(c, options->socket_path);
	return r;
}

struct core *core_new(const struct core_options *options, int *ret_exit)
{
	struct core *c = mem_alloc(sizeof(*c));

	list_init(&c->queued);
	list_init(&c->active);
	list_init(&c->plans);
	c->config_path = mem_strdup(options->config_path);
	c->manifest_dir = mem_printf("%s/manifests", options->state_dir);
	*ret_exit = build(c, options);
	if (*ret_exit == 0)
		return c;
	return core_free(c);
}

static void say_started(struct core *c)
{
	char zones[32];

	log_info(LOG_FIELDS({"MESSAGE_ID", MSG_DAEMON_STARTED}),
		"s3ferryd " PACKAGE_VERSION " started: %zu job%s from %s, tzdata %s",
		c->conf->job_count, c->conf->job_count == 1 ? "" : "s", c->conf->path,
		*tz_version(zones, sizeof(zones)) ? zones : "of unknown version");
	if (c->conf->job_count == 0)
		log_notice(NULL, "no jobs yet: write one into %s, then s3ferryctl reload",
			c->conf->path);
}

int core_run(struct core *c)
{
	say_started(c);
	sdnotify_ready("starting");
	core_update_status(c);
	core_start_queued(c);
	sched_tick(c->sched);
	if (!c->exit_code)
		loop_run(c->loop);
	log_info(LOG_FIELDS({"MESSAGE_ID", MSG_DAEMON_STOPPING}), "stopped");
	return c->exit_code;
}

static void free_runs(struct list *runs)
{
	struct core_run *cr, *tmp;

	LIST_FOREACH_SAFE (cr, tmp, runs, link) {
		struct core_watcher *w, *wtmp;

		list_remove(&cr->link);
		LIST_FOREACH_SAFE (w, wtmp, &cr->watchers, link)
			core_watcher_remove(w);
		run_free(cr->run);
		core_uploads_drop(cr);
		free(cr);
	}
}

void *core_free(struct core *c)
{
	if (!c)
		return NULL;
	control_free(c->control);
	free_runs(&c->active);
	core_plan_drop_all(c);
	free_runs(&c->queued);
	sched_free(c->sched);
	engine_set_free(c->engines);
	creds_pool_free(c->creds);
	s3_regions_free(c->regions);
	retry_quotas_free(c->quotas);
	skews_free(c->skews);
	if (c->files)
		pool_close(c->files);
	pool_free(c->files);
	http_free(c->http);
	store_close(c->store);
	conf_unref(c->conf);
	if (c->loop) {
		loop_timer_free(c->drain);
		loop_timer_free(c->watchdog);
		loop_timer_free(c->status_timer);
		loop_timer_free(c->bandwidth_timer);
	}
	loop_free(c->loop);
	creds_env_free(c->env);
	free(c->config_path);
	free(c->config_error);
	free(c->manifest_dir);
	free(c);
	return NULL;
}
