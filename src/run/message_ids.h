/* MESSAGE_ID of the journal lines that people filter for; explained in the catalog. */
#pragma once

#define MSG_DAEMON_STARTED   "6f2d0a5c3b0e4a53a0c46a4e6f0b1d01"
#define MSG_DAEMON_STOPPING  "6f2d0a5c3b0e4a53a0c46a4e6f0b1d02"
#define MSG_CONFIG_LOADED    "6f2d0a5c3b0e4a53a0c46a4e6f0b1d03"
#define MSG_CONFIG_REJECTED  "6f2d0a5c3b0e4a53a0c46a4e6f0b1d04"
#define MSG_RUN_STARTED      "6f2d0a5c3b0e4a53a0c46a4e6f0b1d05"
#define MSG_RUN_SUCCEEDED    "6f2d0a5c3b0e4a53a0c46a4e6f0b1d06"
#define MSG_RUN_PARTIAL      "6f2d0a5c3b0e4a53a0c46a4e6f0b1d07"
#define MSG_RUN_FAILED       "6f2d0a5c3b0e4a53a0c46a4e6f0b1d08"
#define MSG_RUN_SKIPPED      "6f2d0a5c3b0e4a53a0c46a4e6f0b1d09"
#define MSG_RUN_MISSED       "6f2d0a5c3b0e4a53a0c46a4e6f0b1d0a"
#define MSG_RUN_RETRYING     "6f2d0a5c3b0e4a53a0c46a4e6f0b1d0b"
#define MSG_RUN_INTERRUPTED  "6f2d0a5c3b0e4a53a0c46a4e6f0b1d0c"
#define MSG_STATE_DAMAGED    "6f2d0a5c3b0e4a53a0c46a4e6f0b1d0d"
#define MSG_UPLOAD_RESUMED   "6f2d0a5c3b0e4a53a0c46a4e6f0b1d0e"
#define MSG_CLOCK_CORRECTED  "6f2d0a5c3b0e4a53a0c46a4e6f0b1d0f"
#define MSG_CLOCK_HELD       "6f2d0a5c3b0e4a53a0c46a4e6f0b1d10"
