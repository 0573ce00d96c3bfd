/* From the words of the configuration to what the engine is told. Private to src/run. */
#pragma once

struct engine_fidelity;
struct conf_job;

/* Of every object of the job. */
void run_fidelity_fill(const struct conf_job *job, struct engine_fidelity *ret);
