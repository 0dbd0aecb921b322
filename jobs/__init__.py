"""Ray job entry points, one file a job: `ray job submit --working-dir . -- python -m jobs.trade`."""
