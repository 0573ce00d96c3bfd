/*
 * Readiness, status and watchdog for systemd (sd_notify(3)); without systemd every call
 * does nothing. The only file of daemon/ that includes systemd's headers.
 */
#pragma once

#include <stdint.h>

void sdnotify_ready(const char *status);
void sdnotify_status(const char *status);
/* Sends MONOTONIC_USEC too, which Type=notify-reload of systemd 253 wants. */
void sdnotify_reloading(void);
void sdnotify_stopping(const char *status);
/* Ask for more time to stop. */
void sdnotify_extend(int64_t usec);
void sdnotify_watchdog(void);
/* Interval in microseconds after which systemd gives up on us; 0: no watchdog. */
int64_t sdnotify_watchdog_usec(void);
