"""What every room needs to run: settings, errors, logs, health, run folders."""
