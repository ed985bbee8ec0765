"""What a worker counts, in the form that Prometheus reads."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

FINISHED = Counter(
    "sipxconfig_jobs_finished", "Jobs that ended, by kind and final state", ("kind", "state")
)
RETRIED = Counter("sipxconfig_jobs_retried", "Tries that came to nothing for now", ("kind",))
RECOVERED = Counter("sipxconfig_jobs_recovered", "Jobs taken up again after their worker died")
FILES_WRITTEN = Counter("sipxconfig_profile_files_written", "Profile files put in place")
BATCH_SECONDS = Histogram("sipxconfig_profile_batch_seconds", "Time for a batch of file jobs")
