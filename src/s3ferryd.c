/* main: options, --check, start the core, exit code. No logic of its own. */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/log.h"
#include "conf/conf.h"
#include "conf/conf_json.h"
#include "conf/conf_load.h"
#include "daemon/core.h"
#include "net/http.h"

#define DEFAULT_CONFIG SYSCONFDIR "/s3ferry/s3ferry.yaml"
#define DEFAULT_STATE  LOCALSTATEDIR "/lib/s3ferry"
#define DEFAULT_SOCKET "/run/s3ferry/io.s3ferry"

static void usage(FILE *out)
{
	fprintf(out,
		"usage: s3ferryd [-c FILE] [--state-dir DIR] [--socket PATH] [-v]\n"
		"       s3ferryd --check [FILE]\n"
		"       s3ferryd --schema\n"
		"\n"
		"  -c, --config FILE   configuration (%s)\n"
		"      --state-dir DIR where runs are remembered (%s)\n"
		"      --socket PATH   control socket (%s)\n"
		"      --check         read the configuration, say what is wrong, exit\n"
		"      --schema        the keys of the configuration, as JSON Schema\n"
		"  -v, --verbose       log each object too\n"
		"  -V, --version\n"
		"  -h, --help\n",
		DEFAULT_CONFIG, DEFAULT_STATE, DEFAULT_SOCKET);
}

static int print_schema(void)
{
	struct buf text = BUF_INIT(1024 * 1024);
	int r = conf_json_schema(&text);

	if (r == 0)
		fputs(buf_str(&text), stdout);
	buf_done(&text);
	return r == 0 && fflush(stdout) == 0 ? CORE_EXIT_OK : CORE_EXIT_OS;
}

static int check(const char *path)
{
	struct conf_messages messages = {0};
	struct buf text = BUF_INIT(1024 * 1024);
	const struct conf *conf = NULL;
	int r = conf_load(path, &conf, &messages);

	conf_messages_format(&messages, &text);
	fputs(buf_str(&text), stderr);
	if (r == -ENOENT || r == -EACCES)
		fprintf(stderr, "%s: error: %s\n", path, strerror(-r));
	if (r == 0)
		printf("%s: ok, %zu job%s\n", path, conf->job_count,
			conf->job_count == 1 ? "" : "s");
	conf_unref(conf);
	buf_done(&text);
	conf_messages_done(&messages);
	if (r == -EACCES || r == -EPERM)
		return CORE_EXIT_PERM;
	return r < 0 ? CORE_EXIT_CONFIG : CORE_EXIT_OK;
}

/*
 * libcurl takes and gives back a receive buffer for every answer: by default each would
 * grow and trim the heap, and fault its pages in again. Rings are above the mmap limit.
 */
static void keep_heap(void)
{
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	mallopt(M_TRIM_THRESHOLD, 8 << 20);
	mallopt(M_TOP_PAD, 512 << 10);
#endif
}

static int serve(const struct core_options *options, int level)
{
	struct core *core;
	int code;

	log_open("s3ferryd", LOG_TARGET_AUTO, level);
	/* Credentials of other people's accounts: no core dump, no ptrace. */
	prctl(PR_SET_DUMPABLE, 0);
	umask(0077);
	keep_heap();
	if (http_global_init() < 0) {
		log_err(NULL, "the HTTP library cannot start");
		return CORE_EXIT_OS;
	}
	core = core_new(options, &code);
	if (core)
		code = core_run(core);
	core_free(core);
	http_global_done();
	return code;
}

int main(int argc, char **argv)
{
	enum { OPT_STATE = 256, OPT_SOCKET, OPT_CHECK, OPT_SCHEMA };
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"state-dir", required_argument, NULL, OPT_STATE},
		{"socket", required_argument, NULL, OPT_SOCKET},
		{"check", no_argument, NULL, OPT_CHECK},
		{"schema", no_argument, NULL, OPT_SCHEMA},
		{"verbose", no_argument, NULL, 'v'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL},
	};
	struct core_options options = {DEFAULT_CONFIG, DEFAULT_STATE, DEFAULT_SOCKET};
	bool is_check = false;
	int level = LOG_INFO, opt;

	while ((opt = getopt_long(argc, argv, "c:vVh", longs, NULL)) != -1) {
		switch (opt) {
		case 'c':
			options.config_path = optarg;
			break;
		case OPT_STATE:
			options.state_dir = optarg;
			break;
		case OPT_SOCKET:
			options.socket_path = optarg;
			break;
		case OPT_CHECK:
			is_check = true;
			break;
		case OPT_SCHEMA:
			return print_schema();
		case 'v':
			level = LOG_DEBUG;
			break;
		case 'V':
			puts("s3ferryd " PACKAGE_VERSION);
			return CORE_EXIT_OK;
		case 'h':
			usage(stdout);
			return CORE_EXIT_OK;
		default:
			usage(stderr);
			return CORE_EXIT_USAGE;
		}
	}
	if (is_check && optind < argc)
		options.config_path = argv[optind++];
	if (optind < argc) {
		fprintf(stderr, "s3ferryd: unexpected argument '%s'\n", argv[optind]);
		return CORE_EXIT_USAGE;
	}
	return is_check ? check(options.config_path) : serve(&options, level);
}
