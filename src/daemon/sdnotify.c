/* sd_notify(3) in words of the daemon. Not the decision when to send what. */
#include "config.h"

#include "daemon/sdnotify.h"

#include <time.h>

#ifdef WITH_SYSTEMD
#include <systemd/sd-daemon.h>
#define notify(...) ((void)sd_notifyf(0, __VA_ARGS__))
#else
#define notify(...)                        ((void)0)
#define sd_watchdog_enabled(unset, usec)   ((void)(usec), 0)
#endif

void sdnotify_ready(const char *status)
{
	notify("READY=1\nSTATUS=%s", status);
}

void sdnotify_status(const char *status)
{
	notify("STATUS=%s", status);
}

void sdnotify_reloading(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	notify("RELOADING=1\nMONOTONIC_USEC=%lld",
		(long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
}

void sdnotify_stopping(const char *status)
{
	notify("STOPPING=1\nSTATUS=%s", status);
}

void sdnotify_extend(int64_t usec)
{
	notify("EXTEND_TIMEOUT_USEC=%lld", (long long)usec);
}

void sdnotify_watchdog(void)
{
	notify("WATCHDOG=1");
}

int64_t sdnotify_watchdog_usec(void)
{
	uint64_t usec = 0;

	return sd_watchdog_enabled(0, &usec) > 0 ? (int64_t)usec : 0;
}
